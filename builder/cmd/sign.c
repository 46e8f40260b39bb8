/* SPDX-License-Identifier: Apache-2.0 */
/* sign: make a key pair, or sign images that are there. */
#include "base/log.h"
#include "cmd/cmd.h"
#include "companion/companion.h"

static struct {
	const char *key, *new_key;
} sign_opt;

static const struct option sign_options[] = {
	CMD_OWN_WORDS("new-key", OPT_TEXT, &sign_opt.new_key, "FILE", "make an Ed25519 key, and FILE.pub", "@file"),
	CMD_OWN_WORDS("key", OPT_TEXT, &sign_opt.key, "FILE", "the private key", "@file"),
};

static const char usage[] = "sign --new-key FILE | sign --key FILE IMAGE...";

static int new_key(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 0, usage, e);

	if (r == 0 && sign_opt.key)
		r = err_class(e, CLASS_USAGE, "--new-key makes a key and signs nothing: leave out --key");
	if (r < 0)
		return r;
	r = sign_new_key(sign_opt.new_key, e);
	if (r < 0)
		return r;
	log_info("made %s, which signs: keep it private; and %s.pub, which checks: give it to everybody",
		 sign_opt.new_key, sign_opt.new_key);
	return 0;
}

static int cmd_sign(const struct cmd_options *o, struct err *e)
{
	_cleanup_(sign_key_freep) struct sign_key *key = NULL;
	int r;

	if (sign_opt.new_key)
		return new_key(o, e);
	r = cmd_args(o, 1, 1000, usage, e);
	if (r == 0 && !sign_opt.key)
		r = err_class(e, CLASS_USAGE, "sign wants --key FILE; `pibuild sign --new-key FILE` makes one");
	if (r == 0)
		r = sign_key_open(sign_opt.key, &key, e);
	for (size_t i = 0; i < o->args.n && r == 0; i++) {
		r = companions_sign(o->args.v[i], key, e);
		if (r == 0)
			printf("%s\n", companion_path(o->args.v[i], COMPANION_SIGNATURE));
	}
	return r;
}

const struct command sign_command = {
	.name = "sign",
	.args = "--new-key FILE | --key FILE IMAGE...",
	.help = "make a key pair, or sign finished images",
	.run = cmd_sign,
	.options = sign_options,
	.n_options = ARRAY_SIZE(sign_options),
	.common = "",
	.words = { "@image" },
	.examples = { "pibuild sign --new-key release.key", "pibuild sign --key release.key out/cp-1.img" },
};
