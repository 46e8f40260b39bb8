/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw image to .xz (encode_xz.c) or .zst. The input is cut into jobs of a fixed size whose results are put together
 * in order, so the number of threads changes only the time: with one core too the threaded encoder is taken.
 */
#include "archive/encode.h"

#include <errno.h>
#include <stdatomic.h>
#include <zstd.h>

#include "base/pool.h"
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

/* The digest of the raw image, by a thread that reads it once more: in step with the compression it would be what all
 * others wait for in the zeros at the image's end, where there is next to nothing to compress. */
struct raw_hash {
	struct encode *x;
	pthread_t thread;
	atomic_bool stop;
	int r;
	struct err e;
};

static void *encode_hash_raw(void *arg)
{
	struct raw_hash *h = arg;
	_cleanup_free_ char *buf = xmalloc(CHUNK);
	struct sha256 hash;

	sha256_init(&hash);
	for (uint64_t at = 0, n; h->r == 0 && at < h->x->size && !h->stop; at += n) {
		n = MIN(h->x->size - at, (uint64_t)CHUNK);
		h->r = h->x->read(h->x->read_arg, buf, (size_t)n, at);
		sha256_update(&hash, buf, (size_t)n);
	}
	sha256_final(&hash, h->x->raw_sha256);
	if (h->r < 0)
		encode_cannot_read(h->x, h->r, &h->e);
	return NULL;
}

int encode_image(struct encode *x, struct err *e)
{
	static int (*const run[ENCODE_KIND_COUNT])(struct encode_stream *, struct err *) = { encode_xz, encode_zst };
	struct encode_stream s = { .x = x };
	struct raw_hash h = { .x = x };
	int r = thread_start(&h.thread, encode_hash_raw, &h, e);

	if (r < 0)
		return r;
	sha256_init(&s.packed);
	r = run[x->kind](&s, e);
	sha256_final(&s.packed, x->sha256);
	h.stop = r < 0;
	pthread_join(h.thread, NULL);
	if (r == 0 && h.r < 0)
		*e = h.e;
	return r < 0 ? r : h.r;
}
