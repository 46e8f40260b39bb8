/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ahead.h"

#include "base/pool.h"

enum { SLOTS = 4 };
static const size_t slot_size = MIB;

/* Slots are used in turn; N says how much each holds. Those from OUT to IN are full. */
struct ahead {
	ahead_fn read;
	void *arg;
	uint64_t left; /* bytes to be asked for */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *slots[SLOTS];
	size_t n[SLOTS], used; /* USED of the one at OUT */
	unsigned in, out;
	bool ended, stopped;
	int result; /* of the last read, when it ended */
	struct err failure;
};

/* A slot to fill; NULL = enough. */
static char *next_slot(struct ahead *a)
{
	char *slot = NULL;

	pthread_mutex_lock(&a->lock);
	while (a->in - a->out == SLOTS && !a->stopped)
		pthread_cond_wait(&a->changed, &a->lock);
	if (!a->stopped)
		slot = a->slots[a->in % SLOTS];
	pthread_mutex_unlock(&a->lock);
	return slot;
}

static void slot_filled(struct ahead *a, ssize_t n)
{
	pthread_mutex_lock(&a->lock);
	if (n > 0)
		a->n[a->in++ % SLOTS] = (size_t)n;
	if (n > 0)
		a->left -= (uint64_t)n;
	a->ended = n <= 0 || a->left == 0;
	a->result = n < 0 ? (int)n : 0;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static void *ahead_run(void *arg)
{
	struct ahead *a = arg;
	char *slot;

	while (!a->ended && (slot = next_slot(a)))
		slot_filled(a, a->read(a->arg, slot, (size_t)MIN(a->left, (uint64_t)slot_size), &a->failure));
	return NULL;
}

static void ahead_free(struct ahead *a)
{
	for (unsigned i = 0; i < SLOTS; i++)
		free(a->slots[i]);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int ahead_start(struct ahead **ret, ahead_fn read, void *arg, uint64_t size, struct err *e)
{
	struct ahead *a = xcalloc(1, sizeof(*a));
	int r;

	a->read = read;
	a->arg = arg;
	a->left = size;
	a->ended = size == 0;
	for (unsigned i = 0; i < SLOTS; i++)
		a->slots[i] = xmalloc(slot_size);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	r = thread_start(&a->thread, ahead_run, a, e);
	if (r < 0) {
		ahead_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

ssize_t ahead_read(void *ahead, void *buf, size_t n, struct err *e)
{
	struct ahead *a = ahead;
	unsigned at = a->out % SLOTS;
	bool any;

	pthread_mutex_lock(&a->lock);
	while (a->in == a->out && !a->ended)
		pthread_cond_wait(&a->changed, &a->lock);
	any = a->in != a->out;
	pthread_mutex_unlock(&a->lock);
	if (!any && a->result < 0)
		*e = a->failure;
	if (!any)
		return a->result;
	n = MIN(n, a->n[at] - a->used);
	memcpy(buf, a->slots[at] + a->used, n);
	a->used += n;
	if (a->used < a->n[at])
		return (ssize_t)n;
	pthread_mutex_lock(&a->lock);
	a->used = 0;
	a->out++;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	return (ssize_t)n;
}

void ahead_stop(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->stopped = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	ahead_free(a);
}
