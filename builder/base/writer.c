/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/pool.h"

enum { ALIGN = 4096 };
static const size_t hole = 64 * KIB; /* zero runs shorter than this are written */

struct writer {
	struct worker_pool *pool;
	int fds[WRITER_MAX_FILES];
	unsigned n_fds;
	const struct image_watch *watch; /* NULL = nobody */
	writer_fn fn;			 /* instead of files */
	void *arg;
};

static void set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static int write_range(int fd, const char *buf, size_t n, uint64_t offset)
{
	int r;

	if (n % ALIGN)
		set_direct(fd, false);
	r = pwrite_all(fd, buf, n, offset);
	if (r == -EINVAL) { /* this filesystem takes O_DIRECT at open only to refuse it here */
		set_direct(fd, false);
		r = pwrite_all(fd, buf, n, offset);
	}
	return r;
}

static int write_data(const struct writer *w, const char *buf, size_t n, uint64_t offset)
{
	int r = 0;

	for (unsigned i = 0; i < w->n_fds && r == 0; i++)
		r = write_range(w->fds[i], buf, n, offset);
	return r;
}

/* Runs of data between runs of zeros. */
static int write_runs(const struct writer *w, const char *buf, const struct pool_item *x)
{
	size_t start = 0, end;
	int r = 0;

	while (start < x->n && r == 0) {
		while (start < x->n && is_zero(buf + start, MIN(hole, x->n - start)))
			start += hole;
		for (end = start; end < x->n && !is_zero(buf + end, MIN(hole, x->n - end));)
			end += hole;
		if (start < x->n)
			r = write_data(w, buf + start, MIN(end, x->n) - start, x->offset + start);
		start = end;
	}
	return r;
}

static int write_item(void *arg, char *buf, const struct pool_item *x, struct err *e)
{
	const struct writer *w = arg;
	int r = w->fn ? w->fn(w->arg, buf, x->n, x->offset) : write_runs(w, buf, x);

	if (r == 0 && w->watch)
		w->watch->see(w->watch->arg, buf, x->n, x->offset);

	return r < 0 ? err_errno(e, r, "cannot write the image") : 0;
}

static int writer_begin(struct writer **ret, const struct writer *what, struct err *e)
{
	static const struct pool_kind in_order = {
		.workers = 1, .slots = 4, .size = WRITER_BUFFER, .work = write_item
	};
	struct writer *w = xcalloc(1, sizeof(*w));
	int r;

	*w = *what;
	r = pool_start(&w->pool, &in_order, w, e);
	if (r < 0)
		free(w);
	else
		*ret = w;
	return r;
}

int writer_start(struct writer **ret, const int *fds, unsigned n, const struct image_watch *watch, struct err *e)
{
	struct writer w = { .n_fds = MIN(n, (unsigned)WRITER_MAX_FILES), .watch = watch };

	for (unsigned i = 0; i < w.n_fds; i++) {
		w.fds[i] = fds[i];
		set_direct(fds[i], true);
	}
	return writer_begin(ret, &w, e);
}

int writer_start_fn(struct writer **ret, writer_fn fn, void *arg, struct err *e)
{
	return writer_begin(ret, &(struct writer){ .fn = fn, .arg = arg }, e);
}

void *writer_buffer(struct writer *w)
{
	return pool_take(w->pool);
}

void writer_submit(struct writer *w, size_t n, uint64_t offset)
{
	pool_give(w->pool, (struct pool_item){ .offset = offset, .n = n });
}

int writer_finish(struct writer *w, uint64_t size, struct err *e)
{
	int r = pool_finish(w->pool, e);

	for (unsigned i = 0; i < w->n_fds; i++) {
		set_direct(w->fds[i], false);
		if (r == 0 && ftruncate(w->fds[i], (off_t)size) < 0)
			r = err_errno(e, -errno, "cannot write the image");
	}
	free(w);
	return r;
}
