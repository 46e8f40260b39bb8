/* SPDX-License-Identifier: Apache-2.0 */
/* All commands, and the options that most of them have; each command's own stand in the file of its name. */
#include "cmd/cmd.h"

#define COMMAND_LIST(X)                                                                                                \
	X(build)                                                                                                       \
	X(init)                                                                                                        \
	X(check)                                                                                                       \
	X(plan)                                                                                                        \
	X(render)                                                                                                      \
	X(lock)                                                                                                        \
	X(fetch)                                                                                                       \
	X(secrets)                                                                                                     \
	X(kubeconfig)                                                                                                  \
	X(join)                                                                                                        \
	X(ca)                                                                                                          \
	X(inspect)                                                                                                     \
	X(sign)                                                                                                        \
	X(verify)                                                                                                      \
	X(diff)                                                                                                        \
	X(devices)                                                                                                     \
	X(flash)                                                                                                       \
	X(imager)                                                                                                      \
	X(push)                                                                                                        \
	X(pull)                                                                                                        \
	X(apply)                                                                                                       \
	X(node)                                                                                                        \
	X(status)                                                                                                      \
	X(ssh)                                                                                                         \
	X(backup)                                                                                                      \
	X(boot)                                                                                                        \
	X(doctor)                                                                                                      \
	X(schema)                                                                                                      \
	X(help)                                                                                                        \
	X(version)

#define DECLARE(name) extern const struct command name##_command;
COMMAND_LIST(DECLARE)

#define ROW(name) &name##_command,
const struct command *const commands[] = { COMMAND_LIST(ROW) NULL };

const struct option common_options[] = {
	{ "config", 'c', OPT_TEXT, NULL, "FILE",
	  "the cluster; - is stdin ($PIBUILD_CONFIG, cluster.yaml, else one rpi5 on DHCP)", CMD_SHARED(config),
	  "@file" },
	{ "out", 'o', OPT_TEXT, NULL, "PATH",
	  "where results go: a folder (out); for kubeconfig, ca and join a file or - (stdout), for backup a file",
	  CMD_SHARED(out), "@file" },
	{ "lock", 0, OPT_TEXT, NULL, "FILE", "pinned versions (pibuild.lock beside the config, else the shipped)",
	  CMD_SHARED(lock), "@file" },
	{ "secrets", 0, OPT_TEXT, NULL, "FILE", "the cluster's secrets (secrets.yaml beside the config)",
	  CMD_SHARED(secrets), "@file" },
	{ "cache", 0, OPT_TEXT, NULL, "DIR", "downloads and layers ($XDG_CACHE_HOME/pibuild)", CMD_SHARED(cache),
	  "@dir" },
	{ "offline", 0, OPT_FLAG, NULL, NULL, "use the cache only", CMD_SHARED(offline), NULL },
	{ "jobs", 0, OPT_NUMBER, NULL, "N", "downloads at once (4)", CMD_SHARED(jobs), NULL, 1, 64 },
	{ "json", 0, OPT_FLAG, NULL, NULL, "results as JSON on stdout", CMD_SHARED(json), NULL },
	{ "progress", 0, OPT_PROGRESS, NULL, "MODE", "auto, bar, plain, json or none", CMD_SHARED(progress),
	  "auto bar plain json none" },
	{ "quiet", 'q', OPT_FLAG, NULL, NULL, "only warnings and errors", CMD_SHARED(quiet), NULL },
	{ "verbose", 'v', OPT_FLAG, NULL, NULL, "more, and a table of timings", CMD_SHARED(verbose), NULL },
};
const size_t common_options_count = ARRAY_SIZE(common_options);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

int command_get(const char *name, const struct command **ret, struct err *e)
{
	VEC(const char *) names = { 0 };
	const char *near;

	*ret = command_find(name);
	if (*ret)
		return 0;
	for (size_t i = 0; commands[i]; i++)
		*vec_push(&names) = commands[i]->name;
	near = nearest_word(name, names.v, names.n);
	return err_class(e, CLASS_USAGE, "unknown command '%s'%s; see pibuild --help", name, did_you_mean(", ", near));
}

const char *commands_with(const char *option, const char *but)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (size_t i = 0; commands[i]; i++)
		if (cmd_word_in(commands[i]->common, option) && !cmd_word_in(but, commands[i]->name))
			strbuf_item(&b, " ", commands[i]->name);
	return arena_strdup(str_or(b.s, ""));
}

bool cmd_word_in(const char *list, const char *word)
{
	return word_in(list, word, strlen(word));
}
