/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bytes on their way into a library, hashed as they pass. */
#include "archive/internal.h"

#include <errno.h>
#include <fcntl.h>

#include "base/sig.h"

void input_init(struct input *in, int fd, const char *name)
{
	*in = (struct input){ .fd = fd, .name = name, .buf = xmalloc(INPUT_BUFFER) };
	sha256_init(&in->sha);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

void input_done(struct input *in)
{
	sha256_done(&in->sha);
	free(in->buf);
	in->buf = NULL;
}

/* Until there is something to be read. At its end reading finds that itself. */
static int input_wait(const struct input *in, struct err *e)
{
	int r = growing_wait(in->growing, in->total);

	return r < 0 ? err_set(e, r, "%s did not come to its end", in->name) : 0;
}

ssize_t input_read(struct input *in, struct err *e)
{
	ssize_t n;
	int r;

	do {
		r = sig_check(e);
		if (r == 0 && in->growing)
			r = input_wait(in, e);
		if (r < 0)
			return r;
		n = read(in->fd, in->buf, INPUT_BUFFER);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, -errno, "cannot read %s", in->name);
	sha256_update(&in->sha, in->buf, (size_t)n);
	in->total += (uint64_t)n;
	if (in->progress)
		in->progress(in->progress_arg, in->total);
	return n;
}

int input_finish(struct input *in, char sha256[SHA256_HEX], struct err *e)
{
	ssize_t n;

	while ((n = input_read(in, e)) > 0)
		;
	if (n < 0)
		return (int)n;
	sha256_final(&in->sha, sha256);
	return 0;
}
