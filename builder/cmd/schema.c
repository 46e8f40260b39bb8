/* SPDX-License-Identifier: Apache-2.0 */
#include "board/board.h"
#include "cmd/cmd.h"
#include "status/report.h"

static struct {
	bool reference, status;
} schema_opt;

static const struct option schema_options[] = {
	CMD_OWN("reference", OPT_FLAG, &schema_opt.reference, NULL, "the reference page of every key, in Markdown"),
	CMD_OWN("status", OPT_FLAG, &schema_opt.status, NULL, "the JSON Schema of the first-boot report"),
};

static int cmd_schema(const struct cmd_options *o, struct err *e)
{
	const char *const *boards;
	size_t n;
	int r = cmd_args(o, 0, 0, "schema [--reference | --status]", e);

	if (r < 0)
		return r;
	if (schema_opt.status)
		return json_print(report_schema(), e);
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
