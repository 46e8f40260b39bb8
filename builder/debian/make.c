/* SPDX-License-Identifier: Apache-2.0 */
/* The base of os.base: debian, made on this machine: the lock's packages, unpacked by mmdebstrap, into an image. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/data.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/progress.h"
#include "crypto/digest.h"
#include "debian/debian.h"

enum { HOURS_2 = 2 * 3600, COPY_BUFFER = 256 * 1024 };
static const uint64_t room_needed = 3 * GIB; /* packages, unpacked, as a tar */

/* ---- the machine ---- */

bool debian_runs_arm64(void)
{
	struct err ignored = { 0 };

	return proc_run(&(struct proc){ .argv = (const char *const[]){ "arch-test", "arm64", NULL } }, &ignored) == 0;
}

int debian_check_host(struct err *e)
{
	static const char *const needed[] = { "mmdebstrap", "arch-test", "mkfs.fat", "mke2fs", "newuidmap" };
	_cleanup_strbuf_ struct strbuf packages = { 0 };
	const size_t n = ARRAY_SIZE(needed) - (geteuid() == 0); /* root maps no ids */

	for (size_t i = 0; i < n; i++)
		if (!proc_find(needed[i]))
			strbuf_addf(&packages, " %s", proc_tool(needed[i])->package);
	if (proc_find("arch-test") && !debian_runs_arm64())
		strbuf_adds(&packages, " qemu-user-static binfmt-support");
	if (!packages.n)
		return 0;
	return err_class(
		e, CLASS_HOST, "os.base: debian is made on this machine, which %s; run: sudo apt-get install%s",
		strstr(packages.s, "qemu") ? "cannot run arm64 programs (no emulation is registered with binfmt)"
					   : "lacks programs for that",
		packages.s);
}

/* ---- what mmdebstrap's hooks find beside themselves ---- */

struct debian_work {
	const char *dir;
	const struct cache *cache;
	const struct pin *pin;
	int64_t epoch;
};

static int write_file(const struct debian_work *w, const char *name, const char *text, size_t n, mode_t mode,
		      struct err *e)
{
	return file_publish(path_join(w->dir, name), text, n, mode, e);
}

static int copy_data_file(const struct debian_work *w, const char *name, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	const char *path;
	size_t n = 0;
	int r = data_path(arena_printf("configs/debian/%s", name), &path, e);

	if (r < 0)
		return r;
	r = file_read(path, MIB, &text, &n, e);
	return r < 0 ? r : write_file(w, name, text, n, 0755, e);
}

static int copy_hashed(const struct pin *p, int in, int out, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(COPY_BUFFER);
	_cleanup_(sha256_done) struct sha256 s;
	ssize_t n;
	int r = 0;

	sha256_init(&s);
	while (r == 0 && (n = read(in, buf, COPY_BUFFER)) != 0) {
		if (n < 0)
			return err_errno(e, -errno, "cannot read %s", p->name);
		sha256_update(&s, buf, (size_t)n);
		r = write_all(out, buf, (size_t)n);
	}
	if (r < 0)
		return err_errno(e, r, "cannot copy %s", p->name);
	sha256_final(&s, sha256);
	return 0;
}

/* "debs/wpasupplicant_2%3a2.10-24.deb", as apt names them. */
static const char *deb_name(const struct pin *p)
{
	const char *colon = strchr(p->version, ':');

	if (!colon)
		return arena_printf("debs/%s_%s.deb", p->name, p->version);
	return arena_printf("debs/%s_%.*s%%3a%s.deb", p->name, (int)(colon - p->version), p->version, colon + 1);
}

static int copy_package(const struct debian_work *w, const struct pin *p, struct err *e)
{
	_cleanup_close_ int in = -1, out = -1;
	const char *path = path_join(w->dir, deb_name(p));
	char sha256[SHA256_HEX];
	int r = cache_object(w->cache, p, &in, e);

	if (r < 0)
		return r;
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (out < 0 || fchmod(out, 0644) < 0)
		return err_errno(e, -errno, "cannot write %s", path);
	r = copy_hashed(p, in, out, sha256, e);
	if (r < 0 || streq(sha256, p->sha256))
		return r;
	cache_evict(w->cache, p);
	return err_class(
		e, CLASS_VERIFY,
		"%s %s: its sha256 is %s, expected %s; the damaged copy was thrown away, run the same command again",
		p->name, p->version, sha256, p->sha256);
}

/* The packages asked for by name; the rest came as dependencies. */
static int write_wanted(const struct debian_work *w, struct err *e)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };
	struct debian_recipe *recipe;
	int r = debian_recipe_load(&recipe, e);
	const struct yaml_node *extra = w->pin->packages.extra;

	if (r < 0)
		return r;
	for (size_t i = 0; i < recipe->packages->count; i++)
		strbuf_addf(&names, "%s\n", recipe->packages->items[i]->text);
	for (size_t i = 0; extra && i < extra->count; i++)
		strbuf_addf(&names, "%s\n", extra->items[i]->text);
	return write_file(w, "wanted", names.s, names.n, 0644, e);
}

