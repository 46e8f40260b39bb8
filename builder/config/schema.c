/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a map by a table of fields. */
#include "config/schema.h"

#include <regex.h>

void schema_fault(struct loader *l, const struct yaml_node *n, const char *path, const char *fmt, ...)
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

/* What the fingers did, where the value itself would have done. */
static const char *schema_slip(const struct kind *k, const struct loader *l, const struct yaml_node *n)
{
	static const char typographic[] = "\xe2\x80"; /* U+2018 to U+201F, among others */
	size_t len = strlen(n->text);

	if (starts_with(n->text, typographic) && ends_with(arena_strndup(n->text, len - 1), typographic))
		return "these quotes are typographic ones, from a word processor or web page, and part of the text to "
		       "YAML; "
		       "write ' or \", or none";
	if (n->plain && len > 1 && n->text[len - 1] == ',')
		return "the ',' at its end is part of the value here; remove it";
	return NULL;
}

static void schema_text(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
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
	if (why && !f->kind->secret)
		why = str_or(schema_slip(f->kind, l, n), why);
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
		schema_text(l, f, n, path, dst);
}

/* What other programs call it. */
static const struct {
	const char *written, *meant;
} schema_synonyms[] = {
	{ "psk", "passphrase" },
	{ "password", "passphrase" },
	{ "passwd", "passphrase" },
	{ "password", "passwordHash" },
	{ "ip", "address" },
	{ "ipv4", "address" },
	{ "ipAddress", "address" },
	{ "hostname", "name" },
	{ "host", "name" },
	{ "model", "board" },
	{ "type", "board" },
	{ "hardware", "board" },
	{ "gw", "gateway" },
	{ "router", "gateway" },
	{ "defaultGateway", "gateway" },
	{ "dns", "nameservers" },
	{ "dnsServers", "nameservers" },
	{ "cidr", "subnet" },
	{ "network", "subnet" },
	{ "dhcp", "dhcpRange" },
	{ "keys", "sshKeys" },
	{ "authorizedKeys", "sshKeys" },
	{ "username", "user" },
	{ "login", "user" },
	{ "ram", "memory" },
	{ "clusterCIDR", "podCIDR" },
	{ "addresses", "range" },
	{ "image", "base" },
	{ "hosts", "nodes" },
	{ "machines", "nodes" },
	{ "version", "apiVersion" },
};

static const char *listed_name(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(word, names[i]))
			return names[i];
	return NULL;
}

/* The one of NAMES that KEY stands for, or NULL. */
static const char *schema_meant(const char *key, const char *const *names, size_t n)
{
	const char *found;

	for (size_t i = 0; i < ARRAY_SIZE(schema_synonyms); i++) {
		found = strcasecmp(key, schema_synonyms[i].written) == 0
				? listed_name(schema_synonyms[i].meant, names, n)
				: NULL;
		if (found)
			return found;
	}
	return nearest_word(key, names, n);
}

/* The section of cluster.yaml that has KEY, or NULL. */
static const char *schema_section_of(const char *key)
{
	for (const struct field *f = config_fields; f->key; f++)
		for (const struct field *s = f->kind == &kind_map ? f->sub : NULL; s && s->key; s++)
			if (streq(s->key, key))
				return f->key;
	return NULL;
}

static void unknown_key(struct loader *l, const struct yaml_node *key, const char *path, const char *const *names,
			size_t n)
{
	const char *near = schema_meant(key->text, names, n), *section;
	size_t colon = strcspn(key->text, ":");
	struct strbuf all = { 0 };

	/* "board:rpi5". What stands behind it is not repeated: it may be a secret. */
	if (key->text[colon])
		near = schema_meant(arena_strndup(key->text, colon), names, n);
	if (near && l->config)
		*vec_push(&l->config->meant_keys) = schema_path(path, near);
	if (key->text[colon]) {
		schema_fault(l, key, path,
			     "'%.*s:' and what follows it are one word to YAML: a blank is missing after the ':'",
			     (int)MIN(colon, (size_t)60), key->text);
		return;
	}
	if (near) {
		schema_fault(l, key, path, "unknown key '%s'; did you mean '%s'?", shorten(key->text), near);
		return;
	}
	section = l->config ? schema_section_of(key->text) : NULL;
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&all, "%s%s", i ? ", " : "", names[i]);
	if (section && !streq(section, path))
		schema_fault(l, key, path, "unknown key '%s'; it belongs below %s:", shorten(key->text), section);
	else
		schema_fault(l, key, path, "unknown key '%s'; known here: %s", shorten(key->text),
			     str_or(all.s, "none"));
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

/* Of which nothing is known: the enum's COUNT, as choice_node() gives it, not the first of the words. */
static void schema_read_nothing(const struct field *f, void *dst)
{
	unsigned v = (unsigned)f->names_count;

	if (f->kind == &kind_choice)
		memcpy(dst, &v, sizeof(v));
}

void schema_read(struct loader *l, const struct field *table, const struct yaml_node *map, const char *path, void *dst)
{
	const char *names[64];
	size_t n = 0;

	if (map->type != YAML_MAP) {
		schema_fault(l, map, path, "must hold keys (name: value), not %s",
			     map->type == YAML_SEQ ? "a list" : "a single value");
		for (const struct field *f = table; f->key; f++)
			schema_read_nothing(f, (char *)dst + f->offset);
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
		else if (f->flags & REQUIRED) {
			schema_read_nothing(f, (char *)dst + f->offset);
			if (!config_key_meant(l->config, at))
				schema_fault(l, map, path, "'%s' is missing: %s", f->key, f->help);
		} else
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

static void list_node(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	struct any_vec vec;

	if (n->type != YAML_SEQ) {
		schema_fault(l, n, path, "must be a list: %s", list_words(f, n));
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
