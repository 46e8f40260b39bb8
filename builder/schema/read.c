/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a map by a table of fields. */
#include "schema/schema.h"

#include <pthread.h>
#include <regex.h>

#include "schema/source.h"

void schema_fault(struct reading *l, const struct yaml_node *n, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_at(l->faults, n, "%s%s%s", path, *path ? ": " : "", arena_vprintf(fmt, ap));
	va_end(ap);
}

const char *schema_path(const char *path, const char *key)
{
	return *path ? arena_printf("%s.%s", path, key) : key;
}

typedef void (*key_fn)(void *arg, const char *key, const struct yaml_node *value, const char *path);

static void each_key_below(const struct yaml_node *n, const char *path, key_fn fn, void *arg)
{
	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++)
		each_key_below(n->items[i], arena_printf("%s[%zu]", path, i), fn, arg);
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++) {
		const char *at = schema_path(path, n->keys[i]->text);

		fn(arg, n->keys[i]->text, n->items[i], at);
		each_key_below(n->items[i], at, fn, arg);
	}
}

void schema_each_key(const struct yaml_node *n, key_fn fn, void *arg)
{
	each_key_below(n, "", fn, arg);
}

const char *schema_alternatives(const char *const *names, size_t n)
{
	struct strbuf b = { 0 };
	char *s;

	for (size_t i = 0; i < n; i++)
		if (*names[i])
			strbuf_addf(&b, "%s%s", !b.n ? "" : i + 1 == n ? " or " : ", ", names[i]);
	s = arena_strdup(str_or(b.s, ""));
	strbuf_done(&b);
	return s;
}

const char *schema_help(const struct field *f)
{
	const char *const *names;
	struct err ignored = { 0 };
	size_t n;

	if (!f->kind->there_is || f->kind->there_is(&names, &n, &ignored) < 0)
		return f->help;
	return arena_printf("%s: %s", f->help, schema_alternatives(names, n));
}

bool schema_is_null(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && n->plain && (!n->n || streq(n->text, "~") || streq(n->text, "null"));
}

struct compiled {
	const char *pattern;
	regex_t re;
	struct compiled *next;
};

/* PATTERN is text of a table of kinds. Each is compiled once: that takes glibc longer than all the rest of reading a
 * node. Reports of several nodes are read at the same time. */
static const regex_t *read_compiled(const char *pattern)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct compiled *known;
	struct compiled *c;

	pthread_mutex_lock(&lock);
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
	pthread_mutex_unlock(&lock);
	return &c->re;
}

static bool read_matches(const char *pattern, const char *text)
{
	return regexec(read_compiled(pattern), text, 0, NULL, 0) == 0;
}

