/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a map by a table of fields. */
#include "config/schema.h"

#include <regex.h>
#include <stdarg.h>

void schema_fault(struct loader *l, const struct yaml_node *n, const char *path, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	if (*path)
		fault_at(l->faults, n, "%s: %s", path, str_or(msg, ""));
	else
		fault_at(l->faults, n, "%s", str_or(msg, ""));
}

const char *schema_path(const char *path, const char *key)
{
	return *path ? arena_printf("%s.%s", path, key) : key;
}

bool schema_is_null(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && n->plain && (!n->n || streq(n->text, "~") || streq(n->text, "null"));
}

/* PATTERN is text of a table of kinds. Each is compiled once: that takes glibc longer than all the rest of reading a
 * node. */
static bool matches(const char *pattern, const char *text)
{
	struct compiled {
		const char *pattern;
		regex_t re;
		struct compiled *next;
	};
	static struct compiled *known;
	struct compiled *c;

	for (c = known; c && c->pattern != pattern; c = c->next)
		;
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		if (regcomp(&c->re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
			abort();
		c->pattern = pattern;
		c->next = known;
		known = c;
	}
	return regexec(&c->re, text, 0, NULL, 0) == 0;
}

const char *kind_text_fault(const struct kind *k, const struct loader *l, const char *text, void *dst)
{
	const char *why;

	if (k->pattern && !matches(k->pattern, text))
		return k->words;
	if (k->parse)
		return k->parse(l, text, dst);
	why = k->check ? k->check(text) : NULL;
	if (!why && dst)
		*(const char **)dst = arena_strdup(text);
	return why;
}

/* Long values would drown the message. */
static const char *shorten(const char *text)
{
	int n = 57;

	if (strlen(text) <= 60)
		return text;
	while (n && ((unsigned char)text[n] & 0xc0) == 0x80) /* not within a character */
		n--;
	return arena_printf("%.*s...", n, text);
}

static void read_text(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	const char *why;

	if (n->type != YAML_SCALAR) {
		schema_fault(l, n, path, "must be a single value (%s), not a %s", f->kind->name,
			     n->type == YAML_MAP ? "map" : "list");
		return;
	}
	if (schema_is_null(n)) {
		schema_fault(l, n, path, "has no value: %s", f->kind->words ? f->kind->words : f->kind->name);
		return;
	}
	why = kind_text_fault(f->kind, l, n->text, dst);
	if (why && f->kind->secret)
		schema_fault(l, n, path, "%s", why);
	else if (why)
		schema_fault(l, n, path, "'%s' cannot be used: %s", shorten(n->text), why);
}

void schema_read_value(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	if (f->kind->node)
		f->kind->node(l, f, n, path, dst);
	else
		read_text(l, f, n, path, dst);
}

static void unknown_key(struct loader *l, const struct yaml_node *key, const char *path, const char *const *names,
			size_t n)
{
	const char *near = nearest_word(key->text, names, n);
	struct strbuf all = { 0 };

	if (near) {
		schema_fault(l, key, path, "unknown key '%s'; did you mean '%s'?", shorten(key->text), near);
		return;
	}
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&all, "%s%s", i ? ", " : "", names[i]);
	schema_fault(l, key, path, "unknown key '%s'; known here: %s", shorten(key->text), str_or(all.s, "none"));
	strbuf_done(&all);
}

void schema_unknown_keys(struct loader *l, const struct yaml_node *map, const char *path, const char *const *names,
			 size_t n)
{
	for (size_t i = 0; i < map->count; i++) {
		size_t k;

		for (k = 0; k < n && !streq(map->keys[i]->text, names[k]); k++)
			;
		if (k == n)
			unknown_key(l, map->keys[i], path, names, n);
	}
}

static void read_default(struct loader *l, const struct field *f, const char *path, void *dst)
{
	struct yaml_node def = { .type = YAML_SCALAR, .text = f->def, .n = f->def ? strlen(f->def) : 0, .plain = true };

	if (f->def)
		schema_read_value(l, f, &def, path, dst);
	else if (f->sub && f->kind == &kind_map)
		for (const struct field *s = f->sub; s->key; s++)
			if (!(s->flags & REQUIRED))
				read_default(l, s, path, (char *)dst + s->offset);
}

void schema_read(struct loader *l, const struct field *table, const struct yaml_node *map, const char *path, void *dst)
{
	const char *names[64];
	size_t n = 0;

	if (map->type != YAML_MAP) {
		schema_fault(l, map, path, "must hold keys (name: value), not %s",
			     map->type == YAML_SEQ ? "a list" : "a single value");
		return;
	}
	for (const struct field *f = table; f->key; f++)
		names[n++] = f->key;
	schema_unknown_keys(l, map, path, names, n);
	for (const struct field *f = table; f->key; f++) {
		const struct yaml_node *v = yaml_get(map, f->key);
		const char *at = schema_path(path, f->key);

		if (v)
			schema_read_value(l, f, v, at, (char *)dst + f->offset);
		else if (f->flags & REQUIRED)
			schema_fault(l, map, path, "'%s' is missing: %s", f->key, f->help);
		else
			read_default(l, f, at, (char *)dst + f->offset);
	}
}

static void map_node(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	/* "cilium:" with nothing below is a map of defaults. */
	struct yaml_node empty = { .type = YAML_MAP, .file = n->file, .line = n->line, .col = n->col };

	schema_read(l, f->sub, schema_is_null(n) ? &empty : n, path, dst);
}

const struct kind kind_map = { .name = "map", .node = map_node };

struct any_vec {
	void *v;
	size_t n, cap;
};

static void list_node(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	struct any_vec vec;

	if (n->type != YAML_SEQ) {
		schema_fault(l, n, path, "must be a list: [a, b], or one '- ' per line");
		return;
	}
	memcpy(&vec, dst, sizeof(vec));
	for (size_t i = 0; i < n->count; i++) {
		const char *at = arena_printf("%s[%zu]", path, i);
		void *item;

		vec.v = arena_grow(vec.v, vec.n, &vec.cap, f->size);
		item = (char *)vec.v + vec.n++ * f->size;
		memset(item, 0, f->size);
		if (f->sub)
			schema_read(l, f->sub, n->items[i], at, item);
		else
			schema_read_value(l, f->item, n->items[i], at, item);
	}
	memcpy(dst, &vec, sizeof(vec));
}

const struct kind kind_list = { .name = "list", .node = list_node };
