/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs: an argv, never a shell.
 *
 * proc_run() runs a tool to its end: a fixed environment (LC_ALL=C, TZ=UTC, PATH, the times of the build), stdin from
 * bytes or /dev/null, output captured up to a limit, a timeout. All tools that may ever run stand in one table, which
 * `pibuild doctor` prints and checks.
 *
 * What runs beside us for as long as we want it to, a virtual machine or a command of the user's, is started by hand:
 *
 *	_cleanup_(spawn_done) struct spawned s = { 0 };
 *	spawn_start(&s, &how, e);
 *	while (spawn_alive(&s))
 *		...
 *
 * Whatever ends us, kill -9 too, the program gets how.death_signal; spawn_done() kills it for certain.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

struct proc_tool {
	const char *name;    /* as found in PATH; /usr/sbin and /sbin are searched too */
	const char *package; /* Debian package that has it; NULL = none has */
	const char *why;
	bool optional; /* only some commands need it */
};
extern const struct proc_tool proc_tools[];
extern const size_t proc_tools_count;

/* Of the table; NULL = there is no such row. */
const struct proc_tool *proc_tool(const char *name);
/* Absolute path of a program, on the arena; NULL when it is not installed. */
const char *proc_find(const char *name);

/* How the program names proc.file: no odd name of ours can be taken for an option or a suffix ("?offset=", "@@"). */
#define PROC_FILE "/proc/self/fd/3"

struct proc {
	const char *const *argv; /* argv[0] must be in proc_tools; NULL terminated */
	const void *input;	 /* what it reads on stdin; NULL = /dev/null */
	size_t input_n;
	const char *file;      /* how messages name what it gets as PROC_FILE; NULL = none */
	int file_fd;	       /* that; stays the caller's */
	int64_t epoch;	       /* SOURCE_DATE_EPOCH and E2FSPROGS_FAKE_TIME */
	unsigned timeout;      /* seconds; 0 = 600 */
	const char *tmp;       /* TMPDIR; NULL = none given */
	const char *dir;       /* where it starts; NULL = here */
	const char *pass;      /* a variable of ours that it gets too, where we have it; NULL = none */
	struct strbuf *output; /* stdout; NULL = kept only for messages */
	size_t output_limit;   /* bytes of it; 0 = 16 MiB */
	int ok_codes;	       /* bit n set = exit code n is success too (0 always is) */
	int *exit_code;	       /* set when it exited; may be NULL */
	const char **said;     /* set with it: the tail of its stderr, else of its stdout, as one line; may be NULL */
};

/* Runs it to the end. Class HOST when the program is not there; the tail of its stderr is in the message. */
int proc_run(const struct proc *p, struct err *e);

/* ---- spawn.c ---- */

enum { SPAWN_FDS = 4 };

struct spawn {
	const char *path;	 /* the program, absolute or relative to here */
	const char *const *argv; /* NULL terminated */
	const char *const *env;	 /* "NAME=value" put before what we have ourselves; NULL = none */
	bool env_only;		 /* ... and nothing else */
	const char *dir;	 /* where it starts; NULL = here */
	int fds[SPAWN_FDS];	 /* become 0, 1, 2, 3 of the program; -1 = /dev/null for the first three, else closed */
	int death_signal;	 /* what it gets when we die */
	bool own_session;	 /* Ctrl-C at our terminal does not reach it */
};

struct spawned {
	pid_t pid;  /* 0 = not started, or gone */
	int status; /* of waitpid(2), once it is gone */
};

int spawn_start(struct spawned *s, const struct spawn *how, struct err *e);
/* Also notes its end. */
bool spawn_alive(struct spawned *s);
/* Waits up to SECONDS for its end; true when it came. A signal to us does not cut that short. */
bool spawn_wait(struct spawned *s, double seconds);
/* SIGTERM, and SIGKILL when it still runs after SECONDS; 0 = SIGKILL at once. */
void spawn_stop(struct spawned *s, double seconds);
void spawn_done(struct spawned *s);
/* As a shell tells it: the exit code, or 128 + the signal that killed it. */
int spawn_exit_code(const struct spawned *s);

#endif
