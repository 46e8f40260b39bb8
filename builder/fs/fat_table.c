/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a FAT16 or FAT32, and its table. Boot sector: 11 bytes per sector (2 bytes), 13 sectors per cluster
 * (1), 14 reserved sectors (2), 16 number of FATs (1), 17 root entries (2), 19 sectors (2) or 32 (4), 22 sectors per
 * FAT (2) or 36 (4), 40 which FAT counts (2), 44 root cluster (4), 48 FSInfo's sector (2), 510 signature.
 */
#include <errno.h>

#include "fs/fat_internal.h"

/* Fewer clusters are a FAT12, more a FAT32: the specification decides by their number alone. */
enum { FAT16_FIRST = 4085, FAT32_FIRST = 65525 };
enum { INFO_FREE = 488, INFO_NEXT = 492 };
static const uint32_t info_signatures[][2] = { { 0, 0x41615252 }, { 484, 0x61417272 }, { 508, 0xaa550000 } };

int fat_damaged(struct err *e, const char *what)
{
	return err_set(e, -EUCLEAN, "boot partition: its FAT is damaged: %s; fsck.fat may say more", what);
}

int fat_get(const struct fat *f, void *buf, size_t n, uint64_t at, struct err *e)
{
	int r = cow_read(f->image, buf, n, f->offset + at);

	return r < 0 ? err_errno(e, r, "cannot read the boot partition of %s", cow_name(f->image)) : 0;
}

int fat_put(struct fat *f, const void *buf, size_t n, uint64_t at, struct err *e)
{
	int r = cow_write(f->image, buf, n, f->offset + at);

	return r < 0 ? err_errno(e, r, "cannot write the boot partition of %s", cow_name(f->image)) : 0;
}

/* ---- layout ---- */

static const char *layout_fault(const unsigned char *b, uint64_t length, struct fat *f)
{
	uint64_t sectors = le16_at(b + 19) ? le16_at(b + 19) : le32_at(b + 32);
	uint64_t table = le16_at(b + 22) ? le16_at(b + 22) : le32_at(b + 36);
	uint64_t reserved = le16_at(b + 14), root = (le16_at(b + 17) * 32u + FAT_SECTOR - 1) / FAT_SECTOR;
	uint64_t data = reserved + b[16] * table + root, clusters;

	if (le16_at(b + 11) != FAT_SECTOR)
		return "its sectors have not 512 bytes";
	if (!b[13] || b[13] & (b[13] - 1) || !b[16] || !reserved || !table || sectors <= data)
		return "its boot sector contradicts itself";
	if (sectors * FAT_SECTOR > length)
		return "it ends past its partition";
	clusters = (sectors - data) / b[13];
	if (clusters < FAT16_FIRST)
		return "it is a FAT12, which no card of a Raspberry Pi has";
	f->width = clusters < FAT32_FIRST ? 2 : 4;
	if ((clusters + 2) * f->width > table * FAT_SECTOR)
		return "its table is too small for its clusters";
	if ((clusters + 2) * f->width > FAT_TABLE_LIMIT)
		return "it has more clusters than a boot partition can have";
	f->cluster = b[13] * (uint32_t)FAT_SECTOR;
	f->end = (uint32_t)clusters + FAT_FIRST_CLUSTER;
	f->tables = b[16];
	f->table_at = reserved * FAT_SECTOR;
	f->table_stride = table * FAT_SECTOR;
	f->table_size = f->end * f->width;
	f->data_at = data * FAT_SECTOR;
	if (f->width == 2) {
		f->root_size = (uint32_t)root * FAT_SECTOR;
		f->root_at = f->data_at - f->root_size;
		return root ? NULL : "it has no root folder";
	}
	f->root_cluster = le32_at(b + 44);
	if (f->root_cluster < FAT_FIRST_CLUSTER || f->root_cluster >= f->end)
		return "its root folder lies outside of it";
	if (le16_at(b + 48) && le16_at(b + 48) < reserved)
		f->info_at = le16_at(b + 48) * (uint64_t)FAT_SECTOR;
	if (le16_at(b + 40) & 0x80) { /* the copies are not kept alike: one of them counts */
		f->table_at += (le16_at(b + 40) & 15) % f->tables * f->table_stride;
		f->tables = 1;
	}
	return NULL;
}

