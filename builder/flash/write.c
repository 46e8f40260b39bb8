/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces from the source onto the disk. The thread that reads or decodes fills buffers, others hash and write. */
#include <errno.h>

#include "archive/archive.h"
#include "base/file.h"
#include "flash/internal.h"

static int note_digest(struct work *w, const void *buf, struct piece *p, struct err *e)
{
	char sha256[SHA256_HEX];

	sha256_bytes(buf, p->n, sha256);
	if (*p->sha256 && !streq(p->sha256, sha256))
		return err_set(e, -ESTALE, "%s changed while it was flashed, at byte %llu: run the command again",
			       w->flash->source->name, (unsigned long long)p->offset);
	memcpy(p->sha256, sha256, sizeof(sha256));
	return 0;
}

/* Zeros that are there need no writing, and reading is the faster way to know. */
static bool is_there(const struct work *w, const void *buf, void *spare, const struct piece *p)
{
	struct err ignored = { 0 };

	return is_zero(buf, p->n) && target_read(w->target, spare, p->n, p->offset, &ignored) == 0 &&
	       is_zero(spare, p->n);
}

static int flash_put_piece(void *arg, char *buf, const struct pool_item *item, struct err *e)
{
	struct work *w = arg;
	struct piece *p = item->what;
	bool there = false;
	int r = 0;

	/* Else it is compared with the source itself, and hashed, when it is read back: hashing would slow the writing.
	 */
	if (!w->flash->source->image || p->offset == 0)
		r = note_digest(w, buf, p, e);
	if (r == 0 && p->offset == 0)
		memcpy(w->target->head, buf, p->n);
	if (r == 0 && !w->only_hash && p->offset != 0) {
		there = is_there(w, buf, buf + PIECE, p);
		r = there ? 0 : target_write(w->target, buf, p->n, p->offset, e);
		pthread_mutex_lock(&w->lock);
		*(there ? &w->flash->result.zeros : &w->flash->result.written) += p->n;
		pthread_mutex_unlock(&w->lock);
	}
	task_add(w->task, p->n);
	return r;
}

/* -EIO without a message when the pool has the reason. */
static int give(struct worker_pool *pool, const struct work *w, struct piece *p, const void *data, struct err *e)
{
	char *buf = pool_take(pool);
	int r = 0;

	if (!buf)
		return -EIO;
	if (data)
		memcpy(buf, data, p->n);
	else if (p->tail)
		memset(buf, 0, p->n);
	else
		r = cow_read(w->flash->source->image, buf, p->n, p->offset);
	if (r < 0)
		return err_errno(e, r, "cannot read %s at byte %llu", w->flash->source->name,
				 (unsigned long long)p->offset);
	pool_give(pool, (struct pool_item){ .what = p });
	return 0;
}

struct flash_stream {
	struct work *work;
	struct worker_pool *pool;
	size_t next; /* piece */
	struct err failure;
};

/* Pieces of a compressed image follow each other without a gap, and no buffer ends within one but the last. */
static int take_decoded(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct flash_stream *s = arg;
	struct pieces *p = &s->work->pieces;
	int r = 0;

	while (r == 0 && s->next < p->n && !p->v[s->next].tail && p->v[s->next].offset < offset + n) {
		struct piece *x = &p->v[s->next++];

		if (x->wanted)
			r = give(s->pool, s->work, x, (const char *)buf + (x->offset - offset), &s->failure);
	}
	return r;
}

static int give_decoded(struct work *w, struct worker_pool *pool, struct err *e)
{
	const struct flash_source *source = w->flash->source;
	struct flash_stream s = { .work = w, .pool = pool };
	struct decode d = {
		.in = source->fd, .name = source->name, .write = take_decoded, .write_arg = &s, .max_size = source->size
	};
	int r = 0;

	if (lseek(source->fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "cannot read %s", source->name);
	r = decode_image(&d, e);
	if (s.failure.code)
		*e = s.failure;
	if (r == 0 && d.size != source->size)
		r = err_set(e, -ESTALE, "%s changed while it was flashed: run the command again", source->name);
	return r;
}

static int give_all(struct work *w, struct worker_pool *pool, struct err *e)
{
	int r = w->flash->source->image ? 0 : give_decoded(w, pool, e);

	for (size_t i = 0; i < w->pieces.n && r == 0; i++) {
		struct piece *p = &w->pieces.v[i];

		if (p->wanted && (p->tail || w->flash->source->image))
			r = give(pool, w, p, NULL, e);
	}
	return r;
}

static int write_work_run(struct work *w, struct err *e)
{
	struct err failure = { 0 };
	struct worker_pool *pool;
	int r = pool_start(&pool, FLASH_POOL(flash_put_piece), w, e), finished;

	if (r < 0)
		return r;
	r = give_all(w, pool, e);
	finished = pool_finish(pool, &failure);
	if (finished < 0 && !(r < 0 && err_interrupted(e))) {
		*e = failure; /* why the pool took no more */
		return finished;
	}
	return r;
}

int write_pass(struct work *w, struct err *e)
{
	double start = now_seconds();
	int r;

	w->only_hash = false;
	w->task = task_begin("write", target_label(w->target), pieces_wanted(&w->pieces));
	r = write_work_run(w, e);
	if (r == 0)
		r = target_flush(w->target, e);
	task_end(w->task, r < 0 ? "failed" : NULL);
	w->flash->result.write_seconds += now_seconds() - start;
	return r;
}

int hash_pass(struct work *w, struct err *e)
{
	int r;

	w->only_hash = true;
	w->task = task_begin("read", path_base(w->flash->source->name), pieces_wanted(&w->pieces));
	r = write_work_run(w, e);
	task_end(w->task, r < 0 ? "failed" : NULL);
	return r;
}
