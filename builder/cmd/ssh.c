/* SPDX-License-Identifier: Apache-2.0 */
/* ssh to a node by its name, as everything here asks it: its user, address, keys, and the host key its card showed. */
#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "base/proc.h"
#include "cmd/cmd.h"
#include "plan/flashed.h"
#include "remote/remote.h"

/* What this program ignores, the next one would too. */
static int become_ssh(const char *const *argv, struct err *e)
{
	const struct proc_tool *tool = proc_tool("ssh");
	const char *path = proc_find(tool->name);

	if (!path)
		return err_class(e, CLASS_HOST, "%s is not installed (%s); install the package %s", tool->name,
				 tool->why, tool->package);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execv(path, unconst(argv));
	return err_errno(e, -errno, "cannot run %s", path);
}

static int cmd_ssh(const struct cmd_options *o, struct err *e)
{
	_cleanup_json_ json_t *cards = NULL;
	const struct node_config *n;
	struct text_list words = { 0 };
	struct config *c;
	struct remote r;
	int code = config_require_file(o->config, "there is no node to log in to", e);

	if (code == 0)
		code = cmd_args(o, 1, SIZE_MAX, "ssh NODE [COMMAND]...", e);
	if (code == 0)
		code = cmd_load_config(o, &c, e);
	if (code == 0)
		code = cmd_find_node(c, o->args.v[0], &n, e);
	if (code == 0)
		code = flashed_load(c->dir, &cards, e);
	if (code < 0)
		return code;
	for (size_t i = 1; i < o->args.n; i++)
		*vec_push(&words) = o->args.v[i];
	*vec_push(&words) = NULL;
	r = remote_of(c, n, cards);
	log_debug("%s is %s@%s", r.node, r.user, r.host);
	return become_ssh(remote_login_argv(&r, words.v), e);
}

const struct command ssh_command = {
	.name = "ssh",
	.args = "NODE [options] [COMMAND]...",
	.verbatim = 2,
	.help = "logs in to a node, or runs a command there",
	.run = cmd_ssh,
	.common = "config",
	.words = { "@node", "" },
	.examples = { "pibuild ssh cp-1", "pibuild ssh w-1 journalctl -fu k3s-agent" },
};
