/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/sig.h"

/* Less is read sooner than asked about. */
enum { HOLE_LEAST = 64 * 1024 };

struct cow {
	int file, changes; /* CHANGES is -1 when they go into the file */
	bool borrowed;	   /* FILE is not ours to close */
	uint64_t size;
	uint64_t *changed; /* a bit per block */
	const char *name;
};

static bool is_changed(const struct cow *c, uint64_t block)
{
	return c->changed[block / 64] >> (block % 64) & 1;
}

static void set_changed(struct cow *c, uint64_t block)
{
	c->changed[block / 64] |= 1ull << (block % 64);
}

static struct cow *cow_new(int fd, const char *name)
{
	struct cow *c = xcalloc(1, sizeof(*c));

	c->file = fd;
	c->changes = -1;
	c->name = arena_strdup(name);
	return c;
}

static int cow_start(struct cow *c, struct cow **ret, struct err *e)
{
	off_t size = lseek(c->file, 0, SEEK_END); /* of block devices too */
	struct stat st;
	int r = 0;

	if (fstat(c->file, &st) == 0 && S_ISDIR(st.st_mode)) /* whose end is anywhere */
		r = err_errno(e, -EISDIR, "cannot read %s", c->name);
	else if (size < 0)
		r = err_machine(e, -errno, "cannot read %s", c->name);
	else if (c->changes >= 0 && ftruncate(c->changes, size) < 0)
		r = err_errno(e, -errno, "cannot get memory for changes to %s", c->name);
	if (r < 0) {
		cow_close(c);
		return r;
	}
	c->size = (uint64_t)size;
	c->changed = xcalloc(c->size / COW_BLOCK / 64 + 1, sizeof(*c->changed));
	*ret = c;
	return 0;
}

int cow_open(int fd, const char *name, struct cow **ret, struct err *e)
{
	struct cow *c = cow_new(fd, name);

	c->changes = memfd_create("pibuild-changes", MFD_CLOEXEC);
	if (c->changes < 0) {
		int r = err_errno(e, -errno, "cannot get memory for changes to %s", name);

		cow_close(c);
		return r;
	}
	return cow_start(c, ret, e);
}

int cow_open_direct(int fd, const char *name, struct cow **ret, struct err *e)
{
	struct cow *c = cow_new(fd, name);

	c->borrowed = true;
	return cow_start(c, ret, e);
}

int cow_open_path(const char *path, bool writable, struct cow **ret, struct err *e)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);

	return fd < 0 ? file_cannot_open(path, e) : cow_start(cow_new(fd, path), ret, e);
}

void cow_close(struct cow *c)
{
	if (!c->borrowed)
		closep(&c->file);
	closep(&c->changes);
	free(c->changed);
	free(c);
}

uint64_t cow_size(const struct cow *c)
{
	return c->size;
}

const char *cow_name(const struct cow *c)
{
	return c->name;
}

int cow_file(const struct cow *c)
{
	return c->file;
}

/* Where the bytes of a block are. */
static int file_of(const struct cow *c, uint64_t block)
{
	return c->changes >= 0 && is_changed(c, block) ? c->changes : c->file;
}

/* Bytes from OFFSET on that are all changed or all unchanged. */
static size_t run_length(const struct cow *c, uint64_t offset, size_t n)
{
	uint64_t block = offset / COW_BLOCK, end = offset + n, at = (block + 1) * COW_BLOCK;

	while (at < end && is_changed(c, at / COW_BLOCK) == is_changed(c, block))
		at += COW_BLOCK;
	return (size_t)(MIN(at, end) - offset);
}

/* N bytes of one file. A hole is not read, which would fill the page cache with zeros, but for its last block: that
 * shows that the file has not become shorter. */
static int cow_read_run(int fd, char *to, size_t n, uint64_t offset)
{
	uint64_t start, end;

	if (n > HOLE_LEAST && file_next_data(fd, offset, offset + n, &start, &end) == -ENXIO) {
		memset(to, 0, n - COW_BLOCK);
		to += n - COW_BLOCK;
		offset += n - COW_BLOCK;
		n = COW_BLOCK;
	}
	return pread_all(fd, to, n, offset);
}

int cow_read(const struct cow *c, void *buf, size_t n, uint64_t offset)
{
	char *to = buf;

	if (offset > c->size || n > c->size - offset)
		return -ENODATA;
	while (n) {
		size_t part = c->changes < 0 ? n : run_length(c, offset, n);
		int r = cow_read_run(file_of(c, offset / COW_BLOCK), to, part, offset);

		if (r < 0)
			return r;
		to += part;
		offset += part;
		n -= part;
	}
	return 0;
}

