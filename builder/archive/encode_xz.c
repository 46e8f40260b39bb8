/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw image to .xz, block by block: https://tukaani.org/xz/xz-file-format.txt. The layout is decided by the base
 * alone, so the bytes are the same wherever they are made: where the base is an .xz of one stream, its blocks come
 * first. Those that hold the same bytes in the image are taken over as they are; everything else becomes blocks of
 * our own.
 *
 *	stream header | block taken | block | block | block taken | ... | index | footer
 *
 * One thread reads, others compress, each writes its block when its turn comes.
 */
#include <errno.h>
#include <lzma.h>
#include <pthread.h>

#include "archive/encode.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/sig.h"

enum { XZ_PRESET = 3, STEP = 256 * 1024 };

/* A block to be. */
struct xz_piece {
	uint64_t start, n; /* bytes of the image */
	uint64_t from, total,
		hashed; /* where and how long it is in the base's file, and its size without padding; 0 = ours */
	unsigned turn;
};

struct xz_out {
	struct encode_stream *s;
	lzma_stream_flags flags;
	lzma_filter filters[2];
	lzma_options_lzma options;
	lzma_index *index;
	VEC(struct xz_piece) pieces;

	bool takes;	    /* blocks of the base */
	struct sha256 base; /* of its file, read up to AT */
	uint64_t at;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned turn; /* whose it is to write */
	bool failed;
};

static int xz_fault(const struct xz_out *x, lzma_ret ret, struct err *e)
{
	return err_set(e, ret == LZMA_MEM_ERROR ? -ENOMEM : -EIO, "liblzma cannot compress %s (error %d)",
		       x->s->x->name, (int)ret);
}

/* ---- the layout ---- */

static void add_ours(struct xz_out *x, uint64_t start, uint64_t end)
{
	for (; start < end; start += ENCODE_JOB)
		*vec_push(&x->pieces) = (struct xz_piece){ .start = start, .n = MIN(end - start, ENCODE_JOB) };
}

/* The index of the base in RET; NULL = it is no .xz. What the machine cannot do is no answer: the layout would be
 * another. */
static int read_index(const struct xz_out *x, lzma_index **ret, struct err *e)
{
	int fd = x->s->x->base ? x->s->x->base->fd : -1, r = 0;
	_cleanup_free_ uint8_t *buf = xmalloc(STEP);
	lzma_stream xz = LZMA_STREAM_INIT;
	lzma_index *index = NULL;
	lzma_ret code;
	struct stat st;
	uint64_t at = 0;

	*ret = NULL;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the base");
	code = lzma_file_info_decoder(&xz, &index, ENCODE_INDEX_MEMORY, (uint64_t)st.st_size);
	while (code == LZMA_OK || code == LZMA_SEEK_NEEDED) {
		if (code == LZMA_SEEK_NEEDED)
			at = xz.seek_pos;
		if (code == LZMA_SEEK_NEEDED || xz.avail_in == 0) {
			size_t n = at < (uint64_t)st.st_size ? (size_t)MIN((uint64_t)st.st_size - at, (uint64_t)STEP)
							     : 0;

			r = n ? pread_all(fd, buf, n, at) : 0;
			if (n == 0 || r < 0)
				break;
			at += n;
			xz.next_in = buf;
			xz.avail_in = n;
		}
		code = lzma_code(&xz, LZMA_RUN);
	}
	lzma_end(&xz);
	if (code == LZMA_STREAM_END)
		*ret = index;
	if (code == LZMA_MEM_ERROR)
		return xz_fault(x, code, e);
	return r < 0 ? err_errno(e, r, "cannot read the base") : 0;
}

/* The blocks of the base as far as the image goes; where they end. */
static uint64_t lay_out_base(struct xz_out *x, const lzma_index *index)
{
	const struct encode *en = x->s->x;
	lzma_index_iter i;
	uint64_t end = 0;

	lzma_index_iter_init(&i, index);
	while (!lzma_index_iter_next(&i, LZMA_INDEX_ITER_NONEMPTY_BLOCK)) {
		uint64_t start = i.block.uncompressed_file_offset, stop = start + i.block.uncompressed_size;

		if (stop > en->size)
			break;
		x->takes = true;
		if (en->base->same(en->base->arg, start, stop))
			*vec_push(&x->pieces) = (struct xz_piece){ .start = start,
								   .n = stop - start,
								   .from = i.block.compressed_file_offset,
								   .total = i.block.total_size,
								   .hashed = i.block.unpadded_size };
		else
			add_ours(x, start, stop);
		x->flags.check = i.stream.flags->check;
		end = stop;
	}
	return end;
}

