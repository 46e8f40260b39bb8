/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to run another program: an argv, no shell, a fixed environment (LC_ALL=C, TZ=UTC, PATH, the
 * times of the build), stdin from bytes or /dev/null, output captured up to a limit, a timeout.
 * All programs that may ever run stand in one table, which `pibuild doctor` prints and checks.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/err.h"
#include "base/util.h"

struct proc_tool {
	const char *name;    /* as found in PATH; /usr/sbin and /sbin are searched too */
	const char *package; /* Debian package that has it */
	const char *why;
	bool optional; /* only some commands need it */
};
extern const struct proc_tool proc_tools[];
extern const size_t proc_tools_count;

/* Absolute path of a tool of the table, on the arena; NULL when it is not installed. */
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
	struct strbuf *output; /* stdout; NULL = kept only for messages */
	size_t output_limit;   /* bytes of it; 0 = 16 MiB */
	int ok_codes;	       /* bit n set = exit code n is success too (0 always is) */
	int *exit_code;	       /* set when it exited; may be NULL */
};

/* Runs it to the end. Class HOST when the program is not there; the tail of its stderr is in the message. */
int proc_run(const struct proc *p, struct err *e);

#endif
