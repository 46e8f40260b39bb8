/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache on disk, keyed by digest:
 *
 *	objects/ab/<sha256>	complete, its digest was seen to match
 *	tmp/<sha256>.part	a download in progress, locked with flock() by the process that is at it
 *
 * A lock goes with its process, however that ends; nothing here needs a clean-up to go on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "cache/cache.h"

static const char objects_dir[] = "objects", tmp_dir[] = "tmp";
static const time_t forgotten_after = 7 * 24 * 3600;

/* ---- the folder ---- */

static const char *default_dir(struct err *e)
{
	static const char *const vars[][2] = { { "PIBUILD_CACHE", "" },
					       { "XDG_CACHE_HOME", "/pibuild" },
					       { "HOME", "/.cache/pibuild" } };

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		const char *v = getenv(vars[i][0]);

		/* The base directory specification says that a relative one is to be ignored. */
		if (v && *v && (i == 0 || *v == '/'))
			return arena_printf("%s%s", v, vars[i][1]);
	}
	err_class(
		e, CLASS_HOST,
		"where to keep downloads? Neither PIBUILD_CACHE, XDG_CACHE_HOME nor HOME is set; give a folder with --cache DIR");
	return NULL;
}

static int check_ours(int fd, const char *dir, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the cache %s", dir);
	if (st.st_uid != geteuid())
		return err_class(
			e, CLASS_HOST,
			"the cache %s belongs to another user (uid %u, you are %u); give one of your own with --cache DIR",
			dir, st.st_uid, geteuid());
	return 0;
}

/* Makes NAME below PARENT, 0700 whatever the umask, if it is not there. */
static int cache_make_folder(int parent, const char *name)
{
	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fchmodat(parent, name, 0700, 0) < 0 ? -errno : 0;
}

static bool is_forgotten(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtime < time(NULL) - forgotten_after;
}

