/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/standing.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "plan/flashed.h"

static const char *const standing_names[STANDING_COUNT] = { "none", "same", "differs", "unknown" };

static const char no_secrets[] = "there is no secrets.yaml here, so nobody knows what would be on it";

static struct standing_of unknown(const char *words)
{
	return (struct standing_of){ .is = STANDING_UNKNOWN, .words = words };
}

static struct standing_of by_manifest(const struct plan *p, const struct node_plan *n, const char *text, size_t size,
				      const char *name)
{
	struct standing_of s = { .words = "" };
	struct err e = { 0 };

	if (!p->project->secrets_real && !n->generic)
		return unknown(no_secrets);
	if (drift_of_manifest(n, text, size, name, &s.drifts, &e) < 0)
		return unknown(arena_strdup(e.msg));
	s.is = s.drifts.v.n ? STANDING_DIFFERS : STANDING_SAME;
	return s;
}

struct standing_of standing_image(const struct plan *p, const struct node_plan *n)
{
	const char *path = arena_printf("%.*s" MANIFEST_SUFFIX, (int)(strlen(n->image) - strlen(".img")), n->image);
	_cleanup_free_ char *text = NULL;
	struct err e = { 0 };
	size_t size;
	int r = file_read(path, MANIFEST_LIMIT, &text, &size, &e);

	if (r == -ENOENT || r == -ENOTDIR)
		return (struct standing_of){ .is = STANDING_NONE, .words = "" };
	return r < 0 ? unknown(arena_strdup(e.msg)) : by_manifest(p, n, text, size, path);
}

struct standing_of standing_node(const struct plan *p, const struct node_plan *n, const char *manifest)
{
	if (!*manifest)
		return unknown("it has no manifest: this is no card of pibuild's");
	return by_manifest(p, n, manifest, strlen(manifest), n->name);
}

/* "2026-11-28T14:02:07Z" of a file that anybody may have written */
static const char *when(const json_t *record)
{
	return flashed_time(record) ? utc_text(flashed_time(record)) : "once";
}

struct standing_of standing_card(const struct plan *p, const struct node_plan *n, json_t *cards)
{
	json_t *card = flashed_card(cards, n->name), *tried = flashed_unfinished(cards, n->name);
	struct standing_of s = { .is = STANDING_NONE, .words = "" };
	const char *made = json_get_text(card, "made");
	char key[SHA256_HEX];
	struct stat st;

	if (tried)
		return unknown(arena_printf("its writing of %s did not end", when(tried)));
	if (!card)
		return s;
	s.words = arena_printf("written %s", when(card));
	plan_node_key(p, n, key);
	if (!*made) {
		s.is = STANDING_UNKNOWN;
		if (stat(p->project->config->path, &st) == 0 && flashed_time(card) < st.st_mtime)
			s.words = arena_printf("%s, before cluster.yaml was changed", s.words);
	} else {
		s.is = streq(made, key) ? STANDING_SAME : STANDING_DIFFERS;
	}
	if (!p->project->secrets_real)
		s.is = STANDING_UNKNOWN;
	return s;
}

json_t *standing_json(const struct standing_of *s)
{
	json_t *j = json_pack("{s:s}", "state", standing_names[s->is]), *paths = json_array();

	if (*s->words)
		json_object_set_new(j, "words", json_text(s->words));
	vec_foreach (d, &s->drifts.v)
		json_array_append_new(paths, json_pack("{s:s, s:o, s:o}", "change", drift_kind_names[d->kind], "path",
						       json_text(d->path), "origin", json_text(d->origin)));
	json_object_set_new(j, "paths", paths);
	return j;
}
