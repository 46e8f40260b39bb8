/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "config/values.h"

static const char *setting_line_fault(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return "it holds a line end or another control character";
	return NULL;
}

static const char *setting_duration_fault(const char *text)
{
	uint64_t ms;

	return value_duration(text, &ms) < 0 ? "give a time such as 30s, 5m or 1h30m" : NULL;
}

static const struct kind kind_line = { .name = "text", .check = setting_line_fault };
static const struct kind kind_duration = { .name = "duration", .check = setting_duration_fault };

static struct yaml_node *text_setting(struct reading *l, const struct kind *k, const struct yaml_node *n,
				      const char *path)
{
	const struct field f = { .kind = k };
	const char *text = "";

	schema_read_value(l, &f, n, path, &text);
	return yaml_str(text);
}

struct yaml_node *setting_text(struct reading *l, const struct yaml_node *n, const char *path)
{
	return text_setting(l, &kind_line, n, path);
}

struct yaml_node *setting_duration(struct reading *l, const struct yaml_node *n, const char *path)
{
	return text_setting(l, &kind_duration, n, path);
}

struct yaml_node *setting_count(struct reading *l, const struct yaml_node *n, const char *path)
{
	const struct field f = { .kind = &kind_unsigned };
	unsigned v = 0;

	schema_read_value(l, &f, n, path, &v);
	return yaml_int(v);
}

struct yaml_node *setting_bool(struct reading *l, const struct yaml_node *n, const char *path)
{
	const struct field f = { .kind = &kind_bool };
	bool v = false;

	schema_read_value(l, &f, n, path, &v);
	return yaml_bool(v);
}

struct yaml_node *setting_list(struct reading *l, const struct yaml_node *n, const char *path)
{
	struct yaml_node *seq = yaml_seq();

	if (n->type != YAML_SEQ || !n->count)
		schema_fault(l, n, path, "must be a list: [a, b], or one '- ' per line");
	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++)
		yaml_append(seq, setting_text(l, n->items[i], arena_printf("%s[%zu]", path, i)));
	return seq;
}
