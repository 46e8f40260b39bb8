/* SPDX-License-Identifier: Apache-2.0 */
/* The disk that is written: opened for nobody else, disarmed first and armed last, probed for its size. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "disk/unfinished.h"
#include "crypto/random.h"
#include "flash/internal.h"

#ifndef BLKGETDISKSEQ /* Linux 5.15; older headers lack it */
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

static int refuse_open(const char *path, int code, struct err *e)
{
	switch (code) {
	case EBUSY:
		return err_class(
			e, CLASS_REFUSED,
			"%s is in use: something on this machine (or in a container) has it mounted or holds it; nothing was written",
			path);
	case EROFS:
		return err_class(e, CLASS_REFUSED, "%s is read-only; nothing was written", path);
	case ELOOP:
		return err_class(e, CLASS_REFUSED, "%s became a symbolic link; nothing was written", path);
	case ENOMEDIUM:
		return err_class(e, CLASS_REFUSED, "%s has no medium in it any more; nothing was written", path);
	case EACCES:
	case EPERM:
		return err_errno(e, -code, "cannot open %s; run it as root (sudo pibuild flash ...)", path);
	default:
		return err_errno(e, -code, "cannot open %s", path);
	}
}

/* What is open is asked, not the name: it may stand for another disk by now. */
static int describe_open(int fd, const struct device *asked, struct device *now, struct err *e)
{
	uint64_t size, diskseq;
	int read_only = 0;
	struct stat st;

	if (fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKROGET, &read_only) < 0)
		return err_errno(e, -errno, "cannot ask %s for its size", asked->path);
	*now = *asked;
	now->devno = st.st_rdev;
	now->size = size;
	now->read_only = read_only;
	if (ioctl(fd, BLKGETDISKSEQ, &diskseq) == 0)
		now->diskseq = diskseq;
	return 0;
}

static int check_open(int fd, const struct device *asked, struct err *e)
{
	struct devices all;
	struct device now;
	int r = describe_open(fd, asked, &now, e);

	if (r < 0)
		return r;
	r = guard_same(asked, &now, e);
	if (r < 0)
		return r;
	r = guard_check(&now, 0, e);
	if (r < 0)
		return r;
	r = devices_scan(&host_real, &all, e);
	if (r < 0)
		return r;
	vec_foreach (d, &all.v) {
		if (d->devno != asked->devno)
			continue;
		r = guard_same(asked, d, e);
		return r < 0 ? r : guard_check(d, 0, e);
	}
	return err_class(e, CLASS_REFUSED, "%s is gone; nothing was written", asked->path);
}

int target_open(struct flash_target *t, const struct device *asked, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	caller_raise();
	fd = open(asked->path, O_RDWR | O_EXCL | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	caller_lower();
	if (fd < 0)
		return refuse_open(asked->path, errno, e);
	r = check_open(fd, asked, e);
	if (r < 0)
		return r;
	t->head = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->head == MAP_FAILED) {
		t->head = NULL;
		return err_errno(e, -errno, "cannot allocate a buffer");
	}
	t->device = asked;
	t->fd = take_fd(&fd);
	return 0;
}

void target_close(struct flash_target *t)
{
	closep(&t->fd);
	if (t->head)
		munmap(t->head, PIECE);
}

const char *target_label(const struct flash_target *t)
{
	return arena_printf("%s on %s", t->name, t->device->path);
}

int target_write(const struct flash_target *t, const void *buf, size_t n, uint64_t offset, struct err *e)
{
	int first = pwrite_all(t->fd, buf, n, offset), r = first;

	for (unsigned i = 1; r < 0 && i < TRIES; i++) {
		usleep(PAUSE_US);
		r = pwrite_all(t->fd, buf, n, offset);
	}
	return r < 0 ? err_errno(e, first, "cannot write to %s at byte %llu", t->device->path,
				 (unsigned long long)offset)
		     : 0;
}

int target_read(const struct flash_target *t, void *buf, size_t n, uint64_t offset, struct err *e)
{
	int first = pread_all(t->fd, buf, n, offset), r = first;

	for (unsigned i = 1; r < 0 && i < TRIES; i++) {
		usleep(PAUSE_US);
		r = pread_all(t->fd, buf, n, offset);
	}
	if (r == 0)
		return 0;
	err_errno(e, first, "cannot read %s at byte %llu", t->device->path, (unsigned long long)offset);
	e->class = CLASS_VERIFY;
	return r;
}

int target_flush(const struct flash_target *t, struct err *e)
{
	if (fsync(t->fd) == 0)
		return 0;
	return err_errno(e, -errno, "%s did not keep what was written: its flush failed", t->device->path);
}

/* A part at a time, so that Ctrl-C is heard. */
int target_discard(const struct flash_target *t, struct err *e)
{
	static const uint64_t part = 1024 * MIB;
	struct task *task = task_begin("discard", target_label(t), t->device->size);
	int r = 0, code = 0;

	for (uint64_t at = PIECE; at < t->device->size && r == 0 && code == 0; at += part) {
		uint64_t range[2] = { at, MIN(part, t->device->size - at) };

		if (ioctl(t->fd, BLKDISCARD, range) < 0)
			code = errno;
		task_add(task, range[1]);
		r = sig_check(e);
	}
	task_end(task, r < 0 || code ? "failed" : NULL);
	if (r == 0 && code == EOPNOTSUPP)
		log_warning("%s cannot discard: old bytes stay where the image is free", t->device->path);
	else if (r == 0 && code)
		r = err_errno(e, -code, "cannot discard %s", t->device->path);
	return r;
}

