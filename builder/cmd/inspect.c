/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: an image and what its manifest says of it. */
#include "cmd/cmd.h"
#include "inspect/inspect.h"

static struct {
	const char *base;
} inspect_opt;

static const struct option inspect_options[] = {
	CMD_OWN_WORDS("base", OPT_TEXT, &inspect_opt.base, "IMAGE",
		      "compare with this image: what changed, and is it declared", "@image"),
};

static int cmd_inspect(const struct cmd_options *o, struct err *e)
{
	_cleanup_(image_report_done) struct image_report report = { 0 };
	const char *path;
	size_t faults;
	int r = cmd_args(o, 1, 1, "inspect IMAGE [--base IMAGE] [--json]", e);

	if (r < 0)
		return r;
	path = o->args.v[0];
	r = image_inspect(path, inspect_opt.base, &report, e);
	if (r < 0)
		return r;
	if (o->json)
		r = json_print(image_report_json(&report), e);
	else
		image_report_print(&report);
	if (r < 0)
		return r;
	faults = image_report_faults(&report);
	if (faults)
		return err_class(e, CLASS_VERIFY, "%s: %zu files are not as the manifest says; build the image again",
				 path, faults);
	if (report.undeclared.n)
		return err_class(e, CLASS_VERIFY, "%s differs from %s in %zu files that its manifest does not name",
				 path, inspect_opt.base, report.undeclared.n);
	return 0;
}

const struct command inspect_command = {
	.name = "inspect",
	.args = "IMAGE",
	.help = "look into a finished image",
	.run = cmd_inspect,
	.reads_disks = true,
	.options = inspect_options,
	.n_options = ARRAY_SIZE(inspect_options),
	.common = "json",
	.words = { "@image", "" },
	.examples = { "pibuild inspect out/cp-1.img", "pibuild inspect out/cp-1.img --base raspios.img" },
};
