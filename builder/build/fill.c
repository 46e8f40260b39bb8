/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of files that have their blocks and their names already, some at once: inflating one is slower than all else
 * that is done with it. What passes by is hashed as pieces of the image, and goes into the layer and its twin around
 * the page cache: nothing of it is read again, and nothing waits to be written when the layer is to be kept.
 */
#include <errno.h>
#include <pthread.h>

#include "base/ahead.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/sig.h"
#include "build/internal.h"

enum { FILES_MAX = 2, DIRECT_ALIGN = 4096 };

struct fill_file {
	int fd, direct; /* DIRECT is -1 where there is no such thing */
	const char *name;
};

struct filling {
	const struct fill_into *into;
	struct fill *const *fills;
	struct task *task;
	struct fill_file files[FILES_MAX];
	unsigned n_files;
	pthread_mutex_t lock; /* of what the layer knows to be changed */
};

static ssize_t read_hashed(void *arg, void *buf, size_t n, struct err *e)
{
	struct hashed *h = arg;
	ssize_t r = sig_check(e) < 0 ? -EINTR : h->from->read(h->from->arg, buf, n, e);

	if (r > 0) {
		sha256_update(&h->sum, buf, (size_t)r);
		task_add(h->task, (uint64_t)r);
	}
	return r;
}

struct fs_source hashed_source(struct hashed *h, const struct fs_source *from, struct task *task)
{
	*h = (struct hashed){ .from = from, .task = task };
	sha256_init(&h->sum);
	return (struct fs_source){ from->size, read_hashed, h };
}

static int fill_write(const struct fill_file *file, const char *buf, size_t n, uint64_t at, struct err *e)
{
	bool direct = file->direct >= 0 && n % DIRECT_ALIGN == 0 && at % DIRECT_ALIGN == 0;
	int r = pwrite_all(direct ? file->direct : file->fd, buf, n, at);

	if (r == -EINVAL && direct) /* what could be opened so may still refuse to be written */
		r = pwrite_all(file->fd, buf, n, at);
	return r < 0 ? err_errno(e, r, "cannot write %s", file->name) : 0;
}

/* A piece of the image that is known as a whole needs no second look; any other counts as changed. */
static int pass_on(struct filling *f, const char *buf, size_t n, uint64_t at, struct err *e)
{
	struct digests *pieces = f->into->pieces;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < f->n_files; i++)
		r = fill_write(&f->files[i], buf, n, at, e);
	if (r < 0)
		return r;
	if (n == DIGEST_PIECE && !is_zero(buf, n)) {
		digests_see(pieces, (size_t)(at / DIGEST_PIECE), buf);
		return 0;
	}
	pthread_mutex_lock(&f->lock);
	cow_note(f->into->layer, at, at + n);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fill_room(struct filling *f, const struct fs_room *room, const struct fs_source *from, char *buf,
		     struct err *e)
{
	uint64_t left = from->size;
	int r = 0;

	vec_foreach (range, &room->v) {
		for (uint64_t at = range->start, n; r == 0 && at < range->end; at += n) {
			size_t part;

			n = MIN(range->end - at, DIGEST_PIECE - at % DIGEST_PIECE);
			part = (size_t)MIN(n, left);
			r = fs_source_take(from, buf, part, e);
			memset(buf + part, 0, (size_t)n - part);
			if (r == 0)
				r = pass_on(f, buf, (size_t)n, at, e);
			left -= part;
		}
	}
	return r;
}

static int fill_one(struct filling *f, struct fill *x, char *buf, struct err *e)
{
	struct fs_source from = x->from, hashed;
	struct ahead *ahead = NULL;
	struct hashed h;
	int r = x->ahead ? ahead_start(&ahead, from.read, from.arg, from.size, e) : 0;

	if (r < 0)
		return r;
	if (ahead)
		from = (struct fs_source){ .size = from.size, .read = ahead_read, .arg = ahead };
	hashed = hashed_source(&h, &from, f->task);
	r = fill_room(f, &x->room, &hashed, buf, e);
	sha256_final(&h.sum, x->sha256);
	if (ahead)
		ahead_stop(ahead);
	return r < 0 ? r : x->judge(x, e);
}

static int fill_item(void *arg, char *buf, const struct pool_item *item, struct err *e)
{
	struct filling *f = arg;
	struct fill *x = f->fills[item->offset];
	int r = fill_one(f, x, buf, e);

	return r < 0 && e->class != CLASS_VERIFY && r != -EINTR ? err_wrap(e, "%s", x->path) : r;
}

static void open_files(struct filling *f)
{
	const struct fill_into *into = f->into;

	f->files[f->n_files++] = (struct fill_file){ cow_file(into->layer), -1, cow_name(into->layer) };
	if (into->twin)
		f->files[f->n_files++] = (struct fill_file){ into->twin->fd, -1, into->twin->path };
	for (unsigned i = 0; i < f->n_files; i++)
		f->files[i].direct = file_reopen_direct(f->files[i].fd);
}

static int run_fills(struct filling *f, size_t n, struct err *e)
{
	static const struct pool_kind kind = {
		.workers = POOL_WORKERS_MAX, .slots = POOL_SLOTS_MAX, .size = DIGEST_PIECE, .work = fill_item
	};
	struct worker_pool *p;
	int r = pool_start(&p, &kind, f, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && pool_take(p); i++)
		pool_give(p, (struct pool_item){ .offset = i });
	return pool_finish(p, e);
}

int fills_write(const struct fill_into *into, struct fill *const *fills, size_t n, struct task *task, struct err *e)
{
	struct filling f = { .into = into, .fills = fills, .task = task };
	int r = 0;

	digests_init(into->pieces, cow_size(into->layer));
	if (into->twin && ftruncate(into->twin->fd, (off_t)cow_size(into->layer)) < 0)
		return err_errno(e, -errno, "cannot size %s", into->twin->path);
	pthread_mutex_init(&f.lock, NULL);
	open_files(&f);
	if (n)
		r = run_fills(&f, n, e);
	for (unsigned i = 0; i < f.n_files; i++)
		closep(&f.files[i].direct);
	pthread_mutex_destroy(&f.lock);
	return r;
}
