/* SPDX-License-Identifier: Apache-2.0 */
/* verify: images and cards, proved. */
#include "base/log.h"
#include "cmd/cmd.h"
#include "inspect/verify.h"

static struct {
	const char *key, *base;
} verify_opt;

static const struct option verify_options[] = {
	CMD_OWN_WORDS("key", OPT_TEXT, &verify_opt.key, "FILE", "public key that must have signed it", "@file"),
	CMD_OWN_WORDS("base", OPT_TEXT, &verify_opt.base, "IMAGE", "nothing else may differ from this image", "@image"),
};

static int cmd_verify(const struct cmd_options *o, struct err *e)
{
	struct verify_report report = { 0 };
	struct verify_options how = { .base = verify_opt.base, .key = verify_opt.key };
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

const struct command verify_command = {
	.name = "verify",
	.args = "IMAGE",
	.help = "prove a finished image, and name all that is wrong with it",
	.run = cmd_verify,
	.reads_disks = true,
	.options = verify_options,
	.n_options = ARRAY_SIZE(verify_options),
	.common = "lock json",
	.words = { "@image", "" },
	.examples = { "pibuild verify out/cp-1.img", "pibuild verify out/cp-1.img --key release.key.pub" },
};
