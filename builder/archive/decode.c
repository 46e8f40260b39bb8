/* SPDX-License-Identifier: Apache-2.0 */
/* A base image to sparse raw. What it is is told by its first bytes, never by its name. */
#include "archive/internal.h"

#include <archive.h>
#include <errno.h>
#include <lzma.h>

#include "base/file.h"
#include "base/writer.h"

enum { XZ_TIMEOUT_MS = 250 };
/* More does not make 24 MiB blocks any faster and would break the promise of a small peak. */
static const uint64_t threading_memory = 160 * MIB;

/* The raw image on its way out. */
struct sink {
	struct writer *writer;
	char *buf; /* being filled; NULL = take one */
	size_t n;
	uint64_t size;
};

static void sink_done(struct sink *s)
{
	struct err ignored;

	if (s->writer)
		writer_finish(s->writer, 0, &ignored);
}

static int sink_finish(struct sink *s, struct err *e)
{
	struct writer *w = s->writer;

	if (s->buf && s->n)
		writer_submit(w, s->n, s->size - s->n);
	s->writer = NULL;
	return writer_finish(w, s->size, e);
}

/* Makes room: at least one byte at s->buf + s->n. */
static int sink_space(struct sink *s, struct err *e)
{
	if (s->buf && s->n == WRITER_BUFFER) {
		writer_submit(s->writer, s->n, s->size - s->n);
		s->buf = NULL;
	}
	if (s->buf)
		return 0;
	s->n = 0;
	s->buf = writer_buffer(s->writer);
	if (s->buf)
		return 0;
	struct writer *w = s->writer;

	s->writer = NULL;
	if (writer_finish(w, 0, e) == 0)
		err_set(e, -EIO, "cannot write the image");
	return e->code;
}

static int sink_advance(struct sink *s, size_t n, const struct decode *d, struct err *e)
{
	char limit[SIZE_TEXT_MAX];

	s->n += n;
	s->size += n;
	if (s->size == s->n && codec_of_head(s->buf, s->n) != CODEC_COUNT)
		return err_set(e, -EBADMSG, "%s is compressed more than once", d->name);
	if (d->exact_size && s->size > d->exact_size)
		return err_class(e, CLASS_VERIFY, "%s holds more than the %llu bytes that the lock states", d->name,
				 (unsigned long long)d->exact_size);
	if (s->size > d->max_size)
		return err_set(e, -E2BIG, "%s unpacks to more than the limit of %s", d->name,
			       size_text(d->max_size, limit));
	return 0;
}

static int judge_xz(const struct decode *d, const struct input *in, lzma_ret ret, struct err *e)
{
	char limit[SIZE_TEXT_MAX];

	switch (ret) {
	case LZMA_MEMLIMIT_ERROR: /* lzma_memusage() does not know the need of the threaded decoder */
		return err_set(
			e, -ENOMEM,
			"%s needs more than the limit of %s of memory to unpack; compress it with a smaller dictionary (xz -6)",
			d->name, size_text(d->memory, limit));
	case LZMA_MEM_ERROR:
		return err_set(e, -ENOMEM, "there is not enough memory to unpack %s", d->name);
	case LZMA_BUF_ERROR:
		return err_set(e, -ENODATA, "%s is truncated: it ends after %llu bytes", d->name,
			       (unsigned long long)in->total);
	case LZMA_OPTIONS_ERROR:
	case LZMA_UNSUPPORTED_CHECK:
		return err_set(e, -EOPNOTSUPP, "%s uses xz options that this liblzma does not know", d->name);
	default:
		return err_set(e, -EBADMSG, "%s is corrupt: its xz data is damaged before byte %llu", d->name,
			       (unsigned long long)in->total);
	}
}

static int start_xz(const struct decode *d, lzma_stream *xz, struct err *e)
{
	lzma_mt mt = {
		.flags = LZMA_TELL_UNSUPPORTED_CHECK,
		.threads = MAX(lzma_cputhreads(), 1u),
		.timeout = XZ_TIMEOUT_MS, /* else a signal waits for a whole block */
		.memlimit_threading = MIN(d->memory, threading_memory),
		.memlimit_stop = d->memory,
	};

	if (lzma_stream_decoder_mt(xz, &mt) != LZMA_OK)
		return err_set(e, -ENOMEM, "cannot start liblzma for %s", d->name);
	return 0;
}

