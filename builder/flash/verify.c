/* SPDX-License-Identifier: Apache-2.0 */
/* What the disk gives back, against the digests of what was written: all of it, around the cache. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "flash/internal.h"

static int check_piece(void *arg, void *buf, void *spare, struct piece *p, struct err *e)
{
	struct work *w = arg;
	char sha256[SHA256_HEX];
	int r = target_read(w->target, buf, p->n, p->offset, e);

	if (r < 0)
		return r;
	sha256_bytes(buf, p->n, sha256);
	p->wanted = !streq(sha256, p->sha256);
	pthread_mutex_lock(&w->lock);
	w->flash->result.verified += p->n;
	pthread_mutex_unlock(&w->lock);
	task_add(w->task, p->n);
	return 0;
}

static int run(struct work *w, struct err *e)
{
	struct pool *pool;
	int r = pool_start(&pool, check_piece, w, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->pieces.n; i++) {
		void *buf;

		if (!w->pieces.v[i].wanted)
			continue;
		buf = pool_take(pool);
		if (!buf)
			break;
		pool_give(pool, buf, &w->pieces.v[i]);
	}
	return pool_finish(pool, e);
}

int verify_pass(struct work *w, const char *what, struct err *e)
{
	double start = now_seconds();
	int r;

	ioctl(w->target->fd, BLKFLSBUF); /* nobody's cached copy may answer; direct reads go around it anyway */
	w->task = task_begin(what, w->target->device->name, pieces_wanted(&w->pieces));
	r = run(w, e);
	task_end(w->task, r < 0 ? "failed" : NULL);
	w->flash->result.verify_seconds += now_seconds() - start;
	return r;
}
