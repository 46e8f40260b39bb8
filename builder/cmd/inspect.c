/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"
#include "image/inspect.h"

int cmd_inspect(const struct cmd_options *o, struct err *e)
{
	_cleanup_(image_report_done) struct image_report report = { 0 };
	const char *path;
	size_t faults;
	int r = cmd_args(o, 1, 1, "inspect IMAGE [--base IMAGE] [--json]", e);

	if (r < 0)
		return r;
	path = o->args.v[0];
	r = image_inspect(path, o->base, &report, e);
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
	if (report.undeclared.v.n)
		return err_class(e, CLASS_VERIFY, "%s differs from %s in %zu files that its manifest does not name",
				 path, o->base, report.undeclared.v.n);
	return 0;
}
