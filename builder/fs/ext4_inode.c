/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes and their blocks. A file gets its blocks before its bytes: one run where there is one, so big files are
 * written in long strokes. Freed blocks become zero, so no byte of a removed or replaced file stays in the image.
 */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/sig.h"

int inode_read(struct ext4 *x, ext2_ino_t number, const char *path, struct inode *ret, struct err *e)
{
	errcode_t c;

	*ret = (struct inode){ .number = number, .path = path };
	c = ext2fs_read_inode_full(x->fs, number, small(ret), sizeof(ret->raw));
	return c ? ext4_error(e, c, path, "cannot read its inode") : 0;
}

int inode_write(struct ext4 *x, struct inode *n, struct err *e)
{
	errcode_t c = ext2fs_write_inode_full(x->fs, n->number, small(n), sizeof(n->raw));

	return c ? ext4_error(e, c, n->path, "cannot write its inode") : 0;
}

/* ---- times and owner ---- */

void inode_set_owner(struct inode *n, const struct fs_meta *m)
{
	n->raw.i_mode = (n->raw.i_mode & S_IFMT) | (m->mode & 07777);
	n->raw.i_uid = (uint16_t)m->uid;
	n->raw.i_uid_high = (uint16_t)(m->uid >> 16);
	n->raw.i_gid = (uint16_t)m->gid;
	n->raw.i_gid_high = (uint16_t)(m->gid >> 16);
}

static bool has_extra(const struct ext2_inode_large *raw, size_t end)
{
	return raw->i_extra_isize >= end - EXT2_GOOD_OLD_INODE_SIZE;
}
#define HAS_EXTRA(raw, field) has_extra(raw, offsetof(struct ext2_inode_large, field) + sizeof((raw)->field))

/* Seconds beyond 32 bits are kept in two bits of the extra field; nanoseconds are 0. */
static uint32_t extra_of(int64_t t)
{
	return (uint32_t)((t - (int32_t)t) >> 32) & EXT4_EPOCH_MASK;
}

void inode_touch(const struct ext4 *x, struct inode *n, bool content)
{
	struct ext2_inode_large *raw = &n->raw;

	raw->i_ctime = (uint32_t)x->now;
	if (HAS_EXTRA(raw, i_ctime_extra))
		raw->i_ctime_extra = extra_of(x->now);
	if (!content)
		return;
	raw->i_mtime = (uint32_t)x->now;
	if (HAS_EXTRA(raw, i_mtime_extra))
		raw->i_mtime_extra = extra_of(x->now);
}

static void set_birth(const struct ext4 *x, struct inode *n)
{
	struct ext2_inode_large *raw = &n->raw;

	if (EXT2_INODE_SIZE(x->fs->super) > EXT2_GOOD_OLD_INODE_SIZE)
		raw->i_extra_isize = sizeof(*raw) - EXT2_GOOD_OLD_INODE_SIZE;
	inode_touch(x, n, true);
	raw->i_atime = (uint32_t)x->now;
	raw->i_atime_extra = raw->i_mtime_extra;
	raw->i_crtime = (uint32_t)x->now;
	raw->i_crtime_extra = raw->i_mtime_extra;
}

/* ---- blocks ---- */

/* The first run that takes all of it, else half of it, and so on; 0 leaves the choice to libext2fs. */
static blk64_t find_run(struct ext4 *x, struct inode *n, uint64_t blocks)
{
	blk64_t goal = ext2fs_find_inode_goal(x->fs, n->number, small(n), 0), at, found;

	for (uint64_t want = blocks; want; want /= 2)
		if (ext2fs_new_range(x->fs, EXT2_NEWRANGE_MIN_LENGTH, goal, want, NULL, &at, &found) == 0)
			return at;
	return goal;
}

