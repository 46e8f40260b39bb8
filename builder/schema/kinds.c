/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of values that files of more than one sort have. */
#include <errno.h>

#include "schema/schema.h"

/* ---- texts ---- */

const struct kind kind_text = { .name = "text" };
const struct kind kind_any_text = { .name = "text", .blank = true };
const struct kind kind_label = {
	.name = "text without blanks",
	.pattern = "^[!-~]{1,253}$",
	.words = "use printable characters without blanks",
};

const struct kind kind_sha256 = {
	.name = "SHA-256",
	.pattern = "^[0-9a-f]{64}$",
	.words = "give 64 hexadecimal digits in lower case, as sha256sum prints them",
};

static const char *parse_digest(const struct reading *l, const char *text, void *dst)
{
	*(const char **)dst = arena_strdup(text + strlen("sha256:"));
	return NULL;
}

const struct kind kind_digest = {
	.name = "digest",
	.pattern = "^sha256:[0-9a-f]{64}$",
	.words = "give sha256: and 64 hexadecimal digits in lower case",
	.parse = parse_digest,
};

/* ---- numbers and times ---- */

static const char *kinds_read_number(const char *text, uint64_t unit, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || *ret > max / unit)
		return "give a whole number";
	*ret *= unit;
	return NULL;
}

static const char *parse_number(const struct reading *l, const char *text, void *dst)
{
	return kinds_read_number(text, 1, INT64_MAX, dst);
}

static const char *parse_mib(const struct reading *l, const char *text, void *dst)
{
	return kinds_read_number(text, MIB, INT64_MAX, dst);
}

static const char *parse_unsigned(const struct reading *l, const char *text, void *dst)
{
	uint64_t v;
	const char *why = kinds_read_number(text, 1, INT32_MAX, &v);

	if (!why)
		*(unsigned *)dst = (unsigned)v;
	return why;
}

static const char *parse_mode(const struct reading *l, const char *text, void *dst)
{
	*(unsigned *)dst = (unsigned)strtoul(text, NULL, 8);
	return NULL;
}

static const char *parse_time(const struct reading *l, const char *text, void *dst)
{
	return utc_parse(text, dst) ? NULL : "give a time such as 2026-10-01T12:00:00Z";
}

static const char *parse_time_or_none(const struct reading *l, const char *text, void *dst)
{
	return *text ? parse_time(l, text, dst) : NULL;
}

static void number_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("integer"));
	json_object_set_new(out, "minimum", json_integer(0));
	if (f->kind == &kind_unsigned)
		json_object_set_new(out, "maximum", json_integer(INT32_MAX));
}

const struct kind kind_number = { .name = "number", .parse = parse_number, .schema = number_schema, .number = true };
const struct kind kind_mib = { .name = "MiB", .parse = parse_mib, .schema = number_schema, .number = true };
const struct kind kind_unsigned = {
	.name = "number", .parse = parse_unsigned, .schema = number_schema, .number = true
};
const struct kind kind_mode = {
	.name = "mode",
	.pattern = "^[0-7]{3,5}$",
	.words = "write it like \"0755\"",
	.parse = parse_mode,
};
#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
const struct kind kind_time = { .name = "time", .editor_pattern = "^" TIME "$", .parse = parse_time };
const struct kind kind_time_or_none = {
	.name = "time or nothing",
	.editor_pattern = "^(" TIME ")?$",
	.parse = parse_time_or_none,
	.blank = true,
};

/* ---- words out of a list; "" among them is what is so when nobody says, and no file says it ---- */

static unsigned find_choice(const struct field *f, const struct yaml_node *n)
{
	unsigned i = 0;

	while (i < f->names_count && !(n->type == YAML_SCALAR && *n->text && streq(n->text, f->names[i])))
		i++;
	return i;
}

/* A wrong word gives the enum's COUNT, which later checks take for "not known". */
static void choice_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	unsigned v = find_choice(f, n);
	const char *meant;

	memcpy(dst, &v, sizeof(v)); /* any enum of ours */
	if (v < f->names_count)
		return;
	if (n->type != YAML_SCALAR || schema_is_null(n)) {
		schema_fault(l, n, path, "%s %s", n->type == YAML_SCALAR ? "has no value: it must be" : "must be",
			     schema_alternatives(f->names, f->names_count));
		return;
	}
	meant = schema_meant(l->foreign ? &l->foreign->words : NULL, n->text, f->names, f->names_count);
	if (meant)
		schema_fault(l, n, path, "'%s' cannot be used: write '%s' (it must be %s)", n->text, meant,
			     schema_alternatives(f->names, f->names_count));
	else
		schema_fault(l, n, path, "'%s' cannot be used: it must be %s", n->text,
			     schema_alternatives(f->names, f->names_count));
}

