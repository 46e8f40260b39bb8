/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: what is accepted, and why the rest is refused. Closing: what is pending gets written, nothing is synced. */
#include "fs/internal.h"

#include <errno.h>
#include <pthread.h>

static const uint32_t known_compat = EXT2_FEATURE_COMPAT_DIR_PREALLOC | EXT3_FEATURE_COMPAT_HAS_JOURNAL |
				     EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_RESIZE_INODE |
				     EXT2_FEATURE_COMPAT_DIR_INDEX | EXT4_FEATURE_COMPAT_SPARSE_SUPER2 |
				     EXT4_FEATURE_COMPAT_FAST_COMMIT | EXT4_FEATURE_COMPAT_ORPHAN_FILE;
static const uint32_t known_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG |
				       EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT |
				       EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED |
				       EXT4_FEATURE_INCOMPAT_LARGEDIR | EXT4_FEATURE_INCOMPAT_INLINE_DATA;
static const uint32_t known_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
					EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |
					EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
					EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;

enum feature_set { COMPAT, INCOMPAT, RO_COMPAT };

/* Refused features that have a name and a cure; any other unknown bit is refused by its number. */
static const struct {
	enum feature_set set;
	uint32_t bit;
	const char *why;
} refused[] = {
	{ INCOMPAT, EXT3_FEATURE_INCOMPAT_RECOVER,
	  "its journal holds changes that were never written; let `e2fsck -p` replay it, or unmount it cleanly" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT,
	  "it was not unmounted cleanly (deleted files are pending); run `e2fsck -p` on it" },
	{ INCOMPAT, EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, "it is a journal, not a filesystem" },
	{ INCOMPAT, EXT4_FEATURE_INCOMPAT_ENCRYPT, "it has encrypted files; make it without the feature encrypt" },
	{ INCOMPAT, EXT4_FEATURE_INCOMPAT_CASEFOLD,
	  "it can ignore the case of names; make it without the feature casefold" },
	{ INCOMPAT, EXT4_FEATURE_INCOMPAT_EA_INODE,
	  "it keeps attributes in inodes; make it without the feature ea_inode" },
	{ INCOMPAT, EXT4_FEATURE_INCOMPAT_MMP, "it is guarded against several hosts; run `tune2fs -O ^mmp` on it" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_QUOTA, "it keeps quotas; run `tune2fs -O ^quota` on it" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_PROJECT, "it keeps project quotas; run `tune2fs -O ^project` on it" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_BIGALLOC, "it allocates clusters; make it without the feature bigalloc" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_VERITY, "it has sealed files; make it without the feature verity" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS,
	  "its files share blocks; make it without the feature shared_blocks" },
	{ RO_COMPAT, EXT4_FEATURE_RO_COMPAT_READONLY, "it is marked read-only; run `tune2fs -O ^read-only` on it" },
	{ COMPAT, EXT4_FEATURE_COMPAT_STABLE_INODES,
	  "its inodes may not move; make it without the feature stable_inodes" },
};

static int errno_of(errcode_t code)
{
	switch (code) {
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_DIR_NO_SPACE:
	case EXT2_ET_TOOSMALL:
		return -ENOSPC;
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	case EXT2_ET_FILE_NOT_FOUND:
		return -ENOENT;
	default:
		return code > 0 && code < 256 ? (int)-code : -EIO;
	}
}

int ext4_error(struct err *e, errcode_t code, const char *path, const char *what)
{
	return err_set(e, errno_of(code), "%s: %s: %s", path, what, error_message(code));
}

int ext4_damaged(struct err *e, const char *path, const char *what)
{
	return err_set(e, -EUCLEAN, "%s: the filesystem is damaged: %s; run `e2fsck -f` on it", path, what);
}

