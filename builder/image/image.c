/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include "archive/archive.h"

int image_open_cow(struct cow *c, struct disk_image *ret, struct err *e)
{
	*ret = (struct disk_image){ .cow = c };
	return disk_read_base(c, &ret->disk, e);
}

int image_open_direct(int fd, const char *name, struct disk_image *ret, struct err *e)
{
	struct cow *c;
	int r = cow_open_direct(fd, name, &c, e);

	return r < 0 ? r : image_open_cow(c, ret, e);
}

int image_open(const char *path, unsigned flags, struct disk_image *ret, struct err *e)
{
	struct cow *c;
	int fd, r = image_file_open(path, &fd, e);

	if (r < 0)
		return r;
	r = cow_open(fd, path, &c, e);
	if (r < 0)
		return r;
	r = image_open_cow(c, ret, e);
	return r < 0 ? r : image_open_fs(ret, flags, 1, e);
}

void image_close(struct disk_image *m)
{
	ext4_abortp(&m->root);
	fat_abortp(&m->boot);
	cow_closep(&m->cow);
	*m = (struct disk_image){ 0 };
}

struct cow *image_take_cow(struct disk_image *m)
{
	struct cow *c = m->cow;

	m->cow = NULL;
	image_close(m);
	return c;
}

struct fs_place image_place(const struct disk_image *m, const struct partition *p, int64_t epoch)
{
	return (struct fs_place){ m->cow, p->start, p->size, epoch };
}

int image_open_fs(struct disk_image *m, unsigned flags, int64_t epoch, struct err *e)
{
	const struct fs_place root = image_place(m, image_root_part(m), epoch);
	const struct fs_place boot = image_place(m, image_boot_part(m), epoch);
	unsigned how = (flags & IMAGE_WRITE ? EXT4_WRITE : 0) | (flags & IMAGE_LOOK ? EXT4_LOOK : 0);
	int r = 0;

	if (flags & IMAGE_ROOT && !m->root)
		r = ext4_open(&root, how, &m->root, e);
	if (r == 0 && flags & IMAGE_BOOT && !m->boot)
		r = fat_open(&boot, flags & IMAGE_WRITE ? FAT_WRITE : FAT_READ, &m->boot, e);
	return r;
}

int image_write_fs(struct disk_image *m, struct err *e)
{
	int r = m->root ? ext4_close(m->root, e) : 0;

	m->root = NULL;
	if (r < 0 || !m->boot)
		return r;
	r = fat_close(m->boot, e);
	m->boot = NULL;
	return r;
}

int image_read(struct disk_image *m, const char *path, uint64_t limit, struct strbuf *out, struct err *e)
{
	return path_on_boot(path) ? fat_read(m->boot, path_in_boot(path), limit, out, e)
				  : ext4_read(m->root, path, limit, out, e);
}

int image_digest(struct disk_image *m, const char *path, char sha256[SHA256_HEX], struct err *e)
{
	return path_on_boot(path) ? fat_digest(m->boot, path_in_boot(path), sha256, e)
				  : ext4_digest(m->root, path, sha256, e);
}
