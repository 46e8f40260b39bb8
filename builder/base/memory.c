/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's functions for memory, for the whole program and every library in it.
 *
 * What cannot be had ends the run with words, here, in one place. Libraries do not survive it: libfdisk asserts,
 * libext2fs follows NULL, libjansson leaves out what it could not copy, and a caller takes the failure for a fault of
 * what it read. An end here is like a kill -9, which leaves nothing under a final name.
 *
 * What is given back is wiped: tokens and keys pass through strings of libyaml, libcrypto, libcurl and our own, and
 * none of them wipes its copies.
 *
 * The next malloc is asked for, not the C library's by another name: a debugger's or a test's may lie between.
 */
#include "base/util.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

#include "base/sig.h"

void out_of_memory(void)
{
	sig_die("out of memory: the run ends here, and what it was making is unfinished; end other programs, or lift the limit that `ulimit -v` shows, and run it again",
		"");
}

#ifndef PIBUILD_SANITIZED /* which bring their own, and end with words too */

static void *next_function(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		abort();
	return f;
}

/* The function of that name after ours; looked up at the first call, which comes before there are threads. */
#define NEXT(type, name, ...)                                                                                          \
	({                                                                                                             \
		static type (*next_)(__VA_ARGS__);                                                                     \
		if (!next_)                                                                                            \
			*(void **)&next_ = next_function(name);                                                        \
		next_;                                                                                                 \
	})

/* More than any machine has: a number that somebody made up, which whoever asked gets to refuse. */
static const size_t made_up = 1ull << 40;

static void *have(void *p, size_t n)
{
	if (!p && n < made_up)
		out_of_memory();
	return p;
}

void *malloc(size_t n)
{
	return have(NEXT(void *, "malloc", size_t)(n), n);
}

void *calloc(size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		all = SIZE_MAX;
	return have(NEXT(void *, "calloc", size_t, size_t)(n, size), all);
}

/* From here on the C library gives a block back to the kernel, which wipes it (mallopt(3), M_MMAP_THRESHOLD); most of
 * such a block was perhaps never touched. */
static const size_t kernels = 32 * MIB;

void free(void *p)
{
	int kept = errno;
	size_t n = p ? malloc_usable_size(p) : 0;

	if (!p)
		return;
	if (n < kernels)
		explicit_bzero(p, n);
	NEXT(void, "free", void *)(p);
	errno = kept;
}

/* The C library's would leave the old bytes where it moves from. */
void *realloc(void *old, size_t n)
{
	size_t size = old ? malloc_usable_size(old) : 0;
	void *p;

	if (old && n && n <= size && n >= size / 2)
		return old;
	p = n || !old ? malloc(n) : NULL;
	if (n && !p)
		return NULL;
	if (old && p)
		memcpy(p, old, MIN(n, size));
	free(old);
	return p;
}

void *aligned_alloc(size_t align, size_t n)
{
	return have(NEXT(void *, "aligned_alloc", size_t, size_t)(align, n), n);
}

void *memalign(size_t align, size_t n)
{
	return have(NEXT(void *, "memalign", size_t, size_t)(align, n), n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	int r = NEXT(int, "posix_memalign", void **, size_t, size_t)(p, align, n);

	if (r == ENOMEM && n < made_up)
		out_of_memory();
	return r;
}

#endif
