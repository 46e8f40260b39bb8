/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/sig.h"

struct pool_slot {
	char *buf;
	struct pool_item item;
	enum { SLOT_FREE, SLOT_TAKEN, SLOT_READY, SLOT_BUSY } state;
};

struct worker_pool {
	struct pool_kind kind;
	pthread_t threads[POOL_WORKERS_MAX];
	unsigned n_threads;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pool_slot slots[POOL_SLOTS_MAX]; /* used in turn */
	unsigned next_in, next_out;
	bool ending, failed;
	struct err failure; /* of FAILED_AT, as next_in counted it */
	unsigned failed_at;
	void *arg;
	char *memory;
};

static size_t memory_size(const struct worker_pool *p)
{
	return p->kind.slots * p->kind.size;
}

static void pool_fail(struct worker_pool *p, unsigned at, const struct err *e)
{
	if (p->failed && p->failed_at < at)
		return;
	p->failure = *e;
	p->failed_at = at;
	p->failed = true;
}

static void *pool_worker(void *arg)
{
	struct worker_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		unsigned at = p->next_out;
		struct pool_slot *s = &p->slots[at % p->kind.slots];
		struct err e = { 0 };
		int r = 0;

		if (s->state != SLOT_READY && p->ending)
			break;
		if (s->state != SLOT_READY) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		s->state = SLOT_BUSY;
		p->next_out++;
		if (!p->failed) {
			pthread_mutex_unlock(&p->lock);
			r = p->kind.work(p->arg, s->buf, &s->item, &e);
			pthread_mutex_lock(&p->lock);
		}
		if (r < 0)
			pool_fail(p, at, &e);
		s->state = SLOT_FREE;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int thread_start(pthread_t *ret, void *(*run)(void *), void *arg, struct err *e)
{
	int r = -pthread_create(ret, NULL, run, arg);

	return r == 0 ? 0
		      : err_set(e, r,
				"cannot start a thread: %s; end other programs, or lift the limit that `ulimit -u` shows",
				strerror(-r));
}

int pool_start(struct worker_pool **ret, const struct pool_kind *kind, void *arg, struct err *e)
{
	struct worker_pool *p = xcalloc(1, sizeof(*p));
	struct err ignored, why;
	int r = 0;

	p->kind = *kind;
	p->memory = mmap(NULL, memory_size(p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		free(p);
		return err_errno(e, -errno, "cannot allocate buffers");
	}
	for (unsigned i = 0; i < kind->slots; i++)
		p->slots[i].buf = p->memory + i * kind->size;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->arg = arg;
	while (r == 0 && p->n_threads < kind->workers) {
		r = thread_start(&p->threads[p->n_threads], pool_worker, p, &why);
		p->n_threads += r == 0;
	}
	if (r < 0) {
		pool_finish(p, &ignored);
		*e = why;
		return r;
	}
	*ret = p;
	return 0;
}

void *pool_take(struct worker_pool *p)
{
	struct pool_slot *s = &p->slots[p->next_in % p->kind.slots];
	struct err e = { 0 };
	void *buf = NULL;

	pthread_mutex_lock(&p->lock);
	while (s->state != SLOT_FREE && !p->failed)
		pthread_cond_wait(&p->changed, &p->lock);
	if (sig_check(&e) < 0)
		pool_fail(p, p->next_in, &e);
	if (!p->failed) {
		s->state = SLOT_TAKEN;
		buf = s->buf;
	}
	pthread_mutex_unlock(&p->lock);
	return buf;
}

void pool_give(struct worker_pool *p, struct pool_item item)
{
	struct pool_slot *s = &p->slots[p->next_in % p->kind.slots];

	pthread_mutex_lock(&p->lock);
	s->item = item;
	s->state = SLOT_READY;
	p->next_in++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

int pool_finish(struct worker_pool *p, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	if (p->failed) {
		*e = p->failure;
		r = e->code;
	}
	munmap(p->memory, memory_size(p));
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return r;
}
