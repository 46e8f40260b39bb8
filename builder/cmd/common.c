/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"
#include "secrets/secrets.h"

int cmd_args(const struct cmd_options *o, size_t min, size_t max, const char *usage, struct err *e)
{
	if (o->args.n >= min && o->args.n <= max)
		return 0;
	return err_class(e, CLASS_USAGE, "%s: usage: pibuild %s",
			 o->args.n < min ? "an argument is missing" : "too many arguments", usage);
}

const char *cmd_secrets_path(const struct cmd_options *o, const struct config *c)
{
	return secrets_path(o->secrets, c);
}
