/* SPDX-License-Identifier: Apache-2.0 */
/* The schema table as JSON Schema for editors and as a page for people. */
#include "config/dns01.h"
#include "config/internal.h"

/* ---- JSON Schema ---- */

json_t *config_schema(void)
{
	return schema_json_file(config_fields, "cluster", "pibuild cluster.yaml",
				"A K3s cluster of Raspberry Pis, built into SD card images by pibuild");
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

static void print_names(const struct field *f)
{
	const char *between = "";

	for (size_t i = 0; i < f->names_count; i++) {
		if (!*f->names[i])
			continue; /* what is so when nobody says */
		printf("%s`%s`", between, f->names[i]);
		between = ", ";
	}
}

static void print_type(const struct field *f)
{
	if (f->names)
		print_names(f);
	else if (f->kind == &kind_list)
		printf("list of %s", f->sub ? "maps" : f->item->kind->name);
	else if (f->kind == &kind_keyed)
		printf("map of %s to %s", f->names_kind->name, f->item->kind->name);
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
	print_cell(schema_help(f));
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
	     "Every key, its value, its default and what it means. `pibuild schema` prints the same as JSON Schema for\n"
	     "editors. Relative paths start at the folder of the file. Only `true` and `false` are booleans. A secret is\n"
	     "never written into the file but referenced: `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, ARGUMENT]}`;\n"
	     "the command is run without a shell, when an image is built.\n\n"
	     "| key | value | default | meaning |\n"
	     "|---|---|---|---|");
	print_rows(config_fields, "");
	puts("\n## certManager.dns01\n\n"
	     "`provider` names the DNS service; the other keys are the provider's own.");
	for (size_t i = 0; i < dns01_providers_count; i++)
		print_provider(&dns01_providers[i]);
}
