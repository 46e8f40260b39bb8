/* SPDX-License-Identifier: Apache-2.0 */
/* Several nodes at once, as many threads as that takes and a bound on them: a node that is off keeps no other waiting.
 */
#ifndef REMOTE_EACH_H
#define REMOTE_EACH_H

#include <stddef.h>

enum { EACH_AT_ONCE = 16 };

/* ACT(ARG, i) for every i below N, in any order; returns when all have ended. */
void remote_each(size_t n, void (*act)(void *arg, size_t i), void *arg);

#endif