static int inode_check_room(struct ext4 *x, uint64_t size, const char *path, struct err *e)
{
	uint64_t need = ext4_cost(size, x->fs->blocksize);
	uint64_t have = ext2fs_free_blocks_count(x->fs->super) * x->fs->blocksize;
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

	if (need <= have)
		return 0;
	return err_set(e, -ENOSPC, "%s: the root filesystem is full: needs %s, has %s free", path, size_text(need, a),
		       size_text(have, b));
}

/* Content on its way into the blocks that it got. */
struct filling_file {
	const struct fs_source *from;
	uint64_t left;
	const char *path;
};

static int fill_chunk(struct ext4 *x, const struct filling_file *f, size_t n, struct err *e)
{
	int r = fs_source_take(f->from, x->chunk, n, e);

	if (r == -ENODATA)
		return err_wrap(e, "%s", f->path);
	return r < 0 ? r : sig_check(e);
}

/* The last block's tail is zero. */
static int write_extent(struct ext4 *x, struct filling_file *f, const struct ext2fs_extent *extent, struct err *e)
{
	unsigned bs = x->fs->blocksize;
	blk64_t at = extent->e_pblk;

	for (uint64_t blocks = extent->e_len; blocks;) {
		uint64_t part = MIN(blocks, (uint64_t)CHUNK / bs);
		size_t n = (size_t)MIN(part * bs, f->left);
		errcode_t c;
		int r = fill_chunk(x, f, n, e);

		if (r < 0)
			return r;
		memset(x->chunk + n, 0, (size_t)part * bs - n);
		c = io_channel_write_blk64(x->fs->io, at, (int)part, x->chunk);
		if (c)
			return ext4_error(e, c, f->path, "cannot write");
		at += part;
		blocks -= part;
		f->left -= n;
	}
	return 0;
}

/* fs_source_later() */
static void add_room(struct ext4 *x, struct filling_file *f, const struct ext2fs_extent *extent)
{
	uint64_t start = cow_io_place(x->fs->io, extent->e_pblk), n = (uint64_t)extent->e_len * x->fs->blocksize;
	struct fs_room *room = f->from->arg;

	*vec_push(&room->v) = (struct fs_range){ start, start + n };
	f->left -= MIN(f->left, n);
}

static int write_extents(struct ext4 *x, ext2_extent_handle_t h, struct filling_file *f, struct err *e)
{
	struct ext2fs_extent extent;
	errcode_t c = ext2fs_extent_get(h, EXT2_EXTENT_ROOT, &extent);

	while (c == 0) {
		bool leaf = extent.e_flags & EXT2_EXTENT_FLAGS_LEAF;
		int r = leaf && f->from->read ? write_extent(x, f, &extent, e) : 0;

		if (r < 0)
			return r;
		if (leaf && !f->from->read)
			add_room(x, f, &extent);
		c = ext2fs_extent_get(h, EXT2_EXTENT_NEXT, &extent);
	}
	if (c != EXT2_ET_EXTENT_NO_NEXT)
		return ext4_error(e, c, f->path, "cannot walk its blocks");
	return f->left ? ext4_damaged(e, f->path, "a new file has too few blocks") : 0;
}

/* Allocates first, then fills. The inode must be on disk: the extent code rewrites it. */
static int inode_add_content(struct ext4 *x, struct inode *n, const struct fs_source *src, struct err *e)
{
	struct filling_file f = { .from = src, .left = src->size, .path = n->path };
	uint64_t blocks = (src->size + x->fs->blocksize - 1) / x->fs->blocksize;
	ext2_extent_handle_t h;
	errcode_t c = ext2fs_inode_size_set(x->fs, small(n), (ext2_off64_t)src->size);
	int r;

	if (c == 0 && blocks)
		c = ext2fs_fallocate(x->fs, EXT2_FALLOCATE_FORCE_INIT, n->number, small(n), find_run(x, n, blocks), 0,
				     blocks);
	if (c == 0)
		c = ext2fs_extent_open2(x->fs, n->number, small(n), &h); /* gives an empty file its empty tree */
	if (c)
		return ext4_error(e, c, n->path, "cannot allocate blocks");
	r = blocks ? write_extents(x, h, &f, e) : 0;
	ext2fs_extent_free(h);
	return r;
}

