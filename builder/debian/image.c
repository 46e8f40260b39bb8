/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar of a Debian system into an image: MBR, FAT with what lies below /boot/firmware, ext4 with the rest, as on
 * Raspberry Pi OS (pi-gen export-image/prerun.sh). Read twice: for the sizes, then for the content.
 */
#include <errno.h>

#include "archive/archive.h"
#include "base/proc.h"
#include "debian/debian.h"
#include "disk/disk.h"
#include "fs/fs.h"

enum { BLOCK = 4096, SECTOR = 512, FAT_LBA = 0x0c, LINUX = 0x83 };
static const char boot_dir[] = "/boot/firmware/";
static const uint64_t boot_start = 8 * MIB, boot_size = 512 * MIB, root_step = 4 * MIB, max_boot_file = 128 * MIB;
/* As Raspberry Pi OS has them, named one by one: hosts differ in defaults. */
static const char ext4_features[] = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,"
				    "sparse_super,large_file,dir_nlink,extra_isize,metadata_csum";

struct draft {
	const char *path, *key;
	int64_t epoch;
	struct disk disk;
	uint64_t content; /* bytes the root's files take */
	struct ext4 *root;
	struct fat *boot;
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

	if (!is_volatile(x->path) && !starts_with(x->path, boot_dir))
		m->content += ext4_cost(x->type == TAR_FILE ? x->size : 0, BLOCK);
	return 0;
}

/* Inode tables, journal and the part reserved for root on top, and a little to live on before it has grown. */
static void lay_out(struct draft *m)
{
	uint64_t size = m->content + m->content / 5 + 200 * MIB;

	size = (size + root_step - 1) / root_step * root_step;
	m->disk = (struct disk){
		.id = debian_disk_id(m->key),
		.size = boot_start + boot_size + size,
		.parts = { { 1, boot_start, boot_size, FAT_LBA }, { 2, boot_start + boot_size, size, LINUX } },
		.n = 2,
	};
}

/* ---- empty filesystems ---- */

static int make_fat(const struct draft *m, struct err *e)
{
	const struct partition *p = &m->disk.parts[0];
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
		arena_printf("%08x", m->disk.id),
		arena_printf("--offset=%llu", (unsigned long long)(p->start / SECTOR)),
		PROC_FILE,
		arena_printf("%llu", (unsigned long long)(p->size / KIB)),
		NULL,
	};

	return proc_run(&(struct proc){ .argv = argv, .file = m->path, .epoch = m->epoch }, e);
}

static int make_ext4(const struct draft *m, struct err *e)
{
	const struct partition *p = &m->disk.parts[1];
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

	return proc_run(&(struct proc){ .argv = argv, .file = m->path, .epoch = m->epoch }, e);
}

/* ---- content ---- */

static int add_boot_file(struct draft *m, const struct tar_entry *x, struct tar *t, struct err *e)
{
	const char *path = x->path + strlen(boot_dir);
	_cleanup_free_ char *data = NULL;
	uint64_t have = 0;

	if (x->type == TAR_DIR)
		return 0;
	if (x->type != TAR_FILE || x->size > max_boot_file)
		return err_set(e, -EINVAL, "%s: cannot lie on a FAT", x->path);
	data = xmalloc(x->size + 1);
	while (have < x->size) {
		ssize_t n = tar_read(t, data + have, x->size - have, e);

		if (n <= 0)
			return n < 0 ? (int)n : err_set(e, -EBADMSG, "%s: is cut off", x->path);
		have += (uint64_t)n;
	}
	return fat_write(m->boot, path, data, have, e);
}

static int add_root_entry(struct draft *m, const struct tar_entry *x, struct tar *t, struct err *e)
{
	const struct fs_meta meta = { x->mode, x->uid, x->gid };
	const struct fs_source content = { x->size, tar_read, t };
	int r;

	switch (x->type) {
	case TAR_DIR:
		return ext4_mkdir(m->root, x->path, &meta, e);
	case TAR_SYMLINK:
		return ext4_symlink(m->root, x->path, x->target, &meta, e);
	case TAR_HARDLINK:
		return ext4_hardlink(m->root, x->path, x->target, e);
	case TAR_FILE:
		r = ext4_write(m->root, x->path, &meta, &content, e);
		if (r == 0 && x->capability)
			r = ext4_set_xattr(m->root, x->path, TAR_CAPABILITY, x->capability, x->capability_n, e);
		return r;
	default:
		return err_set(e, -EINVAL, "%s: is no file, folder or link", x->path);
	}
}

static int add_entry(void *arg, const struct tar_entry *x, struct tar *t, struct err *e)
{
	if (is_volatile(x->path))
		return 0;
	return starts_with(x->path, boot_dir) ? add_boot_file(arg, x, t, e) : add_root_entry(arg, x, t, e);
}

static int fill(struct draft *m, int tar, struct err *e)
{
	const struct partition *p = &m->disk.parts[1];
	const struct partition *first = &m->disk.parts[0];
	_cleanup_(cow_closep) struct cow *file = NULL;
	_cleanup_(fat_abortp) struct fat *boot = NULL;
	_cleanup_(ext4_abortp) struct ext4 *fs = NULL;
	int r = ext4_open(m->path, p->start, p->size, EXT4_WRITE, m->epoch, &fs, e);

	if (r == 0)
		r = cow_open_path(m->path, true, &file, e);
	if (r == 0)
		r = fat_open(file, first->start, first->size, FAT_WRITE, m->epoch, &boot, e);
	if (r < 0)
		return r;
	m->root = fs;
	m->boot = boot;
	r = tar_walk(tar, "the unpacked packages", add_entry, m, e);
	if (r < 0)
		return r;
	r = fat_close(boot, e);
	boot = NULL;
	if (r == 0) {
		r = ext4_close(fs, e);
		fs = NULL;
	}
	return r < 0 ? r : ext4_check(m->path, p->start, p->size, m->epoch, e);
}

int debian_image(int tar, const char *image, const char *key, int64_t epoch, struct err *e)
{
	struct draft m = { .path = image, .key = key, .epoch = epoch };
	int r = tar_walk(tar, "the unpacked packages", add_cost, &m, e);

	if (r < 0)
		return r;
	lay_out(&m);
	if (truncate(image, (off_t)m.disk.size) < 0)
		return err_errno(e, -errno, "cannot size %s", image);
	r = disk_create(image, &m.disk, e);
	if (r == 0)
		r = make_fat(&m, e);
	if (r == 0)
		r = make_ext4(&m, e);
	return r < 0 ? r : fill(&m, tar, e);
}
