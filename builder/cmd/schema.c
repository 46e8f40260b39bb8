/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

int cmd_schema(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 0, "schema [--reference]", e);

	if (r < 0)
		return r;
	if (!o->reference)
		return config_print_schema(e);
	config_print_reference();
	return 0;
}
