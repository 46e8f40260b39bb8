/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the C library that fails: LD_PRELOAD for tests/faults/run. What is to happen stands in FAULT_FILE, which
 *is mapped, so that what was counted outlives any end of the program:
 *
 *	struct { uint32_t kind, action, value, from; uint64_t at; uint32_t hit, n_within; uint64_t within[64][2];
 *		 uint64_t calls[KIND_COUNT]; }
 *
 * The AT-th call (from 1) of KIND gets ACTION, and with FROM every one after it. A kind is a word of `kinds`: all
 *functions that tell the same of the system, whatever their names. Calls that the C library makes of itself (fopen's
 *open) are those of the function that was called. With N_WITHIN only calls count that are made in, or on behalf of,
 *code of the program between two of its addresses.
 *
 * Every wrapped function takes and gives what fits into registers, and no more than six of them: one wrapper does for
 *all, on any machine where Debian's C library passes those that a prototype hides like those it names (amd64, arm64).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The order is run's KINDS. */
enum kind {
	ALLOC,
	OPEN,
	READ,
	WRITE,
	SYNC,
	CLOSE,
	RENAME,
	LINK,
	UNLINK,
	MKDIR,
	TRUNCATE,
	SEEK,
	FCNTL,
	MMAP,
	FALLOCATE,
	COPY,
	IOCTL,
	STAT,
	RANDOM,
	THREAD,
	FORK,
	PIPE,
	SOCKET,
	CONNECT,
	SEND,
	RECV,
	POLL,
	FOPEN,
	FLUSH,
	OPENDIR,
	READDIR,
	CHMOD,
	FLOCK,
	ACCESS,
	PATH,
	WAIT,
	GET,
	PUT,
	DUP,
	EXEC,
	CHDIR,
	BIND,
	ACCEPT,
	MLOCK,
	BECOME,
	ACCOUNT,
	KIND_COUNT
};

/* SIGNAL happens before the call, which then is made. SHORT is a transfer of half of what was asked for. */
enum action { NOTHING, FAIL, SHORT, SIGNAL };

enum { RANGES_MAX = 64, DEPTH_MAX = 64 };

static struct {
	uint32_t kind, action, value, from;
	_Atomic uint64_t at;
	_Atomic uint32_t hit;
	uint32_t n_within;
	uint64_t within[RANGES_MAX][2];
	_Atomic uint64_t calls[KIND_COUNT];
} * plan;

static void find_plan(void)
{
	const char *path = getenv("FAULT_FILE");
	long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	static typeof(*plan) none;
	void *p = MAP_FAILED;

	if (fd >= 0) {
		p = (void *)syscall(SYS_mmap, NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		syscall(SYS_close, fd);
	}
	plan = p == MAP_FAILED ? &none : p;
}

static pid_t who;
static uintptr_t program; /* where its address 0 is */

/* The first look at a stack loads a library: not in the middle of a call. */
__attribute__((constructor)) static void find_program(void)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	void *first;

	for (unsigned long i = 0; headers && i < getauxval(AT_PHNUM); i++)
		if (headers[i].p_type == PT_PHDR)
			program = (uintptr_t)headers - headers[i].p_vaddr;
	if (!plan)
		find_plan();
	unsetenv("LD_PRELOAD"); /* the program alone, not what it starts */
	if (plan->n_within)
		backtrace(&first, 1);
}

static int is_within(void)
{
	static _Thread_local int looking;
	void *stack[DEPTH_MAX];
	int n, found = 0;

	if (!plan->n_within)
		return 1;
	if (looking++)
		return looking--, 0;
	n = backtrace(stack, DEPTH_MAX);
	for (int i = 0; i < n && !found; i++)
		for (uint32_t k = 0; k < plan->n_within && !found; k++)
			found = (uintptr_t)stack[i] - program > plan->within[k][0] &&
				(uintptr_t)stack[i] - program <= plan->within[k][1];
	looking--;
	return found;
}