static void choice_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "enum", schema_json_names(f->names, f->names_count));
}

static void constant_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	if (find_choice(f, n) == f->names_count)
		schema_fault(l, n, path, "must be %s: another program or another version wrote this file", f->names[0]);
}

static void word_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	unsigned v;

	choice_node(l, f, n, path, &v);
	if (v < f->names_count)
		*(const char **)dst = f->names[v];
}

static void flags_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	if (n->type != YAML_SEQ)
		return schema_fault(l, n, path, "must be a list, such as [%s]", f->names[0]);
	for (size_t i = 0; i < n->count; i++) {
		unsigned v;

		choice_node(l, f, n->items[i], arena_printf("%s[%zu]", path, i), &v);
		*(unsigned *)dst |= v < f->names_count ? 1u << v : 0;
	}
}

static void flags_schema(const struct field *f, json_t *out)
{
	json_t *item = json_object();

	choice_schema(f, item);
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", item);
}

const struct kind kind_choice = { .name = "choice", .node = choice_node, .schema = choice_schema };
const struct kind kind_word = { .name = "choice", .node = word_node, .schema = choice_schema };
const struct kind kind_flags = { .name = "list of words", .node = flags_node, .schema = flags_schema };
const struct kind kind_constant = { .name = "constant", .node = constant_node, .schema = choice_schema };

/* ---- booleans ---- */

const char *kind_bool_words(const struct yaml_node *n)
{
	if (n->type != YAML_SCALAR)
		return "must be true or false";
	return n->plain ? arena_printf("'%s' is no boolean here; write true or false", n->text)
			: "must be true or false, without quotes";
}

static void bool_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	if (yaml_is_plain(n, "true") || yaml_is_plain(n, "false"))
		*(bool *)dst = yaml_is_plain(n, "true");
	else
		schema_fault(l, n, path, "%s", kind_bool_words(n));
}

static void bool_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("boolean"));
}

const struct kind kind_bool = { .name = "true or false", .node = bool_node, .schema = bool_schema };

/* ---- maps and lists ---- */

static void map_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	/* "cilium:" with nothing below is a map of defaults. */
	struct yaml_node empty = { .type = YAML_MAP, .file = n->file, .line = n->line, .col = n->col };

	/* Who writes "null" or "~" rather means none. */
	if (schema_is_null(n) && n->n)
		return schema_fault(l, n, path, "'%s' is nothing: remove the key, or write {} to have its defaults",
				    n->text);
	schema_read(l, f->sub, schema_is_null(n) ? &empty : n, path, dst);
}

static void one_of_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	const char *names[16];
	size_t count = 0;

	while (f->sub[count].key && count < ARRAY_SIZE(names)) {
		names[count] = f->sub[count].key;
		count++;
	}
	if (n->type == YAML_MAP && n->count != 1)
		schema_fault(l, n, path, "give exactly one of %s%s", schema_alternatives(names, count),
			     n->count ? ", not several" : "");
	else
		schema_read(l, f->sub, n, path, dst);
}

static void one_of_schema(const struct field *f, json_t *out)
{
	kind_map.schema(f, out);
	json_object_set_new(out, "minProperties", json_integer(1));
	json_object_set_new(out, "maxProperties", json_integer(1));
}

struct any_vec {
	void *v;
	size_t n, cap;
};

static const char *list_words(const struct field *f, const struct yaml_node *n)
{
	if (!f->sub || n->type != YAML_MAP || !n->count)
		return f->sub ? arena_printf("a line '- {%s: ..., %s: ...}' for each", f->sub[0].key, f->sub[1].key)
			      : "[a, b], or one '- ' per line";
	if (n->items[0]->type == YAML_MAP)
		return arena_printf("'- ' stands before each entry and its name is inside, as in '- {%s: %s, ...}'",
				    f->sub[0].key, n->keys[0]->text);
	return "put '- ' before its first key and two blanks before the others, even when it is the only entry";
}

static void *list_add(const struct field *f, struct any_vec *vec)
{
	void *item;

	vec->v = arena_grow(vec->v, vec->n, &vec->cap, f->size);
	item = (char *)vec->v + vec->n++ * f->size;
	memset(item, 0, f->size);
	return item;
}

