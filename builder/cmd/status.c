/* SPDX-License-Identifier: Apache-2.0 */
/* The first-boot report, from wherever it lies; the exit code is its verdict. */
#include "cmd/cmd.h"
#include "status/report.h"

static int cmd_status(const struct cmd_options *o, struct err *e)
{
	_cleanup_(report_done) struct report report = { 0 };
	int r = cmd_args(o, 1, 1, "status DEVICE|DIR|FILE [--json]", e);

	if (r < 0)
		return r;
	r = report_find(o->args.v[0], &report, e);
	if (r < 0)
		return r;
	if (o->json)
		r = json_print(json_incref(report.json), e);
	else
		report_print(&report);
	return r < 0 ? r : report_verdict(&report, e);
}

const struct command status_command = {
	.name = "status",
	.args = "DEVICE|DIR|FILE",
	.help = "the first-boot report of a card, a folder, an image or a file",
	.run = cmd_status,
	.common = "json",
	.words = { "@disk @file" },
	.examples = { "pibuild status /media/$USER/bootfs", "sudo pibuild status /dev/sdX --json" },
};
