/* SPDX-License-Identifier: Apache-2.0 */
/* Where a chart of an app is: what a Helm repository's index.yaml and a registry's manifest say. Outside data. */
#include <errno.h>

#include "catalogue/url.h"
#include "lock/pin.h"
#include "update/upstream.h"

/* ---- index.yaml ---- */

/*
 * An index of some years has more values than the parser takes of one file, so one version is cut out of the text as
 * Helm writes it (helm/helm pkg/repo/v1/index.go, by sigs.k8s.io/yaml):
 *
 *	entries:
 *	  NAME:
 *	  - KEY: ...
 *	    version: VERSION
 */
struct index_lines {
	const char *at, *end;
};

static bool next_line(struct index_lines *l, const char **ret, size_t *n)
{
	const char *newline;

	if (l->at >= l->end)
		return false;
	newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
	*ret = l->at;
	*n = (size_t)((newline ? newline : l->end) - l->at);
	l->at = newline ? newline + 1 : l->end;
	while (*n && (*ret)[*n - 1] == '\r')
		--*n;
	return true;
}

static bool line_is(const char *line, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(line, text, n);
}

/* The item of CHART that has VERSION, as text; NULL when the index is written in another way or has none. */
static const char *index_item(const struct document *d, const char *chart, const char *version)
{
	struct index_lines l = { d->text, d->text + d->n };
	const char *line, *item = NULL, *head = arena_printf("  %s:", chart);
	const char *quoted = arena_printf("    version: \"%s\"", version),
		   *plain = arena_printf("    version: %s", version);
	bool inside = false, found = false;
	size_t n;

	while (next_line(&l, &line, &n)) {
		bool begins = n > 4 && !memcmp(line, "  - ", 4), goes_on = n > 4 && !memcmp(line, "    ", 4);

		if (!inside) {
			inside = line_is(line, n, head);
			continue;
		}
		if (found && !goes_on && n)
			return arena_strndup(item, (size_t)(line - item));
		if (!begins && (!goes_on || !item) && n)
			return NULL;
		if (begins)
			item = line;
		/* The first key of an item stands behind its dash. */
		found |= line_is(line, n, plain) || line_is(line, n, quoted) ||
			 (begins && (line_is(line + 4, n - 4, plain + 4) || line_is(line + 4, n - 4, quoted + 4)));
	}
	return found ? arena_strndup(item, (size_t)(d->text + d->n - item)) : NULL;
}

static int index_entry(const struct document *d, const char *chart, const char *version, const struct yaml_node **ret,
		       struct err *e)
{
	const char *item = index_item(d, chart, version);
	const struct yaml_node *list = NULL;
	struct yaml_node *doc;
	int r;

	if (item) {
		r = yaml_parse(d->url, item, strlen(item), &doc, e);
		list = r == 0 && doc->type == YAML_SEQ ? doc : NULL;
	} else {
		r = upstream_chart(d, chart, &list, e);
	}
	if (r < 0) {
		e->class = CLASS_VERIFY;
		return r;
	}
	for (size_t i = 0; list && i < list->count; i++)
		if (streq(yaml_text_at(list->items[i], "version"), version)) {
			*ret = list->items[i];
			return 0;
		}
	if (!item && !list)
		return err_set(e, -ENOENT, "%s has no chart of the name %s", d->url, chart);
	return err_set(e, -ENOENT, "%s does not list %s %s; was this version released?", d->url, chart, version);
}

int chart_place_index(const struct document *d, const char *repo, const char *chart, const char *version,
		      struct chart_place *ret, struct err *e)
{
	const struct yaml_node *entry = NULL, *urls;
	const char *digest, *url, *why;
	int r = index_entry(d, chart, version, &entry, e);

	if (r < 0)
		return r;
	urls = yaml_get(entry, "urls");
	url = urls && urls->type == YAML_SEQ && urls->count && urls->items[0]->type == YAML_SCALAR
		      ? urls->items[0]->text
		      : "";
	if (!*url)
		return err_class(e, CLASS_VERIFY, "%s has no address for %s %s", d->url, chart, version);
	if (!strstr(url, "://"))
		url = arena_printf("%s%s%s", repo, ends_with(repo, "/") || *url == '/' ? "" : "/", url);
	why = url_fault(url);
	if (why)
		return err_class(e, CLASS_VERIFY, "%s: the address of %s %s, %s: %s", d->url, chart, version, url, why);
	digest = yaml_text_at(entry, "digest");
	digest += starts_with(digest, "sha256:") ? strlen("sha256:") : 0;
	if (*digest && !sha256_valid(digest))
		return err_class(e, CLASS_VERIFY, "%s: '%.80s' is no sha256", d->url, digest);
	*ret = (struct chart_place){ arena_strdup(url), *digest ? arena_strdup(digest) : NULL };
	return 0;
}

/* ---- registries ---- */

const char *chart_tag(const char *version)
{
	char *tag = arena_strdup(version);

	for (char *s = tag; *s; s++)
		if (*s == '+')
			*s = '_';
	return tag;
}

int chart_place_oci(const struct document *d, const char *name, struct chart_place *ret, struct err *e)
{
	static const char type[] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip", prefix[] = "sha256:";
	_cleanup_json_ json_t *manifest = NULL;
	const json_t *layer;
	int r = upstream_json(d, JSON_REJECT_DUPLICATES, &manifest, e);

	if (r < 0)
		return r;
	for (size_t i = 0; (layer = json_array_get(json_object_get(manifest, "layers"), i)); i++) {
		const char *digest = json_get_text(layer, "digest");

		if (!streq(json_get_text(layer, "mediaType"), type))
			continue;
		if (!starts_with(digest, prefix) || !sha256_valid(digest + strlen(prefix)))
			return err_class(e, CLASS_VERIFY, "%s: '%.80s' is no digest", d->url, digest);
		*ret = (struct chart_place){ image_url(name, "blobs", arena_strdup(digest)),
					     arena_strdup(digest + strlen(prefix)) };
		return 0;
	}
	return err_class(e, CLASS_VERIFY, "%s is no chart of Helm", d->url);
}