static int lay_out(struct xz_out *x, struct err *e)
{
	lzma_index *index;
	uint64_t end = 0;
	int r = read_index(x, &index, e);

	if (r < 0)
		return r;
	/* Blocks of different streams may have different checks. */
	if (index && lzma_index_stream_count(index) == 1)
		end = lay_out_base(x, index);
	lzma_index_end(index, NULL);
	add_ours(x, end, x->s->x->size);
	for (size_t i = 0; i < x->pieces.n; i++)
		x->pieces.v[i].turn = (unsigned)i;
	return 0;
}

/* ---- one block ---- */

/* Compresses the N bytes of IN into OUT, which is large enough for anything. */
static int compress_block(const struct xz_out *x, const uint8_t *in, size_t n, uint8_t *out, size_t room,
			  lzma_block *block, struct err *e)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	lzma_ret ret;
	int r = 0;

	/* Both sizes in its header: several threads can decode it. */
	ret = lzma_block_header_size(block);
	if (ret == LZMA_OK)
		ret = lzma_block_encoder(&xz, block);
	xz.next_in = in;
	xz.next_out = out + block->header_size;
	xz.avail_out = room - block->header_size;
	while (ret == LZMA_OK && r == 0) {
		size_t part = MIN(n, (size_t)STEP);

		xz.avail_in += part;
		n -= part;
		ret = lzma_code(&xz, n ? LZMA_RUN : LZMA_FINISH);
		r = sig_check(e);
	}
	lzma_end(&xz);
	if (r == 0 && ret == LZMA_STREAM_END)
		ret = lzma_block_header_encode(block, out);
	return r < 0 || ret == LZMA_OK ? r : xz_fault(x, ret, e);
}

/* True when it is the turn of P; false when another block failed. */
static bool wait_turn(struct xz_out *x, const struct xz_piece *p)
{
	bool mine;

	pthread_mutex_lock(&x->lock);
	while (x->turn != p->turn && !x->failed)
		pthread_cond_wait(&x->changed, &x->lock);
	mine = !x->failed;
	pthread_mutex_unlock(&x->lock);
	return mine;
}

static void end_turn(struct xz_out *x, bool failed)
{
	pthread_mutex_lock(&x->lock);
	x->failed |= failed;
	x->turn++;
	pthread_cond_broadcast(&x->changed);
	pthread_mutex_unlock(&x->lock);
}

static int index_block(struct xz_out *x, uint64_t unpadded, uint64_t n, struct err *e)
{
	lzma_ret ret = lzma_index_append(x->index, NULL, unpadded, n);

	return ret == LZMA_OK ? 0 : xz_fault(x, ret, e);
}

static int put_ours(struct xz_out *x, const struct xz_piece *p, const char *buf, struct err *e)
{
	size_t room = lzma_block_buffer_bound((size_t)p->n);
	_cleanup_free_ uint8_t *out = xmalloc(room);
	lzma_block block = { .check = x->flags.check,
			     .filters = (lzma_filter *)x->filters,
			     .compressed_size = room,
			     .uncompressed_size = p->n };
	int r = compress_block(x, (const uint8_t *)buf, (size_t)p->n, out, room, &block, e);
	bool mine = wait_turn(x, p);

	if (r == 0 && mine)
		r = encode_put(x->s, out, (size_t)lzma_block_total_size(&block), e);
	return r < 0 || !mine ? r : index_block(x, lzma_block_unpadded_size(&block), p->n, e);
}

/* Reads the base's file on to END, all of it into its digest; what lies behind FROM goes out. */
static int pass_base(struct xz_out *x, uint64_t from, uint64_t end, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(STEP);
	int r = 0;

	for (size_t n; r == 0 && x->at < end; x->at += n) {
		n = (size_t)MIN((x->at < from ? MIN(from, end) : end) - x->at, (uint64_t)STEP);
		r = pread_all(x->s->x->base->fd, buf, n, x->at);
		if (r < 0)
			return err_errno(e, r, "cannot read the base");
		sha256_update(&x->base, buf, n);
		if (x->at >= from)
			r = encode_put(x->s, buf, n, e);
	}
	return r;
}

static int put_taken(struct xz_out *x, const struct xz_piece *p, struct err *e)
{
	bool mine = wait_turn(x, p);
	int r = mine ? pass_base(x, p->from, p->from + p->total, e) : 0;

	return r < 0 || !mine ? r : index_block(x, p->hashed, p->n, e);
}

