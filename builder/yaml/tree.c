/* SPDX-License-Identifier: Apache-2.0 */
/* Building and looking into YAML trees; knows nothing of libyaml. */
#include "yaml/yaml.h"

#include <inttypes.h>

#include "yaml/internal.h"

struct yaml_node *yaml_new(enum yaml_type type)
{
	struct yaml_node *n = arena_new(struct yaml_node);

	n->type = type;
	return n;
}

struct yaml_node *yaml_map(void)
{
	return yaml_new(YAML_MAP);
}

struct yaml_node *yaml_seq(void)
{
	return yaml_new(YAML_SEQ);
}

struct yaml_node *yaml_strn(const char *s, size_t n)
{
	struct yaml_node *node = yaml_new(YAML_SCALAR);

	node->text = arena_strndup(s, n);
	node->n = n;
	return node;
}

struct yaml_node *yaml_str(const char *s)
{
	return yaml_strn(s, strlen(s));
}

struct yaml_node *yaml_strf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = arena_vprintf(fmt, ap);
	va_end(ap);
	return yaml_str(s);
}

static struct yaml_node *plain(const char *text)
{
	struct yaml_node *node = yaml_str(text);

	node->plain = true;
	return node;
}

struct yaml_node *yaml_bool(bool v)
{
	return plain(v ? "true" : "false");
}

struct yaml_node *yaml_int(int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, v);
	return plain(text);
}

static size_t find_key(const struct yaml_node *map, const char *key)
{
	size_t i;

	for (i = 0; i < map->count; i++)
		if (streq(map->keys[i]->text, key))
			break;
	return i;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	size_t i;

	if (!map || map->type != YAML_MAP)
		return NULL;
	i = find_key(map, key);
	return i < map->count ? map->items[i] : NULL;
}

struct yaml_node *yaml_find(const struct yaml_node *map, const char *dotted)
{
	struct yaml_node *n = unconst(map);

	while (n && *dotted) {
		size_t len = strcspn(dotted, ".");
		char *key = arena_strndup(dotted, len);

		n = yaml_get(n, key);
		dotted += len + (dotted[len] == '.');
	}
	return n;
}

const char *yaml_text_at(const struct yaml_node *map, const char *dotted)
{
	const struct yaml_node *n = yaml_find(map, dotted);

	return n && n->type == YAML_SCALAR ? n->text : "";
}

bool yaml_is_plain(const struct yaml_node *n, const char *word)
{
	return n->type == YAML_SCALAR && n->plain && streq(n->text, word);
}

void yaml_push(struct yaml_node *parent, struct yaml_node *key, struct yaml_node *item)
{
	if (parent->count == parent->cap) {
		size_t cap = parent->cap;

		parent->items = arena_grow(parent->items, parent->count, &cap, sizeof(*parent->items));
		if (parent->type == YAML_MAP)
			parent->keys = arena_grow(parent->keys, parent->count, &parent->cap, sizeof(*parent->keys));
		parent->cap = cap;
	}
	if (parent->type == YAML_MAP)
		parent->keys[parent->count] = key;
	parent->items[parent->count++] = item;
}

struct yaml_node *yaml_set(struct yaml_node *map, const char *key, struct yaml_node *value)
{
	size_t i = find_key(map, key);

	if (i < map->count)
		map->items[i] = value;
	else
		yaml_push(map, yaml_str(key), value);
	return value;
}

struct yaml_node *yaml_set_path(struct yaml_node *map, const char *dotted, struct yaml_node *value)
{
	for (;;) {
		size_t len = strcspn(dotted, ".");
		char *key = arena_strndup(dotted, len);
		struct yaml_node *next;

		if (!dotted[len])
			return yaml_set(map, key, value);
		next = yaml_get(map, key);
		map = next && next->type == YAML_MAP ? next : yaml_set(map, key, yaml_map());
		dotted += len + 1;
	}
}

struct yaml_node *yaml_append(struct yaml_node *seq, struct yaml_node *value)
{
	yaml_push(seq, NULL, value);
	return value;
}

void yaml_merge(struct yaml_node *base, const struct yaml_node *over)
{
	for (size_t i = 0; i < over->count; i++) {
		struct yaml_node *old = yaml_get(base, over->keys[i]->text);

		if (old && old->type == YAML_MAP && over->items[i]->type == YAML_MAP)
			yaml_merge(old, over->items[i]);
		else
			yaml_set(base, over->keys[i]->text, over->items[i]);
	}
}

struct yaml_node *yaml_of_json(const json_t *j)
{
	struct yaml_node *n;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(j)) {
		n = yaml_map();
		json_object_foreach ((json_t *)unconst(j), key, value) {
			yaml_push(n, yaml_str(key), yaml_of_json(value));
		}
		return n;
	}
	if (json_is_array(j)) {
		n = yaml_seq();
		json_array_foreach (j, i, value) {
			yaml_push(n, NULL, yaml_of_json(value));
		}
		return n;
	}
	if (json_is_string(j))
		return yaml_strn(json_string_value(j), json_string_length(j));
	n = yaml_str(json_is_integer(j) ? arena_printf("%" JSON_INTEGER_FORMAT, json_integer_value(j))
		     : json_is_real(j)	? arena_printf("%f", json_real_value(j))
		     : json_is_true(j)	? "true"
		     : json_is_false(j) ? "false"
					: "null");
	n->plain = true;
	return n;
}
