/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever had root run this: sudo(8), doas(1) and pkexec(1) leave the name or number of their caller in the
 * environment. Root's rights are wanted for disks alone, so everything else is done as the caller: their home is "~",
 * their cache and secrets are found, and what is made is theirs, with no chown that a symbolic link could lead
 * elsewhere. Programs that are started have no way back to root; this one keeps it as its saved user id, for
 * caller_raise().
 */
#ifndef BASE_CALLER_H
#define BASE_CALLER_H

#include <sys/types.h>

#include "base/err.h"

/* Becomes the caller. Call before the first thread. Nothing happens without a caller, for a caller that is root, in a
 * folder that the caller may not enter: that is a root shell (sudo -i), where the work is root's own; and where root
 * may not become others, as in some containers. What else keeps it from being done is an error. */
int caller_become(struct err *e);

/* UID is the caller's, for whom this process works as root: it could not become them, or has not yet. */
bool caller_asked(uid_t uid);

/* Name of the caller that this process became; NULL = none. */
const char *caller_name(void);

/* Root's rights for the calling thread, if this process has them to give, until caller_lower(). Not nested. */
void caller_raise(void);
void caller_lower(void);

#endif
