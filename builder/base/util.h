/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory, cleanup attributes and small macros. Out of memory ends the program with one line, so no allocation, a
 * library's neither, needs a check (memory.c). What lives as long as the run comes from the arena and is never freed.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)      ((a) < (b) ? (a) : (b))
#define MAX(a, b)      ((a) > (b) ? (a) : (b))
#define KIB	       1024ull
#define MIB	       (1024ull * 1024)
#define GIB	       (1024ull * 1024 * 1024)

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _unused_       __attribute__((unused))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
static inline const char *str_or(const char *s, const char *fallback)
{
	return s ? s : fallback;
}
static inline bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}
static inline bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && streq(s + n - m, suffix);
}

/* Heap; never return NULL. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
/* The one line that the program ends with; for libraries that tell it in a way of their own. */
_Noreturn void out_of_memory(void);

/* The arena of the run: zeroed memory, freed by nobody until arena_done() at exit. Thread safe. */
void *arena_alloc(size_t n);
char *arena_strdup(const char *s);
char *arena_strndup(const char *s, size_t n);
char *arena_printf(const char *fmt, ...) _printf_(1, 2);
char *arena_vprintf(const char *fmt, va_list ap) _printf_(1, 0);
void arena_done(void);
/* For what is done again and again, without an end: all that came after the mark goes. Nothing looks at it any more
 * then, and no thread is at work. */
struct arena_mark {
	const void *chunk;
	size_t used;
};
struct arena_mark arena_mark(void);
void arena_release(struct arena_mark m);
#define arena_new(type) ((type *)arena_alloc(sizeof(type)))

/* Growing arrays on the arena: `struct { T *v; size_t n, cap; } a; *vec_push(&a) = x;` One copied as a value shares the
 * items, until one of both grows: only one may be pushed to after that. */
#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *v;                                                                                               \
		size_t n, cap;                                                                                         \
	}
#define vec_push(a)	  ((a)->v = arena_grow((a)->v, (a)->n, &(a)->cap, sizeof(*(a)->v)), &(a)->v[(a)->n++])
#define vec_foreach(p, a) for (typeof((a)->v + 0) p = (a)->v; p && p < (a)->v + (a)->n; p++)
/* Sorts one: by ORDER as qsort() takes it, or by the bytes of MEMBER, a text. */
#define vec_sort(a, order)     ((a)->n ? qsort((a)->v, (a)->n, sizeof(*(a)->v), order) : (void)0)
#define vec_sort_by(a, member) sort_by_text((a)->v, (a)->n, sizeof(*(a)->v), offsetof(typeof(*(a)->v), member))
void sort_by_text(void *v, size_t n, size_t size, size_t offset);
void *arena_grow(void *old, size_t n, size_t *cap, size_t size);
/* The one of texts, which is handed around. */
struct text_list {
	const char **v;
	size_t n, cap;
};

static inline void freep(void *p)
{
	free(*(void **)p);
}
static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _cleanup_free_	 _cleanup_(freep)
#define _cleanup_close_	 _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

/* Hands ownership of a descriptor to the caller: the variable forgets it. */
static inline int take_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* The same for a pointer: yields what *P holds, of its type, and leaves NULL. */
#define take_ptr(p)                                                                                                    \
	({                                                                                                             \
		typeof(*(p)) taken_ = *(p);                                                                            \
		*(p) = NULL;                                                                                           \
		taken_;                                                                                                \
	})

/* For interfaces older than const (exec's argv), and for one accessor of both: nobody writes through what comes out
 * that could not write before. */
static inline void *unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

/* Growing byte string; always NUL terminated once anything was added. strbuf_done() frees. */
struct strbuf {
	char *s;
	size_t n, cap;
};
void strbuf_add(struct strbuf *b, const void *data, size_t n);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
/* Adds TEXT, and SEPARATOR before it unless it is the first. */
void strbuf_item(struct strbuf *b, const char *separator, const char *text);
void strbuf_done(struct strbuf *b);
#define _cleanup_strbuf_ _cleanup_(strbuf_done)

/* ---- time ---- */

/* Seconds since 1970 as "2026-10-07T00:00:00Z", on the arena. */
const char *utc_text(int64_t t);
/* The same in another FORM of strftime(); "never" of a year that no calendar has. */
const char *utc_as(const char *form, int64_t t) __attribute__((format(strftime, 1, 0)));
/* Back; false when S is written otherwise. */
bool utc_parse(const char *s, int64_t *ret);

/* $SOURCE_DATE_EPOCH, or FALLBACK when it is not set. Class USAGE when it is no time. */
struct err;
int source_date_epoch(int64_t fallback, int64_t *ret, struct err *e);

/* Monotonic seconds. */
double now_seconds(void);

/* ---- text.c ---- */

/* "1.2 GiB", "71.4 MiB", "12 B". Returns BUF. */
#define SIZE_TEXT_MAX 32
char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX]);

/* The code of the UTF-8 character at *S, which moves behind it; never behind a NUL. What is no UTF-8 has any code. */
uint32_t next_character(const char **s);
/* C commands a terminal (DEL, C1), turns text round, or is not seen: wide blanks, joiners and the like. */
bool character_unseen(uint32_t c);
/* Puts '?' for each of them, and for what else is below a blank (C0). Returns S. */
char *clean_text(char *s);
/* The same, but for newlines and tabs, which texts of several lines have. */
char *clean_lines(char *s);
/* As clean_text() of a copy, on the arena. */
char *clean_copy(const char *s);

/* WORD as one word of a POSIX shell, for commands in messages: as it is, or in single quotes. On the arena. */
const char *shell_word(const char *word);

/* TEXT with all but ASCII letters, digits and the characters in KEPT as %XX (RFC 3986), on the arena. UNRESERVED is
 * what that calls so beside letters and digits. */
#define UNRESERVED "-._~"
const char *percent_encoded(const char *text, const char *kept);

/* PART goes over the parts of TEXT, which is cut up, between characters of SEPARATORS; none is empty. */
#define text_foreach(part, text, separators)                                                                           \
	for (char *part##_rest = NULL, *part = strtok_r(text, separators, &part##_rest); part;                         \
	     part = strtok_r(NULL, separators, &part##_rest))

/* The first N bytes of WORD are one of the words of LIST, which blanks part. */
bool word_in(const char *list, const char *word, size_t n);

/* Of N candidates the one nearest to WORD by edit distance, or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);
/* SEPARATOR and "did you mean NEAR?"; "" where NEAR is NULL. On the arena. */
const char *did_you_mean(const char *separator, const char *near);

/* For qsort() over texts: by their bytes. */
int text_order(const void *a, const void *b);

#endif