static int refill(struct input *in, lzma_stream *xz, bool *eof, struct err *e)
{
	ssize_t n = input_read(in, e);

	if (n < 0)
		return (int)n;
	*eof = n == 0;
	xz->next_in = (const uint8_t *)in->buf;
	xz->avail_in = (size_t)n;
	return 0;
}

/* After the end of one stream: another one (true), zero padding, or what does not belong there. */
static int next_stream(struct input *in, lzma_stream *xz, bool *eof, struct err *e)
{
	for (;;) {
		while (xz->avail_in && *xz->next_in == 0) {
			xz->next_in++;
			xz->avail_in--;
		}
		if (xz->avail_in)
			break;
		if (!*eof && refill(in, xz, eof, e) < 0)
			return e->code;
		if (*eof)
			return 0;
	}
	if (*xz->next_in != 0xfd)
		return err_set(e, -EBADMSG, "%s has something after the end of its xz data", in->name);
	return 1;
}

static int decode_run_xz(struct decode *d, struct input *in, lzma_stream *xz, struct sink *s, struct err *e)
{
	bool eof = false;
	lzma_ret ret;
	int r;

	for (;;) {
		if (xz->avail_in == 0 && !eof && refill(in, xz, &eof, e) < 0)
			return e->code;
		if (sink_space(s, e) < 0)
			return e->code;
		xz->next_out = (uint8_t *)s->buf + s->n;
		xz->avail_out = WRITER_BUFFER - s->n;
		ret = lzma_code(xz, eof ? LZMA_FINISH : LZMA_RUN);
		r = sink_advance(s, WRITER_BUFFER - s->n - xz->avail_out, d, e);
		if (r < 0)
			return r;
		if (ret == LZMA_STREAM_END) {
			r = next_stream(in, xz, &eof, e);
			if (r <= 0)
				return r;
			r = start_xz(d, xz, e);
			if (r < 0)
				return r;
		} else if (ret != LZMA_OK) {
			return judge_xz(d, in, ret, e);
		}
	}
}

static int decode_xz(struct decode *d, struct input *in, struct sink *s, struct err *e)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	int r = start_xz(d, &xz, e);

	if (r == 0)
		r = decode_run_xz(d, in, &xz, s, e);
	lzma_end(&xz);
	return r;
}

static int decode_gzip(struct decode *d, struct input *in, struct sink *s, struct err *e)
{
	struct gunzip *g = gunzip_new(in);
	ssize_t n;
	int r;

	do {
		r = sink_space(s, e);
		n = r < 0 ? r : gunzip_read(g, s->buf + s->n, WRITER_BUFFER - s->n, e);
		r = n < 0 ? (int)n : sink_advance(s, (size_t)n, d, e);
	} while (r == 0 && n > 0);
	gunzip_free(g);
	return r;
}

static int drain_zstd(struct decode *d, struct reader *reader, struct sink *s, struct err *e)
{
	la_ssize_t n;
	int r;

	do {
		r = sink_space(s, e);
		if (r < 0)
			return r;
		n = archive_read_data(reader->a, s->buf + s->n, WRITER_BUFFER - s->n);
		if (n < 0)
			return reader_error(reader, e);
		r = sink_advance(s, (size_t)n, d, e);
		if (r < 0)
			return r;
	} while (n > 0);
	if ((uint64_t)archive_filter_bytes(reader->a, -1) != reader->in->total)
		return err_set(e, -EBADMSG, "%s has something after the end of its compressed data", d->name);
	return 0;
}

static int decode_zstd(struct decode *d, struct input *in, struct sink *s, struct err *e)
{
	_cleanup_(reader_done) struct reader reader;
	struct archive_entry *entry;
	int r;

	reader_init(&reader, in);
	archive_read_support_filter_zstd(reader.a);
	archive_read_support_format_raw(reader.a);
	r = reader_open(&reader, e);
	if (r < 0)
		return r;
	if (archive_read_next_header(reader.a, &entry) != ARCHIVE_OK)
		return reader_error(&reader, e);
	return drain_zstd(d, &reader, s, e);
}

