/* SPDX-License-Identifier: Apache-2.0 */
/* sign: make a key pair, or sign images that are there. */
#include "base/log.h"
#include "cmd/cmd.h"
#include "companion/companion.h"

static const char usage[] = "sign --new-key FILE | sign --key FILE IMAGE...";

static int new_key(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 0, usage, e);

	if (r == 0 && o->key)
		r = err_class(e, CLASS_USAGE, "--new-key makes a key and signs nothing: leave out --key");
	if (r == 0)
		r = sign_new_key(o->new_key, e);
	if (r == 0)
		log_info("made %s, which signs: keep it private; and %s.pub, which checks: give it to everybody",
			 o->new_key, o->new_key);
	return r;
}

int cmd_sign(const struct cmd_options *o, struct err *e)
{
	_cleanup_(sign_key_freep) struct sign_key *key = NULL;
	int r;

	if (o->new_key)
		return new_key(o, e);
	r = cmd_args(o, 1, 1000, usage, e);
	if (r == 0 && !o->key)
		r = err_class(e, CLASS_USAGE, "sign wants --key FILE; `pibuild sign --new-key FILE` makes one");
	if (r == 0)
		r = sign_key_open(o->key, &key, e);
	for (size_t i = 0; i < o->args.n && r == 0; i++) {
		r = companions_sign(o->args.v[i], key, e);
		if (r == 0)
			printf("%s\n", companion_path(o->args.v[i], COMPANION_SIGNATURE));
	}
	return r;
}