const char *kind_text_fault(const struct kind *k, const struct reading *l, const char *text, void *dst)
{
	const char *why;

	if (k->pattern && !read_matches(k->pattern, text))
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

/* The first character of TEXT that nobody sees, as Unicode writes it ("U+200B"); NULL = none. */
static const char *invisible(const char *text)
{
	while (*text) {
		uint32_t c = next_character(&text);

		if (character_unseen(c))
			return arena_printf("U+%04X", c);
	}
	return NULL;
}

/* What the fingers did, where the value itself would have done. */
static const char *schema_slip(const struct yaml_node *n)
{
	static const char typographic[] = "\xe2\x80"; /* U+2018 to U+201F, among others */
	size_t len = strlen(n->text);

	if (starts_with(n->text, typographic) && ends_with(arena_strndup(n->text, len - 1), typographic))
		return "these quotes are typographic ones, from a word processor or web page, and part of the text to YAML; write ' or \", or none";
	if (n->plain && len > 1 && n->text[len - 1] == ',')
		return "the ',' at its end is part of the value here; remove it";
	if (invisible(n->text))
		return arena_printf(
			"a character is in it that nobody sees (%s), as web pages and chats bring it; type it anew",
			invisible(n->text));
	return NULL;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void schema_text(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	const struct kind *k = f->kind;
	const char *why;

	if (n->type != YAML_SCALAR)
		return schema_fault(l, n, path, "must be a single value (%s), not a %s", k->name,
				    n->type == YAML_MAP ? "map" : "list");
	if (schema_is_null(n))
		return schema_fault(l, n, path, "has no value: %s", k->words ? k->words : k->name);
	if (l->typed && n->plain != k->number)
		return schema_fault(l, n, path, "must be a %s", k->number ? "number" : "text");
	if (!n->n && !k->blank && !k->pattern && !k->parse)
		return schema_fault(l, n, path, "is empty");
	if (f->max && characters(n->text) > f->max)
		return schema_fault(l, n, path, "is too long: it has more than %zu characters", f->max);
	why = kind_text_fault(k, l, n->text, dst);
	if (why && !k->secret)
		schema_fault(l, n, path, "'%s' cannot be used: %s", shorten(n->text), str_or(schema_slip(n), why));
	else if (why)
		schema_fault(l, n, path, "%s", why);
}

bool schema_key_fits(struct reading *l, const struct field *f, const struct yaml_node *key, const char *path)
{
	const char *why = f->names_kind ? kind_text_fault(f->names_kind, l, key->text, NULL) : NULL;

	if (why)
		schema_fault(l, key, path, "the key '%s' cannot be used: %s", shorten(key->text),
			     str_or(schema_slip(key), why));
	return !why;
}

void schema_read_value(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	if (f->kind->node)
		f->kind->node(l, f, n, path, dst);
	else
		schema_text(l, f, n, path, dst);
}

/* KEY NULL: on any. */
static const char *advice_on(const struct reading *l, const char *path, const char *key)
{
	for (size_t i = 0; l->foreign && i < l->foreign->advice_count; i++) {
		const struct key_advice *a = &l->foreign->advice[i];

		if ((!a->path || streq(a->path, path)) &&
		    (a->written && key ? strcasecmp(a->written, key) == 0 : a->written == key))
			return a->advice;
	}
	return NULL;
}

static const char *listed_name(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(word, names[i]))
			return names[i];
	return NULL;
}

const char *schema_meant(const struct synonyms *s, const char *text, const char *const *names, size_t n)
{
	for (size_t i = 0; s && i < s->n; i++) {
		const char *found = strcasecmp(text, s->v[i].written) == 0 ? listed_name(s->v[i].meant, names, n)
									   : NULL;

		if (found)
			return found;
	}
	return nearest_word(text, names, n);
}

/* The section that has KEY, as a path, or NULL: one right below PATH first, else the first of the file. */
static const char *schema_section_of(const struct field *rows, const char *at, const char *key, const char *path)
{
	const char *found = NULL;

	for (const struct field *f = rows; f && f->key; f++) {
		const char *section = f->sub && f->kind != &kind_list ? schema_path(at, f->key) : NULL, *deeper;

		for (const struct field *s = section ? f->sub : NULL; s && s->key; s++)
			if (streq(s->key, key) && (!found || streq(at, path)))
				found = section;
		deeper = section && *path && (streq(section, path) || starts_with(path, arena_printf("%s.", section)))
				 ? schema_section_of(f->sub, section, key, path)
				 : NULL;
		if (deeper)
			return deeper;
	}
	return found;
}

static void unknown_key(struct reading *l, const struct yaml_node *key, const char *path, const char *const *names,
			size_t n)
{
	const struct synonyms *known = l->foreign ? &l->foreign->keys : NULL;
	const char *advice = advice_on(l, path, key->text),
		   *near = advice ? NULL : schema_meant(known, key->text, names, n), *section;
	size_t colon = strcspn(key->text, ":");
	struct strbuf all = { 0 };

	/* "board:rpi5". What stands behind it is not repeated: it may be a secret. */
	if (key->text[colon])
		near = schema_meant(known, arena_strndup(key->text, colon), names, n);
	if (near)
		*vec_push(&l->faults->meant_keys) = schema_path(path, near);
	if (key->text[colon]) {
		schema_fault(l, key, path,
			     "'%.*s:' and what follows it are one word to YAML: a blank is missing after the ':'",
			     (int)MIN(colon, (size_t)60), key->text);
		return;
	}
	if (advice) {
		schema_fault(l, key, path, "unknown key '%s': %s", shorten(key->text), advice);
		return;
	}
	if (near) {
		schema_fault(l, key, path, "unknown key '%s'; did you mean '%s'?", shorten(key->text), near);
		return;
	}
	section = schema_section_of(l->foreign ? l->foreign->top : NULL, "", key->text, path);
	for (size_t i = 0; i < n; i++)
		strbuf_item(&all, ", ", names[i]);
	if (section && !streq(section, path))
		schema_fault(l, key, path, "unknown key '%s'; it belongs below %s:", shorten(key->text), section);
	else
		schema_fault(l, key, path, "unknown key '%s'; known here: %s%s", shorten(key->text),
			     str_or(all.s, "none"), str_or(advice_on(l, path, NULL), ""));
	strbuf_done(&all);
}

void schema_unknown_keys(struct reading *l, const struct yaml_node *map, const char *path, const char *const *names,
			 size_t n)
{
	for (size_t i = 0; i < map->count; i++)
		if (!listed_name(map->keys[i]->text, names, n))
			unknown_key(l, map->keys[i], path, names, n);
}

static void read_default(struct reading *l, const struct field *f, const char *path, void *dst)
{
	struct yaml_node def = { .type = YAML_SCALAR, .text = f->def, .n = f->def ? strlen(f->def) : 0, .plain = true };

	if (f->def)
		schema_read_value(l, f, &def, path, dst);
	else if (f->sub && f->kind == &kind_map)
		for (const struct field *s = f->sub; s->key; s++)
			if (!(s->flags & REQUIRED))
				read_default(l, s, path, (char *)dst + s->offset);
}

/* Of which nothing is known: the enum's COUNT, as choice_node() gives it, not the first of the words. */
static void schema_read_nothing(const struct field *f, void *dst)
{
	unsigned v = (unsigned)f->names_count;

	if (f->kind == &kind_choice)
		memcpy(dst, &v, sizeof(v));
}

/* "ipv6: true", or nothing behind "ipv6:", where no key has to be there. */
static bool means_defaults(const struct field *table, const struct yaml_node *n)
{
	for (const struct field *f = table; f->key; f++)
		if (f->flags & REQUIRED)
			return false;
	return n->type == YAML_SCALAR && (schema_is_null(n) || streq(n->text, "true"));
}

void schema_read(struct reading *l, const struct field *table, const struct yaml_node *map, const char *path, void *dst)
{
	VEC(const char *) names = { 0 };

	if (map->type != YAML_MAP) {
		schema_fault(l, map, path, "must hold keys (name: value), not %s%s",
			     map->type == YAML_SEQ ? "a list" : "a single value",
			     means_defaults(table, map) ? "; {} takes it with its defaults" : "");
		for (const struct field *f = table; f->key; f++)
			schema_read_nothing(f, (char *)dst + f->offset);
		return;
	}
	for (const struct field *f = table; f->key; f++)
		if (*f->key)
			*vec_push(&names) = f->key;
	schema_unknown_keys(l, map, path, names.v, names.n);
	for (const struct field *f = table; f->key; f++) {
		const struct yaml_node *v = *f->key ? yaml_get(map, f->key) : map;
		const char *at = schema_path(path, f->key);

		if (v)
			schema_read_value(l, f, v, at, (char *)dst + f->offset);
		else if (f->flags & REQUIRED) {
			schema_read_nothing(f, (char *)dst + f->offset);
			if (!faults_key_meant(l->faults, at))
				schema_fault(l, map, path, "'%s' is missing%s%s", f->key, f->help ? ": " : "",
					     str_or(schema_help(f), ""));
		} else
			read_default(l, f, at, (char *)dst + f->offset);
	}
}

int schema_load(struct reading *l, const char *path, const struct field *table, void *dst, struct err *e)
{
	struct yaml_node *doc;
	const char *text;
	size_t n;
	int r = yaml_read(path, -1, &text, &n, e);

	if (r < 0)
		return r;
	source_keep(arena_strdup(path), text, n);
	r = yaml_parse(path, text, n, &doc, e);
	if (r < 0)
		return r;
	schema_read(l, table, doc, "", dst);
	return 0;
}