static int put_piece(void *arg, char *buf, const struct pool_item *item, struct err *e)
{
	struct xz_out *x = arg;
	const struct xz_piece *p = item->what;
	int r = p->total ? put_taken(x, p, e) : put_ours(x, p, buf, e);

	end_turn(x, r < 0);
	return r;
}

/* ---- the stream ---- */

static int read_pieces(struct xz_out *x, struct worker_pool *pool, struct err *e)
{
	vec_foreach (p, &x->pieces) {
		char *buf = pool_take(pool);
		uint64_t left = p->n;

		if (!buf)
			return -EIO; /* pool_finish() has the reason */
		while (left) {	     /* a block of the base may be longer than the buffer: only its digest is wanted */
			size_t n = (size_t)MIN(left, (uint64_t)ENCODE_JOB);
			int r = encode_read(x->s, buf, n, e);

			if (r < 0)
				return r;
			left -= n;
		}
		pool_give(pool, (struct pool_item){ .what = p });
	}
	return 0;
}

static int run_pieces(struct xz_out *x, struct err *e)
{
	unsigned threads = encode_threads(lzma_raw_encoder_memusage(x->filters) + 2 * ENCODE_JOB);
	const struct pool_kind kind = {
		.workers = threads, .slots = threads + 1, .size = ENCODE_JOB, .work = put_piece
	};
	struct worker_pool *pool;
	struct err failure = { 0 };
	int r = pool_start(&pool, &kind, x, e), finished;

	if (r < 0)
		return r;
	e->code = 0;
	r = read_pieces(x, pool, e);
	if (r < 0)
		end_turn(x, true);
	finished = pool_finish(pool, &failure);
	if (finished < 0 && (r == 0 || !e->code))
		*e = failure;
	return finished < 0 ? e->code : r;
}

static int put_header(struct xz_out *x, struct err *e)
{
	uint8_t header[LZMA_STREAM_HEADER_SIZE];
	lzma_ret ret = lzma_stream_header_encode(&x->flags, header);

	return ret == LZMA_OK ? encode_put(x->s, header, sizeof(header), e) : xz_fault(x, ret, e);
}

static int put_end(struct xz_out *x, struct err *e)
{
	uint8_t footer[LZMA_STREAM_HEADER_SIZE];
	size_t size = (size_t)lzma_index_size(x->index), n = 0;
	_cleanup_free_ uint8_t *buf = xmalloc(size);
	lzma_ret ret = lzma_index_buffer_encode(x->index, buf, &n, size);
	int r;

	x->flags.backward_size = size;
	if (ret == LZMA_OK)
		ret = lzma_stream_footer_encode(&x->flags, footer);
	if (ret != LZMA_OK)
		return xz_fault(x, ret, e);
	r = encode_put(x->s, buf, n, e);
	return r < 0 ? r : encode_put(x->s, footer, sizeof(footer), e);
}

static int put_stream(struct xz_out *x, struct err *e)
{
	struct encode_base *base = x->s->x->base;
	struct stat st;
	int r = put_header(x, e);

	if (r == 0)
		r = run_pieces(x, e);
	if (r == 0)
		r = put_end(x, e);
	if (r < 0 || !x->takes)
		return r;
	if (fstat(base->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the base");
	r = pass_base(x, UINT64_MAX, (uint64_t)st.st_size, e);
	if (r == 0)
		sha256_final(&x->base, base->sha256);
	return r;
}

int encode_xz(struct encode_stream *s, struct err *e)
{
	struct xz_out x = { .s = s, .flags = { .check = LZMA_CHECK_CRC64 }, .index = lzma_index_init(NULL) };
	int r;

	if (lzma_lzma_preset(&x.options, XZ_PRESET) || !x.index)
		return xz_fault(&x, LZMA_MEM_ERROR, e);
	x.filters[0] = (lzma_filter){ .id = LZMA_FILTER_LZMA2, .options = &x.options };
	x.filters[1] = (lzma_filter){ .id = LZMA_VLI_UNKNOWN };
	pthread_mutex_init(&x.lock, NULL);
	pthread_cond_init(&x.changed, NULL);
	sha256_init(&x.base);
	r = lay_out(&x, e);
	if (r == 0)
		r = put_stream(&x, e);
	sha256_done(&x.base);
	pthread_cond_destroy(&x.changed);
	pthread_mutex_destroy(&x.lock);
	lzma_index_end(x.index, NULL);
	return r;
}
