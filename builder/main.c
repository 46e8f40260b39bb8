/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, by the tables of cmd/commands.c and of the commands themselves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/caller.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/sig.h"
#include "base/terminal.h"
#include "cmd/cmd.h"

static const struct option *find_in(const struct option *rows, size_t count, const char *name, size_t n, char letter)
{
	for (size_t i = 0; i < count; i++)
		if (name ? strlen(rows[i].name) == n && !strncmp(rows[i].name, name, n) : rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

/* By NAME, or where that is NULL by LETTER: of OF (NULL = no command) and the common ones, else of any command. */
static const struct option *main_find_option(const struct command *of, const char *name, size_t n, char letter)
{
	const struct option *found = of ? find_in(of->options, of->n_options, name, n, letter) : NULL;

	if (!found)
		found = find_in(common_options, common_options_count, name, n, letter);
	for (size_t i = 0; commands[i] && !found && name; i++)
		found = find_in(commands[i]->options, commands[i]->n_options, name, n, letter);
	return found;
}

static bool main_is_taken(const struct command *by, const struct option *o)
{
	return (o >= by->options && o < by->options + by->n_options) ||
	       (o >= common_options && o < common_options + common_options_count);
}

static int unknown_option(const char *word, struct err *e)
{
	VEC(const char *) names = { 0 };
	const char *near;
	_cleanup_free_ char *name = xstrdup(word + (starts_with(word, "--") ? 2 : 1));

	name[strcspn(name, "=")] = '\0';
	for (size_t i = 0; i < common_options_count; i++)
		*vec_push(&names) = common_options[i].name;
	for (size_t c = 0; commands[c]; c++)
		for (size_t i = 0; i < commands[c]->n_options; i++)
			*vec_push(&names) = commands[c]->options[i].name;
	near = nearest_word(name, names.v, names.n);
	return err_class(e, CLASS_USAGE, "unknown option %s%s%s%s; see pibuild --help", word,
			 near ? ", did you mean --" : "", near ? near : "", near ? "?" : "");
}

static int set_number(const struct option *row, const char *value, unsigned *at, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || *end || end == value || n < row->min || n > row->max)
		return err_class(e, CLASS_USAGE, "--%s wants a number from %ld to %ld, not '%s'", row->name, row->min,
				 row->max, value);
	*at = (unsigned)n;
	return 0;
}

static int set_option(struct cmd_options *o, const struct option *row, const char *value, struct err *e)
{
	void *at = row->own ? row->own : (char *)o + row->shared;

	switch (row->kind) {
	case OPT_FLAG:
		*(bool *)at = true;
		return 0;
	case OPT_WORDS:
		*vec_push((struct text_list *)at) = value;
		return 0;
	case OPT_NUMBER:
		return set_number(row, value, at, e);
	case OPT_PROGRESS:
		for (int n = 0; n < PROGRESS_MODE_COUNT; n++)
			if (streq(value, progress_mode_names[n])) {
				o->progress = (enum progress_mode)n;
				return 0;
			}
		return err_class(e, CLASS_USAGE, "--progress wants auto, bar, plain, json or none, not '%s'", value);
	case OPT_ROLE:
		if (!streq(value, "control-plane") && !streq(value, "worker"))
			return err_class(e, CLASS_USAGE, "--role wants control-plane or worker, not '%s'", value);
		break;
	case OPT_LIST:
	case OPT_TEXT:
		if (!*value)
			return err_class(e, CLASS_USAGE, "--%s wants a value", row->name);
		if (row->kind == OPT_LIST && *(const char **)at)
			value = arena_printf("%s,%s", *(const char **)at, value);
		break;
	}
	*(const char **)at = value;
	return 0;
}

struct parsed {
	const struct command *command;
	const struct option *foreign; /* one that the command does not take */
	bool named;		      /* the command; else it is the default */
	bool help, version;
};

/* The row that a word with '-' in front names, and what stands behind "=" or the letter; NULL = unknown. */
static const struct option *read_option(const struct command *of, const char *word, const char **ret_value)
{
	const char *eq = strchr(word, '=');

	if (!starts_with(word, "--")) {
		*ret_value = word[2] ? word + 2 : NULL;
		return main_find_option(of, NULL, 0, word[1]);
	}
	*ret_value = eq ? eq + 1 : NULL;
	return main_find_option(of, word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2), 0);
}

