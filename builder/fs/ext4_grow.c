/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What e2fsprogs does better: growing and checking. Both work inside a plain file by "?offset=". To grow, resize2fs
 * gets a file in memory that holds the filesystem's tables and nothing else; what it changed of them is written to the
 * image, which so knows what was changed. (resize2fs.c of e2fsprogs reads and writes no file's block unless some have
 * to move.)
 */
#include "fs/internal.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/proc.h"

enum { SUPERBLOCK_AT = 1024, COMPLAINTS = 900 };
/* Inode tables of a filesystem of some 8 GiB; larger ones are grown in the file. */
static const uint64_t tables_limit = 128 * MIB;

static int read_super(const struct fs_place *at, struct ext2_super_block *ret, struct err *e)
{
	int r = cow_read(at->image, ret, sizeof(*ret), at->offset + SUPERBLOCK_AT);

	if (r < 0)
		return err_errno(e, r, "cannot read %s", cow_name(at->image));
	if (le16toh(ret->s_magic) != EXT2_SUPER_MAGIC || le32toh(ret->s_log_block_size) > 6)
		return err_set(e, -EINVAL, "%s: there is no ext4 at byte %llu", cow_name(at->image),
			       (unsigned long long)at->offset);
	return 0;
}

/* e2fsprogs takes the end of the file for the end of the filesystem, so the arithmetic is ours. */
static uint64_t bytes_of(const struct ext2_super_block *s)
{
	uint64_t blocks = le32toh(s->s_blocks_count);

	if (le32toh(s->s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)le32toh(s->s_blocks_count_hi) << 32;
	return blocks << (10 + le32toh(s->s_log_block_size));
}

static int check_end(const struct fs_place *at, uint64_t length, uint64_t at_least, struct err *e)
{
	const char *image = cow_name(at->image);
	struct ext2_super_block s;
	int r = read_super(at, &s, e);

	if (r < 0)
		return r;
	if (bytes_of(&s) > length)
		return err_set(e, -EUCLEAN, "%s: the ext4 ends %llu bytes past its partition", image,
			       (unsigned long long)(bytes_of(&s) - length));
	if (bytes_of(&s) < at_least)
		return err_set(e, -EIO, "%s: resize2fs left the ext4 at %llu bytes, %llu were asked for", image,
			       (unsigned long long)bytes_of(&s), (unsigned long long)length);
	return 0;
}

/* What e2fsck complains of stands on its stdout among headings; its stderr is its version. */
static int add_complaints(char *said, int code, const char *where, const char *image, struct err *e)
{
	static const char *const noise[] = { "Pass ", "********** WARNING", " files (", "cannot proceed with fsck" };
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char *save = NULL;

	for (char *line = strtok_r(said, "\n", &save); line && b.n < COMPLAINTS; line = strtok_r(NULL, "\n", &save)) {
		bool heading = false;

		for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
			heading |= strstr(line, noise[i]) != NULL;
		if (!heading)
			strbuf_addf(&b, "%s%.200s", b.n ? " " : "", line);
	}
	if (b.n)
		err_set(e, e->code, "e2fsck failed with exit code %d: %s", code, b.s);
	return err_rename(e, where, image);
}

/* Runs ARGV, whose program works on FD as PROC_FILE. */
static int run_e2fsprogs(const struct fs_place *at, int fd, const char *const *argv, struct strbuf *said, int *code,
			 struct err *e)
{
	return proc_run(&(struct proc){ .argv = argv,
					.file = cow_name(at->image),
					.file_fd = fd,
					.epoch = MAX(at->epoch, 1),
					.output = said,
					.exit_code = code },
			e);
}

int ext4_check(const struct fs_place *at, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)at->offset);
	const char *const argv[] = { "e2fsck", "-fn", where, NULL };
	int code = 0, r = run_e2fsprogs(at, cow_file(at->image), argv, &said, &code, e);

	if (r < 0 && code && said.n)
		return add_complaints(said.s, code, where, cow_name(at->image), e);
	return r < 0 ? r : check_end(at, at->length, 0, e);
}

