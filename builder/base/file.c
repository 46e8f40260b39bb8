/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ---- paths ---- */

char *path_join(const char *dir, const char *name)
{
	if (name[0] == '/')
		return arena_strdup(name);
	return arena_printf("%s%s%s", dir, ends_with(dir, "/") ? "" : "/", name);
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return arena_strdup(".");
	return arena_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- bytes ---- */

int write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t r = write(fd, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

int pwrite_all(int fd, const void *data, size_t n, uint64_t offset)
{
	const char *p = data;

	while (n) {
		ssize_t r = pwrite(fd, p, n, (off_t)offset);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		p += r;
		n -= (size_t)r;
		offset += (uint64_t)r;
	}
	return 0;
}

int pread_all(int fd, void *data, size_t n, uint64_t offset)
{
	char *p = data;

	while (n) {
		ssize_t r = pread(fd, p, n, (off_t)offset);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ENODATA;
		p += r;
		n -= (size_t)r;
		offset += (uint64_t)r;
	}
	return 0;
}

/* How much is handed to the disk at once; less would only be more calls. */
#define WRITE_BEHIND (8 * MIB)

void file_write_behind(int fd, uint64_t before, uint64_t after)
{
	uint64_t from = before / WRITE_BEHIND * WRITE_BEHIND, to = after / WRITE_BEHIND * WRITE_BEHIND;

	if (to > from)
		(void)sync_file_range(fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}

int file_reopen_direct(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

int file_next_data(int fd, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	off_t data = lseek(fd, (off_t)from, SEEK_DATA), hole;

	if (data < 0)
		return -errno;
	if ((uint64_t)data >= end)
		return -ENXIO;
	hole = lseek(fd, data, SEEK_HOLE);
	/* Behind data there is a hole always, if only the end: unless somebody cut the file off just now. */
	if (hole < 0)
		return errno == ENXIO ? -EIO : -errno;
	*ret_start = (uint64_t)data;
	*ret_end = MIN((uint64_t)hole, end);
	return 0;
}

bool is_zero(const void *data, size_t n)
{
	const char *p = data;

	/* memcmp against itself, one byte on: the library's vector code does the work. */
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* ---- folders ---- */

/* Adds to E what else there is to say of it. */
_printf_(2, 3) static void file_tell(struct err *e, const char *fmt, ...)
{
	size_t n = strlen(e->msg);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->msg + n, sizeof(e->msg) - n, fmt, ap);
	va_end(ap);
}

static const char *owner_text(const struct stat *st)
{
	const struct passwd *owner = getpwuid(st->st_uid);

	return arena_printf("belongs to %s (mode %04o)", owner ? owner->pw_name : arena_printf("user %u", st->st_uid),
			    st->st_mode & 07777);
}

/* Adds to E whose folder DIR is and what to do, where that is why nothing could be made in it. */
static int tell_owner(struct err *e, const char *dir)
{
	char real[PATH_MAX];
	struct stat st;

	if (e->code == -EACCES && realpath(dir, real) && stat(real, &st) == 0)
		file_tell(e, "; %s %s: work in a folder of your own, or give another place", real, owner_text(&st));
	return e->code;
}

int make_dirs(const char *path, mode_t mode, struct err *e)
{
	_cleanup_free_ char *p = xstrdup(path);

	for (char *s = p + 1; *p; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST) {
			err_errno(e, -errno, "cannot create the folder %s", p);
			return tell_owner(e, path_dir(p));
		}
		if (c == '\0')
			break;
		*s = c;
	}
	return 0;
}

static int remove_below(int parent, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct dirent *d;
	DIR *dir;
	int r = 0;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fchmod(fd, 0700);
	dir = fdopendir(take_fd(&fd));
	if (!dir)
		return -errno;
	while (r == 0 && (d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = remove_below(dirfd(dir), d->d_name);
	closedir(dir);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int remove_tree(const char *path, struct err *e)
{
	int r = remove_below(AT_FDCWD, path);

	return r < 0 ? err_errno(e, r, "cannot remove %s", path) : 0;
}

int folder_names(const char *path, const char *const **ret, size_t *ret_n, struct err *e)
{
	VEC(const char *) names = { 0 };
	DIR *dir = opendir(path);
	struct dirent *d;
	int r;

	if (!dir)
		return err_errno(e, -errno, "cannot list %s", path);
	/* Its end and an error look alike but for errno. */
	while (errno = 0, (d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			*vec_push(&names) = arena_strdup(d->d_name);
	r = -errno;
	closedir(dir);
	if (r < 0)
		return err_errno(e, r, "cannot list %s", path);
	vec_sort(&names, text_order);
	*ret = names.v;
	*ret_n = names.n;
	return 0;
}

int free_space(const char *path, uint64_t *ret_bytes, struct err *e)
{
	struct statvfs v;

	while (statvfs(path, &v) < 0) {
		if (errno != ENOENT || streq(path, "/") || streq(path, "."))
			return err_errno(e, -errno, "cannot ask for the free space of %s", path);
		path = path_dir(path);
	}
	*ret_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

/* ---- files that appear whole ---- */

/* Whoever makes a temporary file holds a lock on it as long as it lives; a killed run holds none. */
static bool lock_new(int fd)
{
	struct stat st;

	/* Where a filesystem has no locks, nobody sweeps either. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno != EWOULDBLOCK;
	/* If it was swept all the same, publishing it fails; to make another would leave this one. */
	return fstat(fd, &st) < 0 || st.st_nlink > 0;
}

/* Removes what killed runs left beside NAME (NULL = whatever it was to become): ".NAME.<pid>.<n>.part" that nobody
 * holds. */
static void sweep_leftovers(int dir, const char *name)
{
	_cleanup_free_ char *prefix = name ? xasprintf(".%s.", name) : xstrdup(".");
	struct dirent **names = NULL;
	int n = scandirat(dir, ".", &names, NULL, NULL);

	for (int i = 0; i < n; i++) {
		const char *entry = names[i]->d_name;

		if (starts_with(entry, prefix) && ends_with(entry, ".part")) {
			_cleanup_close_ int fd = openat(dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

			if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
				remove_below(dir, entry);
		}
		free(names[i]);
	}
	free(names);
}

void outfile_sweep(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		sweep_leftovers(fd, NULL);
}

/* The temporary sibling, open: of a folder for reading. */
static int make_sibling(const struct outfile *o, bool folder)
{
	if (!folder)
		return openat(o->dir, o->tmp_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (mkdirat(o->dir, o->tmp_name, o->mode) < 0)
		return -1;
	return openat(o->dir, o->tmp_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int create_sibling(struct outfile *o, const char *path, bool folder, struct err *e)
{
	const char *dir = path_dir(path);
	int r = make_dirs(dir, 0777, e);

	if (r < 0)
		return err_wrap(e, "%s", path);
	o->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o->dir < 0)
		return err_errno(e, -errno, "%s: cannot open its folder", path);
	o->path = xstrdup(path);
	o->name = xstrdup(path_base(path));
	sweep_leftovers(o->dir, o->name);
	for (unsigned n = 0; n < 1000; n++) {
		free(o->tmp_name);
		o->tmp_name = xasprintf(".%s.%d.%u.part", o->name, (int)getpid(), n);
		o->fd = make_sibling(o, folder);
		if (o->fd >= 0 && lock_new(o->fd))
			return 0;
		if (o->fd < 0 && errno != EEXIST && !(folder && errno == ENOENT))
			break;
		/* Taken, or swept by another run in the instant before it was locked. */
		closep(&o->fd);
	}
	r = -errno;
	free(o->tmp_name);
	o->tmp_name = NULL;
	err_errno(e, r, "cannot create %s", path);
	return tell_owner(e, dir);
}

bool outfile_may_be(const char *path)
{
	struct stat st;

	/* A rename would replace /dev/null itself, or a link to it; and /dev/stdout, which is a link to a file when our
	 * output goes into one. */
	return !ends_with(path, "/") && !(starts_with(path, "/dev/") && !strchr(path + strlen("/dev/"), '/')) &&
	       !(stat(path, &st) == 0 && !S_ISREG(st.st_mode));
}

int outfile_create(struct outfile *o, const char *path, mode_t mode, struct err *e)
{
	if (!outfile_may_be(path))
		return err_class(e, CLASS_REFUSED,
				 "%s is a folder, device or pipe, and no file is put in its place; give another path",
				 path);
	o->mode = mode;
	return create_sibling(o, path, false, e);
}

int outfile_create_folder(struct outfile *o, const char *path, mode_t mode, struct err *e)
{
	struct stat st;
	int r;

	o->mode = mode;
	r = create_sibling(o, path, true, e);
	if (r == 0 && fstat(o->fd, &st) == 0)
		o->mode = st.st_mode & 07777; /* what the umask left of it */
	return r;
}

const char *outfile_tmp_path(const struct outfile *o)
{
	return path_join(path_dir(o->path), o->tmp_name);
}

/* The name is on the disk when the folder is. */
static int outfile_rename(struct outfile *o, struct err *e)
{
	if (fchmod(o->fd, o->mode) < 0 || fsync(o->fd) < 0)
		return err_errno(e, -errno, "cannot write %s", o->path);
	if (renameat(o->dir, o->tmp_name, o->dir, o->name) < 0)
		return err_errno(e, -errno, "cannot put %s in place", o->path);
	free(o->tmp_name);
	o->tmp_name = NULL;
	return 0;
}

int outfile_publish(struct outfile *o, struct err *e)
{
	int r = outfile_rename(o, e);

	return r < 0 || fsync(o->dir) == 0 ? r : err_errno(e, -errno, "cannot write the folder of %s", o->path);
}

void outfile_release(struct outfile *o)
{
	if (o->tmp_name)
		remove_below(o->dir, o->tmp_name);
	closep(&o->fd);
	closep(&o->dir);
	free(o->tmp_name);
	free(o->path);
	free(o->name);
	*o = (struct outfile)OUTFILE_INIT;
}

static int file_write(const char *path, const void *data, size_t n, mode_t mode,
		      int (*publish)(struct outfile *o, struct err *e), struct err *e)
{
	_cleanup_(outfile_release) struct outfile o = OUTFILE_INIT;
	int r = outfile_create(&o, path, mode, e);

	if (r < 0)
		return r;
	r = write_all(o.fd, data, n);
	if (r < 0)
		return err_errno(e, r, "cannot write %s", path);
	return publish(&o, e);
}

int file_publish(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
	return file_write(path, data, n, mode, outfile_publish, e);
}

int file_publish_early(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
	return file_write(path, data, n, mode, outfile_rename, e);
}

/* ---- files that are there ---- */

bool file_is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

int file_ask(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, -errno, "cannot look at %s", path);
}

int file_cannot_open(const char *path, struct err *e)
{
	int code = errno;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (code == EACCES && stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		return err_errno(e, -code, "cannot open %s; a disk is root's: run it with sudo", path);
	err_errno(e, -code, "cannot open %s", path);
	n = code == ENOENT ? readlink(path, target, sizeof(target)) : -1;
	if (n >= 0)
		file_tell(e, "; it is a link to %.*s: bring back what it leads to, or remove the link", (int)n, target);
	if (code == EACCES && stat(path, &st) == 0)
		file_tell(e, "; it %s: its owner, or root, can let you read it", owner_text(&st));
	return e->code;
}

int file_read_fd(int fd, const char *name, size_t limit, char **ret_buf, size_t *ret_n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char chunk[16 * 1024];
	ssize_t r;

	for (;;) {
		r = read(fd, chunk, sizeof(chunk));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, -errno, "cannot read %s", name);
		if (r == 0)
			break;
		strbuf_add(&b, chunk, (size_t)r);
		if (b.n > limit) {
			char size[SIZE_TEXT_MAX];

			return err_set(e, -E2BIG, "%s is larger than the limit of %s", name, size_text(limit, size));
		}
	}
	strbuf_add(&b, "", 0);
	*ret_buf = b.s;
	if (ret_n)
		*ret_n = b.n;
	b.s = NULL;
	return 0;
}

int file_read(const char *path, size_t limit, char **ret_buf, size_t *ret_n, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return file_cannot_open(path, e);
	return file_read_fd(fd, path, limit, ret_buf, ret_n, e);
}

/* ---- temporary ---- */

static char *temp_template(const char *what)
{
	const char *base = getenv("TMPDIR");

	return arena_printf("%s/pibuild-%s.XXXXXX", base && *base == '/' ? base : "/var/tmp", what);
}

/* Those that killed runs left for the same: nobody holds them. */
static void sweep_temp_dirs(const char *template)
{
	_cleanup_close_ int dir = open(path_dir(template), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *name = path_base(template);
	size_t begin = strlen(name) - strlen("XXXXXX");
	struct dirent **names = NULL;
	int n = dir < 0 ? 0 : scandirat(dir, ".", &names, NULL, NULL);

	for (int i = 0; i < n; i++) {
		const char *entry = names[i]->d_name;
		struct stat st;

		if (strlen(entry) == strlen(name) && strncmp(entry, name, begin) == 0) {
			_cleanup_close_ int fd = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
			    flock(fd, LOCK_EX | LOCK_NB) == 0)
				remove_below(dir, entry);
		}
		free(names[i]);
	}
	free(names);
}

int temp_dir(const char *what, const char **ret, struct err *e)
{
	char *dir = temp_template(what);

	sweep_temp_dirs(dir);
	for (unsigned tries = 0; tries < 100 && mkdtemp(dir); tries++) {
		int held = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); /* as long as we live */

		if (held >= 0 && lock_new(held)) {
			*ret = dir;
			return 0;
		}
		/* Swept by another run in the instant before it was locked, unless it is the machine that cannot. */
		if (held < 0 && errno != ENOENT) {
			int r = -errno;

			rmdir(dir);
			return err_errno(e, r, "cannot open the folder %s", dir);
		}
		closep(&held);
		dir = temp_template(what);
	}
	return err_errno(e, -errno, "cannot make a folder %s; set TMPDIR to one that can be written", dir);
}

int temp_file(int *ret_fd, struct err *e)
{
	char *path = temp_template("file");
	_cleanup_close_ int fd = open(path_dir(path), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	/* A filesystem that cannot (NFS, overlays of old kernels). */
	if (fd < 0) {
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0)
			return err_errno(e, -errno, "cannot make a file %s; set TMPDIR to a folder that can be written",
					 path);
		if (unlink(path) < 0)
			return err_errno(e, -errno, "cannot remove the name of %s", path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int memory_file(const void *data, size_t n, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("pibuild-file", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_all(fd, data, n);

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot hold a file in memory");
	*ret_fd = take_fd(&fd);
	return 0;
}