/* False: N had a fault. */
static bool read_item(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *item)
{
	size_t errors = l->faults->errors;

	if (f->sub)
		schema_read(l, f->sub, n, path, item);
	else
		schema_read_value(l, f->item, n, path, (char *)item + f->item->offset);
	return l->faults->errors == errors;
}

static void list_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	struct any_vec vec;

	if (n->type != YAML_SEQ)
		return schema_fault(l, n, path, "must be a list: %s", list_words(f, n));
	if (f->max && n->count > f->max)
		return schema_fault(l, n, path, "has more than %zu items", f->max);
	memcpy(&vec, dst, sizeof(vec));
	for (size_t i = 0; i < n->count; i++)
		read_item(l, f, n->items[i], arena_printf("%s[%zu]", path, i), list_add(f, &vec));
	memcpy(dst, &vec, sizeof(vec));
}

static void keyed_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	struct any_vec vec;

	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must hold keys (name: value), not %s",
				    n->type == YAML_SEQ ? "a list" : "a single value");
	if (f->max && n->count > f->max)
		return schema_fault(l, n, path, "has more than %zu entries", f->max);
	memcpy(&vec, dst, sizeof(vec));
	for (size_t i = 0; i < n->count; i++) {
		char *item;

		if (!schema_key_fits(l, f, n->keys[i], path))
			continue;
		item = list_add(f, &vec);
		*(const char **)(item + f->name_at) = n->keys[i]->text;
		if (!read_item(l, f, n->items[i], schema_path(path, n->keys[i]->text), item) && !f->sub)
			vec.n--; /* a key without its value says nothing */
	}
	memcpy(dst, &vec, sizeof(vec));
}

static void node_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	*(const struct yaml_node **)dst = n;
}

void schema_texts(struct reading *l, const struct yaml_node *n, const char *path)
{
	static const struct field text = { .kind = &kind_text };
	const char *ignored;

	if (n->type != YAML_SEQ || !n->count)
		return schema_fault(l, n, path, "must be a list: [a, b], or one '- ' per line");
	for (size_t i = 0; i < n->count; i++)
		schema_read_value(l, &text, n->items[i], arena_printf("%s[%zu]", path, i), &ignored);
}

static void texts_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	schema_texts(l, n, path);
	node_node(l, f, n, path, dst);
}

static void texts_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", json_pack("{s:s}", "type", "string"));
	json_object_set_new(out, "minItems", json_integer(1));
}

static bool map_needs_keys(const struct field *table)
{
	for (const struct field *f = table; f->key; f++)
		if (f->flags & REQUIRED)
			return true;
	return false;
}

/* "cilium:" with nothing below is a map of defaults, where no key has to be given. */
static void map_schema(const struct field *f, json_t *out)
{
	json_t *map = schema_json(f->sub);

	json_object_update_missing(out, map);
	json_decref(map);
	if (!(f->flags & REQUIRED) && !map_needs_keys(f->sub))
		json_object_set_new(out, "type", json_pack("[s, s]", "object", "null"));
}

static json_t *item_schema(const struct field *f)
{
	json_t *item = f->sub ? schema_json(f->sub) : json_object();

	if (!f->sub)
		schema_json_value(f->item, item);
	return item;
}

static void list_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", item_schema(f));
	if (f->flags & REQUIRED)
		json_object_set_new(out, "minItems", json_integer(1));
	if (f->max)
		json_object_set_new(out, "maxItems", json_integer((json_int_t)f->max));
}

static void keyed_schema(const struct field *f, json_t *out)
{
	const struct field name = { .kind = f->names_kind };
	json_t *names = f->names_kind ? json_object() : NULL;

	json_object_set_new(out, "type", json_string("object"));
	json_object_set_new(out, "additionalProperties", item_schema(f));
	if (f->max)
		json_object_set_new(out, "maxProperties", json_integer((json_int_t)f->max));
	if (!names)
		return;
	schema_json_value(&name, names);
	json_object_set_new(out, "propertyNames", names);
}

static void node_schema(const struct field *f, json_t *out)
{
}

const struct kind kind_map = { .name = "map", .node = map_node, .schema = map_schema };
const struct kind kind_one_of = { .name = "map", .node = one_of_node, .schema = one_of_schema };
const struct kind kind_list = { .name = "list", .node = list_node, .schema = list_schema };
const struct kind kind_keyed = { .name = "map", .node = keyed_node, .schema = keyed_schema };
const struct kind kind_texts = { .name = "list of texts", .node = texts_node, .schema = texts_schema };
const struct kind kind_node = { .name = "anything", .node = node_node, .schema = node_schema };
