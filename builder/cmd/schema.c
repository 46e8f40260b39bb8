/* SPDX-License-Identifier: Apache-2.0 */
/* schema: JSON Schemas of the files that pibuild reads and writes, and the reference page. */
#include "board/board.h"
#include "catalogue/catalogue.h"
#include "cmd/cmd.h"
#include "debian/debian.h"
#include "secrets/secrets.h"
#include "status/overview.h"

static struct {
	bool reference;
} schema_opt;

static const struct option schema_options[] = {
	CMD_OWN("reference", OPT_FLAG, &schema_opt.reference, NULL, "the reference page of every key, in Markdown"),
};

/* A kind of file that is read by rows: what makes its schema, or its rows and words for people. */
static const struct file_schema {
	const char *name;
	json_t *(*make)(void);
	const struct field *fields;
	const char *title, *about;
} file_schemas[] = {
	{ "cluster", .make = config_schema },
	{ "status", .make = report_schema },
	{ "cluster-status", .make = overview_schema },
	{ "board", NULL, board_fields, "board of pibuild", "a file of boards/: what pibuild has to know of a board" },
	{ "catalogue", NULL, catalogue_fields, "catalogue of pibuild",
	  "configs/catalogue.yaml: what there is to fetch" },
	{ "lock", NULL, lock_fields, "pibuild.lock", "versions, and size and digest of all that is fetched" },
	{ "secrets", NULL, secrets_fields, "secrets.yaml of pibuild", "keys and tokens of a cluster" },
	{ "debian", NULL, debian_recipe_fields, "recipe of os.base: debian", "configs/debian/base.yaml" },
};
#define SCHEMA_NAMES "cluster status cluster-status board catalogue lock secrets debian"

static int print_schema(const struct file_schema *s, struct err *e)
{
	return json_print(s->make ? s->make() : schema_json_file(s->fields, s->name, s->title, s->about), e);
}

static int cmd_schema(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 1, "schema [FILE] [--reference]", e);
	const char *name = o->args.n ? o->args.v[0] : "cluster";
	const char *const *boards;
	size_t n;

	/* Rows that offer what there is would be without it, in silence. */
	if (r == 0)
		r = board_names(&boards, &n, e);
	if (r < 0)
		return r;
	if (schema_opt.reference) {
		config_print_reference();
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(file_schemas); i++)
		if (streq(name, file_schemas[i].name))
			return print_schema(&file_schemas[i], e);
	return err_class(e, CLASS_USAGE, "there is no schema of '%s'; FILE is one of: " SCHEMA_NAMES, name);
}

static void schema_arguments(void)
{
	help_row("FILE", SCHEMA_NAMES);
}

const struct command schema_command = {
	.name = "schema",
	.args = "[FILE]",
	.help = "JSON Schema of cluster.yaml, or of another file that pibuild reads",
	.run = cmd_schema,
	.options = schema_options,
	.n_options = ARRAY_SIZE(schema_options),
	.common = "",
	.words = { SCHEMA_NAMES, "" },
	.arguments = schema_arguments,
	.examples = { "pibuild schema >cluster.schema.json", "pibuild schema --reference" },
};
