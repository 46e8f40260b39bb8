/* SPDX-License-Identifier: Apache-2.0 */
#include "space/space.h"

#include "disk/disk.h"
#include "fs/fs.h"

struct collect {
	struct cow *image;
	struct ranges *free;
	uint64_t base; /* of the partition */
};

static int add_free(void *arg, uint64_t start, uint64_t end)
{
	struct collect *c = arg;

	*vec_push(&c->free->v) = (struct range){ c->base + start, c->base + end };
	return 0;
}

/* A partition we cannot make sense of has nothing free. */
static void collect_partition(const struct partition *p, struct collect *c)
{
	struct err ignored = { 0 };
	struct ext4 *fs = NULL;
	struct fat *boot = NULL;
	size_t before = c->free->v.n;
	int r;

	c->base = p->start;
	if (p->type == 0x83) {
		if (ext4_open_cow(c->image, p->start, p->size, EXT4_READ, 1, &fs, &ignored) < 0)
			return;
		r = ext4_free_ranges(fs, add_free, c, &ignored);
		ext4_abort(fs);
	} else {
		if (fat_open(c->image, p->start, p->size, FAT_READ, 1, &boot, &ignored) < 0)
			return;
		r = fat_free_ranges(boot, add_free, c);
		fat_abort(boot);
	}
	if (r < 0)
		c->free->v.n = before;
}

static int by_start(const void *a, const void *b)
{
	const struct partition *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void space_free(struct cow *image, struct ranges *ret)
{
	const char *path = arena_printf("/proc/self/fd/%d", cow_file(image));
	struct collect c = { image, ret, 0 };
	struct err ignored = { 0 };
	struct disk d;

	if (disk_read(path, &d, &ignored) < 0)
		return;
	qsort(d.parts, d.n, sizeof(d.parts[0]), by_start);
	for (unsigned i = 0; i < d.n; i++)
		collect_partition(&d.parts[i], &c);
}
