/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: one file each, argv already turned into struct cmd_options by main.c's tables. A command returns 0 or a
 * negative errno with the sentence in E; main prints it and ends with the exit code of its class.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/err.h"
#include "base/progress.h"
#include "cache/cache.h"
#include "cmd/init.h"
#include "config/config.h"
#include "download/fetch.h"
#include "plan/plan.h"
#include "status/identity.h"

/* A list is one text with commas, words are kept apart. */
enum option_kind {
	OPT_FLAG,     /* bool */
	OPT_TEXT,     /* const char * */
	OPT_LIST,     /* const char * */
	OPT_WORDS,    /* struct text_list */
	OPT_PROGRESS, /* enum progress_mode */
	OPT_ROLE,     /* const char * */
	OPT_NUMBER,   /* unsigned */
};

struct option {
	const char *name;
	char letter; /* 0 = none */
	enum option_kind kind;
	void *own; /* where its value goes: of the command's file; NULL = SHARED */
	const char *arg, *help;
	size_t shared;	   /* ... or offset in struct cmd_options */
	const char *words; /* what completion offers for its value, see struct command; NULL = nothing */
	long min, max;	   /* of a number */
};

struct cmd_options {
	/* common */
	const char *config;  /* -c, else $PIBUILD_CONFIG; NULL = ./cluster.yaml, else the shipped default */
	const char *out;     /* -o; default "out" */
	bool out_given;	     /* not by "-", which is stdout */
	const char *lock;    /* --lock; NULL = see lock_load() */
	const char *secrets; /* --secrets; NULL = secrets.yaml beside the config */
	const char *cache;   /* --cache; NULL = see cache_open() */
	bool offline;
	unsigned jobs; /* 0 = default */
	bool json, quiet, verbose;
	enum progress_mode progress;

	/* rows of several commands, below */
	struct text_list nodes; /* --node */
	const char *role;	/* "control-plane", "worker" or NULL */
	bool generic;		/* one image per role */
	bool yes;
	bool force; /* what somebody else made is replaced */

	struct text_list args; /* after the command */
	size_t own_args;       /* of them, those before a "--" */
};

/* clang-format off */
/* Rows of a command's own options: NAME, KIND, where the value goes, ARG, HELP, words for completion. */
#define CMD_OWN(name, kind, at, arg, help) CMD_OWN_WORDS(name, kind, at, arg, help, NULL)
#define CMD_OWN_WORDS(name, kind, at, arg, help, words) { name, 0, kind, at, arg, help, .shared = 0, words }
#define CMD_OWN_NUMBER(name, at, least, most, arg, help) { name, 0, OPT_NUMBER, at, arg, help, .min = least, .max = most }
#define CMD_OWN_SECONDS(name, at, help) CMD_OWN_NUMBER(name, at, 1, 7 * 24 * 3600, "SECONDS", help)
/* Rows of several commands. */
#define CMD_SHARED(member) .shared = offsetof(struct cmd_options, member)
#define CMD_OPTION_NODE { "node", 0, OPT_WORDS, NULL, "NAME", "this node only; may be repeated", CMD_SHARED(nodes), "@node" }
#define CMD_OPTION_ROLE { "role", 0, OPT_ROLE, NULL, "ROLE", "nodes of this role: control-plane or worker", CMD_SHARED(role), "control-plane worker" }
#define CMD_OPTION_GENERIC { "generic", 0, OPT_FLAG, NULL, NULL, "one image per role, without identity or secret: flash --node stamps it", CMD_SHARED(generic), NULL }
#define CMD_OPTION_YES(help) { "yes", 0, OPT_FLAG, NULL, NULL, help, CMD_SHARED(yes), NULL }
#define CMD_OPTION_FORCE(help) { "force", 0, OPT_FLAG, NULL, NULL, help, CMD_SHARED(force), NULL }
#define CMD_OPTION_REPLACE CMD_OPTION_FORCE("replace a file that is another one's")
/* clang-format on */

typedef int (*cmd_fn)(const struct cmd_options *o, struct err *e);

/* One command: defined in the file of its name, listed in commands.c; help, usage errors and completion come from it.
 */
struct command {
	const char *name, *args, *help; /* ARGS: "[options]" is where it says so, else behind them */
	cmd_fn run;
	size_t verbatim;	      /* from this argument on all is another program's, options too; 0 = nothing is */
	const struct option *options; /* its own */
	size_t n_options;
	bool reads_disks;   /* and leaves nothing behind: as root where others work for whoever called sudo */
	bool prints;	    /* on stdout, without -o or with "-", what -o puts into a file */
	const char *common; /* names of those common options that it uses, space separated */
	/* What completion offers for each argument, the last for all that follow ("" = nothing): words as they are, or
	 * @node, @external, @board, @image, @disk, @serial, @artifact, @secret, @file, @dir. */
	const char *words[3];
	void (*arguments)(void); /* rows of help_row(): what may stand for them; NULL = args says it all */
	const char *examples[2];
};

extern const struct command *const commands[]; /* in the order of --help; the first is the default; ends with NULL */
extern const struct option common_options[];
extern const size_t common_options_count;

