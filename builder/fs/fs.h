/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filesystems inside an image file: ext4 through libext2fs (the only folder that includes it), FAT by own code. No
 * mounts, no loop devices, no root. Paths are inside the filesystem and are resolved with its own root as root:
 * symbolic links in the image never reach the host.
 *
 * Everything written carries the one time of the build, so equal inputs give equal bytes.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/cow.h"
#include "base/err.h"
#include "base/util.h"
#include "crypto/digest.h"

struct fs_meta {
	unsigned mode; /* 07777 */
	unsigned uid, gid;
};

/* Bytes of an image that a file's content goes to, in the file's order: whole blocks, so zeros follow its end. */
struct fs_range {
	uint64_t start, end;
};
struct fs_room {
	VEC(struct fs_range) v;
};
/* Where a file's bytes come from: exactly SIZE bytes through read(). */
struct fs_source {
	uint64_t size;
	ssize_t (*read)(void *arg, void *buf, size_t n, struct err *e); /* > 0, or negative; 0 = too short */
	void *arg;
};
/* Exactly N bytes of it; -ENODATA when it ends before. */
int fs_source_take(const struct fs_source *src, void *buf, size_t n, struct err *e);
/* None yet: a file gets the blocks for SIZE bytes, which the caller fills afterwards. ROOM is empty before. */
struct fs_source fs_source_later(struct fs_room *room, uint64_t size);
/* A source over memory. */
struct fs_bytes {
	const char *p;
	size_t left;
};
struct fs_source fs_source_bytes(struct fs_bytes *state, const void *data, size_t n);

/* Where a filesystem lies. */
struct fs_place {
	struct cow *image;	 /* must outlive what is opened there */
	uint64_t offset, length; /* of the partition, bytes */
	int64_t epoch;		 /* the time of everything written */
};

struct fs_stat {
	unsigned mode; /* with the type bits of stat(2) */
	unsigned uid, gid;
	uint64_t size;
	int64_t mtime;
	uint64_t inode;
	unsigned links;
};

/* ---- ext4 ---- */

struct ext4;

enum {
	EXT4_READ = 0,
	EXT4_WRITE = 1 << 0,
	EXT4_LOOK =
		1 << 1, /* read what has long been there, whatever the state: journal not replayed, errors recorded */
};

/* Refuses, with the reason and the cure: a journal that needs recovery, errors recorded, features libext2fs or pibuild
 * cannot keep right, a filesystem that ends past the partition. */
int ext4_open(const struct fs_place *at, unsigned flags, struct ext4 **ret, struct err *e);
/* Writes all that is pending and closes, also on error. */
int ext4_close(struct ext4 *fs, struct err *e);
void ext4_abort(struct ext4 *fs); /* closes without flushing; for error paths */
static inline void ext4_abortp(struct ext4 **fs)
{
	if (*fs)
		ext4_abort(*fs);
}

struct ext4_info {
	uint64_t block_size, blocks, free_blocks, inodes, free_inodes;
	char uuid[37], label[17];
};
void ext4_info(const struct ext4 *fs, struct ext4_info *ret);

/* Every range of bytes of the partition (from its start) whose content matters to nobody, in order. */
typedef int (*free_range_fn)(void *arg, uint64_t start, uint64_t end);
int ext4_free_ranges(struct ext4 *fs, free_range_fn fn, void *arg, struct err *e);

/* All return -ENOENT with a message when the path (or its parent) is not there. The last component of a path is
 * followed when it is a symbolic link only by ext4_read. */
int ext4_stat(struct ext4 *fs, const char *path, struct fs_stat *ret, struct err *e);
bool ext4_exists(struct ext4 *fs, const char *path);
bool ext4_resolves(struct ext4 *fs, const char *path); /* what it leads to is there, through all symbolic links */
int ext4_read(struct ext4 *fs, const char *path, uint64_t limit, struct strbuf *out, struct err *e);
int ext4_readlink(struct ext4 *fs, const char *path, struct strbuf *out, struct err *e);

/* Makes or replaces; missing parents are made 0755 root. A directory in the way of a file is refused. Blocks of what is
 * replaced or removed become zero. After any failure but -ENOSPC up front, abort: the image is to be thrown away. */
