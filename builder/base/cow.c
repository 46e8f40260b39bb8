/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/file.h"

struct cow {
	int file, changes;
	uint64_t size;
	uint64_t *changed; /* a bit per block */
	const char *name;
	const char *path; /* of CHANGES, for cow_lend() */
};

static bool is_changed(const struct cow *c, uint64_t block)
{
	return c->changed[block / 64] >> (block % 64) & 1;
}

static void set_changed(struct cow *c, uint64_t block, bool on)
{
	uint64_t bit = 1ull << (block % 64);

	c->changed[block / 64] = on ? c->changed[block / 64] | bit : c->changed[block / 64] & ~bit;
}

int cow_open(int fd, const char *name, struct cow **ret, struct err *e)
{
	struct cow *c = xcalloc(1, sizeof(*c));
	struct stat st;
	int r = 0;

	c->file = fd;
	c->changes = memfd_create("pibuild-changes", MFD_CLOEXEC);
	c->name = arena_strdup(name);
	if (c->changes < 0)
		r = err_errno(e, -errno, "cannot get memory for changes to %s", name);
	else if (fstat(fd, &st) < 0)
		r = err_errno(e, -errno, "cannot read %s", name);
	else if (ftruncate(c->changes, st.st_size) < 0)
		r = err_errno(e, -errno, "cannot get memory for changes to %s", name);
	if (r < 0) {
		cow_close(c);
		return r;
	}
	c->size = (uint64_t)st.st_size;
	c->changed = xcalloc(c->size / COW_BLOCK / 64 + 1, sizeof(*c->changed));
	c->path = arena_printf("/proc/self/fd/%d", c->changes);
	*ret = c;
	return 0;
}

void cow_close(struct cow *c)
{
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

/* Bytes from OFFSET on that are all changed or all unchanged. */
static size_t run_length(const struct cow *c, uint64_t offset, size_t n)
{
	uint64_t block = offset / COW_BLOCK, end = offset + n, at = (block + 1) * COW_BLOCK;

	while (at < end && is_changed(c, at / COW_BLOCK) == is_changed(c, block))
		at += COW_BLOCK;
	return (size_t)(MIN(at, end) - offset);
}

int cow_read(const struct cow *c, void *buf, size_t n, uint64_t offset)
{
	char *to = buf;

	if (offset > c->size || n > c->size - offset)
		return -ENODATA;
	while (n) {
		size_t part = run_length(c, offset, n);
		int r = pread_all(is_changed(c, offset / COW_BLOCK) ? c->changes : c->file, to, part, offset);

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
	if (r == 0)
		r = pwrite_all(c->changes, buf, n, at);
	return r;
}

int cow_write(struct cow *c, const void *buf, size_t n, uint64_t offset)
{
	int r = 0;

	if (offset > c->size || n > c->size - offset)
		return -ENOSPC;
	if (n == 0)
		return 0;
	if (offset % COW_BLOCK)
		r = take_block(c, offset / COW_BLOCK);
	if (r == 0 && (offset + n) % COW_BLOCK)
		r = take_block(c, (offset + n) / COW_BLOCK);
	if (r == 0)
		r = pwrite_all(c->changes, buf, n, offset);
	for (uint64_t b = offset / COW_BLOCK; r == 0 && b * COW_BLOCK < offset + n; b++)
		set_changed(c, b, true);
	return r;
}

static int copy_up(struct cow *c, uint64_t start, uint64_t end, char *buf, size_t size)
{
	int r = 0;

	while (start < end && r == 0) {
		size_t n = (size_t)MIN(end - start, size);

		r = cow_read(c, buf, n, start);
		if (r == 0)
			r = pwrite_all(c->changes, buf, n, start);
		start += n;
	}
	return r;
}

int cow_lend(struct cow *c, uint64_t start, uint64_t end, const char **ret_path, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(MIB);
	uint64_t from, to = start;
	int r;

	end = MIN((end + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK, c->size);
	if (start % COW_BLOCK || end < start)
		return err_set(e, -EINVAL, "%s: its boot partition does not begin at a multiple of 4 KiB", c->name);
	while ((r = file_next_data(c->file, to, end, &from, &to)) == 0) {
		r = copy_up(c, from, to, buf, MIB);
		if (r < 0)
			break;
	}
	if (r < 0 && r != -ENXIO)
		return err_errno(e, r, "cannot copy the boot partition of %s", c->name);
	for (uint64_t b = start / COW_BLOCK; b * COW_BLOCK < end; b++)
		set_changed(c, b, true);
	*ret_path = c->path;
	return 0;
}

/* Nothing of [START, END) is kept. */
static int forget(struct cow *c, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += COW_BLOCK)
		set_changed(c, at / COW_BLOCK, false);
	if (start < end &&
	    fallocate(c->changes, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(end - start)) < 0)
		return -errno;
	return 0;
}

static int settle_data(struct cow *c, uint64_t start, uint64_t end)
{
	char old[COW_BLOCK], new[COW_BLOCK];
	uint64_t same = start;
	int r = 0;

	for (uint64_t at = start; at < end && r == 0; at += COW_BLOCK) {
		size_t n = (size_t)MIN(c->size - at, (uint64_t)COW_BLOCK);

		r = pread_all(c->file, old, n, at);
		if (r == 0)
			r = pread_all(c->changes, new, n, at);
		if (r == 0 && memcmp(old, new, n) != 0) {
			r = forget(c, same, at);
			same = at + COW_BLOCK;
		}
	}
	return r < 0 ? r : forget(c, same, end);
}

/* The next block in [FROM, END) that is data in the file or among the changes, and how far no hole follows. */
static int next_either(const struct cow *c, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start[2] = { UINT64_MAX, UINT64_MAX }, stop[2] = { 0 };
	int r[2] = { file_next_data(c->file, from, end, &start[0], &stop[0]),
		     file_next_data(c->changes, from, end, &start[1], &stop[1]) };
	unsigned first = start[1] < start[0];

	for (unsigned i = 0; i < 2; i++)
		if (r[i] < 0 && r[i] != -ENXIO)
			return r[i];
	if (r[0] < 0 && r[1] < 0)
		return -ENXIO;
	*ret_start = start[first] / COW_BLOCK * COW_BLOCK;
	*ret_end = MIN((stop[first] + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK, end);
	return 0;
}

int cow_settle(struct cow *c, uint64_t start, uint64_t end, struct err *e)
{
	uint64_t from, to, at = start;
	int r;

	end = MIN((end + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK, c->size);
	/* Holes on both sides are alike; a FAT is mostly that. */
	while ((r = next_either(c, at, end, &from, &to)) == 0) {
		r = forget(c, at, from);
		if (r == 0)
			r = settle_data(c, from, to);
		if (r < 0)
			break;
		at = to;
	}
	if (r == -ENXIO)
		r = forget(c, at, end);
	return r < 0 ? err_errno(e, r, "cannot settle the changes to %s", c->name) : 0;
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
		return err_errno(e, r, "cannot find the data of %s", c->name);
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
