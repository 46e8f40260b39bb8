/* SPDX-License-Identifier: Apache-2.0 */
/* Checksum files as upstreams publish them. Outside data: every field is checked before it is believed. */
#include <errno.h>

#include "base/json.h"
#include "update/upstream.h"

static int not_listed(const struct document *d, const char *entry, const char *version, struct err *e)
{
	return err_set(e, -ENOENT, "%s does not list %s %s; was this version released?", d->url, entry, version);
}

static int set_digest(const struct document *d, const char *hex, size_t n, struct upstream *ret, struct err *e)
{
	char digest[SHA256_HEX] = "";

	if (n == SHA256_HEX - 1)
		memcpy(digest, hex, n);
	if (!sha256_valid(digest))
		return err_class(e, CLASS_VERIFY, "%s: '%.*s' is no sha256", d->url, (int)MIN(n, 80), hex);
	if (*ret->sha256 && !streq(ret->sha256, digest))
		return err_class(e, CLASS_VERIFY, "%s states two different digests for one file", d->url);
	memcpy(ret->sha256, digest, sizeof(digest));
	return 0;
}

int upstream_json(const struct document *d, size_t flags, json_t **ret, struct err *e)
{
	json_error_t why;

	*ret = json_loadb(d->text, d->n, flags, &why);
	return *ret ? 0 : err_class(e, CLASS_VERIFY, "%s is no JSON: %s (line %d)", d->url, why.text, why.line);
}

/* ---- "<digest>  <file>" lines, or the digest alone ---- */

struct sum_line {
	const char *digest, *file;
	size_t digest_n, file_n;
};

static struct sum_line sums_split_line(const char *line, size_t n)
{
	struct sum_line l = { .digest = line };

	while (n && strchr("\r \t", line[n - 1]))
		n--;
	while (l.digest_n < n && !strchr(" \t", line[l.digest_n]))
		l.digest_n++;
	l.file = line + l.digest_n;
	l.file_n = n - l.digest_n;
	/* One blank and then another, or the star of "binary". */
	for (unsigned i = 0; i < 2 && l.file_n && strchr(i ? " \t*" : " \t", *l.file); i++) {
		l.file++;
		l.file_n--;
	}
	return l;
}

static int find_sum(const struct document *d, const char *entry, const char *version, struct upstream *ret,
		    struct err *e)
{
	const char *end = d->text + d->n, *next;
	size_t lines = 0;
	struct sum_line alone = { 0 };

	for (const char *line = d->text; line < end; line = next + 1) {
		struct sum_line l;

		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			next = end;
		l = sums_split_line(line, (size_t)(next - line));
		if (!l.digest_n)
			continue;
		lines++;
		if (!l.file_n)
			alone = l;
		if (l.file_n == strlen(entry) && !memcmp(l.file, entry, l.file_n)) {
			int r = set_digest(d, l.digest, l.digest_n, ret, e);

			if (r < 0)
				return r;
		}
	}
	if (lines == 1 && alone.digest)
		return set_digest(d, alone.digest, alone.digest_n, ret, e);
	return *ret->sha256 ? 0 : not_listed(d, entry, version, e);
}

/* ---- index.yaml of a Helm repository ---- */

int upstream_chart(const struct document *d, const char *chart, const struct yaml_node **ret, struct err *e)
{
	const struct yaml_node *entries, *list;
	struct yaml_node **docs;
	size_t n_docs;
	int r = yaml_parse_all(d->url, d->text, d->n, &docs, &n_docs, e);

	if (r < 0)
		return r;
	entries = n_docs == 1 && docs[0]->type == YAML_MAP ? yaml_get(docs[0], "entries") : NULL;
	list = entries && entries->type == YAML_MAP ? yaml_get(entries, chart) : NULL;
	*ret = list && list->type == YAML_SEQ ? list : NULL;
	return 0;
}

static int find_chart(const struct document *d, const char *chart, const char *version, struct upstream *ret,
		      struct err *e)
{
	const struct yaml_node *list;
	int r = upstream_chart(d, chart, &list, e);

	for (size_t i = 0; r == 0 && list && i < list->count; i++) {
		const struct yaml_node *x = list->items[i], *v, *digest;

		if (x->type != YAML_MAP)
			continue;
		v = yaml_get(x, "version");
		digest = yaml_get(x, "digest");
		if (!v || v->type != YAML_SCALAR || !streq(v->text, version))
			continue;
		if (!digest || digest->type != YAML_SCALAR)
			return err_class(e, CLASS_VERIFY, "%s has no digest for %s %s", d->url, chart, version);
		r = set_digest(d, digest->text, digest->n, ret, e);
	}
	if (r < 0)
		return r;
	return *ret->sha256 ? 0 : not_listed(d, chart, version, e);
}

/* ---- a GitHub release ---- */

static int find_asset(const struct document *d, const char *file, const char *version, struct upstream *ret,
		      struct err *e)
{
	static const char prefix[] = "sha256:";
	_cleanup_json_ json_t *release = NULL;
	const json_t *asset;
	const char *digest;
	json_int_t size;
	int r = upstream_json(d, JSON_REJECT_DUPLICATES, &release, e);

	if (r < 0)
		return r;
	asset = json_named(json_object_get(release, "assets"), file);
	if (!asset)
		return not_listed(d, file, version, e);
	digest = json_get_text(asset, "digest");
	if (!starts_with(digest, prefix))
		return err_class(e, CLASS_VERIFY, "%s states no sha256 for %s", d->url, file);
	size = json_integer_value(json_object_get(asset, "size"));
	ret->size = size > 0 ? (uint64_t)size : 0;
	return set_digest(d, digest + strlen(prefix), strlen(digest) - strlen(prefix), ret, e);
}

int upstream_find(enum checksum_form form, const struct document *d, const char *entry, const char *version,
		  struct upstream *ret, struct err *e)
{
	static int (*const finders[CHECKSUM_FORM_COUNT])(const struct document *, const char *, const char *,
							 struct upstream *, struct err *) = {
		[CHECKSUM_SHA256SUM] = find_sum,
		[CHECKSUM_HELM_INDEX] = find_chart,
		[CHECKSUM_GITHUB] = find_asset,
	};

	*ret = (struct upstream){ 0 };
	return finders[form](d, entry, version, ret, e);
}
