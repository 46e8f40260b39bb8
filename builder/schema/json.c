/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schemas from tables of fields. */
#include "schema/schema.h"

json_t *schema_json(const struct field *table)
{
	json_t *properties = json_object(), *required = json_array();

	for (const struct field *f = table; f->key; f++) {
		json_t *property = *f->key ? json_object() : NULL;

		if (!property)
			continue;
		schema_json_value(f, property);
		json_object_set_new(properties, f->key, property);
		if (f->flags & REQUIRED)
			json_array_append_new(required, json_string(f->key));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
			 "additionalProperties", 0);
}

json_t *schema_json_names(const char *const *names, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		if (*names[i])
			json_array_append_new(all, json_string(names[i]));
	return all;
}

static void text_schema(const struct field *f, json_t *out)
{
	const struct kind *k = f->kind;
	const char *pattern = k->editor_pattern ? k->editor_pattern : k->pattern;
	const char *const *names;
	struct err ignored = { 0 };
	size_t n;

	if (k->there_is && k->there_is(&names, &n, &ignored) == 0) {
		json_object_set_new(out, "title", json_string(k->name));
		json_object_set_new(out, "enum", schema_json_names(names, n));
		return;
	}
	json_object_set_new(out, "type", json_string("string"));
	json_object_set_new(out, "title", json_string(k->name));
	if (pattern)
		json_object_set_new(out, "pattern", json_string(pattern));
	else if (!k->blank)
		json_object_set_new(out, "minLength", json_integer(1));
	if (f->max)
		json_object_set_new(out, "maxLength", json_integer((json_int_t)f->max));
	if (pattern && k->words) /* of VS Code and the YAML language server; others pass over it */
		json_object_set_new(out, "patternErrorMessage", json_string(k->words));
}

void schema_json_value(const struct field *f, json_t *out)
{
	const char *help = schema_help(f);

	if (help)
		json_object_set_new(out, "description", json_string(help));
	if (f->def)
		json_object_set_new(out, "default",
				    f->kind == &kind_bool ? json_boolean(streq(f->def, "true"))
				    : f->kind->number	  ? json_integer(strtol(f->def, NULL, 10))
							  : json_string(f->def));
	if (f->kind->schema)
		f->kind->schema(f, out);
	else if (f->sub)
		kind_map.schema(f, out);
	else
		text_schema(f, out);
}

json_t *schema_json_file(const struct field *table, const char *name, const char *title, const char *description)
{
	json_t *schema = json_pack("{s:s, s:o, s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
				   "$id", json_sprintf("urn:pibuild:v1:%s", name), "title", title, "description",
				   description);
	json_t *root = schema_json(table);

	json_object_update(schema, root);
	json_decref(root);
	return schema;
}
