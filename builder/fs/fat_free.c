/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters of a FAT are free. From Microsoft's "FAT32 File System Specification" 1.03:
 *
 *	boot sector | reserved | FAT | FAT copy | root folder (FAT16 only) | cluster 2 | cluster 3 | ...
 *
 * Little endian: 11 bytes per sector (2), 13 sectors per cluster (1), 14 reserved sectors (2), 16 number of FATs (1),
 * 17 root entries (2), 19 sectors (2) or 32 (4), 22 sectors per FAT (2) or 36 (4).
 */
#include <endian.h>
#include <errno.h>

#include "fs/fs.h"

enum { SECTOR = 512, FAT16_FIRST = 4085, FAT32_FIRST = 65525, CHUNK = 64 * 1024 };

struct layout {
	uint64_t fat, data; /* bytes from the start of the partition */
	uint64_t cluster;   /* bytes */
	uint32_t clusters;
	unsigned width; /* bytes of an entry */
};

static unsigned get16(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static uint32_t get32(const unsigned char *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static bool read_layout(const unsigned char *b, uint64_t length, struct layout *l)
{
	uint64_t sectors = get16(b + 19) ? get16(b + 19) : get32(b + 32);
	uint64_t fat_sectors = get16(b + 22) ? get16(b + 22) : get32(b + 36);
	uint64_t data = get16(b + 14) + b[16] * fat_sectors + (get16(b + 17) * 32u + SECTOR - 1) / SECTOR;

	if (b[510] != 0x55 || b[511] != 0xaa || get16(b + 11) != SECTOR || !b[13] || b[13] & (b[13] - 1) || !b[16] ||
	    !get16(b + 14) || sectors <= data || sectors * SECTOR > length || (sectors - data) / b[13] > UINT32_MAX)
		return false;
	l->cluster = b[13] * (uint64_t)SECTOR;
	l->clusters = (uint32_t)((sectors - data) / b[13]);
	l->fat = get16(b + 14) * (uint64_t)SECTOR;
	l->data = data * SECTOR;
	l->width = l->clusters < FAT32_FIRST ? 2 : 4;
	return l->clusters >= FAT16_FIRST && ((uint64_t)l->clusters + 2) * l->width <= fat_sectors * SECTOR;
}

static bool is_free(const struct layout *l, const unsigned char *entry)
{
	return l->width == 2 ? get16(entry) == 0 : (get32(entry) & 0x0fffffff) == 0;
}

struct run {
	const struct layout *l;
	free_range_fn fn;
	void *arg;
	uint64_t start, end; /* clusters from 0; equal = none */
};

static int end_run(struct run *run)
{
	const struct layout *l = run->l;
	int r = 0;

	if (run->start < run->end)
		r = run->fn(run->arg, l->data + run->start * l->cluster, l->data + run->end * l->cluster);
	run->start = run->end = 0;
	return r;
}

static int see_cluster(struct run *run, uint64_t cluster, bool free)
{
	if (!free)
		return end_run(run);
	if (run->start == run->end)
		run->start = cluster;
	run->end = cluster + 1;
	return 0;
}

int fat_free_ranges(const struct cow *image, uint64_t offset, uint64_t length, free_range_fn fn, void *arg,
		    struct err *e)
{
	unsigned char boot[SECTOR], chunk[CHUNK];
	struct layout l;
	struct run run = { .l = &l, .fn = fn, .arg = arg };
	int r = cow_read(image, boot, sizeof(boot), offset);

	if (r < 0 || !read_layout(boot, length, &l))
		return err_set(e, -EINVAL, "%s: no FAT whose map can be read at byte %llu", cow_name(image),
			       (unsigned long long)offset);
	for (uint64_t i = 0, end = (uint64_t)l.clusters * l.width; i < end && r == 0; i += CHUNK) {
		size_t n = (size_t)MIN(end - i, (uint64_t)CHUNK);

		r = cow_read(image, chunk, n,
			     offset + l.fat + 2 * l.width + i); /* the first two entries stand for none */
		if (r < 0)
			return err_errno(e, r, "cannot read %s", cow_name(image));
		for (size_t at = 0; at < n && r == 0; at += l.width)
			r = see_cluster(&run, (i + at) / l.width, is_free(&l, chunk + at));
	}
	return r < 0 ? r : end_run(&run);
}