static int fill_work(const struct debian_work *w, struct err *e)
{
	const char *debs = path_join(w->dir, "debs");
	const char *id = arena_printf("%08x\n", debian_disk_id(w->pin->sha256));
	int r = make_dirs(debs, 0755, e);

	/* mmdebstrap's user namespace has other users than ours: they have to get in. */
	if (r == 0 && (chmod(w->dir, 0755) < 0 || chmod(debs, 0755) < 0))
		r = err_errno(e, -errno, "cannot open %s to mmdebstrap", w->dir);
	if (r == 0)
		r = copy_data_file(w, "unpack", e);
	if (r == 0)
		r = copy_data_file(w, "configure", e);
	if (r == 0)
		r = write_file(w, "disk-id", id, strlen(id), 0644, e);
	if (r == 0)
		r = write_wanted(w, e);
	for (size_t i = 0; r == 0 && i < w->pin->packages.n; i++)
		r = copy_package(w, &w->pin->packages.v[i], e);
	return r;
}

/* ---- making ---- */

/* Without a mirror and an update: all packages are in the work folder, and dpkg alone puts them in. Root has mmdebstrap
 * mount into the folder it works in: namespaces of its own keep that from the host, and let nothing outlive it, as what
 * is mounted there must be gone before the work folder is removed. Others get theirs from mmdebstrap. */
static int run_mmdebstrap(const struct debian_work *w, const char *tar, struct err *e)
{
	const char *const argv[] = {
		"unshare",
		"--mount",
		"--pid",
		"--fork",
		"--kill-child",
		"--mount-proc",
		"mmdebstrap", /* where others than root begin */
		geteuid() == 0 ? "--mode=root" : "--mode=unshare",
		"--quiet",
		"--architectures=arm64",
		"--variant=custom",
		"--skip=update",
		"--format=tar",
		arena_printf("--setup-hook=%s", path_join(w->dir, "unpack")),
		arena_printf("--customize-hook=%s", path_join(w->dir, "configure")),
		arena_strndup(w->pin->version, strcspn(w->pin->version, "-")),
		tar,
		"-",
		NULL,
	};
	const struct proc p = {
		.argv = geteuid() == 0 ? argv : argv + 6,
		.epoch = w->epoch,
		.timeout = HOURS_2,
		.tmp = w->dir,
	};
	struct task *t = task_begin("make", arena_printf("%s %s", w->pin->name, w->pin->version), 0);
	int r = proc_run(&p, e);

	task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

static int make_in(const struct debian_work *w, struct cow *image, struct err *e)
{
	const char *tar = path_join(w->dir, "root.tar");
	_cleanup_close_ int fd = -1;
	struct task *t;
	int r = fill_work(w, e);

	if (r < 0)
		return r;
	r = run_mmdebstrap(w, tar, e);
	if (r < 0)
		return r;
	fd = open(tar, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", tar);
	t = task_begin("image", w->pin->name, 0);
	r = debian_image(fd, image, w->pin->sha256, w->epoch, e);
	task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

int debian_make(const struct cache *c, const struct pin *pin, struct cow *image, struct err *e)
{
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	struct debian_work w = { .cache = c, .pin = pin, .epoch = pin->packages.time };
	struct err left = { 0 };
	uint64_t room;
	/* Not in the cache: its folder is nobody else's, and mmdebstrap's namespace has other users. */
	int r = debian_check_host(e);

	if (r < 0)
		return r;
	r = temp_dir("debian", &w.dir, e);
	if (r < 0)
		return r;
	r = free_space(w.dir, &room, e);
	if (r == 0 && room < room_needed)
		r = err_set(e, -ENOSPC,
			    "making the Debian base needs %s in %s, which has %s free; make room or set TMPDIR",
			    size_text(room_needed, want), path_dir(w.dir), size_text(room, have));
	if (r == 0) {
		log_info(
			"making the base of debian %s from %zu packages; that takes minutes, many where arm64 is emulated, and is kept in the cache",
			pin->version, pin->packages.n);
		r = make_in(&w, image, e);
		if (r < 0 && !err_interrupted(e))
			r = err_wrap(e, "the base of debian %s", pin->version);
	}
	/* A mmdebstrap that was killed leaves files of its namespace's users. */
	if (remove_tree(w.dir, &left) < 0)
		log_warning("%s is left behind; remove it with: sudo rm -rf %s", w.dir, shell_word(w.dir));
	return r;
}
