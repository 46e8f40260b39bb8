/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar of a Debian system into an image: MBR, FAT with what lies below /boot/firmware, ext4 with the rest, as on
 * Raspberry Pi OS (pi-gen export-image/prerun.sh). Read twice: for the sizes, then for the content.
 */
#include <errno.h>

#include "archive/archive.h"
#include "base/proc.h"
#include "debian/debian.h"
#include "image/image.h"

enum { BLOCK = 4096 };
static const uint64_t boot_start = 8 * MIB, boot_size = 512 * MIB, root_step = 4 * MIB;
/* As Raspberry Pi OS has them, named one by one: hosts differ in defaults. */
static const char ext4_features[] =
	"none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink,extra_isize,metadata_csum";

struct draft {
	struct disk_image image;
	const char *key;
	int64_t epoch;
	uint64_t content; /* bytes the root's files take */
};

uint32_t debian_disk_id(const char *key)
{
	uint32_t id = (uint32_t)strtoul(arena_strndup(key, 8), NULL, 16);

	return id ? id : 1;
}

/* An UUID of the digits of KEY from AT on. */
static const char *uuid_of(const char *key, size_t at)
{
	const char *s = key + at;

	return arena_printf("%.8s-%.4s-4%.3s-8%.3s-%.12s", s, s + 8, s + 12, s + 15, s + 18);
}

/* What the kernel and udev lay over these at boot is not ours to keep. */
static bool is_volatile(const char *path)
{
	static const char *const folders[] = { "/dev/", "/proc/", "/sys/", "/run/", "/tmp/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (starts_with(path, folders[i]))
			return true;
	return false;
}

/* ---- sizes ---- */

static int add_cost(void *arg, const struct tar_entry *x, struct tar *t, struct err *e)
{
	struct draft *m = arg;

	if (!is_volatile(x->path) && !path_on_boot(x->path))
		m->content += ext4_cost(x->type == TAR_FILE ? x->size : 0, BLOCK);
	return 0;
}

/* Inode tables, journal and the part reserved for root on top, and a little to live on before it has grown. */
static void image_lay_out(struct draft *m)
{
	uint64_t size = m->content + m->content / 5 + 200 * MIB;

	size = (size + root_step - 1) / root_step * root_step;
	m->image.disk = (struct disk){
		.id = debian_disk_id(m->key),
		.size = boot_start + boot_size + size,
		.parts = { { 1, boot_start, boot_size, DISK_FAT }, { 2, boot_start + boot_size, size, DISK_LINUX } },
		.n = 2,
	};
}

/* ---- empty filesystems ---- */

static int run_on(const struct draft *m, const char *const *argv, struct err *e)
{
	return proc_run(&(struct proc){ .argv = argv,
					.file = cow_name(m->image.cow),
					.file_fd = cow_file(m->image.cow),
					.epoch = m->epoch },
			e);
}

static int make_fat(const struct draft *m, struct err *e)
{
	const struct partition *p = &m->image.disk.parts[0];
	const char *const argv[] = {
		"mkfs.fat",
		"-F",
		"32",
		"-s",
		"1",
		"-n",
		"bootfs",
		"--invariant",
		"-i",
		arena_printf("%08x", m->image.disk.id),
		arena_printf("--offset=%llu", (unsigned long long)(p->start / SECTOR)),
		PROC_FILE,
		arena_printf("%llu", (unsigned long long)(p->size / KIB)),
		NULL,
	};

	return run_on(m, argv, e);
}

static int make_ext4(const struct draft *m, struct err *e)
{
	const struct partition *p = &m->image.disk.parts[1];
	const char *const argv[] = {
		"mke2fs",
		"-q",
		"-F",
		"-t",
		"ext4",
		"-b",
		"4096",
		"-I",
		"256",
		"-i",
		"16384",
		"-m",
		"5",
		"-O",
		ext4_features,
		"-L",
		"rootfs",
		"-U",
		uuid_of(m->key, 0),
		"-E",
		arena_printf("hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard,offset=%llu",
			     uuid_of(m->key, 32), (unsigned long long)p->start),
		PROC_FILE,
		arena_printf("%lluk", (unsigned long long)(p->size / KIB)),
		NULL,
	};

	return run_on(m, argv, e);
}

/* ---- content ---- */

static int add_boot_file(struct draft *m, const struct tar_entry *x, struct tar *t, struct err *e)
{
	_cleanup_free_ char *data = NULL;
	uint64_t have = 0;

	if (x->type == TAR_DIR)
		return 0;
	if (x->type != TAR_FILE || x->size > BOOT_FILE_LIMIT)
		return err_set(e, -EINVAL, "%s: cannot lie on a FAT", x->path);
	data = xmalloc(x->size + 1);
	while (have < x->size) {
		ssize_t n = tar_read(t, data + have, x->size - have, e);

		if (n <= 0)
			return n < 0 ? (int)n : err_set(e, -EBADMSG, "%s: is cut off", x->path);
		have += (uint64_t)n;
	}
	return fat_write(m->image.boot, path_in_boot(x->path), data, have, e);
}

static int add_root_entry(struct draft *m, const struct tar_entry *x, struct tar *t, struct err *e)
{
	const struct fs_meta meta = { x->mode, x->uid, x->gid };
	const struct fs_source content = { x->size, tar_read, t };
	int r;

	switch (x->type) {
	case TAR_DIR:
		return ext4_mkdir(m->image.root, x->path, &meta, e);
	case TAR_SYMLINK:
		return ext4_symlink(m->image.root, x->path, x->target, &meta, e);
	case TAR_HARDLINK:
		return ext4_hardlink(m->image.root, x->path, x->target, e);
	case TAR_FILE:
		r = ext4_write(m->image.root, x->path, &meta, &content, e);
		if (r == 0 && x->capability)
			r = ext4_set_xattr(m->image.root, x->path, TAR_CAPABILITY, x->capability, x->capability_n, e);
		return r;
	default:
		return err_set(e, -EINVAL, "%s: is no file, folder or link", x->path);
	}
}

static int add_entry(void *arg, const struct tar_entry *x, struct tar *t, struct err *e)
{
	if (is_volatile(x->path))
		return 0;
	return path_on_boot(x->path) ? add_boot_file(arg, x, t, e) : add_root_entry(arg, x, t, e);
}

int debian_image(int tar, struct cow *image, const char *key, int64_t epoch, struct err *e)
{
	struct draft m = { .image.cow = image, .key = key, .epoch = epoch };
	struct fs_place root;
	int r = tar_walk(tar, "the unpacked packages", add_cost, &m, e);

	if (r < 0)
		return r;
	image_lay_out(&m);
	root = image_place(&m.image, image_root_part(&m.image), epoch);
	r = cow_resize(image, m.image.disk.size, e);
	if (r == 0)
		r = disk_create(image, &m.image.disk, e);
	if (r == 0)
		r = make_fat(&m, e);
	if (r == 0)
		r = make_ext4(&m, e);
	if (r == 0)
		r = image_open_fs(&m.image, IMAGE_ROOT | IMAGE_BOOT | IMAGE_WRITE, epoch, e);
	if (r == 0)
		r = tar_walk(tar, "the unpacked packages", add_entry, &m, e);
	if (r == 0)
		r = image_write_fs(&m.image, e);
	ext4_abortp(&m.image.root);
	fat_abortp(&m.image.boot);
	return r < 0 ? r : ext4_check(&root, e);
}
