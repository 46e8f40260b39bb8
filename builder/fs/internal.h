/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of this folder. ext4.c opens and closes, ext4_inode.c makes and frees inodes with their blocks,
 * ext4_dir.c has folders, ext4_path.c finds names, ext4_read.c reads, ext4_write.c changes the tree, ext4_grow.c runs
 * e2fsprogs.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include <ext2fs/ext2fs.h>

#include "fs/fs.h"

enum { CHUNK = 1024 * 1024, MAX_DEPTH = 128, MAX_SYMLINKS = 40 };

struct ext4 {
	ext2_filsys fs;
	char *image;
	int64_t now; /* never 0: libext2fs would take the wall clock */
	char *chunk; /* CHUNK bytes, for content on its way */
};

/* An inode in memory. */
struct inode {
	ext2_ino_t number;
	const char *path; /* by which it was come to; for messages */
	struct ext2_inode_large raw;
};
/* As most functions of libext2fs take it. */
static inline struct ext2_inode *small(struct inode *n)
{
	return (struct ext2_inode *)&n->raw;
}

/* An errcode_t of libext2fs as err: its errno where it is one, -ENOSPC for full, else -EIO. "PATH: what: why". */
int ext4_error(struct err *e, errcode_t code, const char *path, const char *what);
/* -EUCLEAN: the filesystem contradicts itself. */
int ext4_damaged(struct err *e, const char *path, const char *what);

/* ext4_cow.c: an io_manager over a struct cow. */
extern const io_manager cow_io_manager;
/* What the next open in this thread gets: libext2fs passes nothing but a name. */
void cow_io_prepare(const struct fs_place *at);
/* Where BLOCK lies in the image. */
uint64_t cow_io_place(io_channel io, unsigned long long block);

/* ---- ext4_inode.c ---- */

int inode_read(struct ext4 *x, ext2_ino_t number, const char *path, struct inode *ret, struct err *e);
/* What the image has of it beyond RAW stays. */
int inode_write(struct ext4 *x, struct inode *n, struct err *e);
/* What is to become one, with its content. */
struct new_inode {
	unsigned type;	   /* S_IFREG, S_IFDIR, S_IFLNK */
	ext2_ino_t parent; /* of a folder, its ".."; any other is made near it */
	const struct fs_meta *meta;
	const struct fs_source *content; /* a file's bytes, a link's target; NULL = a folder */
	const char *path;
};
/* Not yet linked anywhere. */
int inode_create(struct ext4 *x, const struct new_inode *of, ext2_ino_t *ret, struct err *e);
/* One link less; the last one frees inode and blocks, which become zero: no removed byte stays behind. */
int inode_drop(struct ext4 *x, ext2_ino_t number, const char *path, struct err *e);
void inode_set_owner(struct inode *n, const struct fs_meta *m);
/* mtime (when CONTENT) and ctime become the time of the build. */
void inode_touch(const struct ext4 *x, struct inode *n, bool content);

/* ---- ext4_dir.c ---- */

struct spot {
	const char *path;	      /* as asked for; for messages */
	ext2_ino_t dir;		      /* the folder that holds (or will hold) the last component */
	ext2_ino_t ino;		      /* 0 = there is no such entry */
	char name[EXT2_NAME_LEN + 1]; /* "" for the root */
};
int entry_add(struct ext4 *x, const struct spot *at, ext2_ino_t ino, unsigned mode, struct err *e);
/* Lets the entry, which is there, lead to another inode: order and index of the folder stay. */
int entry_swap(struct ext4 *x, const struct spot *at, ext2_ino_t ino, unsigned mode, struct err *e);
int entry_remove(struct ext4 *x, const struct spot *at, bool is_dir, struct err *e);
/* A new, empty folder. */
int dir_create(struct ext4 *x, const struct spot *at, const struct fs_meta *m, ext2_ino_t *ret, struct err *e);

struct dir_item {
	char *name;
	ext2_ino_t ino;
};
struct dir_list {
	struct dir_item *v;
	size_t n, cap;
};
/* Without "." and "..", sorted by name. */
int dir_read(struct ext4 *x, ext2_ino_t dir, const char *path, struct dir_list *ret, struct err *e);
void dir_list_done(struct dir_list *l);

/* ---- ext4_path.c ---- */

enum { FOLLOW_LAST = 1 << 0, MAKE_PARENTS = 1 << 1 };
/* A missing last component is no error; a missing parent is -ENOENT unless MAKE_PARENTS. PATH has to outlive RET. */
int path_resolve(struct ext4 *x, const char *path, unsigned flags, struct spot *ret, struct err *e);
/* As above, and the last component must be there. */
int path_find(struct ext4 *x, const char *path, unsigned flags, struct spot *ret, struct err *e);
int symlink_target(struct ext4 *x, struct inode *n, struct strbuf *out, struct err *e);

#endif
