/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the C library that fails: LD_PRELOAD for tests/faults/run. What is to happen stands in FAULT_FILE, which
 *is mapped, so that what was counted outlives any end of the program:
 *
 *	struct { uint32_t kind, action, value, from; uint64_t at; uint32_t hit, unused; uint64_t calls[KIND_COUNT]; }
 *
 * The AT-th call (from 1) of KIND gets ACTION, and with FROM every one after it. A kind is a word of `kinds`: all
 *functions that tell the same of the system, whatever their names. Calls that the C library makes of itself (fopen's
 *open) are those of the function that was called.
 *
 * Every wrapped function takes and gives what fits into registers, and no more than six of them: one wrapper does for
 *all, on any machine where Debian's C library passes those that a prototype hides like those it names (amd64, arm64).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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
	KIND_COUNT
};

/* SIGNAL happens before the call, which then is made. SHORT is a transfer of half of what was asked for. */
enum action { NOTHING, FAIL, SHORT, SIGNAL };

static struct {
	uint32_t kind, action, value, from;
	_Atomic uint64_t at;
	_Atomic uint32_t hit;
	uint32_t unused;
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

/* Is this the call? Children after fork() count for themselves alone: what they do is over at execve(). */
static int is_due(enum kind kind)
{
	uint64_t n;

	if (!plan)
		find_plan();
	if (!who)
		who = getpid();
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
WRAP(PATH, getcwd, 0) WRAP(PATH, realpath, 0) WRAP(PATH, readlink, -1) WRAP(PATH, readlinkat, -1)
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
