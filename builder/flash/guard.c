/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk may be written to. Pure but for guard_find(), which follows a path to a device number. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "disk/disk.h"
#include "flash/device.h"

/* The largest SDXC cards sold; a "removable" disk beyond is more likely somebody's backup. */
static const uint64_t largest_card = 2048 * GIB;
/* Images have 512-byte sectors in their partition table. */

const char *guard_verdict(const struct device *d)
{
	if (d->system)
		return arena_printf("this machine runs from it: %s", d->system);
	if (*d->mounts)
		return arena_printf("it is mounted (%s): unmount it first", d->mounts);
	if (d->swap)
		return arena_printf("%s of it is in use as swap: swapoff it first", d->swap);
	if (d->holder)
		return arena_printf("%s is built on it (LVM, RAID or encryption): stop that first", d->holder);
	if (d->no_disk)
		return "it is no disk of its own that a Raspberry Pi could boot from";
	if (d->read_only)
		return "it is read-only: move the lock of the card or its adapter";
	if (d->sector && d->sector != SECTOR)
		return arena_printf("it has sectors of %u bytes, and images have 512", d->sector);
	if (!*d->identity)
		return "it has neither serial, WWN nor sequence number, so it cannot be told from others";
	return NULL;
}

bool guard_wants_identity(const struct device *d)
{
	return !d->removable || d->size > largest_card;
}

static const struct device *by_number(const struct devices *all, dev_t devno)
{
	vec_foreach (d, &all->v)
		if (d->devno == devno)
			return d;
	return NULL;
}

static int refuse_link(const char *path, const char *real, struct err *e)
{
	return err_class(e, CLASS_REFUSED, "%s is a symbolic link to %s: name the disk itself", path, real);
}

/* Links are udev's own or not followed at all: what they lead to may change. */
static int guard_check_links(const struct host *h, const char *path, struct err *e)
{
	_cleanup_free_ char *udev = xasprintf("%s/disk/", h->dev);
	char real[PATH_MAX];
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_errno(e, -errno, "cannot find the disk %s (pibuild devices lists them)", path);
	if (!S_ISLNK(st.st_mode))
		return 0;
	if (!realpath(path, real))
		return err_errno(e, -errno, "%s leads nowhere", path);
	return starts_with(path, udev) && !strstr(path, "/../") ? 0 : refuse_link(path, real, e);
}

static int refuse_number(const struct host *h, const char *path, dev_t devno, struct err *e)
{
	_cleanup_free_ char *dir = xasprintf("%s/dev/block/%u:%u", h->sys, major(devno), minor(devno));
	_cleanup_free_ char *partition = xasprintf("%s/partition", dir);
	char real[PATH_MAX];

	if (!file_is_missing(partition) && realpath(dir, real)) {
		const char *whole = path_base(path_dir(real));

		return err_class(e, CLASS_REFUSED, "%s is a partition: an image goes onto the whole disk, /dev/%s",
				 path, whole);
	}
	return err_class(e, CLASS_REFUSED, "%s holds no medium, or is no disk that pibuild knows", path);
}

int guard_find(const struct host *h, const struct devices *all, const char *path, const struct device **ret,
	       struct err *e)
{
	const struct device *d;
	struct stat st;
	int r = guard_check_links(h, path, e);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return err_errno(e, -errno, "cannot look at %s", path);
	if (!S_ISBLK(st.st_mode))
		return err_class(e, CLASS_REFUSED,
				 "%s is %s, not a disk: pibuild devices lists those that can be flashed", path,
				 S_ISREG(st.st_mode)   ? "a file"
				 : S_ISDIR(st.st_mode) ? "a folder"
				 : S_ISCHR(st.st_mode) ? "a character device"
						       : "a pipe or socket");
	d = by_number(all, st.st_rdev);
	if (!d)
		return refuse_number(h, path, st.st_rdev, e);
	*ret = d;
	return 0;
}

int guard_check(const struct device *d, uint64_t size, struct err *e)
{
	char need[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	const char *why = guard_verdict(d);

	if (why)
		return err_class(e, CLASS_REFUSED, "%s cannot be flashed: %s", d->path, why);
	if (size > d->size)
		return err_class(e, CLASS_REFUSED,
				 "%s is too small: it has %s (%llu bytes), the image needs %s (%llu bytes)", d->path,
				 size_text(d->size, have), (unsigned long long)d->size, size_text(size, need),
				 (unsigned long long)size);
	return 0;
}

int guard_same(const struct device *asked, const struct device *now, struct err *e)
{
	const char *what = NULL;

	if (asked->devno != now->devno || !streq(asked->name, now->name))
		what = "is another device";
	else if (asked->size != now->size)
		what = "has another size";
	else if (asked->diskseq != now->diskseq)
		what = "was taken out or put in again";
	else if (!streq(asked->identity, now->identity) || !streq(asked->model, now->model))
		what = "is another disk";
	if (!what)
		return 0;
	return err_class(e, CLASS_REFUSED,
			 "%s %s than it was when you were asked: nothing was written; run the command again",
			 asked->path, what);
}
