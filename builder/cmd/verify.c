/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cmd/cmd.h"
#include "image/verify.h"

int cmd_verify(const struct cmd_options *o, struct err *e)
{
	struct verify_report report = { 0 };
	struct verify_options how = { .base = o->base, .key = o->key };
	struct lock *lock = NULL;
	int r = cmd_args(o, 1, 1, "verify IMAGE [--key FILE] [--base IMAGE] [--lock FILE] [--json]", e);

	if (r == 0 && o->lock)
		r = lock_load(o->lock, NULL, &lock, e);
	if (r < 0)
		return r;
	how.image = o->args.v[0];
	how.lock = lock;
	r = image_verify(&how, &report, e);
	if (r < 0)
		return r;
	if (o->json)
		r = json_print(verify_report_json(&report), e);
	else
		verify_report_print(&report);
	if (r < 0)
		return r;
	if (report.findings.v.n)
		return err_class(e, CLASS_VERIFY,
				 "%s: %zu fault%s found; do not flash it: build it again, or find out who changed it",
				 how.image, report.findings.v.n, report.findings.v.n == 1 ? "" : "s");
	if (!o->json)
		log_info("%s is good", how.image);
	cmd_next(o, "`pibuild devices` finds the card, `sudo pibuild flash %s%s DISK` writes it", shell_word(how.image),
		 report.node ? "" : " --node NAME");
	return 0;
}