static int inode_add_folder(struct ext4 *x, struct inode *n, ext2_ino_t parent, struct err *e)
{
	char *block = NULL;
	blk64_t at;
	errcode_t c;

	n->raw.i_size = x->fs->blocksize;
	c = ext2fs_fallocate(x->fs, EXT2_FALLOCATE_FORCE_INIT, n->number, small(n), find_run(x, n, 1), 0, 1);
	if (c == 0)
		c = ext2fs_bmap2(x->fs, n->number, small(n), NULL, 0, 0, NULL, &at);
	if (c == 0)
		c = ext2fs_new_dir_block(x->fs, n->number, parent, &block);
	if (c == 0)
		c = ext2fs_write_dir_block4(x->fs, at, block, 0, n->number);
	ext2fs_free_mem(&block);
	return c ? ext4_error(e, c, n->path, "cannot make a folder") : 0;
}

/* A link's target of up to 59 bytes lives in the inode. */
static int add_target(struct ext4 *x, struct inode *n, const struct fs_source *src, struct err *e)
{
	const struct filling_file f = { .from = src, .path = n->path };
	int r;

	if (src->size >= sizeof(n->raw.i_block))
		return inode_add_content(x, n, src, e);
	r = fill_chunk(x, &f, (size_t)src->size, e);
	n->raw.i_flags &= ~(uint32_t)EXT4_EXTENTS_FL;
	n->raw.i_size = (uint32_t)src->size;
	memset(n->raw.i_block, 0, sizeof(n->raw.i_block));
	memcpy(n->raw.i_block, x->chunk, (size_t)src->size);
	return r;
}

/* The whole inode on disk, so that nothing of an earlier owner shines through. */
static int write_fresh(struct ext4 *x, const struct inode *n, struct err *e)
{
	size_t size = EXT2_INODE_SIZE(x->fs->super);
	_cleanup_free_ char *whole = xcalloc(1, MAX(size, sizeof(n->raw)));
	errcode_t c;

	memcpy(whole, &n->raw, MIN(size, sizeof(n->raw)));
	c = ext2fs_write_inode_full(x->fs, n->number, (struct ext2_inode *)whole, (int)size);
	return c ? ext4_error(e, c, n->path, "cannot write its inode") : 0;
}

int inode_create(struct ext4 *x, const struct new_inode *of, ext2_ino_t *ret, struct err *e)
{
	bool folder = of->type == S_IFDIR;
	struct inode n = {
		.path = of->path,
		.raw = { .i_mode = (uint16_t)of->type, .i_links_count = folder ? 2 : 1, .i_flags = EXT4_EXTENTS_FL }
	};
	errcode_t c;
	int r = inode_check_room(x, folder ? x->fs->blocksize : of->content->size, of->path, e);

	if (r < 0)
		return r;
	c = ext2fs_new_inode(x->fs, of->parent, (int)of->type, NULL, &n.number);
	if (c)
		return ext4_error(e, c, of->path, "there is no free inode on the root filesystem");
	ext2fs_inode_alloc_stats2(x->fs, n.number, +1, folder);
	inode_set_owner(&n, of->meta);
	set_birth(x, &n);
	r = write_fresh(x, &n, e);
	if (r == 0 && folder)
		r = inode_add_folder(x, &n, of->parent, e);
	else if (r == 0 && of->type == S_IFLNK)
		r = add_target(x, &n, of->content, e);
	else if (r == 0)
		r = inode_add_content(x, &n, of->content, e);
	if (r == 0)
		r = inode_write(x, &n, e);
	if (r < 0)
		return r;
	*ret = n.number;
	return 0;
}

/* ---- freeing ---- */

struct run {
	blk64_t at, n;
};
struct runs {
	ext2_filsys fs;
	struct run *v;
	size_t n, cap;
	bool damaged;
};