static int check_features(const struct ext4 *x, struct err *e)
{
	const struct ext2_super_block *s = x->fs->super;
	const struct {
		const char *set;
		uint32_t has, known;
	} sets[] = {
		[COMPAT] = { "compat", s->s_feature_compat, known_compat },
		[INCOMPAT] = { "incompat", s->s_feature_incompat, known_incompat },
		[RO_COMPAT] = { "ro_compat", s->s_feature_ro_compat, known_ro_compat },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (sets[refused[i].set].has & refused[i].bit)
			return err_set(e, -EOPNOTSUPP, "%s: cannot change this ext4: %s", x->image, refused[i].why);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (sets[i].has & ~sets[i].known)
			return err_set(
				e, -EOPNOTSUPP,
				"%s: this ext4 has features pibuild does not know (%s 0x%x); a newer pibuild may",
				x->image, sets[i].set, sets[i].has & ~sets[i].known);
	if (!ext2fs_has_feature_extents(x->fs->super) || !ext2fs_has_feature_filetype(x->fs->super))
		return err_set(e, -EOPNOTSUPP, "%s: is an ext2 or ext3, not an ext4 (no extents)", x->image);
	return 0;
}

static int check_state(const struct ext4 *x, uint64_t length, struct err *e)
{
	const struct ext2_super_block *s = x->fs->super;
	uint64_t blocks = ext2fs_blocks_count(x->fs->super);

	if (s->s_state & EXT2_ERROR_FS)
		return err_set(e, -EUCLEAN, "%s: errors are recorded in the ext4; run `e2fsck -f` on it", x->image);
	if (!(s->s_state & EXT2_VALID_FS) || s->s_last_orphan)
		return err_set(e, -EUCLEAN, "%s: the ext4 was not unmounted cleanly; run `e2fsck -p` on it", x->image);
	if (blocks > length / x->fs->blocksize)
		return err_set(
			e, -EUCLEAN,
			"%s: the ext4 ends %llu bytes past its partition; the image is cut off or was badly resized",
			x->image, (unsigned long long)(blocks * x->fs->blocksize - length));
	return 0;
}

static void load_messages(void)
{
	initialize_ext2_error_table();
}

static int ext4_load(struct ext4 *x, const struct fs_place *at, unsigned flags, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	/* FORCE, SKIP_MMP: features are for our own list to refuse, with a reason. */
	int r, how = EXT2_FLAG_64BITS | EXT2_FLAG_FORCE | EXT2_FLAG_SKIP_MMP | (flags & EXT4_WRITE ? EXT2_FLAG_RW : 0) |
		     (flags & EXT4_LOOK ? EXT2_FLAG_IGNORE_CSUM_ERRORS : 0);
	errcode_t c;

	pthread_once(&once, load_messages);
	cow_io_prepare(at);
	c = ext2fs_open2(x->image, NULL, how, 0, 0, cow_io_manager, &x->fs);
	if (c == EXT2_ET_BAD_MAGIC || c == EXT2_ET_SHORT_READ)
		return err_set(e, -EINVAL, "%s: there is no ext4 at byte %llu", x->image,
			       (unsigned long long)at->offset);
	if (c)
		return ext4_error(e, c, x->image, "cannot open the ext4");
	x->fs->now = (time_t)x->now;
	if (flags & EXT4_LOOK)
		return 0;
	r = check_features(x, e);
	if (r < 0)
		return r;
	r = check_state(x, at->length, e);
	if (r < 0)
		return r;
	c = ext2fs_check_desc(x->fs);
	if (c == 0)
		c = ext2fs_read_bitmaps(x->fs);
	return c ? ext4_error(e, c, x->image, "cannot read the ext4's bitmaps") : 0;
}

int ext4_open(const struct fs_place *at, unsigned flags, struct ext4 **ret, struct err *e)
{
	struct ext4 *x = xcalloc(1, sizeof(*x));
	int r;

	x->image = xstrdup(cow_name(at->image));
	x->now = MAX(at->epoch, 1);
	x->chunk = xmalloc(CHUNK);
	r = ext4_load(x, at, flags, e);
	if (r < 0) {
		ext4_abort(x);
		return r;
	}
	*ret = x;
	return 0;
}

void ext4_abort(struct ext4 *x)
{
	if (x->fs)
		ext2fs_free(x->fs);
	free(x->image);
	free(x->chunk);
	free(x);
}

/* Not ext2fs_close(): it adds the bytes written to s_kbytes_written, which depend on the host, and syncs. */
int ext4_close(struct ext4 *x, struct err *e)
{
	errcode_t c = 0;
	int r = 0;

	if (x->fs->flags & EXT2_FLAG_RW)
		c = ext2fs_flush2(x->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (c == 0 && x->fs->flags & EXT2_FLAG_RW)
		c = io_channel_set_options(x->fs->io, "cache=off"); /* writes what it holds, and tells */
	if (c)
		r = ext4_error(e, c, x->image, "cannot write the ext4");
	ext4_abort(x);
	return r;
}

void ext4_info(const struct ext4 *x, struct ext4_info *ret)
{
	const struct ext2_super_block *s = x->fs->super;
	const unsigned char *u = s->s_uuid;

	*ret = (struct ext4_info){
		.block_size = x->fs->blocksize,
		.blocks = ext2fs_blocks_count(x->fs->super),
		.free_blocks = ext2fs_free_blocks_count(x->fs->super),
		.inodes = s->s_inodes_count,
		.free_inodes = s->s_free_inodes_count,
	};
	snprintf(ret->uuid, sizeof(ret->uuid), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	snprintf(ret->label, sizeof(ret->label), "%.16s", (const char *)s->s_volume_name);
}

/* Blocks that the bitmap calls free; what lies before the first block (of 1 KiB filesystems) is not among them. */
int ext4_free_ranges(struct ext4 *x, free_range_fn fn, void *arg, struct err *e)
{
	blk64_t last = ext2fs_blocks_count(x->fs->super) - 1, at = x->fs->super->s_first_data_block, start, end;
	int r = 0;

	while (r == 0 && at <= last) {
		errcode_t c = ext2fs_find_first_zero_block_bitmap2(x->fs->block_map, at, last, &start);

		if (c == ENOENT)
			return 0;
		if (c == 0)
			c = ext2fs_find_first_set_block_bitmap2(x->fs->block_map, start, last, &end);
		if (c == ENOENT)
			end = last + 1;
		else if (c)
			return ext4_error(e, c, x->image, "cannot read the ext4's block bitmap");
		r = fn(arg, start * x->fs->blocksize, end * x->fs->blocksize);
		at = end;
	}
	return r;
}

int fs_source_take(const struct fs_source *src, void *buf, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = src->read(src->arg, (char *)buf + done, n - done, e);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return err_set(e, -ENODATA, "its source ends too early");
		done += (size_t)got;
	}
	return 0;
}

static ssize_t bytes_read(void *arg, void *buf, size_t n, struct err *e)
{
	struct fs_bytes *b = arg;

	n = MIN(n, b->left);
	memcpy(buf, b->p, n);
	b->p += n;
	b->left -= n;
	return (ssize_t)n;
}

struct fs_source fs_source_bytes(struct fs_bytes *state, const void *data, size_t n)
{
	*state = (struct fs_bytes){ data, n };
	return (struct fs_source){ n, bytes_read, state };
}

struct fs_source fs_source_later(struct fs_room *room, uint64_t size)
{
	return (struct fs_source){ size, NULL, room };
}

uint64_t ext4_cost(uint64_t size, uint64_t block_size)
{
	uint64_t blocks = (size + block_size - 1) / block_size;

	/* 1/256: one extent per block at worst, 340 of them in a block; 1: its share of folders. */
	return (blocks + blocks / 256 + 1) * block_size;
}