static bool main_is_help(const char *word)
{
	return streq(word, "--help") || streq(word, "-h");
}

static bool main_is_version(const char *word)
{
	return streq(word, "--version") || streq(word, "-V");
}

/* "-" is stdin for -c, and stdout for -o of what prints without it; elsewhere it would become a file of that name. */
static int main_check_dash(const struct command *c, const struct option *row, const char *value, struct err *e)
{
	bool path = row->words && (streq(row->words, "@file") || streq(row->words, "@dir"));

	if (!path || !streq(value, "-") || streq(row->name, "config") || (streq(row->name, "out") && c->prints))
		return 0;
	return err_class(
		e, CLASS_USAGE,
		"pibuild %s takes no - (stdin, stdout) for --%s: name a file or folder; one of that name is ./-",
		c->name, row->name);
}

/* One word that starts with '-'. Advances *I over the option's value. */
static int parse_option(struct cmd_options *o, struct parsed *p, char **argv, int argc, int *i, struct err *e)
{
	const char *word = argv[*i], *value = NULL;
	const struct option *row;

	if (main_is_help(word)) {
		p->help = true;
		return 0;
	}
	if (main_is_version(word)) {
		p->version = true;
		return 0;
	}
	row = read_option(p->command, word, &value);
	if (!row || (row->kind == OPT_FLAG && value))
		return unknown_option(word, e);
	if (value && word[1] != '-' && *value == '=')
		return err_class(e, CLASS_USAGE, "%s: behind one letter stands no =: -%c %s, or --%s=%s", word, word[1],
				 shell_word(value + 1), row->name, shell_word(value + 1));
	if (!main_is_taken(p->command, row))
		p->foreign = row;
	if (row->kind != OPT_FLAG && !value) {
		if (*i + 1 >= argc)
			return err_class(e, CLASS_USAGE, "--%s wants a value: --%s %s", row->name, row->name, row->arg);
		value = argv[++*i];
	}
	if (p->foreign)
		return 0;
	return value && main_check_dash(p->command, row, value, e) < 0 ? e->code : set_option(o, row, value, e);
}

/* Options may stand before the command, and mean what it says: *AT is its place, 0 when there is none. */
static int main_find_command(int argc, char **argv, struct parsed *p, int *at, struct err *e)
{
	const char *value, *unknown = NULL;
	int r;

	p->command = commands[0];
	for (*at = 1; *at < argc && !streq(argv[*at], "--"); ++*at) {
		const char *word = argv[*at];
		const struct option *row;

		if (word[0] == '-' && word[1]) {
			row = read_option(NULL, word, &value);
			*at += row && row->kind != OPT_FLAG && !value;
			if (!row && !unknown && !main_is_help(word) && !main_is_version(word))
				unknown = word;
			continue;
		}
		r = command_get(word, &p->command, e);
		/* It may be the value of an option that is misspelt. */
		return r < 0 && unknown ? unknown_option(unknown, e) : r;
	}
	*at = 0;
	return 0;
}

