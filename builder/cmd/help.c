/* SPDX-License-Identifier: Apache-2.0 */
/* pibuild help, pibuild version, and what --help says. */

#include "base/data.h"
#include "build-commit.h"
#include "cmd/cmd.h"

enum { HELP_COLUMN = 27, HELP_WIDTH = 80 };

void help_row(const char *left, const char *text)
{
	int room = HELP_WIDTH - HELP_COLUMN - 1;

	printf("  %-*s", HELP_COLUMN - 3, left);
	while (*text) {
		int n = (int)strlen(text);

		if (n > room) {
			for (n = room; n && text[n] != ' '; n--)
				;
			n = n ? n : (int)strcspn(text, " ");
		}
		printf(" %.*s\n", n, text);
		text += n + strspn(text + n, " ");
		if (*text)
			printf("%*s", HELP_COLUMN - 1, "");
	}
}

static void help_option(const struct option *o)
{
	char left[40];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		 o->letter ? ", " : "  ", o->name, o->arg ? " " : "", str_or(o->arg, ""));
	help_row(left, o->help);
}

static bool help_shows(const struct command *c, const struct option *o)
{
	return !c || cmd_word_in("quiet verbose", o->name) || cmd_word_in(c->common, o->name);
}

static void help_common(const struct command *c)
{
	for (size_t i = 0; i < common_options_count; i++)
		if (help_shows(c, &common_options[i]))
			help_option(&common_options[i]);
	help_row("-h, --help", c ? "this text" : "this text; after a command, the command's own");
}

static void help_of_command(const struct command *c)
{
	printf("usage: pibuild %s%s%s%s\n\n%s\n\nOptions:\n", c->name, *c->args ? " " : "", c->args,
	       strstr(c->args, "[options]") ? "" : " [options]", c->help);
	for (size_t i = 0; i < c->n_options; i++)
		help_option(&c->options[i]);
	help_common(c);
	if (c->arguments) {
		printf("\nArguments:\n");
		c->arguments();
	}
	printf("\nExamples:\n");
	for (size_t i = 0; i < ARRAY_SIZE(c->examples); i++)
		printf("  %s\n", c->examples[i]);
}

void help_print(const struct command *c)
{
	if (c) {
		help_of_command(c);
		return;
	}
	printf("usage: pibuild [COMMAND] [options]\n\n"
	       "Raspberry Pi images that come up as a K3s cluster with Cilium.\n\nCommands:\n");
	for (size_t i = 0; commands[i]; i++)
		help_row(commands[i]->name, commands[i]->help);
	printf("\nOptions of several commands; `pibuild help COMMAND` has those of one:\n");
	help_common(NULL);
	help_row("-V, --version", "version, commit and date of the catalogue");
	printf("\nExit codes: 0 done, 1 failed, 2 usage, 3 invalid configuration,\n"
	       "4 verification failed, 5 refused for safety, 6 something is missing on this\n"
	       "machine, 128+n signal.\n");
}

static int cmd_help(const struct cmd_options *o, struct err *e)
{
	const struct command *c = NULL;
	int r = cmd_args(o, 0, 1, "help [COMMAND]", e);

	if (r == 0 && o->args.n)
		r = command_get(o->args.v[0], &c, e);
	if (r < 0)
		return r;
	help_print(c);
	return 0;
}

/* The shipped lock's time is that of the set of versions that was tested together; "" when it cannot be read. */
static const char *catalogue_date(void)
{
	struct err ignored = { 0 };
	struct lock *lock;
	const char *path;

	if (data_path("configs/pibuild.lock", &path, &ignored) < 0 || lock_load(path, NULL, &lock, &ignored) < 0)
		return "";
	return utc_as("%Y-%m-%d", lock->time);
}

void version_print(void)
{
	const char *day = catalogue_date();

	printf("pibuild " PIBUILD_VERSION " (%s%s, %s%s)\n", *PIBUILD_COMMIT ? "commit " : "of no known commit",
	       PIBUILD_COMMIT, *day ? "catalogue of " : "without a catalogue", day);
}

static int cmd_version(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 0, "version", e);

	if (r < 0)
		return r;
	version_print();
	return 0;
}

const struct command help_command = {
	.name = "help",
	.args = "[COMMAND]",
	.help = "this text, or a command's own",
	.run = cmd_help,
	.common = "",
	.words = { "@command", "" },
	.examples = { "pibuild help", "pibuild help flash" },
};

const struct command version_command = {
	.name = "version",
	.args = "",
	.help = "version, commit and date of the catalogue",
	.run = cmd_version,
	.common = "",
	.examples = { "pibuild version", "pibuild -V" },
};
