/* SPDX-License-Identifier: Apache-2.0 */
/* A stream that is read ahead: the same bytes, ends and errors as without. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include "base/ahead.h"
#include "check.h"

/* In the place of the C library's: with this set there is no thread to be had. */
static bool no_threads;
int pthread_create(pthread_t *restrict ret, const pthread_attr_t *restrict attr, void *(*run)(void *),
		   void *restrict arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return no_threads ? EAGAIN : real(ret, attr, run, arg);
}

struct stream {
	uint64_t at, fails_at, ends_at; /* bytes */
	size_t most;			/* at once */
};

/* The byte at I is I modulo 251. */
static ssize_t read_stream(void *arg, void *buf, size_t n, struct err *e)
{
	struct stream *s = arg;
	unsigned char *to = buf;

	n = MIN(n, MIN(s->most, s->ends_at - s->at));
	if (s->at >= s->fails_at)
		return err_set(e, -EBADMSG, "it breaks at %llu", (unsigned long long)s->at);
	n = MIN(n, s->fails_at - s->at);
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)((s->at + i) % 251);
	s->at += n;
	return (ssize_t)n;
}

/* Bytes that came and were right, up to the first that was not. */
static uint64_t take(struct ahead *a, uint64_t limit, ssize_t *last, struct err *e)
{
	static unsigned char buf[70000];
	uint64_t done = 0;

	while (done < limit && (*last = ahead_read(a, buf, sizeof(buf), e)) > 0)
		for (ssize_t i = 0; i < *last; i++, done++)
			if (buf[i] != done % 251)
				return done;
	return done;
}

int main(void)
{
	const uint64_t size = 9 * MIB + 7;
	struct err e = { 0 };
	struct ahead *a;
	ssize_t last = 0;

	CASE("all bytes come in order, then the end; nothing beyond them is asked for")
	{
		static const size_t most[] = { 1000, 65536, 3 * MIB };

		for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
			struct stream s = { .fails_at = size + 1, .ends_at = UINT64_MAX, .most = most[i] };

			CHECK_ERR(ahead_start(&a, read_stream, &s, size, &e), 0);
			CHECK_INT(take(a, UINT64_MAX, &last, &e), size);
			CHECK_INT(last, 0);
			ahead_stop(a);
			CHECK_INT(s.at, size);
		}
	}
	CASE("a stream that ends early ends early, one that breaks gives its error after what was good")
	{
		struct stream s = { .fails_at = UINT64_MAX, .ends_at = 5 * MIB + 1, .most = MIB };

		CHECK_ERR(ahead_start(&a, read_stream, &s, size, &e), 0);
		CHECK_INT(take(a, UINT64_MAX, &last, &e), 5 * MIB + 1);
		CHECK_INT(last, 0);
		ahead_stop(a);
		s = (struct stream){ .fails_at = 2 * MIB + 3, .ends_at = UINT64_MAX, .most = MIB };
		CHECK_ERR(ahead_start(&a, read_stream, &s, size, &e), 0);
		CHECK_INT(take(a, UINT64_MAX, &last, &e), 2 * MIB + 3);
		CHECK_INT(last, -EBADMSG);
		CHECK_STR(e.msg, "it breaks at 2097155");
		ahead_stop(a);
	}
	CASE("whoever has enough stops, at any time")
	{
		for (uint64_t limit = 0; limit < 6 * MIB; limit += 2 * MIB) {
			struct stream s = { .fails_at = UINT64_MAX, .ends_at = UINT64_MAX, .most = MIB };

			CHECK_ERR(ahead_start(&a, read_stream, &s, size, &e), 0);
			CHECK(take(a, limit, &last, &e) >= limit);
			ahead_stop(a);
		}
	}
	CASE("nothing to read is the end")
	{
		struct stream s = { .fails_at = 0 };

		CHECK_ERR(ahead_start(&a, read_stream, &s, 0, &e), 0);
		CHECK_INT(take(a, UINT64_MAX, &last, &e), 0);
		CHECK_INT(last, 0);
		ahead_stop(a);
	}
	CASE("a thread that cannot be had is told with the limit, and as the machine's")
	{
		struct stream s = { .fails_at = 0 };

		no_threads = true;
		CHECK_ERR(ahead_start(&a, read_stream, &s, 1, &e), EAGAIN);
		CHECK(strstr(e.msg, "`ulimit -u`") && err_is_machines(&e));
		no_threads = false;
	}
	return check_done();
}
