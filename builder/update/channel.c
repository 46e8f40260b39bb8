/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which releases there are, as upstreams say it. Outside data: a version is believed only when it is written like the
 * one we know, so nothing else gets into an address.
 *
 * Forms: K3s' channel server (collection of {name, latest}), stable.txt of Cilium's projects, GitHub's REST API
 * (/repos/OWNER/REPO/releases), Helm repositories, the image list of Raspberry Pi Imager (os_list with nested
 * subitems; {url, image_download_size, image_download_sha256, extract_size, extract_sha256}).
 */
#include "archive/archive.h"
#include "base/json.h"
#include "catalogue/version.h"
#include "update/upstream.h"

enum { MAX_DEPTH = 8 };

/* What a document is read for. */
struct channel_query {
	const struct release_source *from;
	const struct artifact *base;
	const char *like;
	const struct document *doc;
};

static int no_release(const struct channel_query *q, const char *found, struct err *e)
{
	if (!found)
		return err_class(e, CLASS_VERIFY, "%s names no release such as %s", q->from->url, q->like);
	return err_class(e, CLASS_VERIFY, "%s: '%s' is no release such as %s", q->from->url,
			 clean_text(arena_strndup(found, strnlen(found, 80))), q->like);
}

static void releases_add(struct releases *ret, const char *version)
{
	*vec_push(&ret->list) = (struct release){ .version = arena_strdup(version) };
}

/* ---- K3s' channels ---- */

static int read_k3s(const struct channel_query *q, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *doc = NULL;
	const json_t *list, *x;
	const char *newest = NULL;
	size_t i;
	int r = upstream_json(q->doc, JSON_REJECT_DUPLICATES, &doc, e);

	if (r < 0)
		return r;
	list = json_object_get(doc, "data");
	for (i = 0; (x = json_array_get(list, i)); i++)
		if (streq(json_get_text(x, "name"), q->from->name))
			newest = json_get_text(x, "latest");
	if (!newest)
		return err_class(e, CLASS_VERIFY, "%s has no channel '%s'", q->from->url, q->from->name);
	if (!version_is_like(newest, q->like))
		return no_release(q, newest, e);
	releases_add(ret, newest);
	for (i = 0; (x = json_array_get(list, i)); i++) {
		const char *latest = json_get_text(x, "latest");

		/* "v1.36": the channel of a minor version. */
		if (version_is_like(json_get_text(x, "name"), "v1.1") && version_is_like(latest, q->like) &&
		    version_compare(latest, newest) < 0)
			releases_add(ret, latest);
	}
	return 0;
}

/* ---- stable.txt ---- */

static int channel_text(const struct channel_query *q, struct releases *ret, struct err *e)
{
	const char *text = arena_strndup(q->doc->text, q->doc->n), *line = arena_strndup(text, strcspn(text, "\r\n"));
	size_t end = strlen(line) + strspn(text + strlen(line), "\r\n");

	/* Cilium's charts are numbered without the v of its tags. */
	if (*line == 'v' && q->like[0] != 'v')
		line++;
	if (end != q->doc->n || !version_is_like(line, q->like))
		return no_release(q, text, e);
	releases_add(ret, line);
	return 0;
}

/* ---- releases of a GitHub repository ---- */

static int read_github(const struct channel_query *q, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL;
	const json_t *x;
	int r = upstream_json(q->doc, JSON_REJECT_DUPLICATES, &list, e);

	for (size_t i = 0; r == 0 && (x = json_array_get(list, i)); i++) {
		const char *tag = json_get_text(x, "tag_name");

		if (version_is_like(tag, q->like) && json_is_false(json_object_get(x, "draft")) &&
		    json_is_false(json_object_get(x, "prerelease")))
			releases_add(ret, tag);
	}
	return r;
}

/* ---- index.yaml of a Helm repository ---- */

