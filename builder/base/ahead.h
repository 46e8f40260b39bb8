/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream read by a thread of its own, a few buffers ahead of whoever wants it: inflating goes on while what came out
 * is hashed and written.
 *
 *	ahead_start(&a, read, arg, e);
 *	while ((n = ahead_read(a, buf, size, e)) > 0)	// as READ itself: 0 at the end
 *		...
 *	ahead_stop(a);					// ARG is the caller's again
 */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include "base/err.h"
#include "base/util.h"

struct ahead;
typedef ssize_t (*ahead_fn)(void *arg, void *buf, size_t n, struct err *e);

/* Reads SIZE bytes, or less when READ ends or fails; nothing is asked of READ beyond them. */
int ahead_start(struct ahead **ret, ahead_fn read, void *arg, uint64_t size, struct err *e);
ssize_t ahead_read(void *ahead, void *buf, size_t n, struct err *e);
/* Also before the end. Frees it. */
void ahead_stop(struct ahead *a);

#endif
