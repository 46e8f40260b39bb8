/* SPDX-License-Identifier: Apache-2.0 */
/* Checksum files as upstreams publish them. Outside data: every field is checked before it is believed. */
#include <errno.h>
#include <sys/mman.h>

#include "update/upstream.h"
#include "base/file.h"
#include "base/json.h"

static int not_listed(const char *url, const char *entry, const char *version, struct err *e)
{
	return err_set(e, -ENOENT, "%s does not list %s %s; was this version released?", url, entry, version);
}

static int set_digest(const char *url, const char *hex, size_t n, struct upstream *ret, struct err *e)
{
	char digest[SHA256_HEX] = "";

	if (n == SHA256_HEX - 1)
		memcpy(digest, hex, n);
	if (!sha256_valid(digest))
		return err_class(e, CLASS_VERIFY, "%s: '%.*s' is no sha256", url, (int)MIN(n, 80), hex);
	if (*ret->sha256 && !streq(ret->sha256, digest))
		return err_class(e, CLASS_VERIFY, "%s states two different digests for one file", url);
	memcpy(ret->sha256, digest, sizeof(digest));
	return 0;
}

/* ---- "<digest>  <file>" lines, or the digest alone ---- */

struct sum_line {
	const char *digest, *file;
	size_t digest_n, file_n;
};

static struct sum_line split_line(const char *line, size_t n)
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

static int find_sum(const char *url, const char *text, size_t n, const char *entry, const char *version,
		    struct upstream *ret, struct err *e)
{
	const char *end = text + n, *next;
	size_t lines = 0;
	struct sum_line alone = { 0 };

	for (const char *line = text; line < end; line = next + 1) {
		struct sum_line l;

		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			next = end;
		l = split_line(line, (size_t)(next - line));
		if (!l.digest_n)
			continue;
		lines++;
		if (!l.file_n)
			alone = l;
		if (l.file_n == strlen(entry) && !memcmp(l.file, entry, l.file_n)) {
			int r = set_digest(url, l.digest, l.digest_n, ret, e);

			if (r < 0)
				return r;
		}
	}
	if (lines == 1 && alone.digest)
		return set_digest(url, alone.digest, alone.digest_n, ret, e);
	return *ret->sha256 ? 0 : not_listed(url, entry, version, e);
}

/* ---- index.yaml of a Helm repository ---- */

/* The parser takes large files by path only, so the text becomes one without touching a disk. */
static int parse_large_yaml(const char *text, size_t n, struct yaml_node ***ret, size_t *ret_n, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("index.yaml", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_all(fd, text, n);

	if (r < 0)
		return err_errno(e, r, "cannot hold a file in memory");
	return yaml_load_all(arena_printf("/proc/self/fd/%d", fd), n, ret, ret_n, e);
}

int upstream_chart(const char *url, const char *text, size_t n, const char *chart, const struct yaml_node **ret,
		   struct err *e)
{
	const struct yaml_node *entries;
	struct yaml_node **docs;
	size_t n_docs;
	int r = parse_large_yaml(text, n, &docs, &n_docs, e);

	if (r < 0)
		return err_wrap(e, "%s", url);
	entries = n_docs == 1 && docs[0]->type == YAML_MAP ? yaml_get(docs[0], "entries") : NULL;
	*ret = entries && entries->type == YAML_MAP ? yaml_get(entries, chart) : NULL;
	return 0;
}

static int find_chart(const char *url, const char *text, size_t n, const char *chart, const char *version,
		      struct upstream *ret, struct err *e)
{
	const struct yaml_node *list;
	int r = upstream_chart(url, text, n, chart, &list, e);

	for (size_t i = 0; r == 0 && list && list->type == YAML_SEQ && i < list->count; i++) {
		const struct yaml_node *x = list->items[i], *v, *digest;

		if (x->type != YAML_MAP)
			continue;
		v = yaml_get(x, "version");
		digest = yaml_get(x, "digest");
		if (!v || v->type != YAML_SCALAR || !streq(v->text, version))
			continue;
		if (!digest || digest->type != YAML_SCALAR)
			return err_class(e, CLASS_VERIFY, "%s has no digest for %s %s", url, chart, version);
		r = set_digest(url, digest->text, digest->n, ret, e);
	}
	if (r < 0)
		return r;
	return *ret->sha256 ? 0 : not_listed(url, chart, version, e);
}

/* ---- a GitHub release ---- */

static int read_asset(const char *url, const json_t *asset, const char *file, struct upstream *ret, struct err *e)
{
	static const char prefix[] = "sha256:";
	const char *digest = json_string_value(json_object_get(asset, "digest"));
	json_int_t size = json_integer_value(json_object_get(asset, "size"));

	if (!digest || !starts_with(digest, prefix))
		return err_class(e, CLASS_VERIFY, "%s states no sha256 for %s", url, file);
	digest += strlen(prefix);
	ret->size = size > 0 ? (uint64_t)size : 0;
	return set_digest(url, digest, strlen(digest), ret, e);
}

static int find_asset(const char *url, const char *text, size_t n, const char *file, const char *version,
		      struct upstream *ret, struct err *e)
{
	json_error_t why;
	_cleanup_json_ json_t *release = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	const json_t *asset;
	size_t i;

	if (!release)
		return err_set(e, -EBADMSG, "%s is no JSON: %s (line %d)", url, why.text, why.line);
	for (i = 0; (asset = json_array_get(json_object_get(release, "assets"), i)); i++) {
		const char *name = json_string_value(json_object_get(asset, "name"));

		if (name && streq(name, file))
			return read_asset(url, asset, file, ret, e);
	}
	return not_listed(url, file, version, e);
}

typedef int (*find_fn)(const char *url, const char *text, size_t n, const char *entry, const char *version,
		       struct upstream *ret, struct err *e);

static const find_fn finders[CHECKSUM_FORM_COUNT] = {
	[CHECKSUM_SHA256SUM] = find_sum,
	[CHECKSUM_HELM_INDEX] = find_chart,
	[CHECKSUM_GITHUB] = find_asset,
};

int upstream_find(enum checksum_form form, const char *url, const char *text, size_t n, const char *entry,
		  const char *version, struct upstream *ret, struct err *e)
{
	struct upstream u = { 0 };
	int r = finders[form](url, str_or(text, ""), n, entry, version, &u, e);

	if (r == 0)
		*ret = u;
	return r;
}
