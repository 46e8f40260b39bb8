/* SPDX-License-Identifier: Apache-2.0 */
/* What the disk gives back, against what it was given: all of it, around the cache. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/caller.h"
#include "base/file.h"
#include "flash/internal.h"

/* With an image that can be read anywhere against its bytes; with a compressed one against the digest of what was
 * written. BUF is what the disk gave back. */
static int compare_piece(const struct work *w, const void *buf, void *spare, struct piece *p, bool *ret, struct err *e)
{
	const struct flash_source *s = w->flash->source;
	char sha256[SHA256_HEX];
	int r;

	if (p->tail) {
		*ret = is_zero(buf, p->n);
		return 0;
	}
	if (s->image) {
		r = cow_read(s->image, spare, p->n, p->offset);
		if (r < 0)
			return err_errno(e, r, "cannot read %s at byte %llu", s->name, (unsigned long long)p->offset);
		*ret = memcmp(buf, spare, p->n) == 0;
		if (*ret)
			sha256_bytes(buf, p->n, p->sha256);
		return 0;
	}
	sha256_bytes(buf, p->n, sha256);
	*ret = streq(sha256, p->sha256);
	return 0;
}

static int check_piece(void *arg, char *buf, const struct pool_item *item, struct err *e)
{
	struct work *w = arg;
	struct piece *p = item->what;
	bool same = false;
	int r = target_read(w->target, buf, p->n, p->offset, e);

	if (r < 0)
		return r;
	r = compare_piece(w, buf, buf + PIECE, p, &same, e);
	if (r < 0)
		return r;
	p->wanted = !same;
	pthread_mutex_lock(&w->lock);
	w->flash->result.verified += p->n;
	pthread_mutex_unlock(&w->lock);
	task_add(w->task, p->n);
	return 0;
}

static int verify_work_run(struct work *w, struct err *e)
{
	struct worker_pool *pool;
	int r = pool_start(&pool, FLASH_POOL(check_piece), w, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->pieces.n; i++) {
		if (!w->pieces.v[i].wanted)
			continue;
		if (!pool_take(pool))
			break;
		pool_give(pool, (struct pool_item){ .what = &w->pieces.v[i] });
	}
	return pool_finish(pool, e);
}

int verify_pass(struct work *w, const char *what, struct err *e)
{
	double start = now_seconds();
	int r;

	caller_raise();
	ioctl(w->target->fd, BLKFLSBUF); /* nobody's cached copy may answer; direct reads go around it anyway */
	caller_lower();
	w->task = task_begin(what, target_label(w->target), pieces_wanted(&w->pieces));
	r = verify_work_run(w, e);
	task_end(w->task, r < 0 ? "failed" : NULL);
	w->flash->result.verify_seconds += now_seconds() - start;
	return r;
}