/* ---- growing ---- */

/* The tables of a filesystem on their way into memory and back. */
struct grow_tables {
	const struct fs_place *at;
	int fd;
	uint64_t taken; /* bytes */
	char image[64 * KIB], changed[64 * KIB];
};

/* In whole blocks of the image: what the copy has of one, it has all of. */
static int take_range(struct grow_tables *t, uint64_t from, uint64_t end)
{
	int r = 0;

	from -= from % COW_BLOCK;
	end = MIN(end + (COW_BLOCK - end % COW_BLOCK) % COW_BLOCK, cow_size(t->at->image));
	if (end > from)
		t->taken += end - from;
	if (t->taken > tables_limit)
		return -E2BIG;
	for (size_t n; r == 0 && from < end; from += n) {
		n = (size_t)MIN(end - from, (uint64_t)sizeof(t->image));
		r = cow_read(t->at->image, t->image, n, from);
		if (r == 0)
			r = pwrite_all(t->fd, t->image, n, from);
	}
	return r;
}

static int take_blocks(struct grow_tables *t, unsigned block_size, blk64_t block, uint64_t count)
{
	uint64_t from = t->at->offset + block * block_size;

	return take_range(t, from, from + count * block_size);
}

static int take_group(struct grow_tables *t, ext2_filsys fs, dgrp_t group)
{
	unsigned size = fs->blocksize, desc = (unsigned)fs->desc_blocks + fs->super->s_reserved_gdt_blocks;
	blk64_t super, old_desc, new_desc;
	int r = 0;

	ext2fs_super_and_bgd_loc2(fs, group, &super, &old_desc, &new_desc, NULL);
	if (group == 0 || super)
		r = take_blocks(t, size, super, 1);
	if (r == 0 && old_desc)
		r = take_blocks(t, size, old_desc, desc);
	if (r == 0)
		r = take_blocks(t, size, ext2fs_block_bitmap_loc(fs, group), 1);
	if (r == 0)
		r = take_blocks(t, size, ext2fs_inode_bitmap_loc(fs, group), 1);
	return r < 0 ? r : take_blocks(t, size, ext2fs_inode_table_loc(fs, group), fs->inode_blocks_per_group);
}

/* The block through which the reserved descriptors belong to an inode. */
static int take_resize_inode(struct grow_tables *t, ext2_filsys fs)
{
	struct ext2_inode inode;

	if (!ext2fs_has_feature_resize_inode(fs->super))
		return 0;
	if (ext2fs_read_inode(fs, EXT2_RESIZE_INO, &inode))
		return -EIO;
	return inode.i_block[EXT2_DIND_BLOCK] ? take_blocks(t, fs->blocksize, inode.i_block[EXT2_DIND_BLOCK], 1) : 0;
}

/* -E2BIG when the tables are too many, or new ones have no place without moving files. */
static int take_tables(struct grow_tables *t, ext2_filsys fs, uint64_t new_length)
{
	uint64_t blocks = new_length / fs->blocksize, per_group = fs->super->s_blocks_per_group;
	uint64_t groups = (blocks + per_group - 1) / per_group;
	int r = 0;

	if (ext2fs_has_feature_meta_bg(fs->super) ||
	    (groups + EXT2_DESC_PER_BLOCK(fs->super) - 1) / EXT2_DESC_PER_BLOCK(fs->super) >
		    (uint64_t)fs->desc_blocks + fs->super->s_reserved_gdt_blocks)
		return -E2BIG;
	for (dgrp_t g = 0; r == 0 && g < fs->group_desc_count; g++)
		r = take_group(t, fs, g);
	if (r == 0)
		r = take_resize_inode(t, fs);
	/* The first new block may share one of the image with the last old one. */
	return r < 0 ? r
		     : take_range(t, t->at->offset + ext2fs_blocks_count(fs->super) * fs->blocksize - 1,
				  cow_size(t->at->image));
}