static int info_check(struct fat *f, struct err *e)
{
	unsigned char info[FAT_SECTOR];
	int r = f->info_at ? fat_get(f, info, sizeof(info), f->info_at, e) : 0;

	for (size_t i = 0; r == 0 && f->info_at && i < ARRAY_SIZE(info_signatures); i++)
		if (le32_at(info + info_signatures[i][0]) != info_signatures[i][1])
			f->info_at = 0;
	return r;
}

uint32_t fat_entry(const struct fat *f, uint32_t cluster)
{
	const unsigned char *p = f->table + (size_t)cluster * f->width;

	return f->width == 2 ? le16_at(p) : le32_at(p) & 0x0fffffff;
}

static void entry_set(struct fat *f, uint32_t cluster, uint32_t value)
{
	size_t at = (size_t)cluster * f->width;
	unsigned char *p = f->table + at;

	if (f->width == 2)
		put_le16(p, value & 0xffff);
	else
		put_le32(p, (le32_at(p) & 0xf0000000) | (value & 0x0fffffff));
	f->dirty[at / FAT_DIRTY_UNIT] = 1;
}

int fat_table_read(struct fat *f, uint64_t length, struct err *e)
{
	unsigned char boot[FAT_SECTOR];
	const char *fault;
	int r = cow_read(f->image, boot, sizeof(boot), f->offset);

	if (r == -ENODATA || length < sizeof(boot) || boot[510] != 0x55 || boot[511] != 0xaa ||
	    (boot[0] != 0xeb && boot[0] != 0xe9))
		return err_set(e, -EINVAL, "%s: there is no FAT filesystem at byte %llu", cow_name(f->image),
			       (unsigned long long)f->offset);
	if (r < 0)
		return err_errno(e, r, "cannot read %s", cow_name(f->image));
	fault = layout_fault(boot, length, f);
	if (fault)
		return err_set(e, -EINVAL, "%s: the FAT at byte %llu cannot be used: %s", cow_name(f->image),
			       (unsigned long long)f->offset, fault);
	r = info_check(f, e);
	if (r < 0)
		return r;
	f->table = xmalloc(f->table_size);
	f->dirty = xcalloc(f->table_size / FAT_DIRTY_UNIT + 1, 1);
	r = fat_get(f, f->table, f->table_size, f->table_at, e);
	for (uint32_t i = FAT_FIRST_CLUSTER; r == 0 && i < f->end; i++)
		f->free += fat_entry(f, i) == 0;
	return r;
}

static uint32_t first_free(const struct fat *f)
{
	for (uint32_t i = FAT_FIRST_CLUSTER; i < f->end; i++)
		if (fat_entry(f, i) == 0)
			return i;
	return UINT32_MAX; /* what FSInfo says for "none known" */
}

static int info_write(struct fat *f, struct err *e)
{
	unsigned char info[8];

	put_le32(info, f->free);
	put_le32(info + 4, first_free(f));
	return fat_put(f, info, sizeof(info), f->info_at + INFO_FREE, e);
}

int fat_table_write(struct fat *f, struct err *e)
{
	bool any = false;

	for (uint32_t at = 0; at < f->table_size; at += FAT_DIRTY_UNIT) {
		if (!f->dirty[at / FAT_DIRTY_UNIT])
			continue;
		for (unsigned i = 0; i < f->tables; i++) {
			int r = fat_put(f, f->table + at, MIN(f->table_size - at, (uint32_t)FAT_DIRTY_UNIT),
					f->table_at + i * f->table_stride + at, e);

			if (r < 0)
				return r;
		}
		f->dirty[at / FAT_DIRTY_UNIT] = 0;
		any = true;
	}
	return any && f->info_at ? info_write(f, e) : 0;
}

