/* SPDX-License-Identifier: Apache-2.0 */
/* Does a FAT agree with itself? */
#include "fs/fat_internal.h"

enum { COMPARE = 65536 };

struct sound {
	const struct fat *f;
	unsigned char *seen; /* one for each cluster */
	uint32_t clusters;   /* that were */
};

static int copies_agree(const struct fat *f, struct err *e)
{
	unsigned char copy[COMPARE];

	for (unsigned i = 1; i < f->tables; i++)
		for (uint32_t at = 0; at < f->table_size; at += COMPARE) {
			uint32_t n = MIN(f->table_size - at, (uint32_t)COMPARE);
			int r = fat_get(f, copy, n, f->table_at + i * f->table_stride + at, e);

			if (r < 0)
				return r;
			if (memcmp(copy, f->table + at, n) != 0)
				return fat_damaged(e, "its copies differ");
		}
	return 0;
}

/* Clusters of a chain, each seen for the first time. */
static int see_chain(struct sound *s, uint32_t first, uint32_t *ret_n, struct err *e)
{
	for (*ret_n = 0; first; ++*ret_n) {
		int r;

		if (first < FAT_FIRST_CLUSTER || first >= s->f->end || fat_entry(s->f, first) == 0)
			return fat_damaged(e, "a file has a cluster that is free, or none of its");
		if (s->seen[first])
			return fat_damaged(e, "two files share a cluster, or a chain bites its tail");
		s->seen[first] = 1;
		s->clusters++;
		r = fat_next(s->f, first, &first, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int see_folder(struct sound *s, const struct fat_dir *d, unsigned depth, struct err *e)
{
	struct fat_file x;
	uint32_t n;
	size_t at = 0;
	int r = depth > FAT_MAX_DEPTH ? fat_damaged(e, "folders are nested without end") : 0;

	while (r == 0 && fat_dir_next(s->f, d, &at, &x)) {
		_cleanup_(fat_dir_done) struct fat_dir below = { 0 };

		r = see_chain(s, x.first, &n, e);
		if (r == 0 && !x.dir && n != (x.size + (uint64_t)s->f->cluster - 1) / s->f->cluster)
			r = fat_damaged(e, "a file is longer or shorter than its chain of clusters");
		if (r == 0 && x.dir)
			r = fat_dir_read(s->f, x.first, &below, e);
		if (r == 0 && x.dir)
			r = see_folder(s, &below, depth + 1, e);
	}
	return r;
}

static uint32_t count_bad(const struct fat *f)
{
	uint32_t n = 0;

	for (uint32_t i = FAT_FIRST_CLUSTER; i < f->end; i++)
		n += fat_entry(f, i) == (f->width == 2 ? 0xfff7u : 0x0ffffff7u);
	return n;
}

int fat_sound(const struct fat *f, struct err *e)
{
	_cleanup_free_ unsigned char *seen = xcalloc(f->end, 1);
	_cleanup_(fat_dir_done) struct fat_dir root = { 0 };
	struct sound s = { .f = f, .seen = seen };
	uint32_t n;
	int r = copies_agree(f, e);

	if (r == 0)
		r = see_chain(&s, f->root_cluster, &n, e);
	if (r == 0)
		r = fat_dir_root(f, &root, e);
	if (r == 0)
		r = see_folder(&s, &root, 0, e);
	if (r == 0 && s.clusters + f->free + count_bad(f) != f->end - FAT_FIRST_CLUSTER)
		r = fat_damaged(e, "clusters belong to no file");
	return r;
}
