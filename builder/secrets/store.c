/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets file on disk: private from its first byte, whole or not there at all. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/sig.h"
#include "secrets/internal.h"

#define MAX_FILE (1 * MIB)

/* Under sudo the file of the user who called it is as good as root's own. */
static bool is_own(uid_t owner)
{
	return owner == geteuid() || caller_asked(owner);
}

static int store_check_private(const char *path, const struct stat *st, struct err *e)
{
	/* A pipe (`--secrets <(sops -d ...)`) has mode and owner too. */
	if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode))
		return err_class(e, CLASS_CONFIG, "%s is no file", path);
	if (!is_own(st->st_uid))
		return err_class(
			e, CLASS_REFUSED,
			"%s belongs to the user with id %u, not to you: whoever owns it knows the cluster's keys; take it over with chown, or give your own with --secrets FILE",
			path, (unsigned)st->st_uid);
	if (st->st_mode & 077)
		return err_class(
			e, CLASS_REFUSED,
			"%s can be read by others (mode %04o): run `chmod 600 %s`; if someone may have read it, `pibuild secrets rotate all` makes every secret anew",
			path, (unsigned)st->st_mode & 07777, shell_word(path));
	return 0;
}

int store_read(const char *path, char **ret_text, size_t *ret_n, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT && file_is_missing(path)) {
		err_set(e, -ENOENT, "there is no %s: make one with `pibuild secrets new`", path);
		e->class = CLASS_CONFIG;
		return -ENOENT;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		file_cannot_open(path, e);
		return err_blame(e, CLASS_CONFIG);
	}
	r = store_check_private(path, &st, e);
	return r < 0 ? r : file_read_fd(fd, path, MAX_FILE, ret_text, ret_n, e);
}

void store_forget(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

/* Root that works for a user (sudo) leaves them their files: the owner of the one replaced, else of the folder. */
static int store_keep_owner(const struct outfile *o, struct err *e)
{
	struct stat st;

	if (geteuid() != 0 || (stat(o->path, &st) < 0 && fstat(o->dir, &st) < 0) || !is_own(st.st_uid))
		return 0;
	return fchown(o->fd, st.st_uid, st.st_gid) < 0 ? err_errno(e, -errno, "cannot keep the owner of %s", o->path)
						       : 0;
}

static int write_private(struct outfile *o, const char *path, const char *text, size_t n, struct err *e)
{
	int r = outfile_create(o, path, 0600, e);

	if (r < 0)
		return r;
	r = write_all(o->fd, text, n);
	return r < 0 ? err_errno(e, r, "cannot write %s", path) : store_keep_owner(o, e);
}

int store_replace(const char *path, const char *text, size_t n, struct err *e)
{
	_cleanup_(outfile_release) struct outfile o = OUTFILE_INIT;
	_cleanup_free_ char *real = realpath(path, NULL);
	int r = write_private(&o, real ? real : path, text, n, e);

	return r < 0 ? r : outfile_publish(&o, e);
}

int store_add(const char *path, const char *text, size_t n, struct err *e)
{
	_cleanup_(outfile_release) struct outfile o = OUTFILE_INIT;
	struct stat st;
	int r;

	if (lstat(path, &st) == 0)
		return -EEXIST;
	r = write_private(&o, path, text, n, e);
	if (r < 0)
		return r;
	if (fsync(o.fd) < 0)
		return err_errno(e, -errno, "cannot write %s", path);
	/* A rename would replace what another run has just made. */
	if (link(outfile_tmp_path(&o), path) == 0)
		return fsync(o.dir) < 0 ? err_errno(e, -errno, "cannot write the folder of %s", path) : 0;
	if (errno == EEXIST)
		return -EEXIST;
	return outfile_publish(&o, e); /* a filesystem without hard links */
}

int store_lock(const char *path, int *ret_fd, struct err *e)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	const char *dir = path_dir(real ? real : path);
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* `--secrets <(...)` can be read, once. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_class(
			e, CLASS_CONFIG,
			"%s is no file, and something has to be made or replaced in it: do that once where the file is kept, and store it anew",
			path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open the folder %s", dir);
	/* Some network filesystems have no locks: then it is as without one. */
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
		if (sig_check(e) < 0)
			return -EINTR;
	*ret_fd = take_fd(&fd);
	return 0;
}