/* Failing to remove one is no reason to fail a run: it only takes space. */
static void sweep_tmp(int cache)
{
	int fd = openat(cache, tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		_cleanup_close_ int file = openat(dirfd(dir), d->d_name,
						  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (file >= 0 && is_forgotten(file) && flock(file, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(dir), d->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static int open_folder(const char *dir, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the cache %s; give another with --cache DIR", dir);
	r = check_ours(fd, dir, e);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int cache_peek(const char *dir, struct cache *ret, struct err *e)
{
	int r;

	if (!dir)
		dir = default_dir(e);
	if (!dir)
		return e->code;
	r = open_folder(dir, &ret->fd, e);
	if (r < 0)
		return r;
	ret->dir = dir;
	return 0;
}

int cache_open(const char *dir, struct cache *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!dir)
		dir = default_dir(e);
	if (!dir)
		return e->code;
	r = make_dirs(path_dir(dir), 0700, e);
	if (r < 0)
		return err_wrap(e, "cache (see --cache)");
	r = cache_make_folder(AT_FDCWD, dir);
	if (r < 0)
		return err_errno(e, r, "cannot make the cache %s; give another with --cache DIR", dir);
	r = open_folder(dir, &fd, e);
	if (r < 0)
		return r;
	r = cache_make_folder(fd, objects_dir);
	if (r == 0)
		r = cache_make_folder(fd, tmp_dir);
	if (r < 0)
		return err_errno(e, r, "cannot write in the cache %s; give another with --cache DIR", dir);
	sweep_tmp(fd);
	*ret = (struct cache){ .dir = dir, .fd = take_fd(&fd) };
	return 0;
}

void cache_close(struct cache *c)
{
	closep(&c->fd);
}

/* ---- objects ---- */

const char *cache_object_name(const char *sha256)
{
	return arena_printf("%s/%.2s/%s", objects_dir, sha256, sha256);
}

static int not_cached(const struct pin *pin, struct err *e)
{
	return err_set(e, -ENOENT, "%s %s is not in the cache: run `pibuild fetch`", str_or(pin->name, "the object"),
		       pin->name ? str_or(pin->version, "") : str_or(pin->sha256, ""));
}

int cache_object(const struct cache *c, const struct pin *pin, int *ret_fd, struct err *e)
{
	const char *name;

	if (pin->kind == PIN_FILE) {
		*ret_fd = open(pin->file, O_RDONLY | O_CLOEXEC);
		return *ret_fd < 0 ? err_errno(e, -errno, "cannot open %s", pin->file) : 0;
	}
	if (!pin->sha256)
		return not_cached(pin, e);
	name = cache_object_name(pin->sha256);
	*ret_fd = openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 0;
	return errno == ENOENT ? not_cached(pin, e) : err_errno(e, -errno, "cannot open %s", path_join(c->dir, name));
}

bool cache_has(const struct cache *c, const struct pin *pin)
{
	struct stat st;

	if (pin->kind == PIN_FILE)
		return access(pin->file, R_OK) == 0;
	return pin->sha256 && fstatat(c->fd, cache_object_name(pin->sha256), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

void cache_evict(const struct cache *c, const struct pin *pin)
{
	if (pin->kind != PIN_FILE && pin->sha256)
		unlinkat(c->fd, cache_object_name(pin->sha256), 0);
}

/* ---- parts ---- */

static const char *part_path(const struct part *p)
{
	return arena_printf("%s/%s", tmp_dir, p->name);
}

/* 1 when FD is still what stands under the part's name, else 0: its last owner may have published or removed it between
 * our open and our lock. -errno when that cannot be seen: to look again would go on for ever. */
static int still_named(const struct part *p, int fd)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0)
		return -errno;
	if (fstatat(p->cache->fd, part_path(p), &b, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int part_open(const struct cache *c, const char *sha256, struct part *ret, enum part_state *state, struct err *e)
{
	struct part p = { .cache = c, .name = arena_printf("%s.part", sha256), .fd = -1 };
	const struct pin object = { .sha256 = sha256 };
	_cleanup_close_ int fd = -1;
	struct stat st;
	int named;

	*state = PART_DONE;
	if (cache_has(c, &object))
		return 0;
	fd = openat(c->fd, part_path(&p), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "cannot write in the cache: %s/%s", c->dir, part_path(&p));
	*state = PART_BUSY;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK || errno == EINTR
			       ? 0
			       : err_errno(e, -errno, "cannot lock %s/%s", c->dir, part_path(&p));
	named = still_named(&p, fd);
	if (named < 0)
		return err_errno(e, named, "cannot use %s/%s", c->dir, part_path(&p));
	if (!named)
		return 0;
	if (fchmod(fd, 0600) < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot use %s/%s", c->dir, part_path(&p));
	/* The object may have come between the first look and the lock. */
	if (cache_has(c, &object)) {
		unlinkat(c->fd, part_path(&p), 0);
		*state = PART_DONE;
		return 0;
	}
	p.n = (uint64_t)st.st_size;
	p.fd = take_fd(&fd);
	*ret = p;
	*state = PART_OPEN;
	return 0;
}

/* A description of its own: one that is duplicated has the same place in the file, and the lock. */
int part_reader(const struct part *p)
{
	return openat(p->cache->fd, part_path(p), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int part_write(struct part *p, const void *data, size_t n, struct err *e)
{
	int r = pwrite_all(p->fd, data, n, p->n);

	if (r < 0)
		return err_errno(e, r, "cannot write %s/%s", p->cache->dir, part_path(p));
	file_write_behind(p->fd, p->n, p->n + n);
	p->n += n;
	return 0;
}

int part_restart(struct part *p, struct err *e)
{
	if (ftruncate(p->fd, 0) < 0)
		return err_errno(e, -errno, "cannot write %s/%s", p->cache->dir, part_path(p));
	p->n = 0;
	return 0;
}

int part_publish(struct part *p, const char *sha256, struct err *e)
{
	const char *name = cache_object_name(sha256), *folder = path_dir(name);
	_cleanup_close_ int objects = -1, dir = -1;
	int r = cache_make_folder(p->cache->fd, folder);

	if (r < 0)
		return err_errno(e, r, "cannot make %s/%s", p->cache->dir, folder);
	objects = openat(p->cache->fd, objects_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = openat(p->cache->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (objects < 0 || dir < 0 || fsync(p->fd) < 0 ||
	    renameat(p->cache->fd, part_path(p), p->cache->fd, name) < 0 || fsync(dir) < 0 || fsync(objects) < 0)
		return err_errno(e, -errno, "cannot put %s/%s in place", p->cache->dir, name);
	return 0;
}

void part_close(struct part *p)
{
	if (p->fd < 0)
		return;
	if (p->n == 0 && still_named(p, p->fd) == 1)
		unlinkat(p->cache->fd, part_path(p), 0);
	closep(&p->fd);
}
