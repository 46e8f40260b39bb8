/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a report lies. Folders and cards may be anybody's: no symbolic link of theirs is followed, and nothing but a
 * regular file is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "card/card.h"
#include "image/image.h"
#include "status/identity.h"
#include "status/report.h"

static const char on_root[] = "/etc/pibuild/release.json"; /* what makes a card pibuild's */

/* ---- a folder ---- */

static const struct report_place {
	const char *path, *second;
} places[] = {
	{ REPORT_JSON, REPORT_COPY },					/* boot partition */
	{ "boot/firmware/" REPORT_JSON, "boot/firmware/" REPORT_COPY }, /* root, boot partition mounted */
	{ "run/pibuild/status.json", NULL },				/* root of a running node */
};

/* -1 with errno set. */
static int open_below(int dir, const char *path, int flags)
{
	_cleanup_free_ char *copy = xstrdup(path);
	_cleanup_close_ int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	char *part = copy, *slash;

	for (; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		int next;

		*slash = '\0';
		next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	return at < 0 ? -1 : openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC);
}

static int read_fd(int fd, const char *name, struct report *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read_fd(fd, name, REPORT_LIMIT, &text, &n, e);

	if (r == -E2BIG)
		return err_class(e, CLASS_VERIFY, "%s: is too long for a report: more than 256 KiB", name);
	return r < 0 ? r : report_parse(text, n, name, ret, e);
}

static int read_place(int fd, const char *name, struct report *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", name);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_VERIFY, "%s: is not a regular file", name);
	return read_fd(fd, name, ret, e);
}

static int no_report(const char *path, bool pibuild, struct err *e)
{
	if (pibuild)
		return err_set(
			e, -ENOENT,
			"%s: there is no report: this card has not booted yet, or not far enough to write one; a node that never writes one does not start: look at its screen",
			path);
	return err_set(
		e, -ENOENT,
		"%s: there is no report, and nothing else of pibuild's: give the boot partition of a card, its device, an image, or a status.json",
		path);
}

static bool dir_is_pibuild(int dir)
{
	static const char *const marks[] = { "etc/pibuild/release.json", "config.txt", "cmdline.txt" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(marks) && !found; i++) {
		_cleanup_close_ int fd = open_below(dir, marks[i], O_PATH);

		found = fd >= 0;
	}
	return found;
}

static int read_below(int dir, const char *path, const char *place, struct report *ret, struct err *e)
{
	/* Not to be kept waiting by a pipe. */
	_cleanup_close_ int fd = open_below(dir, place, O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		return read_place(fd, path_join(path, place), ret, e);
	return err_errno(e, errno == ENOTDIR ? -ENOENT : -errno, "cannot open %s", path_join(path, place));
}

static int find_in_dir(int dir, const char *path, struct report *ret, struct err *e)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct report_place *p = &places[i];
		int r = read_below(dir, path, p->path, ret, e);

		if (r < 0 && e->class == CLASS_VERIFY && p->second &&
		    read_below(dir, path, p->second, ret, &ignored) == 0)
			r = 0;
		if (r != -ENOENT)
			return r;
	}
	return no_report(path, dir_is_pibuild(dir), e);
}

/* ---- an image, a card, a partition ---- */

/* FAT writes its name into the boot sector, which a partition table has code in. */
static bool is_fat(const struct cow *image)
{
	char sector[512] = "";

	return cow_read(image, sector, sizeof(sector), 0) == 0 &&
	       (!memcmp(sector + 54, "FAT1", 4) || !memcmp(sector + 82, "FAT32", 5));
}

static bool root_is_pibuild(struct cow *image, const struct disk *d)
{
	_cleanup_(ext4_abortp) struct ext4 *root = NULL;
	const struct fs_place at = { image, d->parts[1].start, d->parts[1].size, 1 };
	struct err ignored;

	/* A card pulled out of a running Pi is no reason to say that it is none of ours. */
	return d->n < 2 || ext4_open(&at, EXT4_READ, &root, &ignored) < 0 || ext4_exists(root, on_root);
}

static int read_on_fat(struct fat *fat, const char *path, const char *name, struct report *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = fat_read(fat, name, REPORT_LIMIT, &text, e);

	if (r == -E2BIG)
		return err_class(e, CLASS_VERIFY, "%s: %s is too long for a report: more than 256 KiB", path, name);
	return r < 0 ? r : report_parse(text.s, text.n, arena_printf("%s: %s", path, name), ret, e);
}

static int read_fat(struct cow *image, uint64_t offset, struct report *ret, struct err *e)
{
	_cleanup_(fat_abortp) struct fat *fat = NULL;
	const struct fs_place at = { .image = image, .offset = offset, .epoch = 1 };
	struct err ignored = { 0 };
	int r = fat_open(&at, FAT_READ, &fat, e);

	if (r < 0)
		return r;
	r = read_on_fat(fat, cow_name(image), REPORT_JSON, ret, e);
	if (r < 0 && e->class == CLASS_VERIFY && read_on_fat(fat, cow_name(image), REPORT_COPY, ret, &ignored) == 0)
		r = 0;
	return r;
}

static int find_on_disk(int fd, const char *path, struct report *ret, struct err *e)
{
	_cleanup_(cow_closep) struct cow *image = NULL;
	struct card_identity id;
	bool pibuild = true;
	struct disk disk;
	int r;

	if (card_is_unfinished(fd, &id))
		return err_set(
			e, -ENODATA,
			"%s is an unfinished card of %s: its writing did not end, so it does not boot; flash it again",
			path, id.node);
	r = cow_open_direct(fd, path, &image, e);
	if (r < 0)
		return r;
	if (is_fat(image)) {
		r = read_fat(image, 0, ret, e);
	} else {
		r = disk_read(image, &disk, e);
		if (r < 0)
			return r;
		r = read_fat(image, disk.parts[0].start, ret, e);
		pibuild = r != -ENOENT || root_is_pibuild(image, &disk);
	}
	return r == -ENOENT && e->class == CLASS_FAILED ? no_report(path, pibuild, e) : r;
}

/* ---- a file ---- */

/* A report begins with a brace; a disk never does, and its first sector is there. */
static bool looks_like_report(int fd, const struct stat *st)
{
	char head[64] = "";
	ssize_t n = pread(fd, head, sizeof(head) - 1, 0);

	return st->st_size < 512 || (n > 0 && head[strspn(head, " \t\r\n")] == '{');
}

int report_find(const char *path, struct report *ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return file_cannot_open(path, e);
	if (S_ISDIR(st.st_mode))
		return find_in_dir(fd, path, ret, e);
	if (S_ISBLK(st.st_mode) || (S_ISREG(st.st_mode) && !looks_like_report(fd, &st)))
		return find_on_disk(fd, path, ret, e);
	return read_fd(fd, path, ret, e);
}