static int channel_read_index(const struct channel_query *q, struct releases *ret, struct err *e)
{
	const struct yaml_node *list, *v;
	int r = upstream_chart(q->doc, q->from->name, &list, e);

	for (size_t i = 0; r == 0 && list && i < list->count; i++) {
		v = list->items[i]->type == YAML_MAP ? yaml_get(list->items[i], "version") : NULL;
		if (v && v->type == YAML_SCALAR && version_is_like(v->text, q->like))
			releases_add(ret, v->text);
	}
	return r;
}

/* ---- the list of Raspberry Pi Imager ---- */

static const char *digest_of(const json_t *image, const char *key)
{
	const char *s = json_get_text(image, key);

	return sha256_valid(s) ? arena_strdup(s) : NULL;
}

static uint64_t channel_size_of(const json_t *image, const char *key, uint64_t limit)
{
	json_int_t n = json_integer_value(json_object_get(image, key));

	return n > 0 && (uint64_t)n <= limit ? (uint64_t)n : 0;
}

static int channel_add_image(const struct channel_query *q, const json_t *image, struct releases *ret, struct err *e)
{
	const char *url = json_get_text(image, "url");
	const char *version = artifact_url_version(q->base, url, q->like);
	struct release x = { .version = version };

	if (!version)
		return 0;
	x.url = arena_strdup(url);
	x.sha256 = digest_of(image, "image_download_sha256");
	x.size = channel_size_of(image, "image_download_size", q->base->max_size);
	x.raw_sha256 = digest_of(image, "extract_sha256");
	x.raw_size = channel_size_of(image, "extract_size", LARGEST_IMAGE);
	if (!x.sha256 || !x.size || !x.raw_sha256 || !x.raw_size)
		return err_class(e, CLASS_VERIFY, "%s states no sound sizes and digests for %s", q->from->url, url);
	*vec_push(&ret->list) = x;
	return 0;
}

static int walk_images(const struct channel_query *q, const json_t *list, unsigned depth, struct releases *ret,
		       struct err *e)
{
	const json_t *x;
	int r = 0;

	if (depth > MAX_DEPTH)
		return err_class(e, CLASS_VERIFY, "%s nests its lists more than %d deep", q->from->url, MAX_DEPTH);
	for (size_t i = 0; r == 0 && (x = json_array_get(list, i)); i++) {
		r = channel_add_image(q, x, ret, e);
		if (r == 0)
			r = walk_images(q, json_object_get(x, "subitems"), depth + 1, ret, e);
	}
	return r;
}

static int read_images(const struct channel_query *q, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *doc = NULL;
	/* It has entries of many projects: a key that one of them repeats is no matter of ours. */
	int r = upstream_json(q->doc, 0, &doc, e);

	return r < 0 ? r : walk_images(q, json_object_get(doc, "os_list"), 0, ret, e);
}

typedef int (*read_fn)(const struct channel_query *q, struct releases *ret, struct err *e);

static const struct {
	read_fn read;
	uint64_t limit;
} forms[CHANNEL_FORM_COUNT] = {
	[CHANNEL_K3S] = { read_k3s, MIB },
	[CHANNEL_TEXT] = { channel_text, KIB },
	[CHANNEL_GITHUB] = { read_github, 16 * MIB },
	[CHANNEL_HELM_INDEX] = { channel_read_index, 16 * MIB },
	[CHANNEL_RASPIOS_LIST] = { read_images, 8 * MIB },
};

uint64_t channel_limit(enum channel_form form)
{
	return forms[form].limit;
}

static int newest_first(const void *a, const void *b)
{
	const struct release *x = a, *y = b;

	return version_compare(y->version, x->version);
}

int channel_read(const struct release_source *from, const struct artifact *base, const char *like,
		 const struct document *d, struct releases *ret, struct err *e)
{
	const struct channel_query q = { from, base, like, d };
	struct releases found = { 0 };
	int r = forms[from->form].read(&q, &found, e);

	if (r < 0)
		return r;
	if (!found.list.n)
		return no_release(&q, NULL, e);
	vec_foreach (x, &found.list)
		*vec_push(&ret->list) = *x;
	vec_sort(&ret->list, newest_first);
	return 0;
}