/* Is this the call? Children after fork() count for themselves alone: what they do is over at execve(). */
static int is_due(enum kind kind)
{
	uint64_t n;

	if (!plan)
		find_plan();
	if (!who)
		who = getpid();
	if (!is_within())
		return 0;
	n = atomic_fetch_add(&plan->calls[kind], 1) + 1;
	if (plan->action == NOTHING || plan->kind != kind || (plan->from ? n < plan->at : n != plan->at))
		return 0;
	atomic_store(&plan->hit, 1);
	if (plan->action == SIGNAL)
		syscall(SYS_kill, who, plan->value);
	return plan->action != SIGNAL;
}

static long call(enum kind kind, void **real, const char *name, long failed, long a, long b, long c, long d, long e,
		 long f)
{
	typedef long (*function)(long, long, long, long, long, long);

	if (!*real)
		*real = dlsym(RTLD_NEXT, name);
	if (!is_due(kind))
		return ((function)*real)(a, b, c, d, e, f);
	if (plan->action == SHORT) {
		/* All of these have their size third. */
		if (c > 1)
			c /= 2;
		return ((function)*real)(a, b, c, d, e, f);
	}
	if (kind == CLOSE)
		((function)*real)(a, b, c, d, e, f); /* it is closed all the same, as Linux does */
	errno = (int)plan->value;
	return failed == 1 ? (long)plan->value : failed;
}

