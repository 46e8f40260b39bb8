/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of an image: shared blocks where the filesystem can, else its data alone. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/sig.h"
#include "base/writer.h"

/* Reads [START, END) around the page cache where it can and hands it to the writer. */
static int clone_extent(int src, struct writer *w, uint64_t start, uint64_t end, struct err *e)
{
	while (start < end) {
		void *buf = writer_buffer(w);
		size_t n = (size_t)MIN(end - start, WRITER_BUFFER);
		int r;

		if (!buf)
			return -EIO; /* writer_finish() has the reason */
		r = pread_all(src, buf, n, start);
		if (r < 0)
			return err_errno(e, r, "cannot read the image to copy");
		writer_submit(w, buf, n, start);
		start += n;
		if (sig_check(e) < 0)
			return -EINTR;
	}
	return 0;
}

static int clone_extents(int src, struct writer *w, struct err *e)
{
	off_t data, hole = 0;
	int r;

	while ((data = lseek(src, hole, SEEK_DATA)) >= 0) {
		hole = lseek(src, data, SEEK_HOLE);
		if (hole < 0)
			break;
		r = clone_extent(src, w, (uint64_t)data, (uint64_t)hole, e);
		if (r < 0)
			return r;
	}
	return errno == ENXIO ? 0 : err_errno(e, -errno, "cannot find the data of the image to copy");
}

int clone_sparse(int src, int dst, const char *dst_name, struct err *e)
{
	struct err write_error = { 0 };
	struct writer *w;
	struct stat st;
	int r, finished;

	if (ioctl(dst, FICLONE, src) == 0)
		return 0;
	if (fstat(src, &st) < 0)
		return err_errno(e, -errno, "cannot read the image to copy");
	r = writer_start(&w, &dst, 1, e);
	if (r < 0)
		return r;
	e->code = 0;
	r = clone_extents(src, w, e);
	finished = writer_finish(w, (uint64_t)st.st_size, &write_error);
	if (finished < 0 && (r == 0 || !e->code)) {
		*e = write_error;
		return err_wrap(e, "%s", dst_name);
	}
	return r;
}
