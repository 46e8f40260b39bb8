/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of an image nobody needs, by its own filesystems. */
#include "image/image.h"

struct collect {
	struct ranges *free;
	uint64_t base; /* of the partition */
};

static int add_free(void *arg, uint64_t start, uint64_t end)
{
	struct collect *c = arg;

	*vec_push(&c->free->v) = (struct range){ c->base + start, c->base + end };
	return 0;
}

static int collect_partition(const struct fs_place *at, unsigned type, struct collect *c, struct err *e)
{
	_cleanup_(ext4_abortp) struct ext4 *root = NULL;
	_cleanup_(fat_abortp) struct fat *boot = NULL;
	int r;

	if (type == DISK_LINUX) {
		r = ext4_open(at, EXT4_READ, &root, e);
		return r < 0 ? r : ext4_free_ranges(root, add_free, c, e);
	}
	r = fat_open(at, FAT_READ, &boot, e);
	return r < 0 ? r : fat_free_ranges(boot, add_free, c);
}

static int by_start(const void *a, const void *b)
{
	const struct partition *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int image_free_ranges(struct cow *image, struct ranges *ret, struct err *e)
{
	struct disk d;
	int r = disk_read(image, &d, e);

	if (r < 0)
		return r;
	qsort(d.parts, d.n, sizeof(d.parts[0]), by_start);
	for (unsigned i = 0; i < d.n; i++) {
		const struct partition *p = &d.parts[i];
		const struct fs_place at = { image, p->start, p->size, 1 };
		size_t before = ret->v.n;
		struct err why;

		if (collect_partition(&at, p->type, &(struct collect){ ret, p->start }, &why) == 0)
			continue;
		ret->v.n = before;
		if (r == 0)
			*e = why;
		r = e->code;
	}
	return r;
}