/* FAILED is what the function gives when it failed; 1 = the errno itself. */
#define WRAP(kind, name, failed)                                                                                       \
	long wrapped_##name(long a, long b, long c, long d, long e, long f) __asm__(#name);                            \
	long wrapped_##name(long a, long b, long c, long d, long e, long f)                                            \
	{                                                                                                              \
		static void *real;                                                                                     \
		return call(kind, &real, #name, failed, a, b, c, d, e, f);                                             \
	}

/* Streams remember that they failed; NTH of the arguments is which. Without stderr no program has words for it. */
#define WRAP_STREAM(kind, name, failed, nth)                                                                           \
	long wrapped_##name(long a, long b, long c, long d, long e, long f) __asm__(#name);                            \
	long wrapped_##name(long a, long b, long c, long d, long e, long f)                                            \
	{                                                                                                              \
		static void *real;                                                                                     \
		FILE *stream = (FILE *)(nth == 1 ? a : nth == 2 ? b : nth == 3 ? c : d);                               \
		(void)e, (void)f;                                                                                      \
		return call_stream(kind, &real, #name, failed, stream, a, b, c, d);                                    \
	}

static int is_stream_due(enum kind kind, FILE *stream)
{
	if (stream == stderr || !is_due(kind))
		return 0;
	stream->_flags |= _IO_ERR_SEEN;
	errno = (int)plan->value;
	return 1;
}

static long call_stream(enum kind kind, void **real, const char *name, long failed, FILE *stream, long a, long b,
			long c, long d)
{
	typedef long (*function)(long, long, long, long);

	if (!*real)
		*real = dlsym(RTLD_NEXT, name);
	return is_stream_due(kind, stream) ? failed : ((function)*real)(a, b, c, d);
}

static int say(FILE *stream, const char *format, va_list ap)
{
	return is_stream_due(PUT, stream) ? -1 : vfprintf(stream, format, ap);
}

/* What printf() and fprintf() are where they are checked. */
int __printf_chk(int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = say(stdout, format, ap);
	va_end(ap);
	return n;
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = say(stream, format, ap);
	va_end(ap);
	return n;
}

int puts(const char *s)
{
	return is_stream_due(PUT, stdout) ? -1 : fprintf(stdout, "%s\n", s);
}

int putchar(int c)
{
	return putc(c, stdout);
}

/* clang-format off */
WRAP(OPEN, open, -1) WRAP(OPEN, open64, -1) WRAP(OPEN, openat, -1) WRAP(OPEN, openat64, -1)
WRAP(OPEN, __open_2, -1) WRAP(OPEN, __open64_2, -1) WRAP(OPEN, __openat_2, -1) WRAP(OPEN, __openat64_2, -1)
WRAP(OPEN, memfd_create, -1) WRAP(OPEN, dup, -1) WRAP(OPEN, mkstemp, -1) WRAP(OPEN, mkostemp64, -1) WRAP(OPEN, mkstemp64, -1)
WRAP(READ, read, -1) WRAP(READ, __read_chk, -1) WRAP(READ, pread, -1) WRAP(READ, pread64, -1) WRAP(READ, __pread_chk, -1)
WRAP(READ, __pread64_chk, -1) WRAP(READ, readv, -1) WRAP(READ, preadv, -1) WRAP(READ, preadv64, -1)
WRAP(WRITE, write, -1) WRAP(WRITE, pwrite, -1) WRAP(WRITE, pwrite64, -1) WRAP(WRITE, writev, -1) WRAP(WRITE, pwritev, -1)
WRAP(SYNC, fsync, -1) WRAP(SYNC, fdatasync, -1) WRAP(SYNC, syncfs, -1) WRAP(SYNC, sync_file_range, -1)
WRAP(CLOSE, close, -1)
WRAP(RENAME, rename, -1) WRAP(RENAME, renameat, -1) WRAP(RENAME, renameat2, -1)
WRAP(LINK, link, -1) WRAP(LINK, linkat, -1) WRAP(LINK, symlink, -1) WRAP(LINK, symlinkat, -1)
WRAP(UNLINK, unlink, -1) WRAP(UNLINK, unlinkat, -1) WRAP(UNLINK, rmdir, -1) WRAP(UNLINK, remove, -1)
WRAP(MKDIR, mkdir, -1) WRAP(MKDIR, mkdirat, -1) WRAP(MKDIR, mkdtemp, 0)
WRAP(TRUNCATE, ftruncate, -1) WRAP(TRUNCATE, ftruncate64, -1) WRAP(TRUNCATE, truncate, -1)
WRAP(SEEK, lseek, -1) WRAP(SEEK, lseek64, -1)
WRAP(FCNTL, fcntl, -1) WRAP(FCNTL, fcntl64, -1)
WRAP(MMAP, mmap, -1) WRAP(MMAP, mmap64, -1)
WRAP(FALLOCATE, fallocate, -1) WRAP(FALLOCATE, fallocate64, -1) WRAP(FALLOCATE, posix_fallocate, 1) WRAP(FALLOCATE, posix_fallocate64, 1)
WRAP(COPY, copy_file_range, -1)
WRAP(IOCTL, ioctl, -1)
WRAP(STAT, stat, -1) WRAP(STAT, stat64, -1) WRAP(STAT, lstat, -1) WRAP(STAT, lstat64, -1) WRAP(STAT, fstat, -1) WRAP(STAT, fstat64, -1)
WRAP(STAT, fstatat, -1) WRAP(STAT, fstatat64, -1) WRAP(STAT, statx, -1)
WRAP(STAT, statvfs, -1) WRAP(STAT, statvfs64, -1) WRAP(STAT, fstatvfs, -1) WRAP(STAT, fstatvfs64, -1) WRAP(STAT, statfs64, -1) WRAP(STAT, fstatfs64, -1)
WRAP(RANDOM, getrandom, -1) WRAP(RANDOM, getentropy, -1)
WRAP(THREAD, pthread_create, 1)
WRAP(FORK, fork, -1) WRAP(FORK, vfork, -1) WRAP(FORK, posix_spawn, 1) WRAP(FORK, posix_spawnp, 1)
WRAP(PIPE, pipe, -1) WRAP(PIPE, pipe2, -1) WRAP(PIPE, socketpair, -1) WRAP(PIPE, eventfd, -1)
WRAP(SOCKET, socket, -1)
WRAP(CONNECT, connect, -1)
WRAP(SEND, send, -1) WRAP(SEND, sendmsg, -1)
WRAP(RECV, recv, -1) WRAP(RECV, recvfrom, -1) WRAP(RECV, recvmsg, -1)
WRAP(POLL, poll, -1) WRAP(POLL, __poll_chk, -1) WRAP(POLL, epoll_wait, -1)
WRAP(FOPEN, fopen, 0) WRAP(FOPEN, fopen64, 0) WRAP(FOPEN, fdopen, 0)
WRAP(FLUSH, fflush, -1) WRAP(FLUSH, fclose, -1)
WRAP(OPENDIR, opendir, 0) WRAP(OPENDIR, scandir, -1) WRAP(OPENDIR, scandir64, -1) WRAP(OPENDIR, scandirat, -1) WRAP(OPENDIR, scandirat64, -1)
WRAP(OPENDIR, glob, 1) WRAP(OPENDIR, glob64, 1) WRAP(OPENDIR, fdopendir, 0)
WRAP(READDIR, readdir, 0) WRAP(READDIR, readdir64, 0)
WRAP(CHMOD, chmod, -1) WRAP(CHMOD, fchmod, -1) WRAP(CHMOD, fchmodat, -1) WRAP(CHMOD, chown, -1) WRAP(CHMOD, fchown, -1) WRAP(CHMOD, fchownat, -1)
WRAP(CHMOD, utimensat, -1) WRAP(CHMOD, futimens, -1)
WRAP(FLOCK, flock, -1)
WRAP(ACCESS, access, -1) WRAP(ACCESS, faccessat, -1)
WRAP(WAIT, waitpid, -1) WRAP(WAIT, wait4, -1)
WRAP(PATH, getcwd, 0) WRAP(PATH, realpath, 0) WRAP(PATH, __realpath_chk, 0) WRAP(PATH, readlink, -1) WRAP(PATH, readlinkat, -1)
WRAP(DUP, dup2, -1) WRAP(DUP, dup3, -1)
WRAP(EXEC, execve, -1) WRAP(EXEC, execv, -1)
WRAP(CHDIR, chdir, -1) WRAP(CHDIR, fchdir, -1)
WRAP(BIND, bind, -1) WRAP(BIND, listen, -1) WRAP(BIND, getsockname, -1) WRAP(BIND, setsockopt, -1)
WRAP(ACCEPT, accept, -1) WRAP(ACCEPT, accept4, -1)
WRAP(MLOCK, mlock, -1) WRAP(MLOCK, madvise, -1)
WRAP(BECOME, initgroups, -1) WRAP(BECOME, setgroups, -1) WRAP(BECOME, setegid, -1) WRAP(BECOME, seteuid, -1) WRAP(BECOME, setresgid, -1)
WRAP(BECOME, setresuid, -1)
WRAP(ACCOUNT, getpwnam, 0) WRAP(ACCOUNT, getpwuid, 0)

WRAP_STREAM(GET, fgets, 0, 3) WRAP_STREAM(GET, getdelim, -1, 4) WRAP_STREAM(GET, __getdelim, -1, 4) WRAP_STREAM(GET, getline, -1, 3)
WRAP_STREAM(GET, fread, 0, 4) WRAP_STREAM(GET, fgetc, -1, 1) WRAP_STREAM(GET, getc, -1, 1)
WRAP_STREAM(PUT, fwrite, 0, 4) WRAP_STREAM(PUT, fputs, -1, 2) WRAP_STREAM(PUT, fputc, -1, 2) WRAP_STREAM(PUT, putc, -1, 2)
	/* clang-format on */

	/* Memory by the names that the C library keeps for itself: dlsym() may want some. */
	void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t align, size_t n);

static int may_not_have(void)
{
	if (!is_due(ALLOC))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return may_not_have() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return may_not_have() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
	return n && may_not_have() ? NULL : __libc_realloc(old, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return may_not_have() ? NULL : __libc_memalign(align, n);
}

void *memalign(size_t align, size_t n)
{
	return may_not_have() ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	if (may_not_have())
		return ENOMEM;
	*p = __libc_memalign(align, n);
	return *p ? 0 : ENOMEM;
}