static void *new_buffer(void)
{
	void *buf = NULL;

	if (posix_memalign(&buf, COW_BLOCK, PIECE) != 0)
		out_of_memory();
	return memset(buf, 0, PIECE);
}

/* N bytes at the start, flushed and read back into BUF. */
static int write_start(const struct flash_target *t, const void *data, size_t n, char *buf, struct err *e)
{
	int r = target_write(t, data, n, 0, e);

	if (r < 0)
		return r;
	r = target_flush(t, e);
	if (r < 0)
		return r;
	r = target_read(t, buf, n, 0, e);
	if (r < 0)
		return r;
	if (memcmp(buf, data, n) != 0)
		return err_class(e, CLASS_VERIFY, "%s does not give back its first MiB as it was written",
				 t->device->path);
	return 0;
}

/* *RETRIES counts the tries beyond the first. */
static int insist_start(const struct flash_target *t, const void *data, size_t n, unsigned *retries, struct err *e)
{
	_cleanup_free_ char *buf = new_buffer();
	int r = write_start(t, data, n, buf, e);

	for (unsigned i = 1; i < TRIES && r < 0; i++) {
		struct err again = { 0 };

		++*retries;
		r = write_start(t, data, n, buf, &again);
	}
	if (r == 0)
		*e = (struct err){ 0 };
	return r < 0 ? e->code : 0;
}

int target_disarm(const struct flash_target *t, size_t n, unsigned *retries, struct err *e)
{
	_cleanup_free_ char *zeros = new_buffer();
	/* The boot sector alone first: where even that fails, nothing was written. */
	int r = insist_start(t, zeros, COW_BLOCK, retries, e);

	if (r < 0)
		return r;
	unfinished_write(t->name, zeros + UNFINISHED_AT);
	return insist_start(t, zeros, n, retries, e);
}

/* Is the mark at byte AT too? */
static int look_for(const struct flash_target *t, const char *mark, char *buf, uint64_t at, struct err *e)
{
	int r = target_read(t, buf, COW_BLOCK, at / SECTOR * SECTOR, e);

	if (r < 0 || memcmp(buf, mark, COW_BLOCK) != 0)
		return r;
	return err_class(
		e, CLASS_VERIFY,
		"%s lies about its size: what was written at byte %llu, its end, stands at byte %llu; it is a counterfeit and loses data",
		t->device->path, (unsigned long long)(t->device->size - COW_BLOCK), (unsigned long long)at);
}

/* Where false capacities put it: their true size is a power of two or a small fraction of the claim. */
static int look_everywhere(const struct flash_target *t, const char *mark, char *buf, struct err *e)
{
	uint64_t size = t->device->size, at = size - COW_BLOCK;
	int r = 0;

	for (uint64_t wrap = 4 * MIB; wrap < size && r == 0; wrap *= 2)
		if (at % wrap != at)
			r = look_for(t, mark, buf, at % wrap, e);
	for (unsigned part = 2; part <= 16 && r == 0; part++)
		r = look_for(t, mark, buf, at % (size / part / SECTOR * SECTOR), e);
	return r;
}

int target_probe(const struct flash_target *t, uint64_t from, struct err *e)
{
	_cleanup_free_ char *mark = new_buffer(), *buf = new_buffer();
	const char *random = NULL;
	uint64_t at = t->device->size - COW_BLOCK;
	int r;

	if (t->device->size < 8 * MIB || at < from || at % SECTOR)
		return 0; /* the image itself is written there, and read back */
	r = random_hex(64, &random, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < COW_BLOCK; i += 128)
		memcpy(mark + i, random, 128);
	r = target_write(t, mark, COW_BLOCK, at, e);
	if (r == 0)
		r = target_flush(t, e);
	if (r == 0)
		r = target_read(t, buf, COW_BLOCK, at, e);
	if (r == 0 && memcmp(buf, mark, COW_BLOCK) != 0)
		r = err_class(
			e, CLASS_VERIFY,
			"%s does not keep what is written at byte %llu, its end: it lies about its size or is broken",
			t->device->path, (unsigned long long)at);
	return r < 0 ? r : look_everywhere(t, mark, buf, e);
}

int target_arm(const struct flash_target *t, size_t n, unsigned *retries, struct err *e)
{
	struct err ignored = { 0 };
	unsigned unused = 0;
	_cleanup_free_ char *rest = new_buffer();
	int r;

	/* All but the boot sector first: when that comes, nothing is missing. */
	memcpy(rest + COW_BLOCK, (char *)t->head + COW_BLOCK, n - COW_BLOCK);
	r = insist_start(t, rest, n, retries, e);
	if (r == 0)
		r = insist_start(t, t->head, n, retries, e);
	if (r < 0) {
		target_disarm(t, n, &unused, &ignored);
		return r;
	}
	caller_raise();
	r = ioctl(t->fd, BLKRRPART);
	caller_lower();
	if (r < 0)
		log_debug("the kernel did not read the new partition table of %s: %s", t->device->path,
			  strerror(errno));
	return 0;
}