static int add_run(ext2_filsys fs, blk64_t *block, e2_blkcnt_t count, blk64_t ref, int ref_offset, void *arg)
{
	struct runs *runs = arg;
	struct run *last = runs->n ? &runs->v[runs->n - 1] : NULL;

	if (*block < fs->super->s_first_data_block || *block >= ext2fs_blocks_count(fs->super) ||
	    !ext2fs_test_block_bitmap2(fs->block_map, *block)) {
		runs->damaged = true;
		return BLOCK_ABORT;
	}
	if (last && last->at + last->n == *block) {
		last->n++;
		return 0;
	}
	if (runs->n == runs->cap) {
		runs->cap = runs->cap ? runs->cap * 2 : 16;
		runs->v = xrealloc(runs->v, runs->cap * sizeof(*runs->v));
	}
	runs->v[runs->n++] = (struct run){ *block, 1 };
	return 0;
}

/* Holes where the host can, zeros elsewhere. The channel's cache is written first: it may hold old bytes of the run and
 * would put them back later. */
static errcode_t clear_run(struct ext4 *x, const struct run *run)
{
	uint64_t most = CHUNK / x->fs->blocksize;
	errcode_t c = io_channel_set_options(x->fs->io, "cache=off");

	if (c == 0)
		c = io_channel_zeroout(x->fs->io, run->at, run->n);
	if (c == EXT2_ET_UNIMPLEMENTED) {
		memset(x->chunk, 0, CHUNK);
		c = 0;
		for (uint64_t done = 0; done < run->n && c == 0; done += most)
			c = io_channel_write_blk64(x->fs->io, run->at + done, (int)MIN(most, run->n - done), x->chunk);
	}
	io_channel_set_options(x->fs->io, "cache=on");
	return c;
}

static int free_blocks(struct ext4 *x, struct inode *n, struct err *e)
{
	struct runs runs = { .fs = x->fs };
	errcode_t c = 0;

	if (ext2fs_inode_has_valid_blocks2(x->fs, small(n)))
		c = ext2fs_block_iterate3(x->fs, n->number, BLOCK_FLAG_READ_ONLY, NULL, add_run, &runs);
	for (size_t i = 0; i < runs.n && c == 0 && !runs.damaged; i++) {
		ext2fs_block_alloc_stats_range(x->fs, runs.v[i].at, runs.v[i].n, -1);
		c = clear_run(x, &runs.v[i]);
	}
	free(runs.v);
	if (runs.damaged)
		return ext4_damaged(e, n->path, "a file claims blocks that are not its own");
	return c ? ext4_error(e, c, n->path, "cannot free its blocks") : 0;
}

static int inode_free(struct ext4 *x, struct inode *n, struct err *e)
{
	const struct inode gone = { n->number, n->path, { .i_dtime = (uint32_t)x->now } };
	int r = free_blocks(x, n, e);
	errcode_t c;

	if (r < 0)
		return r;
	c = ext2fs_free_ext_attr(x->fs, n->number, &n->raw);
	if (c)
		return ext4_error(e, c, n->path, "cannot free its attributes");
	ext2fs_inode_alloc_stats2(x->fs, n->number, -1, S_ISDIR(n->raw.i_mode));
	return write_fresh(x, &gone, e);
}

int inode_drop(struct ext4 *x, ext2_ino_t number, const char *path, struct err *e)
{
	struct inode n;
	int r = inode_read(x, number, path, &n, e);

	if (r < 0)
		return r;
	if (number < EXT2_FIRST_INODE(x->fs->super) || n.raw.i_links_count == 0 ||
	    !ext2fs_test_inode_bitmap2(x->fs->inode_map, number))
		return ext4_damaged(e, path, "a name leads to an inode that is not in use");
	if (S_ISDIR(n.raw.i_mode) || n.raw.i_links_count == 1)
		return inode_free(x, &n, e);
	n.raw.i_links_count--;
	inode_touch(x, &n, false);
	return inode_write(x, &n, e);
}
