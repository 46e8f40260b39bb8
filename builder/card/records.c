/* SPDX-License-Identifier: Apache-2.0 */
#include "card/records.h"

#include <errno.h>

static bool has_content(const struct record *x)
{
	return x->kind == ENTRY_FILE || x->kind == ENTRY_EDIT;
}

json_t *records_json(const struct records *r)
{
	json_t *a = json_array();

	vec_foreach (x, &r->v) {
		json_t *j = json_pack("{s:s, s:s, s:s}", "path", x->path, "kind", entry_kind_names[x->kind], "origin",
				      x->origin);

		if (x->kind != ENTRY_REMOVE && x->kind != ENTRY_SYMLINK) {
			json_object_set_new(j, "mode", json_sprintf("%04o", x->mode));
			json_object_set_new(j, "uid", json_integer(x->uid));
			json_object_set_new(j, "gid", json_integer(x->gid));
		}
		if (has_content(x))
			json_object_set_new(j, "size", json_integer((json_int_t)x->size));
		if (*x->sha256)
			json_object_set_new(j, "sha256", json_string(x->sha256));
		if (x->note)
			json_object_set_new(j, x->kind == ENTRY_SYMLINK ? "target" : "what", json_string(x->note));
		json_array_append_new(a, j);
	}
	return a;
}

/* COUNT where NAME is none. */
static enum entry_kind kind_named(const char *name)
{
	int kind = 0;

	while (kind < ENTRY_KIND_COUNT && !streq(entry_kind_names[kind], name))
		kind++;
	return (enum entry_kind)kind;
}

int records_parse(const json_t *j, struct records *ret, struct err *e)
{
	const json_t *one;
	size_t i;

	if (!json_is_array(j))
		return err_set(e, -EINVAL, "the manifest has no list of files");
	for (i = 0; (one = json_array_get(j, i)); i++) {
		struct record *x = vec_push(&ret->v);
		const char *mode = json_clean_or(one, "mode", NULL), *sha256 = json_clean_or(one, "sha256", NULL);

		*x = (struct record){
			.path = json_clean_or(one, "path", NULL),
			.kind = kind_named(json_clean_or(one, "kind", "")),
			.origin = json_clean_or(one, "origin", NULL),
			.mode = mode ? (unsigned)strtoul(mode, NULL, 8) : 0777,
			.uid = (unsigned)json_integer_value(json_object_get(one, "uid")),
			.gid = (unsigned)json_integer_value(json_object_get(one, "gid")),
			.size = (uint64_t)json_integer_value(json_object_get(one, "size")),
			.note = json_clean_or(one, "target", NULL) ? json_clean_or(one, "target", NULL)
								   : json_clean_or(one, "what", NULL),
		};
		if (!x->path || x->path[0] != '/' || x->kind == ENTRY_KIND_COUNT || !x->origin ||
		    (sha256 && !sha256_valid(sha256)))
			return err_set(e, -EINVAL, "entry %zu of the manifest is damaged", i + 1);
		if (sha256)
			memcpy(x->sha256, sha256, SHA256_HEX);
	}
	return 0;
}

struct ordered {
	struct record r;
	size_t i;
};

static int by_path_then_order(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	int c = strcmp(x->r.path, y->r.path);

	return c ? c : x->i < y->i ? -1 : 1;
}

void records_merge(struct records *r)
{
	_cleanup_free_ struct ordered *o = xcalloc(r->v.n, sizeof(*o));
	size_t kept = 0;

	for (size_t i = 0; i < r->v.n; i++)
		o[i] = (struct ordered){ r->v.v[i], i };
	if (r->v.n)
		qsort(o, r->v.n, sizeof(*o), by_path_then_order);
	for (size_t i = 0; i < r->v.n; i++)
		if (i + 1 == r->v.n || !streq(o[i].r.path, o[i + 1].r.path))
			r->v.v[kept++] = o[i].r;
	r->v.n = kept;
}

bool record_is_secret(const struct record *x)
{
	return has_content(x) && !*x->sha256;
}

/* Index of the first record that is not before PATH. */
static size_t records_from(const struct records *r, const char *path)
{
	size_t low = 0, high = r->v.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(r->v.v[mid].path, path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct record *records_find(const struct records *r, const char *path)
{
	size_t i = records_from(r, path);

	return i < r->v.n && streq(r->v.v[i].path, path) ? &r->v.v[i] : NULL;
}

bool records_have_below(const struct records *r, const char *dir)
{
	_cleanup_free_ char *below = xasprintf("%s/", dir);
	size_t i = records_from(r, below);

	return i < r->v.n && starts_with(r->v.v[i].path, below);
}

bool record_same(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && streq(a->origin, b->origin) && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->size == b->size && streq(a->sha256, b->sha256) &&
	       streq(str_or(a->note, ""), str_or(b->note, ""));
}
