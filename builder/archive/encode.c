/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw image to .xz (encode_xz.c) or .zst. The input is cut into jobs of a fixed size whose results are put together
 * in order, so the number of threads changes only the time: with one core too the threaded encoder is taken.
 */
#include "archive/encode.h"

#include <errno.h>
#include <zstd.h>

#include "base/sig.h"

/* zstd's own level: three times more work saves 3 %. */
enum { CHUNK = 1024 * 1024, ZST_LEVEL = 3 };
/* zstd states no need for several threads: at this level a job takes 8 MiB in and as much out, its tables less. */
static const uint64_t zst_thread_memory = 32 * MIB;

static int zst_fault(const struct encode_stream *s, size_t code, struct err *e)
{
	return err_set(e, -EIO, "libzstd cannot compress %s: %s", s->x->name, ZSTD_getErrorName(code));
}

/* One piece of input until it is taken in, or with END until all is out. */
static int push_zst(struct encode_stream *s, ZSTD_CCtx *z, ZSTD_inBuffer in, void *buf, bool end, struct err *e)
{
	size_t left;
	int r;

	do {
		ZSTD_outBuffer out = { buf, CHUNK, 0 };

		left = ZSTD_compressStream2(z, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return zst_fault(s, left, e);
		r = encode_put(s, buf, out.pos, e);
		if (r == 0)
			r = sig_check(e);
	} while (r == 0 && (end ? left > 0 : in.pos < in.size));
	return r;
}

static int run_zst(struct encode_stream *s, ZSTD_CCtx *z, struct err *e)
{
	_cleanup_free_ void *in = xmalloc(CHUNK), *out = xmalloc(CHUNK);
	int r = 0;

	while (s->at < s->x->size && r == 0) {
		size_t n = (size_t)MIN(s->x->size - s->at, (uint64_t)CHUNK);

		r = encode_read(s, in, n, e);
		if (r == 0)
			r = push_zst(s, z, (ZSTD_inBuffer){ in, n, 0 }, out, s->at == s->x->size, e);
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
		{ ZSTD_c_nbWorkers, (int)encode_threads(zst_thread_memory) },
		{ ZSTD_c_jobSize, (int)ENCODE_JOB },
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
	struct encode_stream s = { .x = x };
	int r = encode_begin(&s, e);

	if (r < 0)
		return r;
	r = run[x->kind](&s, e);
	encode_end(&s);
	return r;
}
