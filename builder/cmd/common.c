/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "base/sig.h"
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

struct plan_options cmd_plan_options(const struct cmd_options *o, enum secret_use use)
{
	return (struct plan_options){
		.nodes = o->nodes.v,
		.n_nodes = o->nodes.n,
		.role = o->role,
		.out = o->out,
		.secret_use = o->generic ? SECRET_SKIP : use,
		.generic = o->generic,
	};
}

int cmd_check_selection(const struct cmd_options *o, struct err *e)
{
	if (o->generic && o->nodes.n)
		return err_class(e, CLASS_USAGE,
				 "--generic makes one image for all nodes of a role: give --role instead of --node");
	return 0;
}

int cmd_load_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e)
{
	struct project *project;
	int r = project_load_valid(po, &project, e);

	if (r == 0)
		r = plan_make(project, so, ret, e);
	if (r == 0)
		r = pins_check_locked((*ret)->pins.v, (*ret)->pins.n, e);
	return r < 0 ? r : images_check_locked(&(*ret)->images, e);
}

/* Looks up now and then: a Ctrl-C just before the wait interrupts no call. */
static int wait_for_input(struct err *e)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	int r;

	do
		r = sig_check(e);
	while (r == 0 && poll(&in, 1, 200) <= 0);
	return r;
}

int cmd_read_line(char **line, size_t *cap, struct err *e)
{
	ssize_t n;
	int r = wait_for_input(e);

	if (r < 0)
		return r;
	n = getline(line, cap, stdin);
	r = sig_check(e);
	if (r < 0)
		return r;
	if (n < 0)
		return err_class(e, CLASS_USAGE, "the answers ended too early, nothing was written");
	while (n && strchr(" \t\r\n", (*line)[n - 1]))
		(*line)[--n] = '\0';
	return 0;
}