static int main_parse(int argc, char **argv, struct cmd_options *o, struct parsed *p, struct err *e)
{
	bool options_end = false;
	int at, r = main_find_command(argc, argv, p, &at, e);

	for (int i = 1; i < argc && r == 0; i++) {
		if (!options_end && streq(argv[i], "--")) {
			options_end = true;
		} else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
			r = parse_option(o, p, argv, argc, &i, e);
		} else if (i != at) {
			*vec_push(&o->args) = argv[i];
			o->own_args += !options_end;
			options_end |= p->command->verbatim && o->args.n >= p->command->verbatim;
		}
	}
	p->named = at != 0;
	if (r < 0 || p->help || p->version)
		return r;
	if (p->foreign)
		return err_class(e, CLASS_USAGE, "pibuild %s takes no --%s; see pibuild %s --help", p->command->name,
				 p->foreign->name, p->command->name);
	if (!o->config && *str_or(getenv("PIBUILD_CONFIG"), ""))
		o->config = getenv("PIBUILD_CONFIG");
	o->out_given = o->out && !streq(o->out, "-");
	if (!o->out)
		o->out = "out";
	return 0;
}

static void complain(const struct err *e)
{
	if (*e->msg) /* else what stands on stdout is all there is to say */
		log_error("%s", e->msg);
	faults_print_source(e);
	if (e->code == -EMFILE)
		log_info("`ulimit -n` shows how many files may be open at once here: lift it to 256");
	if (caller_name() && e->code == -EACCES)
		log_info(
			"under sudo this runs as %s, and as root for disks alone: `sudo chown -R %s FOLDER` takes back what an earlier run left to root",
			caller_name(), caller_name());
}

static int exit_code(const struct err *e)
{
	if (sig_caught() && err_interrupted(e))
		return 128 + sig_caught();
	return e->class == CLASS_OK ? CLASS_FAILED : (int)e->class;
}

/* `pibuild --complete WORD...`, called by the scripts for shells. */
static int complete(int argc, char **argv, struct err *e)
{
	int r = caller_become(e);

	if (r == 0)
		complete_print((const char *const *)argv + 2, (size_t)argc - 2);
	return r;
}

static int main_run(int argc, char **argv, struct err *e)
{
	struct cmd_options o = { 0 };
	struct parsed p = { 0 };
	int r;

	if (argc > 1 && streq(argv[1], "--complete"))
		return complete(argc, argv, e);
	r = main_parse(argc, argv, &o, &p, e);
	if (r < 0)
		return r;
	if (p.version)
		version_print();
	else if (p.help)
		help_print(p.named ? p.command : NULL);
	else {
		log_set_level(o.quiet ? LOG_WARNING : o.verbose ? LOG_DEBUG : LOG_INFO);
		log_add_cure_option(commands_with("config", "init devices doctor"), "-c", o.config);
		log_add_cure_option(commands_with("secrets", ""), "--secrets", cmd_in_ci() ? NULL : o.secrets);
		log_add_cure_option(commands_with("lock", "init verify"), "--lock", o.lock);
		log_add_cure_option(commands_with("cache", ""), "--cache", o.cache);
		progress_init(o.quiet ? PROGRESS_NONE : o.progress);
		r = p.command->reads_disks ? 0 : caller_become(e);
		if (r == 0)
			r = p.command->run(&o, e);
		if (o.verbose)
			progress_print_timings();
	}
	return r < 0 ? r : stdout_flush(e);
}

/* Where one of 0, 1 and 2 is closed, the next file opened would take its place, and talk would end up in an image. The
 * stand-in cannot be written to: results that reach nobody are a failure. */
static void occupy_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			sig_die("stdin, stdout or stderr is closed, and /dev/null could not take its place: ",
				strerrordesc_np(errno));
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	int code = 0;

	/* Secrets pass through our memory: no core dumps, no ptrace by other processes of the user. */
#ifndef PIBUILD_SANITIZED /* the leak checker traces us */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	occupy_standard_fds();
	sig_install();
	if (main_run(argc, argv, &e) < 0) {
		/* `| head` has seen enough: end as by SIGPIPE, without a word. */
		if (e.code == -EPIPE && ferror(stdout)) {
			code = 128 + SIGPIPE;
		} else {
			complain(&e);
			code = exit_code(&e);
		}
	}
	arena_done();
	return code;
}