static int copy_raw(struct decode *d, struct sink *s, const char *data, size_t n, struct err *e)
{
	while (n) {
		size_t part;
		int r = sink_space(s, e);

		if (r < 0)
			return r;
		part = MIN(n, WRITER_BUFFER - s->n);
		memcpy(s->buf + s->n, data, part);
		r = sink_advance(s, part, d, e);
		if (r < 0)
			return r;
		data += part;
		n -= part;
	}
	return 0;
}

static int decode_raw(struct decode *d, struct input *in, struct sink *s, struct err *e)
{
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = input_read(in, e)) > 0)
		r = copy_raw(d, s, in->buf, (size_t)n, e);
	return r < 0 ? r : (int)n;
}

typedef int (*decode_fn)(struct decode *d, struct input *in, struct sink *s, struct err *e);

static const decode_fn decoders[CODEC_COUNT] = {
	[CODEC_XZ] = decode_xz,
	[CODEC_ZSTD] = decode_zstd,
	[CODEC_GZIP] = decode_gzip,
};

/* Known only to be refused by name. */
static const struct {
	const char *magic, *name;
} foreign[] = {
	{ "PK\x03\x04", "zip" }, { "BZh", "bzip2" },	      { "7z\xbc\xaf\x27\x1c", "7-zip" },
	{ "QFI\xfb", "qcow2" },	 { "<!DOCTYPE", "web page" }, { "<html", "web page" },
};

static int choose(const struct decode *d, decode_fn *ret, struct err *e)
{
	char head[16] = { 0 };
	enum codec codec;
	ssize_t n;

	if (d->growing)
		growing_wait(d->growing, sizeof(head) - 2); /* what goes wrong is told by the first read */
	n = pread(d->in, head, sizeof(head) - 1, 0);
	if (n < 0)
		return err_errno(e, -errno, "cannot read %s", d->name);
	if (n == 0)
		return err_set(e, -ENODATA, "%s is empty", d->name);
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (starts_with(head, foreign[i].magic))
			return err_set(e, -EINVAL, "%s is a %s file; pibuild reads .img as it is or with one of: %s",
				       d->name, foreign[i].name, codec_suffixes());
	codec = codec_of_head(head, (size_t)n);
	*ret = codec == CODEC_COUNT ? decode_raw : decoders[codec];
	return 0;
}

static int decode_to(struct decode *d, struct input *in, decode_fn run, struct sink *s, struct err *e)
{
	int r = d->write ? writer_start_fn(&s->writer, d->write, d->write_arg, e)
			 : writer_start(&s->writer, d->outs, d->n_outs, d->watch, e);

	if (r == 0)
		r = run(d, in, s, e);
	if (r == 0)
		r = sink_finish(s, e);
	if (r == 0 && d->exact_size && s->size != d->exact_size)
		r = err_class(e, CLASS_VERIFY, "%s holds %llu bytes, the lock states %llu", d->name,
			      (unsigned long long)s->size, (unsigned long long)d->exact_size);
	return r;
}

int decode_is_raw(const struct decode *d, bool *ret, struct err *e)
{
	decode_fn run = NULL;
	int r = choose(d, &run, e);

	*ret = run == decode_raw;
	return r;
}

int decode_image(struct decode *d, struct err *e)
{
	_cleanup_(sink_done) struct sink s = { 0 };
	_cleanup_(input_done) struct input in;
	decode_fn run = NULL;
	struct err hashing;
	int r;

	d->sha256[0] = '\0';
	if (!d->memory)
		d->memory = threading_memory;
	if (!d->max_size)
		d->max_size = LARGEST_IMAGE;
	input_init(&in, d->in, d->name);
	in.growing = d->growing;
	in.progress = d->progress;
	in.progress_arg = d->progress_arg;
	r = choose(d, &run, e);
	if (r == 0)
		r = decode_to(d, &in, run, &s, e);
	d->size = s.size;
	/* Damaged data is hashed to its end too: a wrong digest is the better explanation. */
	if (r == 0)
		return input_finish(&in, d->sha256, e);
	if (r != -EINTR)
		input_finish(&in, d->sha256, &hashing);
	return r;
}
