/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that runs beside us for as long as we want it to: a virtual machine, a command of the user's. Short tools
 * whose words are wanted are run by base/proc.h instead.
 *
 *	_cleanup_(spawn_done) struct spawned s = { 0 };
 *	spawn_start(&s, &how, e);
 *	while (spawn_alive(&s))
 *		...
 *
 * Whatever ends us, kill -9 too, the program gets how.death_signal; spawn_done() kills it for certain.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

enum { SPAWN_FDS = 4 };

struct spawn {
	const char *path;	 /* the program, absolute or relative to here */
	const char *const *argv; /* NULL terminated */
	const char *const *env;	 /* "NAME=value" put before what we have ourselves; NULL = none */
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
