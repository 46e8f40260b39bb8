/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to a disk: an image file, or a node's image that is in memory alone. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "flash/flash.h"

/* Skipping less than this costs more in requests than it saves. */
static const uint64_t smallest_gap = 64 * KIB;

static int source_check_image(const struct flash_source *s, const unsigned char sector[SECTOR], struct err *e)
{
	if (s->size < PIECE || sector[510] != 0x55 || sector[511] != 0xaa)
		return err_set(e, -EINVAL, "%s is no disk image: it has no boot sector", s->name);
	if (s->size % SECTOR)
		return err_set(e, -EINVAL, "%s is cut off: its %llu bytes are no whole sectors", s->name,
			       (unsigned long long)s->size);
	return 0;
}

struct measure {
	unsigned char sector[SECTOR];
};

static int take_measure(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct measure *m = arg;
	struct err ignored;

	if (offset == 0)
		memcpy(m->sector, buf, MIN(n, sizeof(m->sector)));
	return sig_check(&ignored);
}

static int measure(struct flash_source *s, uint64_t compressed, struct err *e)
{
	struct measure m = { 0 };
	struct decode d = {
		.in = s->fd, .name = s->name, .write = take_measure, .write_arg = &m, .progress = task_progress
	};
	int r;

	d.progress_arg = task_begin("measure", path_base(s->name), compressed);
	r = decode_image(&d, e);
	task_end(d.progress_arg, r < 0 ? "failed" : NULL);
	s->size = d.size;
	return r < 0 ? r : source_check_image(s, m.sector, e);
}

static int64_t mtime_of(const struct flash_source *s)
{
	struct stat st;

	if (fstat(s->image ? cow_file(s->image) : s->fd, &st) < 0)
		return -1;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

int source_check(const struct flash_source *s, struct err *e)
{
	if (mtime_of(s) == s->mtime)
		return 0;
	return err_set(e, -ESTALE, "%s changed while it was flashed: run the command again", s->name);
}

int source_cow(struct cow *image, struct flash_source *ret, struct err *e)
{
	unsigned char sector[SECTOR] = { 0 };
	int r;

	*ret = (struct flash_source){ .name = cow_name(image), .size = cow_size(image), .image = image, .fd = -1 };
	ret->mtime = mtime_of(ret);
	r = cow_read(image, sector, sizeof(sector), 0);
	if (r < 0 && r != -ENODATA)
		return err_errno(e, r, "cannot read %s", ret->name);
	return source_check_image(ret, sector, e);
}

int source_open(const char *path, struct flash_source *ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct decode d = { .in = fd, .name = path };
	struct cow *image;
	struct stat st;
	bool raw = false;
	int r;

	*ret = (struct flash_source){ .name = path, .fd = -1 };
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot open the image %s", path);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_USAGE, "%s is no file: pibuild flash IMAGE DISK", path);
	r = decode_is_raw(&d, &raw, e);
	if (r < 0)
		return r;
	if (raw) {
		r = cow_open(take_fd(&fd), path, &image, e);
		return r < 0 ? r : source_cow(image, ret, e);
	}
	ret->fd = take_fd(&fd);
	ret->mtime = mtime_of(ret);
	return measure(ret, (uint64_t)st.st_size, e);
}

void source_close(struct flash_source *s)
{
	cow_closep(&s->image);
	closep(&s->fd);
	s->image = NULL;
}

/* ---- what must be written: all but holes that a filesystem of the image calls free ---- */

struct skip {
	const struct ranges *free;
	size_t at; /* both lists are in order: no free range before this one is of use any more */
	struct ranges *needed;
	uint64_t from; /* start of the needed range that is open */
};

static void skip_range(struct skip *s, uint64_t start, uint64_t end)
{
	start = MAX((start + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK, (uint64_t)PIECE);
	end = end / COW_BLOCK * COW_BLOCK;
	if (end < start + smallest_gap)
		return;
	if (s->from < start)
		*vec_push(&s->needed->v) = (struct range){ s->from, start };
	s->from = end;
}

static int see_hole(void *arg, uint64_t start, uint64_t end)
{
	struct skip *s = arg;

	while (s->at < s->free->v.n && s->free->v.v[s->at].end <= start)
		s->at++;
	for (size_t i = s->at; i < s->free->v.n && s->free->v.v[i].start < end; i++)
		skip_range(s, MAX(start, s->free->v.v[i].start), MIN(end, s->free->v.v[i].end));
	return 0;
}

int source_ranges(const struct flash_source *s, struct ranges *ret, struct err *e)
{
	struct ranges free = { 0 };
	struct skip skip = { .free = &free, .needed = ret };
	struct err ignored = { 0 };
	int r = 0;

	*ret = (struct ranges){ 0 };
	if (s->image) {
		image_free_ranges(s->image, &free, &ignored); /* what is not known to be free is written */
		r = cow_holes(s->image, see_hole, &skip, e);
	}
	if (skip.from < s->size)
		*vec_push(&ret->v) = (struct range){ skip.from, s->size };
	return r;
}
