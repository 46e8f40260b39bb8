/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few buffers, filled by one thread and worked off by others; a single worker keeps their order.
 *
 *	pool_start(&p, &kind, arg, e);
 *	while ((buf = pool_take(p))) {		// waits for a free one
 *		... fill buf ...
 *		pool_give(p, (struct pool_item){ .offset = at, .n = n });
 *	}
 *	pool_finish(p, e);			// waits for all that was given
 *
 * Of several failures the one of the item that was given first is told, whichever came first: the same every time.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <pthread.h>

#include "base/err.h"
#include "base/util.h"

/* What was filled in; the pool itself makes nothing of it. */
struct pool_item {
	uint64_t offset;
	size_t n;
	void *what;
};
typedef int (*pool_fn)(void *arg, char *buf, const struct pool_item *item, struct err *e);

enum { POOL_WORKERS_MAX = 4, POOL_SLOTS_MAX = 6 };
struct pool_kind {
	unsigned workers, slots;
	size_t size; /* bytes of a buffer; they are aligned for direct I/O */
	pool_fn work;
};

/* A thread by itself; pthread_join() ends it. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg, struct err *e);

struct worker_pool;
int pool_start(struct worker_pool **ret, const struct pool_kind *kind, void *arg, struct err *e);
/* NULL once a worker failed or a signal came: pool_finish() has the reason. */
void *pool_take(struct worker_pool *p);
/* Hands the buffer that was taken last to the workers. */
void pool_give(struct worker_pool *p, struct pool_item item);
/* Waits for all that was given, and frees P. */
int pool_finish(struct worker_pool *p, struct err *e);

#endif
