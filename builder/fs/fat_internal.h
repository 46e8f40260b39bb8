/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of FAT: fat_table.c knows the layout and which cluster follows which, fat_dir.c folders and
 * names, fat.c files by path. From Microsoft's "FAT32 File System Specification" 1.03 (2000):
 *
 *	boot sector | reserved | FAT | FAT copy | root folder (FAT16 only) | cluster 2 | cluster 3 | ...
 *
 * All numbers are little endian. A cluster's number is an index into the FAT, which holds the number of the next.
 */
#ifndef FS_FAT_INTERNAL_H
#define FS_FAT_INTERNAL_H

#include "fs/fs.h"

enum {
	FAT_SECTOR = 512,
	FAT_SLOT = 32,		    /* bytes of an entry in a folder */
	FAT_DIR_LIMIT = 65536 * 32, /* the specification's */
	FAT_TABLE_LIMIT = 64 << 20, /* 16 million clusters; a boot partition has 1 */
	FAT_DIRTY_UNIT = 4096,	    /* of the FAT, that is written when it changed */
	FAT_FIRST_CLUSTER = 2,
	FAT_MAX_DEPTH = 64,
};

struct fat {
	struct cow *image;
	uint64_t offset; /* of the partition in the image */
	int64_t epoch;
	bool writable;

	/* bytes from the start of the partition */
	uint64_t table_at, data_at;
	uint64_t root_at; /* FAT16's root folder; 0 on FAT32 */
	uint64_t info_at; /* FSInfo of FAT32; 0 = none */

	unsigned tables;       /* copies of the FAT */
	uint64_t table_stride; /* bytes from one copy to the next */
	uint32_t table_size;   /* bytes of it that mean something */
	uint32_t root_size;    /* of FAT16's root folder */
	uint32_t root_cluster; /* of FAT32's */
	uint32_t cluster;      /* bytes */
	uint32_t end;	       /* one past the last cluster's number */
	unsigned width;	       /* bytes of an entry of the FAT: 2 or 4 */

	unsigned char *table, *dirty; /* the FAT, and a byte for each FAT_DIRTY_UNIT of it */
	uint32_t free;		      /* clusters */
};

static inline unsigned le16_at(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8;
}
static inline uint32_t le32_at(const unsigned char *p)
{
	return le16_at(p) | (uint32_t)le16_at(p + 2) << 16;
}
static inline void put_le16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}
static inline void put_le32(unsigned char *p, uint32_t v)
{
	put_le16(p, v & 0xffff);
	put_le16(p + 2, v >> 16);
}

/* -EUCLEAN: the filesystem contradicts itself. */
int fat_damaged(struct err *e, const char *what);

/* ---- fat_table.c ---- */

/* Fills all of F but its first four members. */
int fat_table_read(struct fat *f, uint64_t length, struct err *e);
/* What changed of the FAT, to each copy, and FSInfo. */
int fat_table_write(struct fat *f, struct err *e);
/* What the FAT has for a cluster: 0 = it is free. */
uint32_t fat_entry(const struct fat *f, uint32_t cluster);
/* The cluster after AT: 0 = it was the last. */
int fat_next(const struct fat *f, uint32_t at, uint32_t *ret, struct err *e);
/* N clusters with the lowest numbers, chained behind LAST (0 = a chain of its own). Nothing changes on -ENOSPC. */
int fat_chain_add(struct fat *f, uint32_t last, uint32_t n, uint32_t *ret_first, struct err *e);
/* The chain is free, and its clusters are zero. */
int fat_chain_drop(struct fat *f, uint32_t first, struct err *e);
/* N bytes of the chain from its beginning, run by run of neighbouring clusters. */
typedef int (*fat_run_fn)(void *arg, uint64_t at, size_t n, struct err *e);
int fat_chain_runs(const struct fat *f, uint32_t first, uint64_t n, fat_run_fn fn, void *arg, struct err *e);
/* N bytes at byte AT of the partition. */
int fat_get(const struct fat *f, void *buf, size_t n, uint64_t at, struct err *e);
int fat_put(struct fat *f, const void *buf, size_t n, uint64_t at, struct err *e);

/* ---- fat_sound.c ---- */

/* Before anything is changed: the copies of the FAT are alike, every cluster belongs to one file that is as long as it
 * says, or is free. -EUCLEAN else: what is written over contradictions makes more of them. */
int fat_sound(const struct fat *f, struct err *e);

/* ---- fat_dir.c ---- */

struct fat_dir {
	uint32_t first; /* cluster; 0 = FAT16's root */
	unsigned char *slots;
	size_t n; /* bytes, a multiple of FAT_SLOT */
};
static inline void fat_dir_done(struct fat_dir *d)
{
	free(d->slots);
}

struct fat_file {
	size_t begin, at;   /* its first slot and the one that counts, in bytes; begin < at with a long name */
	char name[256 * 3]; /* UTF-8 */
	bool dir;
	uint32_t first, size;
};

int fat_dir_root(const struct fat *f, struct fat_dir *ret, struct err *e);
int fat_dir_read(const struct fat *f, uint32_t first, struct fat_dir *ret, struct err *e);
/* The next entry from slot *AT on; false at the end. Neither "." nor "..", no volume label. */
bool fat_dir_next(const struct fat *f, const struct fat_dir *d, size_t *at, struct fat_file *ret);
bool fat_dir_find(const struct fat *f, const struct fat_dir *d, const char *name, struct fat_file *ret);
/* A new entry, in the folder as it lies on the image too; D grows when it must. */
int fat_dir_add(struct fat *f, struct fat_dir *d, const char *name, bool dir, uint32_t first, uint32_t size,
		struct err *e);
/* Another content for an entry that is there. */
int fat_dir_set(struct fat *f, struct fat_dir *d, const struct fat_file *x, uint32_t first, uint32_t size,
		struct err *e);
int fat_dir_drop(struct fat *f, struct fat_dir *d, const struct fat_file *x, struct err *e);
/* A folder with "." and ".." and nothing else, in a cluster of its own. */
int fat_dir_make(struct fat *f, const struct fat_dir *parent, uint32_t *ret_first, struct err *e);

#endif
