/* SPDX-License-Identifier: Apache-2.0 */
/* An image file as a command line names it, opened for reading: unpacked into a nameless file when it is compressed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"

static int unpack(const char *path, int in, uint64_t size, int *ret_fd, struct err *e)
{
	_cleanup_close_ int out = -1;
	struct decode d = {
		.in = in,
		.name = path,
		.outs = &out,
		.n_outs = 1,
		.progress = task_progress,
	};
	int r = temp_file(&out, e);

	if (r < 0)
		return r;
	d.progress_arg = task_begin("decode", path_base(path), size);
	r = decode_image(&d, e);
	task_end(d.progress_arg, r < 0 ? "failed" : NULL);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&out);
	return 0;
}

int image_file_open(const char *path, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const struct decode d = { .in = fd, .name = path };
	struct stat st;
	bool raw;
	int r;

	if (fd < 0)
		return file_cannot_open(path, e);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_USAGE, "%s is no image file", path);
	r = decode_is_raw(&d, &raw, e);
	if (r < 0)
		return r;
	if (!raw)
		return unpack(path, fd, (uint64_t)st.st_size, ret_fd, e);
	*ret_fd = take_fd(&fd);
	return 0;
}
