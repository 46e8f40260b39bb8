/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this kernel drive the devices of `virt`? Raspberry Pi's own kernels are made for the Pi's hardware: what virtio
 * they have, if any, comes as modules, and their initramfs has none of them. A kernel that cannot reach its disk ends
 * in a wait without an end, so it is refused before.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "qemu/internal.h"

enum { INDEX_LIMIT = 16 * 1024 * 1024 };

struct driver {
	const char *name;
	bool early; /* needed before the root filesystem is there */
	bool builtin, module, in_initramfs;
};

static const struct driver needed[] = {
	{ .name = "virtio_mmio", .early = true },
	{ .name = "virtio_blk", .early = true },
	{ .name = "virtio_net" },
};

struct search {
	struct driver drivers[ARRAY_SIZE(needed)];
	VEC(const char *) indexes;
};

static int add_index(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	struct search *s = arg;

	if (S_ISREG(st->mode) && (ends_with(path, "/modules.builtin") || ends_with(path, "/modules.dep")))
		*vec_push(&s->indexes) = arena_strdup(path);
	return 0;
}

/* Lines "kernel/drivers/block/virtio_blk.ko" or "kernel/drivers/block/virtio_blk.ko.xz: ...". */
static int kernel_read_index(struct search *s, struct ext4 *root, const char *path, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	bool builtin = ends_with(path, ".builtin");
	int r = ext4_read(root, path, INDEX_LIMIT, &text, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(s->drivers); i++) {
		struct driver *d = &s->drivers[i];
		_cleanup_free_ char *file = xasprintf("/%s.ko", d->name);

		if (strstr(text.s, file))
			*(builtin ? &d->builtin : &d->module) = true;
	}
	return r;
}

static void see_file(void *arg, const char *path)
{
	struct search *s = arg;
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	for (size_t i = 0; i < ARRAY_SIZE(s->drivers); i++) {
		size_t n = strlen(s->drivers[i].name);

		if (!strncmp(base, s->drivers[i].name, n) && starts_with(base + n, ".ko"))
			s->drivers[i].in_initramfs = true;
	}
}

static void read_initramfs(struct search *s, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err unreadable = { 0 };

	/* The kernel may know formats that we do not: no proof that it cannot boot. */
	if (fd < 0 || initramfs_walk(fd, path, see_file, s, &unreadable) < 0)
		for (size_t i = 0; i < ARRAY_SIZE(s->drivers); i++)
			s->drivers[i].in_initramfs = true;
}

/* Debian's kernel is a generic one, but does not know the boards of the Pi 5: see boards/. */
static int refuse(const struct driver *d, const char *kernel, const char *board, struct err *e)
{
	return err_set(
		e, -ENODEV,
		"QEMU cannot run this image%s%s: its kernel %s is made for the Pi's hardware, the driver %s is %s. To try this node without a Pi, name it instead of its image: `pibuild boot --node NAME`; of this image `pibuild verify IMAGE` proves what can be proved without a Pi, and `pibuild status` reads from its card how far a Pi came",
		*board ? " of board " : "", board, kernel, d->name,
		d->module ? "a module that its initramfs lacks" : "missing");
}

int kernel_check(struct ext4 *root, const struct boot_files *boot, const char *board, struct err *e)
{
	struct search s = { 0 };
	const char *const dir = ext4_exists(root, "/usr/lib/modules") ? "/usr/lib/modules" : "/lib/modules";
	int r = ext4_exists(root, dir) ? ext4_walk(root, dir, add_index, &s, e) : 0;

	memcpy(s.drivers, needed, sizeof(needed));
	for (size_t i = 0; r == 0 && i < s.indexes.n; i++)
		r = kernel_read_index(&s, root, s.indexes.v[i], e);
	if (r < 0 || s.indexes.n == 0)
		return r;
	if (boot->initramfs)
		read_initramfs(&s, boot->initramfs);
	for (size_t i = 0; i < ARRAY_SIZE(s.drivers); i++) {
		const struct driver *d = &s.drivers[i];

		if (d->builtin || (d->module && (!d->early || d->in_initramfs)))
			continue;
		return refuse(d, boot->kernel_name, board, e);
	}
	return 0;
}
