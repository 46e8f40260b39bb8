/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "base/err.h"

enum { PAGE = 4096 };

/* ---- heap ---- */

/* What base/memory.c does not see: under the sanitizers, and sizes that are no memory's. */
static void *checked(void *p)
{
	if (!p)
		out_of_memory();
	return p;
}

void *xmalloc(size_t n)
{
	return checked(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return checked(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
	return checked(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
	return checked(strdup(s));
}

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory();
	return s;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = format(fmt, ap);
	va_end(ap);
	return s;
}

/* ---- arena ---- */

/* Where secrets lie as long as the run: kept off the swap as far as the limit for that goes (RLIMIT_MEMLOCK, 8 MiB),
 * and out of core dumps. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	max_align_t data[];
};

static struct chunk *arena;
static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;

void *arena_alloc(size_t n)
{
	struct chunk *c;
	void *p;

	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	pthread_mutex_lock(&arena_lock);
	if (!arena || arena->size - arena->used < n) {
		size_t size = (sizeof(*c) + MAX(n, 64 * KIB) + PAGE - 1) / PAGE * PAGE;

		c = checked(aligned_alloc(PAGE, size));
		memset(c, 0, size);
		mlock(c, size);
		madvise(c, size, MADV_DONTDUMP);
		c->size = size - sizeof(*c);
		c->next = arena;
		arena = c;
	}
	p = (char *)arena->data + arena->used;
	arena->used += n;
	pthread_mutex_unlock(&arena_lock);
	return p;
}

char *arena_strndup(const char *s, size_t n)
{
	char *p = arena_alloc(n + 1);

	memcpy(p, s, n);
	return p;
}

char *arena_strdup(const char *s)
{
	return arena_strndup(s, strlen(s));
}

char *arena_vprintf(const char *fmt, va_list ap)
{
	_cleanup_free_ char *s = format(fmt, ap);

	return arena_strdup(s);
}

char *arena_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = arena_vprintf(fmt, ap);
	va_end(ap);
	return s;
}

void *arena_grow(void *old, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return old;
	*cap = *cap ? *cap * 2 : 8;
	p = arena_alloc(*cap * size);
	if (n)
		memcpy(p, old, n * size);
	return p;
}

struct arena_mark arena_mark(void)
{
	return (struct arena_mark){ arena, arena ? arena->used : 0 };
}

void arena_release(struct arena_mark m)
{
	while (arena != m.chunk) {
		struct chunk *c = arena;

		arena = c->next;
		explicit_bzero(c->data, c->used);
		munlock(c, sizeof(*c) + c->size);
		madvise(c, sizeof(*c) + c->size, MADV_DODUMP);
		free(c);
	}
	if (!arena)
		return;
	explicit_bzero((char *)arena->data + m.used, arena->used - m.used);
	arena->used = m.used;
}

void arena_done(void)
{
	arena_release((struct arena_mark){ 0 });
}

/* ---- growing byte strings ---- */

void strbuf_add(struct strbuf *b, const void *data, size_t n)
{
	if (b->n + n + 1 > b->cap) {
		b->cap = MAX(b->cap * 2, b->n + n + 64);
		b->s = xrealloc(b->s, b->cap);
	}
	if (n)
		memcpy(b->s + b->n, data, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void strbuf_adds(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = format(fmt, ap);
	va_end(ap);
	strbuf_adds(b, s);
}

void strbuf_item(struct strbuf *b, const char *separator, const char *text)
{
	if (b->n)
		strbuf_adds(b, separator);
	strbuf_adds(b, text);
}

void strbuf_done(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){ 0 };
}

/* ---- time ---- */

static const char utc_form[] = "%Y-%m-%dT%H:%M:%SZ";

/* FORM is looked at where it is given: the header says whose it is. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
const char *utc_as(const char *form, int64_t t)
{
	time_t when = (time_t)t;
	char text[64];
	struct tm tm;

	return gmtime_r(&when, &tm) && strftime(text, sizeof(text), form, &tm) ? arena_strdup(text) : "never";
}
#pragma GCC diagnostic pop

const char *utc_text(int64_t t)
{
	return utc_as(utc_form, t);
}

bool utc_parse(const char *s, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, utc_form, &tm);
	int64_t t = end ? timegm(&tm) : -1;

	/* Neither other ways to write it nor a 30th of February. */
	if (t < 0 || *end || !streq(utc_text(t), s))
		return false;
	*ret = t;
	return true;
}

int source_date_epoch(int64_t fallback, int64_t *ret, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	*ret = fallback;
	if (!text || !*text)
		return 0;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end || *ret <= 0 || *ret > UINT32_MAX)
		return err_class(
			e, CLASS_USAGE,
			"SOURCE_DATE_EPOCH is '%s': it must be seconds since 1970, from 1 to %u; unset it to use the lock's time",
			text, UINT32_MAX);
	return 0;
}

double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