int ext4_write(struct ext4 *fs, const char *path, const struct fs_meta *m, const struct fs_source *src, struct err *e);
int ext4_mkdir(struct ext4 *fs, const char *path, const struct fs_meta *m, struct err *e); /* sets meta when there */
int ext4_symlink(struct ext4 *fs, const char *path, const char *target, const struct fs_meta *m, struct err *e);
int ext4_hardlink(struct ext4 *fs, const char *path, const char *existing, struct err *e);
int ext4_set_xattr(struct ext4 *fs, const char *path, const char *name, const void *value, size_t n, struct err *e);
/* With all below; missing is fine. */
int ext4_remove(struct ext4 *fs, const char *path, struct err *e);

/* Every entry below DIR, sorted by name, parents first. PATH is absolute. Return negative to stop. */
typedef int (*ext4_walk_fn)(void *arg, const char *path, const struct fs_stat *st, struct err *e);
int ext4_walk(struct ext4 *fs, const char *dir, ext4_walk_fn fn, void *arg, struct err *e);
/* SHA-256 of a regular file's content. */
int ext4_digest(struct ext4 *fs, const char *path, char sha256[SHA256_HEX], struct err *e);

/* Are two regular files the same, byte for byte? Both are read until they differ. */
int ext4_equal(struct ext4 *a, const char *path_a, struct ext4 *b, const char *path_b, bool *ret, struct err *e);

/* Grows a closed, clean filesystem of an image that was opened direct to NEW_LENGTH bytes with resize2fs (e2fsck -fn
 * first when it asks for it), sets the file's length to OFFSET + NEW_LENGTH, and checks with own arithmetic that the
 * filesystem ends there. What it wrote counts as changed (cow_changes()); all of the image where files had to move.
 * -EINVAL when NEW_LENGTH is less than the file's length now: resize2fs would cut the image. Grow the partition
 * afterwards. */
int ext4_grow(const struct fs_place *at, uint64_t new_length, struct err *e);
/* e2fsck -fn of the file, without changes in memory; class FAILED with its words when it finds anything. */
int ext4_check(const struct fs_place *at, struct err *e);
/* Smallest useful upper bound of what adding a file of SIZE takes: blocks rounded up, extent and directory overhead. */
uint64_t ext4_cost(uint64_t size, uint64_t block_size);

/* ---- FAT16 and FAT32 ---- */

struct fat;

enum { FAT_READ = 0, FAT_WRITE = 1 << 0 };

/* A LENGTH of 0 is to the image's end. Refuses what it cannot rely upon: -EINVAL. */
int fat_open(const struct fs_place *at, unsigned flags, struct fat **ret, struct err *e);
/* Writes all that is pending and closes, also on error. */
int fat_close(struct fat *f, struct err *e);
void fat_abort(struct fat *f); /* closes without writing; for error paths and readers */
static inline void fat_abortp(struct fat **f)
{
	if (*f)
		fat_abort(*f);
}

/* Paths are relative to the FAT's root: "cmdline.txt", "overlays/x.dtbo"; capitals do not matter. -ENOENT when there is
 * none, -EUCLEAN when the filesystem contradicts itself. */
int fat_read(struct fat *f, const char *path, uint64_t limit, struct strbuf *out, struct err *e);
int fat_digest(struct fat *f, const char *path, char sha256[SHA256_HEX], struct err *e);
/* To a file on the host that is made or replaced; for what is too big for memory. */
int fat_extract(struct fat *f, const char *path, const char *to, struct err *e);
/* Makes or replaces, folders on the way too. Clusters of what is replaced or removed become zero. After any failure but
 * a name that FAT cannot take (-EINVAL), abort: the image is to be thrown away. */
int fat_write(struct fat *f, const char *path, const void *data, size_t n, struct err *e);
int fat_remove(struct fat *f, const char *path, struct err *e); /* with all below; missing is fine */
struct fat_entry {
	char *path;
	uint64_t size;
	bool dir;
};
/* Every file and folder, sorted by path, on the arena. Names of others may hold any character but '/' and controls. */
int fat_list(struct fat *f, struct fat_entry **ret, size_t *ret_n, struct err *e);
uint64_t fat_free_bytes(const struct fat *f);
/* As ext4_free_ranges(). */
int fat_free_ranges(const struct fat *f, free_range_fn fn, void *arg);

/* fsck.fat -n of the file, without changes in memory; class FAILED with its words when it finds anything. It knows no
 * offset: the data of the partition goes into a nameless file first. */
int fat_check(const struct fs_place *at, struct err *e);

#endif