const struct command *command_find(const char *name); /* NULL = there is none */
/* Names of the commands that take the common OPTION, without those of the list BUT; blanks between, on the arena. */
const char *commands_with(const char *option, const char *but);
/* The same; class USAGE with the nearest. */
int command_get(const char *name, const struct command **ret, struct err *e);
/* LIST of words separated by blanks. */
bool cmd_word_in(const char *list, const char *word);

/* Of one command, or with NULL of the program. */
void help_print(const struct command *c);
/* One of its rows: LEFT, then TEXT from a column on, broken between words. */
void help_row(const char *left, const char *text);
/* What may stand for the last of N WORDS, which follow the program's name: a candidate a line, a tab, what it is. The
 * line "@file" or "@dir" asks the shell for its own. */
void complete_print(const char *const *words, size_t n);
/* "pibuild 0.1.0 (commit 0123456789ab, catalogue of 2026-10-07)" */
void version_print(void);

/* build --reproduce MANIFEST. */
int cmd_reproduce(const struct cmd_options *o, const char *manifest, struct err *e);

/* What can be read of PATH (NULL = ./cluster.yaml), without a word of its faults; NULL = nothing. */
const struct config *cmd_glimpse_config(const char *path);

/* Class USAGE unless there are between MIN and MAX arguments; a node or a file too many is told with its option. USAGE
 * begins with the command's name. */
int cmd_args(const struct cmd_options *o, size_t min, size_t max, const char *usage, struct err *e);

/* A CI engine runs us: nobody goes on by hand, and what it made of its secrets is gone with the job. */
bool cmd_in_ci(void);
/* The last line of a run that went well: what to do next, with its command between backticks. None with --json, or in
 * a CI engine. */
void cmd_next(const struct cmd_options *o, const char *fmt, ...) _printf_(2, 3);

/* There is somebody to ask. */
bool cmd_has_terminal(void);
/* A line of an answer on stdin, without blanks at its end; *LINE as in getline(3). Class USAGE at the end of input. */
int cmd_read_line(char **line, size_t *cap, struct err *e);
/* Class REFUSED when another answer than WANTED is given; KEPT is what comes of it: "nothing was written". */
int cmd_answer(const char *wanted, const char *kept, struct err *e);
/* The answer to WHAT is yes, or --yes is; ALONE is what that does, for where there is no terminal to ask on. */
int cmd_confirm(const struct cmd_options *o, const char *what, const char *alone, const char *kept, struct err *e);

/* The files that -c, --lock and --secrets name, and -o. */
struct project_options cmd_project_options(const struct cmd_options *o, enum secrets_policy policy);
/* What --node, --role and --generic select. */
struct plan_options cmd_plan_options(const struct cmd_options *o, enum secret_use use);
/* Class USAGE when they contradict each other. */
int cmd_check_selection(const struct cmd_options *o, struct err *e);

/* All that P needs is pinned by the lock; class VERIFY, with what is not. */
int cmd_check_locked(const struct plan *p, struct err *e);
/* The cluster of -c without faults; notes and faults are printed. */
int cmd_load_config(const struct cmd_options *o, struct config **ret, struct err *e);
/* A valid project and the plan of what SO selects, whether the lock pins all of it or not. */
int cmd_make_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e);
/* The same, and a lock that pins all of it. */
int cmd_load_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e);
/* Before images of P are made: apps_check_values(), when there is the card of a server among
 * them. */
int cmd_check_values(const struct plan *p, const struct cache *c, const struct fetch_options *f, struct err *e);

/* The node NAME of C; class USAGE with the nearest. */
int cmd_find_node(const struct config *c, const char *name, const struct node_config **ret, struct err *e);

/* A file that was asked for takes the place of nothing but what the same command made before: 1 when PATH, a file that
 * is there, is such a one. */
struct cmd_output {
	const char *path;
	int (*is_own)(const char *path, const void *arg, struct err *e);
	const void *arg;
	const char *own;  /* "a script of join" */
	const char *cure; /* ahead of those that all have; "" = none */
};
/* Class REFUSED when it would, and --force is not given. */
int cmd_check_output(const struct cmd_options *o, const struct cmd_output *out, struct err *e);

/* Folder of the project: of -c, else this one when it has a cluster.yaml; NULL = none. */
const char *cmd_project_dir(const struct cmd_options *o);

/* Whose the card in a disk is, read with root's rights if there are any. */
void cmd_identify(const char *disk, struct card_identity *ret);
/* "cp-1 of homelab, written 2026-11-28 15:02", with the time when PROJECT_DIR (NULL = none) has a record of it; "an
 * unfinished card of cp-1"; NULL = nothing of pibuild's. */
const char *cmd_card_text(const struct card_identity *id, const char *serial, const char *project_dir);

/* Path of the secrets file for the config in force. */
const char *cmd_secrets_path(const struct cmd_options *o, const struct config *c);
/* For commands that show or change the secrets of a cluster: class CONFIG when there is neither a cluster.yaml nor a
 * secrets file that a build of the shipped default would have left. */
int cmd_require_cluster(const struct cmd_options *o, struct err *e);

#endif
