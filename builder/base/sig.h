/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT, SIGTERM and SIGHUP (unless started by nohup) set a flag that long loops check, however whoever started us
 * holds them; cleanup then runs as after any failure and main ends with 128 + n. SIGPIPE and SIGXFSZ are ignored: the
 * write that met a closed pipe or a size limit fails instead. A crash, and a library that calls abort(), end with a
 * sentence and CLASS_FAILED, not without a word.
 */
#ifndef BASE_SIG_H
#define BASE_SIG_H

#include "base/err.h"

void sig_install(void);

/* The signal that asked us to stop, or 0. */
int sig_caught(void);

/* 0, or -EINTR with "interrupted" when a signal asked us to stop. */
int sig_check(struct err *e);
/* The same after that many SECONDS, or sooner with a signal. */
int sig_pause(double seconds, struct err *e);

/* Ends the program at once, from wherever: "pibuild: error: WHAT" and DETAIL on stderr, CLASS_FAILED. Takes no memory
 * and no lock. */
_Noreturn void sig_die(const char *what, const char *detail);

#endif
