/* SPDX-License-Identifier: Apache-2.0 */
/* What all encoders do: read, hash, write, count cores. */
#include <sched.h>

#include "archive/encode.h"
#include "base/ahead.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/sig.h"

static const uint64_t memory = 208 * MIB;

static ssize_t encode_source(void *arg, void *buf, size_t n, struct err *e)
{
	struct encode_stream *s = arg;
	int r = s->x->read(s->x->read_arg, buf, n, s->from);

	if (r < 0)
		return err_errno(e, r, "cannot read the image to compress into %s", s->x->name);
	sha256_update(&s->raw, buf, n);
	s->from += n;
	return (ssize_t)n;
}

int encode_begin(struct encode_stream *s, struct err *e)
{
	sha256_init(&s->raw);
	sha256_init(&s->packed);
	return ahead_start(&s->ahead, encode_source, s, s->x->size, e);
}

void encode_end(struct encode_stream *s)
{
	ahead_stop(s->ahead);
	sha256_final(&s->raw, s->x->raw_sha256);
	sha256_final(&s->packed, s->x->sha256);
}

int encode_read(struct encode_stream *s, void *buf, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = ahead_read(s->ahead, (char *)buf + done, n - done, e);

		if (got < 0)
			return (int)got;
		done += (size_t)got;
	}
	s->at += n;
	if (s->x->progress)
		s->x->progress(s->x->progress_arg, s->at);
	return sig_check(e);
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
