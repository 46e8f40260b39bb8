/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "base/err.h"

enum { PAGE = 4096 };

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

void strbuf_done(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){ 0 };
}

char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	snprintf(buf, SIZE_TEXT_MAX, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return buf;
}

/* U+202A to U+202E and U+2066 to U+2069: what follows would be shown from right to left. */
static bool turns_text(const unsigned char *c)
{
	return c[0] == 0xe2 &&
	       ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) || (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

static char *clean(char *s, const char *kept)
{
	for (unsigned char *c = (unsigned char *)s; *c; c++) {
		if ((*c < 0x20 || *c == 0x7f) && !strchr(kept, *c))
			*c = '?';
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
		else if (turns_text(c))
			c[0] = c[1] = c[2] = '?';
	}
	return s;
}

char *clean_text(char *s)
{
	return clean(s, "");
}

char *clean_lines(char *s)
{
	return clean(s, "\n\t");
}

char *clean_copy(const char *s)
{
	return clean_text(arena_strdup(s));
}

const char *shell_word(const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,-";
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (*word && strspn(word, plain) == strlen(word))
		return word;
	strbuf_adds(&b, "'");
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			strbuf_adds(&b, "'\\''");
		else
			strbuf_add(&b, p, 1);
	}
	strbuf_adds(&b, "'");
	return arena_strdup(b.s);
}

static size_t edit_distance(const char *a, const char *b)
{
	enum { LIMIT = 64 };
	size_t n = strlen(a), m = strlen(b), row[LIMIT + 1], before[LIMIT + 1] = { 0 };

	if (n > LIMIT || m > LIMIT)
		return LIMIT;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0], above = 0, corner;

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			/* Two letters that changed places are one slip. */
			corner = above;
			above = before[j - 1];
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, corner + 1);
			before[j - 1] = diagonal;
			diagonal = row[j];
			row[j] = MIN(best, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[m];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
	size_t best = MAX(strlen(word) / 3, 1) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = strcasecmp(word, candidates[i]) == 0 ? 0 : edit_distance(word, candidates[i]);

		if (d < best) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
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

bool word_in(const char *list, const char *word, size_t n)
{
	for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (strcspn(at, " ") == n && !memcmp(at, word, n))
			return true;
	return false;
}

int text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int text_order_at(const void *a, const void *b, void *offset)
{
	return text_order((const char *)a + *(const size_t *)offset, (const char *)b + *(const size_t *)offset);
}

void sort_by_text(void *v, size_t n, size_t size, size_t offset)
{
	if (n)
		qsort_r(v, n, size, text_order_at, &offset);
}

static const char utc_form[] = "%Y-%m-%dT%H:%M:%SZ";

const char *percent_encoded(const char *text, const char *kept)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };

	for (const char *p = text; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		    strchr(kept, *p))
			strbuf_add(&out, p, 1);
		else
			strbuf_addf(&out, "%%%02X", (unsigned char)*p);
	return arena_strdup(str_or(out.s, ""));
}

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
