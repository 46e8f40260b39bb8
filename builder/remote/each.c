/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/each.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/util.h"

struct each {
	void (*act)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
};

static void *each_work(void *arg)
{
	struct each *x = arg;

	for (size_t i = atomic_fetch_add(&x->next, 1); i < x->n; i = atomic_fetch_add(&x->next, 1))
		x->act(x->arg, i);
	return NULL;
}

void remote_each(size_t n, void (*act)(void *arg, size_t i), void *arg)
{
	struct each x = { .act = act, .arg = arg, .n = n };
	pthread_t threads[EACH_AT_ONCE];
	size_t started = 0;

	while (started < MIN(n, (size_t)EACH_AT_ONCE) && pthread_create(&threads[started], NULL, each_work, &x) == 0)
		started++;
	/* With no thread to be had it is done here. */
	if (!started)
		each_work(&x);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}
