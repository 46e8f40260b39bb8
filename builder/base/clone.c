/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of an image: shared blocks where the filesystem can, else its data alone. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/sig.h"
#include "base/writer.h"

struct copy {
	int src;
	struct writer *writer;
};

/* Reads [START, END) around the page cache where it can and hands it on. */
static int copy_extent(const struct copy *c, uint64_t start, uint64_t end, struct err *e)
{
	while (start < end) {
		void *buf = writer_buffer(c->writer);
		size_t n = (size_t)MIN(end - start, WRITER_BUFFER);
		int r;

		if (!buf)
			return -EIO; /* writer_finish() has the reason */
		r = pread_all(c->src, buf, n, start);
		if (r < 0)
			return err_errno(e, r, "cannot read the image to copy");
		writer_submit(c->writer, n, start);
		start += n;
		if (sig_check(e) < 0)
			return -EINTR;
	}
	return 0;
}

static int copy_extents(const struct copy *c, uint64_t size, struct err *e)
{
	uint64_t data, hole = 0;
	int r;

	while ((r = file_next_data(c->src, hole, size, &data, &hole)) == 0) {
		r = copy_extent(c, data, hole, e);
		if (r < 0)
			return r;
	}
	return r == -ENXIO ? 0 : err_errno(e, r, "cannot find the data of the image to copy");
}

bool clone_shares(int src, int dst)
{
	return ioctl(dst, FICLONE, src) == 0;
}

int clone_sparse(int src, const int *dsts, unsigned n, const char *name, const struct image_watch *watch, struct err *e)
{
	struct err write_error = { 0 };
	struct copy c = { .src = src };
	struct stat st;
	unsigned shared = 0;
	int r, finished;

	while (shared < n && clone_shares(src, dsts[shared]))
		shared++;
	if (shared == n && !watch)
		return 0;
	if (fstat(src, &st) < 0)
		return err_errno(e, -errno, "cannot read the image to copy");
	r = writer_start(&c.writer, dsts + shared, n - shared, watch, e);
	if (r < 0)
		return r;
	e->code = 0;
	r = copy_extents(&c, (uint64_t)st.st_size, e);
	finished = writer_finish(c.writer, (uint64_t)st.st_size, &write_error);
	if (finished < 0 && (r == 0 || !e->code)) {
		*e = write_error;
		return err_interrupted(e) ? finished : err_wrap(e, "%s", name);
	}
	return r;
}