/* A block that is written in part holds the rest too. */
static int take_block(struct cow *c, uint64_t block)
{
	char buf[COW_BLOCK];
	uint64_t at = block * COW_BLOCK;
	size_t n = (size_t)MIN(c->size - at, (uint64_t)COW_BLOCK);
	int r;

	if (is_changed(c, block))
		return 0;
	r = pread_all(c->file, buf, n, at);
	if (r < 0)
		return r;
	return pwrite_all(c->changes, buf, n, at);
}

void cow_note(struct cow *c, uint64_t start, uint64_t end)
{
	end = MIN(end, c->size);
	for (uint64_t b = start / COW_BLOCK; start < end && b * COW_BLOCK < end; b++)
		set_changed(c, b);
}

int cow_write(struct cow *c, const void *buf, size_t n, uint64_t offset)
{
	int r = 0;

	if (offset > c->size || n > c->size - offset)
		return -ENOSPC;
	if (n == 0)
		return 0;
	if (c->changes >= 0 && offset % COW_BLOCK)
		r = take_block(c, offset / COW_BLOCK);
	if (r == 0 && c->changes >= 0 && (offset + n) % COW_BLOCK)
		r = take_block(c, (offset + n) / COW_BLOCK);
	if (r == 0)
		r = pwrite_all(c->changes >= 0 ? c->changes : c->file, buf, n, offset);
	if (r == 0)
		cow_note(c, offset, offset + n);
	return r;
}

int cow_zero(struct cow *c, uint64_t n, uint64_t offset)
{
	static const char zeros[16 * COW_BLOCK];
	int r = 0;

	if (c->changes < 0 && offset <= c->size && n <= c->size - offset &&
	    fallocate(c->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n) == 0) {
		cow_note(c, offset, offset + n);
		return 0;
	}
	for (size_t part; n && r == 0; n -= part, offset += part) {
		part = (size_t)MIN(n, (uint64_t)sizeof(zeros));
		r = cow_write(c, zeros, part, offset);
	}
	return r;
}

int cow_resize(struct cow *c, uint64_t size, struct err *e)
{
	uint64_t words = MIN(c->size, size) / COW_BLOCK / 64 + 1;
	uint64_t *old = c->changed;

	if (ftruncate(c->file, (off_t)size) < 0)
		return err_errno(e, -errno, "cannot size %s", c->name);
	c->size = size;
	c->changed = xcalloc(size / COW_BLOCK / 64 + 1, sizeof(*c->changed));
	memcpy(c->changed, old, words * sizeof(*old));
	free(old);
	return 0;
}

/* The unchanged runs of one hole of the file. */
static int unchanged(const struct cow *c, uint64_t start, uint64_t end, cow_range_fn fn, void *arg)
{
	int r = 0;

	while (start < end && r == 0) {
		uint64_t n = run_length(c, start, (size_t)(end - start));

		if (!is_changed(c, start / COW_BLOCK))
			r = fn(arg, start, start + n);
		start += n;
	}
	return r;
}

int cow_holes(const struct cow *c, cow_range_fn fn, void *arg, struct err *e)
{
	uint64_t at = 0, start, end;
	int r;

	while ((r = file_next_data(c->file, at, c->size, &start, &end)) == 0) {
		r = unchanged(c, at, start, fn, arg);
		if (r < 0)
			return r;
		at = end;
	}
	if (r != -ENXIO)
		return err_machine(e, r, "cannot find the data of %s", c->name);
	return unchanged(c, at, c->size, fn, arg);
}

int cow_changes(const struct cow *c, cow_range_fn fn, void *arg)
{
	uint64_t start = 0;
	int r = 0;

	while (start < c->size && r == 0) {
		uint64_t n = run_length(c, start, (size_t)(c->size - start));

		if (is_changed(c, start / COW_BLOCK))
			r = fn(arg, start, start + n);
		start += n;
	}
	return r;
}

struct give {
	const struct cow *from;
	int fd;
	const char *name;
	char *buf; /* MIB bytes */
	struct err *e;
};

static int give_change(void *arg, uint64_t start, uint64_t end)
{
	const struct give *g = arg;
	int r = sig_check(g->e);

	while (start < end && r == 0) {
		size_t n = (size_t)MIN(end - start, MIB);

		r = cow_read(g->from, g->buf, n, start);
		if (r == 0)
			r = pwrite_all(g->fd, g->buf, n, start);
		if (r < 0)
			return err_errno(g->e, r, "cannot write %s", g->name);
		start += n;
	}
	return r;
}

int cow_give_changes(const struct cow *c, int fd, const char *name, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(MIB);
	struct give g = { c, fd, name, buf, e };

	return cow_changes(c, give_change, &g);
}
