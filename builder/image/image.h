/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image by handle: its bytes, its partition table and the two filesystems in it, opened once and passed around.
 *
 *	_cleanup_(image_close) struct disk_image m = { 0 };
 *	image_open("out/cp-1.img", IMAGE_ROOT | IMAGE_BOOT, &m, e);	// or image_open_cow(), image_open_fs()
 *	... ext4_read(m.root, ...), fat_read(m.boot, ...) ...
 *	image_write_fs(&m, e);						// after IMAGE_WRITE alone
 *
 * image_close() is due after a failure too: what was opened until then is the handle's.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/cow.h"
#include "disk/disk.h"
#include "fs/fs.h"

struct disk_image {
	struct cow *cow; /* the bytes; owned */
	struct disk disk;
	struct ext4 *root; /* NULL = not open */
	struct fat *boot;  /* NULL = not open */
};

/* The image file PATH, raw or compressed (unpacked into a file that is gone when it is closed), for reading, with the
 * filesystems of FLAGS. Refuses a layout other than disk_read_base()'s; class USAGE when PATH is no file. */
int image_open(const char *path, unsigned flags, struct disk_image *ret, struct err *e);
/* The image in C, which it takes over, also on failure. */
int image_open_cow(struct cow *c, struct disk_image *ret, struct err *e);
/* The image in FD itself: what is written goes into it at once. FD stays the caller's and must outlive it. */
int image_open_direct(int fd, const char *name, struct disk_image *ret, struct err *e);
void image_close(struct disk_image *m);
/* Its bytes, which are the caller's then; all else is closed. */
struct cow *image_take_cow(struct disk_image *m);

/* Opens of the filesystems those that are asked for and not open yet. Everything written carries the time EPOCH. */
enum {
	IMAGE_ROOT = 1 << 0,
	IMAGE_BOOT = 1 << 1,
	IMAGE_WRITE = 1 << 2,
	IMAGE_LOOK = 1 << 3, /* as EXT4_LOOK */
};
int image_open_fs(struct disk_image *m, unsigned flags, int64_t epoch, struct err *e);
/* Writes all that is pending and closes both filesystems, also on error. */
int image_write_fs(struct disk_image *m, struct err *e);

static inline const struct partition *image_boot_part(const struct disk_image *m)
{
	return &m->disk.parts[0];
}
static inline const struct partition *image_root_part(const struct disk_image *m)
{
	return &m->disk.parts[m->disk.n - 1];
}
struct fs_place image_place(const struct disk_image *m, const struct partition *p, int64_t epoch);

/* A file of either partition by its path on the card, whole; -ENOENT when it is missing. */
int image_read(struct disk_image *m, const char *path, uint64_t limit, struct strbuf *out, struct err *e);
int image_digest(struct disk_image *m, const char *path, char sha256[SHA256_HEX], struct err *e);

/* ---- what of an image nobody needs (free.c): the host's holes say nothing here ---- */

struct range {
	uint64_t start, end; /* bytes */
};
struct ranges {
	VEC(struct range) v;
};

/* Every range that the image's own filesystems call free, in order, on the arena. A partition we cannot make sense of
 * has nothing free, nor has what lies outside partitions: the first failure says why, and RET is as true as ever. */
int image_free_ranges(struct cow *image, struct ranges *ret, struct err *e);

#endif