/* What differs goes back, block by block of the image. */
static int give_extent(struct grow_tables *t, uint64_t from, uint64_t end)
{
	struct cow *image = t->at->image;
	int r = 0;

	for (size_t n; r == 0 && from < end; from += n) {
		n = (size_t)MIN(end - from, (uint64_t)sizeof(t->image));
		r = pread_all(t->fd, t->changed, n, from);
		if (r == 0)
			r = cow_read(image, t->image, n, from);
		for (size_t i = 0, part; r == 0 && i < n; i += part) {
			part = MIN(n - i, (size_t)COW_BLOCK);
			if (memcmp(t->changed + i, t->image + i, part) != 0)
				r = cow_write(image, t->changed + i, part, from + i);
		}
	}
	return r;
}

static int give_tables(struct grow_tables *t)
{
	uint64_t at = 0, start, end;
	int r;

	while ((r = file_next_data(t->fd, at, cow_size(t->at->image), &start, &end)) == 0) {
		r = give_extent(t, start, end);
		if (r < 0)
			return r;
		at = end;
	}
	return r == -ENXIO ? 0 : r;
}

static int grow_in_file(const struct fs_place *at, const char *const *argv, uint64_t end, struct err *e)
{
	int r = run_e2fsprogs(at, cow_file(at->image), argv, NULL, NULL, e);

	if (r == 0)
		r = cow_resize(at->image, end, e);
	cow_note(at->image, 0, UINT64_MAX);
	return r;
}

/* ARGV makes it so long that the image ends at END. */
static int grow_tables(const struct fs_place *at, const char *const *argv, uint64_t end, struct err *e)
{
	_cleanup_(ext4_abortp) struct ext4 *x = NULL;
	_cleanup_close_ int fd = memfd_create("pibuild-tables", MFD_CLOEXEC);
	_cleanup_free_ struct grow_tables *t = xcalloc(1, sizeof(*t));
	int r = ext4_open(at, EXT4_LOOK, &x, e);

	if (r < 0)
		return r;
	t->at = at;
	t->fd = fd;
	if (fd < 0 || ftruncate(fd, (off_t)cow_size(at->image)) < 0)
		return err_errno(e, -errno, "cannot get memory to grow %s", cow_name(at->image));
	r = take_tables(t, x->fs, end - at->offset);
	if (r == -E2BIG)
		return grow_in_file(at, argv, end, e);
	if (r < 0)
		return err_errno(e, r, "cannot read the tables of %s", cow_name(at->image));
	r = run_e2fsprogs(at, fd, argv, NULL, NULL, e);
	if (r == 0)
		r = cow_resize(at->image, end, e);
	if (r < 0)
		return r;
	r = give_tables(t);
	return r < 0 ? err_errno(e, r, "cannot grow %s", cow_name(at->image)) : 0;
}

int ext4_grow(const struct fs_place *at, uint64_t new_length, struct err *e)
{
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)at->offset);
	_cleanup_free_ char *size = xasprintf("%lluK", (unsigned long long)(new_length / 1024));
	/* -f: resize2fs refuses a filesystem that was mounted after its last check; we check it right here. */
	const char *const argv[] = { "resize2fs", "-f", where, size, NULL };
	const struct fs_place grown = { at->image, at->offset, new_length, at->epoch };
	struct ext2_super_block s;
	int r = read_super(at, &s, e);

	if (r < 0 || bytes_of(&s) >= new_length)
		return r;
	/* resize2fs cuts a plain file down to the size of the filesystem when it is done, without counting the offset:
	 * what lies in the last OFFSET bytes would be lost. A file that is not longer than the new filesystem is left
	 * alone. */
	if (cow_size(at->image) > new_length)
		return err_set(e, -EINVAL, "%s: resize2fs would cut the image: grow to %llu bytes or more",
			       cow_name(at->image), (unsigned long long)cow_size(at->image));
	if (le32toh(s.s_lastcheck) < le32toh(s.s_mtime))
		r = ext4_check(&grown, e);
	if (r == 0)
		r = grow_tables(at, argv, at->offset + new_length, e);
	/* A last group too small for its own tables is left out. */
	return r < 0 ? r : check_end(at, new_length, MAX(bytes_of(&s), new_length - new_length / 8), e);
}
