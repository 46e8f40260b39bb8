/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bytes on their way into a library, hashed as they pass. */
#include "archive/internal.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
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
	gunzip_free(in->gunzip);
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

static la_ssize_t read_callback(struct archive *a, void *arg, const void **ret)
{
	struct input *in = arg;
	ssize_t n = in->gunzip ? gunzip_block(in->gunzip, ret, &in->failure) : input_read(in, &in->failure);

	if (!in->gunzip)
		*ret = in->buf;
	if (n < 0)
		archive_set_error(a, -in->failure.code, "%s", in->failure.msg);
	return n < 0 ? ARCHIVE_FATAL : n;
}

int input_open_archive(struct input *in, struct archive *a, struct err *e)
{
	const struct codec_row *gzip = &codecs[CODEC_GZIP];
	char head[2] = { 0 };
	int r = pread_all(in->fd, head, sizeof(head), 0);

	/* What is shorter is for libarchive to refuse. */
	if (r < 0 && r != -ENODATA)
		return err_errno(e, r, "cannot read %s", in->name);
	if (r == 0 && memcmp(head, gzip->magic, gzip->magic_n) == 0)
		in->gunzip = gunzip_new(in);
	if (archive_read_open2(a, in, NULL, read_callback, NULL, NULL) != ARCHIVE_OK)
		return input_archive_error(in, a, e);
	return 0;
}

int input_archive_error(struct input *in, struct archive *a, struct err *e)
{
	const char *why = archive_error_string(a);

	if (in->failure.code) {
		*e = in->failure;
		return e->code;
	}
	return err_set(e, -EBADMSG, "%s is damaged or not what it should be: %s", in->name,
		       str_or(why, "no reason given"));
}
