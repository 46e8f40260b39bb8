/* SPDX-License-Identifier: Apache-2.0 */
/* What all encoders do: read, hash, write, count cores. */
#include <sched.h>

#include "archive/encode.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/sig.h"

static const uint64_t memory = 208 * MIB;

int encode_cannot_read(const struct encode *x, int r, struct err *e)
{
	return err_errno(e, r, "cannot read the image to compress into %s", x->name);
}

int encode_skip(struct encode_stream *s, uint64_t n, struct err *e)
{
	s->at += n;
	if (s->x->progress)
		s->x->progress(s->x->progress_arg, s->at);
	return sig_check(e);
}

int encode_read(struct encode_stream *s, void *buf, size_t n, struct err *e)
{
	int r = s->x->read(s->x->read_arg, buf, n, s->at);

	if (r < 0)
		return encode_cannot_read(s->x, r, e);
	return encode_skip(s, n, e);
}

int encode_put(struct encode_stream *s, const void *buf, size_t n, struct err *e)
{
	int r = write_all(s->x->out, buf, n);

	if (r < 0)
		return err_errno(e, r, "cannot write %s", s->x->name);
	sha256_update(&s->packed, buf, n);
	file_write_behind(s->x->out, s->put, s->put + n);
	s->put += n;
	return 0;
}

unsigned encode_threads(uint64_t each)
{
	cpu_set_t set;
	unsigned cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;

	return MAX(MIN(MIN(cores, (unsigned)(memory / each)), (unsigned)POOL_WORKERS_MAX), 1u);
}
