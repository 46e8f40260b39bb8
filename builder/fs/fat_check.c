/* SPDX-License-Identifier: Apache-2.0 */
/* The boot partition judged by fsck.fat. */
#include <errno.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/sig.h"
#include "fs/fs.h"

enum { COPY_CHUNK = 1024 * 1024 };

static int copy_range(int from, uint64_t offset, uint64_t start, uint64_t end, int to, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(COPY_CHUNK);
	int r = 0;

	for (size_t n; start < end && r == 0; start += n) {
		n = (size_t)MIN(end - start, (uint64_t)COPY_CHUNK);
		r = pread_all(from, buf, n, start);
		if (r == 0 && !is_zero(buf, n))
			r = pwrite_all(to, buf, n, start - offset);
		if (r < 0)
			return err_errno(e, r, "cannot copy the boot partition; TMPDIR may name a folder with room");
		r = sig_check(e);
	}
	return r;
}

static int copy_partition(const struct fs_place *at, int to, struct err *e)
{
	uint64_t start, end = at->offset, stop = at->offset + at->length;
	int r, from = cow_file(at->image);

	if (ftruncate(to, (off_t)at->length) < 0)
		return err_machine(e, -errno, "cannot copy the boot partition");
	while ((r = file_next_data(from, end, stop, &start, &end)) == 0) {
		r = copy_range(from, at->offset, start, end, to, e);
		if (r < 0)
			return r;
	}
	return r == -ENXIO ? 0 : err_machine(e, r, "cannot find the data of %s", cow_name(at->image));
}

int fat_check(const struct fs_place *at, struct err *e)
{
	static const char *const argv[] = { "fsck.fat", "-n", PROC_FILE, NULL };
	_cleanup_close_ int copy = -1;
	struct proc fsck = { .argv = argv, .file = "the boot partition" };
	int r;

	if (!proc_find(argv[0])) /* says what is missing, before anything is copied */
		return proc_run(&(struct proc){ .argv = argv }, e);
	r = temp_file(&copy, e);
	if (r < 0)
		return r;
	r = copy_partition(at, copy, e);
	if (r < 0)
		return r;
	fsck.file_fd = copy;
	return proc_run(&fsck, e);
}
