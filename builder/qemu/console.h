/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial console of a machine: read from a pipe, kept as it came in a log, shown without what would command a
 * terminal, and watched for the line that is waited for. The first-boot report's own lines, after any prefix:
 *
 *	pibuild: STEP: STATE[: CAUSE -> CURE]
 *	pibuild: READY: all N steps done
 *	pibuild: FAILED: STEP: CAUSE -> CURE
 */
#ifndef QEMU_CONSOLE_H
#define QEMU_CONSOLE_H

#include <regex.h>

#include "base/err.h"
#include "base/util.h"

enum { CONSOLE_TAIL = 40 };

enum verdict {
	VERDICT_NONE,
	VERDICT_HOLDS,	/* what was waited for has appeared */
	VERDICT_FAILED, /* the node says that a step failed */
	VERDICT_BROKEN, /* panic, emergency mode */
};

struct console {
	/* set by the caller before the first read */
	int fd;		      /* read end of the pipe, non-blocking; -1 once QEMU closed it */
	int log;	      /* raw bytes go here; -1 = nowhere */
	bool show;	      /* on stdout */
	const char *name;     /* before the report's lines, where several machines talk; NULL = not said */
	const regex_t *until; /* a line that matches holds; NULL = none */
	bool until_ready;     /* the report's verdict holds or fails */

	enum verdict verdict;
	const char *words; /* the line that decided; for VERDICT_FAILED "STEP: CAUSE -> CURE"; on the arena */
	char *last_step;   /* the report's last line about a step; NULL = none yet */

	struct strbuf line; /* the unfinished one, cleaned */
	size_t shown;	    /* of it, bytes */
	unsigned escape;    /* inside of an escape sequence */
	char *tail[CONSOLE_TAIL];
	unsigned tail_n; /* lines so far; the last ones are kept */
};

/* Waits up to TIMEOUT_MS for output and takes what is there. */
int console_read(struct console *c, int timeout_ms, struct err *e);
/* The last lines, to stderr. */
void console_print_tail(const struct console *c);
void console_done(struct console *c);

#endif
