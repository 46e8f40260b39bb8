/* SPDX-License-Identifier: Apache-2.0 */
#include "catalogue/rows.h"

#include <errno.h>

#include "catalogue/url.h"
#include "crypto/digest.h"

static const char digest_prefix[] = "sha256:";

int rows_fault(struct err *e, const struct yaml_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_at(e, CLASS_CONFIG, str_or(node->file, "?"), node->line, node->col, "%s", arena_vprintf(fmt, ap));
	va_end(ap);
	return e->code;
}

int rows_check_keys(const struct yaml_node *map, const char *const *names, size_t n, struct err *e)
{
	if (map->type != YAML_MAP)
		return rows_fault(e, map, "a map was expected here");
	for (size_t i = 0; i < map->count; i++) {
		const char *key = map->keys[i]->text, *near;
		size_t k = 0;

		while (k < n && !streq(names[k], key))
			k++;
		if (k < n)
			continue;
		near = nearest_word(key, names, n);
		return rows_fault(e, map->keys[i], "unknown key '%s'%s%s%s", key, near ? ", did you mean '" : "",
				  str_or(near, ""), near ? "'?" : "");
	}
	return 0;
}

static int read_number(const struct yaml_node *node, uint64_t unit, uint64_t *ret, struct err *e)
{
	char *end;

	errno = 0;
	*ret = strtoull(node->text, &end, 10);
	if (errno || *end || node->text[0] < '0' || node->text[0] > '9' || *ret > INT64_MAX / unit)
		return rows_fault(e, node, "'%s' is no number", node->text);
	*ret *= unit;
	return 0;
}

static int read_mode(const struct yaml_node *node, unsigned *ret, struct err *e)
{
	size_t digits = strspn(node->text, "01234567");

	if (digits != node->n || digits < 3 || digits > 5)
		return rows_fault(e, node, "'%s' is no mode; write it like \"0755\"", node->text);
	*ret = (unsigned)strtoul(node->text, NULL, 8);
	return 0;
}

static int find_name(const struct row *row, const struct yaml_node *node, struct err *e)
{
	const char *near;

	if (node->type != YAML_SCALAR)
		return rows_fault(e, node, "%s: a word was expected here", row->key);
	for (size_t i = 0; i < row->count; i++)
		if (streq(row->names[i], node->text))
			return (int)i;
	near = nearest_word(node->text, row->names, row->count);
	return rows_fault(e, node, "%s cannot be '%s'%s%s%s", row->key, node->text, near ? ", did you mean '" : "",
			  str_or(near, ""), near ? "'?" : "");
}

static int read_names(const struct row *row, const struct yaml_node *node, unsigned *ret, struct err *e)
{
	if (node->type != YAML_SEQ)
		return rows_fault(e, node, "%s: a list was expected here", row->key);
	for (size_t i = 0; i < node->count; i++) {
		int bit = find_name(row, node->items[i], e);

		if (bit < 0)
			return bit;
		*ret |= 1u << bit;
	}
	return 0;
}

static int read_url(const struct yaml_node *node, const char **ret, struct err *e)
{
	const char *why = url_fault(node->text);

	if (why)
		return rows_fault(e, node, "'%s': %s", node->text, why);
	*ret = node->text;
	return 0;
}

static int read_scalar(const struct row *row, const struct yaml_node *node, void *at, struct err *e)
{
	int r;

	switch (row->kind) {
	case ROW_URL:
		return read_url(node, at, e);
	case ROW_SHA256:
		if (!sha256_valid(node->text))
			return rows_fault(e, node, "'%s' is no sha256: it has 64 digits 0-9 a-f", node->text);
		break;
	case ROW_DIGEST:
		if (!starts_with(node->text, digest_prefix) || !sha256_valid(node->text + strlen(digest_prefix)))
			return rows_fault(e, node, "'%s' is no digest: it is sha256: and 64 digits 0-9 a-f",
					  node->text);
		*(const char **)at = node->text + strlen(digest_prefix);
		return 0;
	case ROW_NUMBER:
		return read_number(node, 1, at, e);
	case ROW_MIB:
		return read_number(node, MIB, at, e);
	case ROW_MODE:
		return read_mode(node, at, e);
	case ROW_TRUE:
		if (!node->plain || (!streq(node->text, "true") && !streq(node->text, "false")))
			return rows_fault(e, node, "%s is true or false, not '%s'", row->key, node->text);
		*(bool *)at = streq(node->text, "true");
		return 0;
	case ROW_NAME:
		r = find_name(row, node, e);
		if (r >= 0)
			*(int *)at = r;
		return MIN(r, 0);
	default:
		break;
	}
	if (!node->n)
		return rows_fault(e, node, "%s is empty", row->key);
	*(const char **)at = node->text;
	return 0;
}

static int read_row(const struct row *row, const struct yaml_node *node, void *dst, struct err *e)
{
	void *at = (char *)dst + row->offset;

	if (row->kind == ROW_MAP)
		return rows_read(node, row->rows, row->count, dst, e);
	if (row->kind == ROW_NODE) {
		*(const struct yaml_node **)at = node;
		return 0;
	}
	if (row->kind == ROW_NAMES)
		return read_names(row, node, at, e);
	if (node->type != YAML_SCALAR)
		return rows_fault(e, node, "%s: a single value was expected here", row->key);
	return read_scalar(row, node, at, e);
}

int rows_read(const struct yaml_node *map, const struct row *rows, size_t n, void *dst, struct err *e)
{
	const char **names = arena_alloc(n * sizeof(*names));
	int r;

	for (size_t i = 0; i < n; i++)
		names[i] = rows[i].key;
	r = rows_check_keys(map, names, n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct yaml_node *value = yaml_get(map, rows[i].key);

		if (value)
			r = read_row(&rows[i], value, dst, e);
		else if (rows[i].required)
			r = rows_fault(e, map, "the key '%s' is missing", rows[i].key);
	}
	return r;
}

int rows_read_time(const struct yaml_node *node, int64_t *ret, struct err *e)
{
	if (node->type == YAML_SCALAR && utc_parse(node->text, ret))
		return 0;
	return rows_fault(e, node, "time is written like 2026-10-07T00:00:00Z");
}

int rows_check_kind(const struct yaml_node *doc, const char *kind, struct err *e)
{
	const char *const want[][2] = { { "apiVersion", "pibuild/v1" }, { "kind", kind } };

	if (doc->type != YAML_MAP)
		return rows_fault(e, doc, "a map was expected here");
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const struct yaml_node *v = yaml_get(doc, want[i][0]);

		if (!v || v->type != YAML_SCALAR || !streq(v->text, want[i][1]))
			return rows_fault(e, v ? v : doc, "'%s: %s' was expected", want[i][0], want[i][1]);
	}
	return 0;
}
