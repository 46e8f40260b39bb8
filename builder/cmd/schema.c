/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/data.h"
#include "base/file.h"
#include "board/board.h"
#include "cmd/cmd.h"

static struct {
	bool reference, status;
} schema_opt;

static const struct option schema_options[] = {
	CMD_OWN("reference", OPT_FLAG, &schema_opt.reference, NULL, "the reference page of every key, in Markdown"),
	CMD_OWN("status", OPT_FLAG, &schema_opt.status, NULL, "the JSON Schema of the first-boot report"),
};

/* The report is written by shell scripts on the card and read by anybody: its schema is a file, not made from tables.
 */
static int print_status_schema(struct err *e)
{
	_cleanup_free_ char *text = NULL;
	const char *path;
	size_t n;
	int r = data_path("docs/status.schema.json", &path, e);

	if (r == 0)
		r = file_read(path, MIB, &text, &n, e);
	if (r == 0 && fwrite(text, 1, n, stdout) != n)
		r = err_errno(e, -errno, "cannot write to stdout");
	return r;
}

static int cmd_schema(const struct cmd_options *o, struct err *e)
{
	const char *const *boards;
	size_t n;
	int r = cmd_args(o, 0, 0, "schema [--reference | --status]", e);

	if (r < 0)
		return r;
	if (schema_opt.status)
		return print_status_schema(e);
	if (!schema_opt.reference) {
		r = board_names(&boards, &n, e);
		return r < 0 ? r : json_print(config_schema(boards, n), e);
	}
	config_print_reference();
	return 0;
}

const struct command schema_command = {
	.name = "schema",
	.args = "",
	.help = "JSON Schema of cluster.yaml",
	.run = cmd_schema,
	.options = schema_options,
	.n_options = ARRAY_SIZE(schema_options),
	.common = "",
	.examples = { "pibuild schema >cluster.schema.json", "pibuild schema --reference" },
};
