/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw image to .xz or .zst. Both libraries cut the input into jobs of a fixed size and put the results together in
 * order, so the number of threads changes only the time: with one core too the threaded encoder is taken.
 */
#include <errno.h>
#include <lzma.h>
#include <zstd.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/sig.h"

enum { CHUNK = 1024 * 1024, XZ_TIMEOUT_MS = 250, XZ_PRESET = 3, ZST_LEVEL = 9, MAX_THREADS = 64 };
/* Twice the window of either: larger ones save less than 1 % and keep four cores from the promised peak. */
static const uint64_t job_size = 8 * MIB, memory = 200 * MIB;
/* zstd states no need for several threads: at this level a job takes 8 MiB in and as much out, its tables 24 MiB. */
static const uint64_t zst_thread_memory = 48 * MIB;

struct encode_stream {
	struct encode *x;
	unsigned char *in, *out; /* CHUNK bytes each */
	uint64_t at;		 /* raw bytes read */
	struct sha256 raw, packed;
};

/* The next bytes of the image; 0 = its end. */
static int next_in(struct encode_stream *s, size_t *ret_n, struct err *e)
{
	size_t n = (size_t)MIN(s->x->size - s->at, (uint64_t)CHUNK);
	int r = s->x->read(s->x->read_arg, s->in, n, s->at);

	if (r < 0)
		return err_errno(e, r, "cannot read the image to compress into %s", s->x->name);
	sha256_update(&s->raw, s->in, n);
	s->at += n;
	if (s->x->progress)
		s->x->progress(s->x->progress_arg, s->at);
	*ret_n = n;
	return sig_check(e);
}

static int put_out(struct encode_stream *s, size_t n, struct err *e)
{
	int r = write_all(s->x->out, s->out, n);

	sha256_update(&s->packed, s->out, n);
	return r < 0 ? err_errno(e, r, "cannot write %s", s->x->name) : 0;
}

static unsigned cores(void)
{
	return MIN(MAX(lzma_cputhreads(), 1u), (unsigned)MAX_THREADS);
}

/* ---- xz ---- */

static int run_xz(struct encode_stream *s, lzma_stream *xz, struct err *e)
{
	lzma_ret ret = LZMA_OK;
	int r = 0;

	while (ret == LZMA_OK && r == 0) {
		bool end = s->at == s->x->size;

		if (!xz->avail_in && !end) {
			r = next_in(s, &xz->avail_in, e);
			xz->next_in = s->in;
			continue;
		}
		xz->next_out = s->out;
		xz->avail_out = CHUNK;
		ret = lzma_code(xz, end ? LZMA_FINISH : LZMA_RUN);
		r = put_out(s, CHUNK - xz->avail_out, e);
		if (r == 0)
			r = sig_check(e);
	}
	if (r == 0 && ret != LZMA_STREAM_END)
		return err_set(e, ret == LZMA_MEM_ERROR ? -ENOMEM : -EIO, "liblzma cannot compress %s (error %d)",
			       s->x->name, (int)ret);
	return r;
}

static int encode_xz(struct encode_stream *s, struct err *e)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	lzma_mt mt = { .threads = cores(),
		       .block_size = job_size,
		       .timeout = XZ_TIMEOUT_MS, /* else a signal waits for a whole block */
		       .preset = XZ_PRESET,
		       .check = LZMA_CHECK_CRC64 };
	int r;

	while (mt.threads > 1 && lzma_stream_encoder_mt_memusage(&mt) > memory)
		mt.threads--;
	if (lzma_stream_encoder_mt(&xz, &mt) != LZMA_OK)
		return err_set(e, -ENOMEM, "there is not enough memory to compress %s", s->x->name);
	r = run_xz(s, &xz, e);
	lzma_end(&xz);
	return r;
}

/* ---- zstd ---- */

static int zst_fault(const struct encode_stream *s, size_t code, struct err *e)
{
	return err_set(e, -EIO, "libzstd cannot compress %s: %s", s->x->name, ZSTD_getErrorName(code));
}

/* One piece of input until it is taken in, or with END until all is out. */
static int push_zst(struct encode_stream *s, ZSTD_CCtx *z, size_t n, bool end, struct err *e)
{
	ZSTD_inBuffer in = { s->in, n, 0 };
	size_t left;
	int r;

	do {
		ZSTD_outBuffer out = { s->out, CHUNK, 0 };

		left = ZSTD_compressStream2(z, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return zst_fault(s, left, e);
		r = put_out(s, out.pos, e);
		if (r == 0)
			r = sig_check(e);
	} while (r == 0 && (end ? left > 0 : in.pos < in.size));
	return r;
}

static int run_zst(struct encode_stream *s, ZSTD_CCtx *z, struct err *e)
{
	int r = 0;

	while (s->at < s->x->size && r == 0) {
		size_t n;

		r = next_in(s, &n, e);
		if (r == 0)
			r = push_zst(s, z, n, s->at == s->x->size, e);
	}
	return r;
}

static int encode_zst(struct encode_stream *s, struct err *e)
{
	const struct {
		ZSTD_cParameter p;
		int value;
	} set[] = {
		{ ZSTD_c_compressionLevel, ZST_LEVEL },
		{ ZSTD_c_checksumFlag, 1 },
		/* 0 would be another encoder, with other bytes. */
		{ ZSTD_c_nbWorkers, (int)MIN(cores(), (unsigned)(memory / zst_thread_memory)) },
		{ ZSTD_c_jobSize, (int)job_size },
	};
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t code = 0;
	int r;

	if (!z)
		return err_set(e, -ENOMEM, "there is not enough memory to compress %s", s->x->name);
	for (size_t i = 0; i < ARRAY_SIZE(set) && !ZSTD_isError(code); i++)
		code = ZSTD_CCtx_setParameter(z, set[i].p, set[i].value);
	if (!ZSTD_isError(code))
		code = ZSTD_CCtx_setPledgedSrcSize(z, s->x->size);
	r = ZSTD_isError(code) ? zst_fault(s, code, e) : run_zst(s, z, e);
	ZSTD_freeCCtx(z);
	return r;
}

int encode_image(struct encode *x, struct err *e)
{
	static int (*const run[ENCODE_KIND_COUNT])(struct encode_stream *, struct err *) = { encode_xz, encode_zst };
	_cleanup_free_ unsigned char *in = xmalloc(CHUNK), *out = xmalloc(CHUNK);
	struct encode_stream s = { .x = x, .in = in, .out = out };
	int r;

	sha256_init(&s.raw);
	sha256_init(&s.packed);
	r = run[x->kind](&s, e);
	sha256_final(&s.raw, x->raw_sha256);
	sha256_final(&s.packed, x->sha256);
	return r;
}
