/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <errno.h>

#include "archive/internal.h"
#include "base/file.h"

void reader_init(struct reader *r, struct input *in)
{
	*r = (struct reader){ .in = in, .a = archive_read_new() };
	if (!r->a)
		out_of_memory();
}

void reader_done(struct reader *r)
{
	archive_read_free(r->a);
	gunzip_free(r->gunzip);
}

static la_ssize_t reader_callback(struct archive *a, void *arg, const void **ret)
{
	struct reader *r = arg;
	ssize_t n;

	if (r->gunzip) {
		n = gunzip_block(r->gunzip, ret, &r->failure);
	} else {
		n = input_read(r->in, &r->failure);
		*ret = r->in->buf;
	}
	if (n < 0)
		archive_set_error(a, -r->failure.code, "%s", r->failure.msg);
	return n < 0 ? ARCHIVE_FATAL : n;
}

int reader_open(struct reader *r, struct err *e)
{
	const struct codec_row *gzip = &codecs[CODEC_GZIP];
	char head[2] = { 0 };
	int code = pread_all(r->in->fd, head, sizeof(head), 0);

	/* What is shorter is for libarchive to refuse. */
	if (code < 0 && code != -ENODATA)
		return err_errno(e, code, "cannot read %s", r->in->name);
	if (code == 0 && memcmp(head, gzip->magic, gzip->magic_n) == 0)
		r->gunzip = gunzip_new(r->in);
	if (archive_read_open2(r->a, r, NULL, reader_callback, NULL, NULL) != ARCHIVE_OK)
		return reader_error(r, e);
	return 0;
}

int reader_error(const struct reader *r, struct err *e)
{
	const char *why = archive_error_string(r->a);

	if (r->failure.code) {
		*e = r->failure;
		return e->code;
	}
	return err_set(e, -EBADMSG, "%s is damaged or not what it should be: %s", r->in->name,
		       str_or(why, "no reason given"));
}
