/* SPDX-License-Identifier: Apache-2.0 */
/* The schema table as JSON Schema for editors and as a page for people. */
#include "config/dns01.h"
#include "config/internal.h"

/* ---- JSON Schema ---- */

static json_t *object_of(const struct field *table)
{
	json_t *properties = json_object(), *required = json_array();

	for (const struct field *f = table; f->key; f++) {
		json_t *property = json_object();

		config_schema_of(f, property);
		json_object_set_new(properties, f->key, property);
		if (f->flags & REQUIRED)
			json_array_append_new(required, json_string(f->key));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
			 "additionalProperties", 0);
}

static json_t *default_of(const struct field *f)
{
	if (f->kind == &kind_bool)
		return json_boolean(streq(f->def, "true"));
	return json_string(f->def);
}

static void text_schema(const struct field *f, json_t *out)
{
	const struct kind *k = f->kind;
	const char *pattern = k->editor_pattern ? k->editor_pattern : k->pattern;

	json_object_set_new(out, "type", json_string("string"));
	json_object_set_new(out, "title", json_string(k->name));
	if (pattern)
		json_object_set_new(out, "pattern", json_string(pattern));
	else
		json_object_set_new(out, "minLength", json_integer(1));
	if (pattern && k->words) /* of VS Code and the YAML language server; others pass over it */
		json_object_set_new(out, "patternErrorMessage", json_string(k->words));
}

/* "cilium:" with nothing below is a map of defaults. */
static void map_schema(const struct field *f, json_t *out)
{
	json_t *map = object_of(f->sub);

	json_object_update_missing(out, map);
	json_decref(map);
	if (!(f->flags & REQUIRED))
		json_object_set_new(out, "type", json_pack("[s, s]", "object", "null"));
}

static void list_schema(const struct field *f, json_t *out)
{
	json_t *items = f->sub ? object_of(f->sub) : json_object();

	if (!f->sub)
		config_schema_of(f->item, items);
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", items);
	if (f->flags & REQUIRED)
		json_object_set_new(out, "minItems", json_integer(1));
}

static const struct schema_names *board_list;

void config_schema_of(const struct field *f, json_t *out)
{
	json_t *names;

	if (f->help)
		json_object_set_new(out, "description", json_string(f->help));
	if (f->def)
		json_object_set_new(out, "default", default_of(f));
	if (f->kind->schema) {
		f->kind->schema(f, out);
	} else if (f->kind == &kind_list) {
		list_schema(f, out);
	} else if (f->sub) {
		map_schema(f, out);
	} else if (f->kind == &kind_board && board_list) {
		names = json_array();
		for (size_t i = 0; i < board_list->n; i++)
			json_array_append_new(names, json_string(board_list->v[i]));
		json_object_set_new(out, "title", json_string(f->kind->name));
		json_object_set_new(out, "enum", names);
	} else {
		text_schema(f, out);
	}
}

int config_print_schema(const struct schema_names *boards, struct err *e)
{
	json_t *schema, *root;

	board_list = boards;
	schema = json_pack("{s:s, s:s, s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "$id",
			   "urn:pibuild:v1:cluster", "title", "pibuild cluster.yaml", "description",
			   "A K3s cluster of Raspberry Pis, built into SD card images by pibuild");
	root = object_of(config_fields);
	json_object_update(schema, root);
	json_decref(root);
	return json_print(schema, e);
}

/* ---- reference page ---- */

/* A table cell cannot hold a bare '|'. */
static void print_cell(const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}

static void print_type(const struct field *f)
{
	if (f->names)
		for (size_t i = 0; i < f->names_count; i++)
			printf("%s`%s`", i ? ", " : "", f->names[i]);
	else if (f->kind == &kind_list)
		printf("list of %s", f->sub ? "maps" : f->item->kind->name);
	else
		print_cell(f->kind->name);
}

static void print_default(const struct field *f)
{
	if (f->flags & REQUIRED)
		printf("**required**");
	else if (f->def)
		printf("`%s`", f->def);
	else if (f->def_text)
		printf("%s", f->def_text);
	else
		printf("-");
}

static void print_row(const struct field *f, const char *path)
{
	printf("| `%s` | ", path);
	print_type(f);
	printf(" | ");
	print_default(f);
	printf(" | ");
	print_cell(f->help);
	if (f->example) {
		printf("; e.g. `");
		print_cell(f->example);
		printf("`");
	}
	printf(" |\n");
}

static void print_rows(const struct field *table, const char *path)
{
	for (const struct field *f = table; f->key; f++) {
		const char *at = schema_path(path, f->key);

		print_row(f, at);
		if (f->sub)
			print_rows(f->sub, f->kind == &kind_list ? arena_printf("%s[]", at) : at);
	}
}

static void print_provider(const struct dns01_provider *p)
{
	printf("\n### %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", p->name);
	for (const struct dns01_key *k = p->keys; k->key; k++)
		printf("| `%s` | %s%s%s | %s%s%s | %s; e.g. `%s` |\n", k->key, k->text_path ? k->kind->name : "",
		       k->text_path && k->secret_path ? " or " : "", k->secret_path ? "secret" : "",
		       k->required ? "**required**" : "", k->def ? k->def : "", k->required || k->def ? "" : "-",
		       k->help, k->example);
}

void config_print_reference(void)
{
	puts("<!-- Made by `pibuild schema --reference`; a test keeps it so. -->\n"
	     "# Reference of cluster.yaml\n\n"
	     "Every key, its value, its default and what it means. `pibuild schema` prints the same as JSON Schema "
	     "for\n"
	     "editors. Relative paths start at the folder of the file. Only `true` and `false` are booleans. A secret "
	     "is\n"
	     "never written into the file but referenced: `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, "
	     "ARGUMENT]}`;\n"
	     "the command is run without a shell, when an image is built.\n\n"
	     "| key | value | default | meaning |\n"
	     "|---|---|---|---|");
	print_rows(config_fields, "");
	puts("\n## certManager.dns01\n\n"
	     "`provider` names the DNS service; the other keys are the provider's own.");
	for (size_t i = 0; i < dns01_providers_count; i++)
		print_provider(&dns01_providers[i]);
}