/* ---- chains ---- */

int fat_next(const struct fat *f, uint32_t at, uint32_t *ret, struct err *e)
{
	uint32_t next = fat_entry(f, at);

	*ret = 0;
	if (next >= (f->width == 2 ? 0xfff8u : 0x0ffffff8u))
		return 0;
	if (next < FAT_FIRST_CLUSTER || next >= f->end)
		return fat_damaged(e, "a chain of clusters leads nowhere");
	*ret = next;
	return 0;
}

int fat_chain_add(struct fat *f, uint32_t last, uint32_t n, uint32_t *ret_first, struct err *e)
{
	uint32_t first = 0;

	if (n > f->free)
		return err_set(e, -ENOSPC, "boot partition: it is full");
	for (uint32_t i = FAT_FIRST_CLUSTER; n && i < f->end; i++) {
		if (fat_entry(f, i) != 0)
			continue;
		if (last)
			entry_set(f, last, i);
		entry_set(f, i, 0x0fffffff);
		first = first ? first : i;
		last = i;
		f->free--;
		n--;
	}
	*ret_first = first;
	return 0;
}

static int zero_cluster(struct fat *f, uint32_t cluster, struct err *e)
{
	static const unsigned char zeros[128 * FAT_SECTOR]; /* the largest cluster there is */

	return fat_put(f, zeros, f->cluster, f->data_at + (uint64_t)(cluster - FAT_FIRST_CLUSTER) * f->cluster, e);
}

int fat_chain_drop(struct fat *f, uint32_t first, struct err *e)
{
	while (first) {
		uint32_t next;
		int r;

		if (first < FAT_FIRST_CLUSTER || first >= f->end || fat_entry(f, first) == 0)
			return fat_damaged(e, "a file has a cluster that is free");
		r = fat_next(f, first, &next, e);
		if (r < 0)
			return r;
		r = zero_cluster(f, first, e);
		if (r < 0)
			return r;
		entry_set(f, first, 0);
		f->free++;
		first = next;
	}
	return 0;
}

int fat_chain_runs(const struct fat *f, uint32_t first, uint64_t n, fat_run_fn fn, void *arg, struct err *e)
{
	/* A chain that bites its tail has more clusters than there are; N bounds a file, this bounds a folder. */
	uint64_t most = (uint64_t)(f->end - FAT_FIRST_CLUSTER) * f->cluster;

	if (n > most)
		return fat_damaged(e, "a file is larger than the filesystem");
	while (n) {
		uint64_t start = first, size = 0;
		uint32_t next = first;

		if (first < FAT_FIRST_CLUSTER || first >= f->end)
			return fat_damaged(e, "a file is longer than its chain of clusters");
		do {
			int r = fat_next(f, next, &next, e);

			if (r < 0)
				return r;
			size += f->cluster;
		} while (next == start + size / f->cluster && size < n && size < MIB);
		size = MIN(size, n);
		int r = fn(arg, f->data_at + (start - FAT_FIRST_CLUSTER) * f->cluster, (size_t)size, e);

		if (r < 0)
			return r;
		n -= size;
		first = next;
	}
	return 0;
}

/* ---- free space ---- */

uint64_t fat_free_bytes(const struct fat *f)
{
	return (uint64_t)f->free * f->cluster;
}

int fat_free_ranges(const struct fat *f, free_range_fn fn, void *arg)
{
	for (uint32_t i = FAT_FIRST_CLUSTER, start; i < f->end; i++) {
		int r;

		if (fat_entry(f, i) != 0)
			continue;
		for (start = i; i < f->end && fat_entry(f, i) == 0;)
			i++;
		r = fn(arg, f->data_at + (uint64_t)(start - FAT_FIRST_CLUSTER) * f->cluster,
		       f->data_at + (uint64_t)(i - FAT_FIRST_CLUSTER) * f->cluster);
		if (r < 0)
			return r;
	}
	return 0;
}
