/* SPDX-License-Identifier: Apache-2.0 */
/* A whole system as a tar of our own making: owners, modes, hard links and attributes count here; and a few files as
 * one. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "archive/internal.h"
#include "base/sig.h"

enum { BLOCK = 1024 * 1024 };

struct tar {
	struct archive *a;
	const char *name;
};

static void reader_freep(struct archive **a)
{
	archive_read_free(*a);
}

static int tar_error(const struct tar *t, struct err *e)
{
	return err_set(e, -EBADMSG, "%s: %s", t->name, str_or(archive_error_string(t->a), "damaged"));
}

/* "./etc/fstab" -> "/etc/fstab", "./" -> "/" */
static const char *tar_absolute(const char *path)
{
	size_t n = strlen(path);

	if (starts_with(path, "./")) {
		path++;
		n--;
	}
	while (n > 1 && path[n - 1] == '/')
		n--;
	return arena_printf("%s%.*s", path[0] == '/' ? "" : "/", (int)n, path);
}

static enum tar_type tar_type_of(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return TAR_HARDLINK;
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return TAR_FILE;
	case AE_IFDIR:
		return TAR_DIR;
	case AE_IFLNK:
		return TAR_SYMLINK;
	default:
		return TAR_OTHER;
	}
}

static void read_capability(struct archive_entry *entry, struct tar_entry *ret)
{
	const char *name;
	const void *value;
	size_t n;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &n) == ARCHIVE_OK)
		if (streq(name, TAR_CAPABILITY)) {
			ret->capability = value;
			ret->capability_n = n;
		}
}

static int tar_describe(const struct tar *t, struct archive_entry *entry, struct tar_entry *ret, struct err *e)
{
	const char *path = archive_entry_pathname(entry);

	*ret = (struct tar_entry){
		.type = tar_type_of(entry),
		.mode = archive_entry_perm(entry),
		.uid = (unsigned)archive_entry_uid(entry),
		.gid = (unsigned)archive_entry_gid(entry),
	};
	if (!path)
		return err_set(e, -EBADMSG, "%s: holds a name that cannot be read", t->name);
	ret->path = tar_absolute(path);
	if (ret->type == TAR_FILE)
		ret->size = (uint64_t)archive_entry_size(entry);
	if (ret->type == TAR_SYMLINK)
		ret->target = archive_entry_symlink(entry);
	if (ret->type == TAR_HARDLINK)
		ret->target = tar_absolute(archive_entry_hardlink(entry));
	if ((ret->type == TAR_SYMLINK || ret->type == TAR_HARDLINK) && !ret->target)
		return err_set(e, -EBADMSG, "%s: %s leads nowhere", t->name, ret->path);
	read_capability(entry, ret);
	return 0;
}

int tar_walk(int fd, const char *name, tar_fn fn, void *arg, struct err *e)
{
	_cleanup_(reader_freep) struct archive *a = archive_read_new();
	struct tar t = { a, name };
	struct archive_entry *entry;
	int r = 0, got;

	archive_read_support_format_tar(a);
	if (lseek(fd, 0, SEEK_SET) < 0 || archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK)
		return tar_error(&t, e);
	/* A WARN is a name beyond ASCII, which we take as the bytes it is. */
	while (r == 0 && ((got = archive_read_next_header(a, &entry)) == ARCHIVE_OK || got == ARCHIVE_WARN)) {
		struct tar_entry x;

		r = sig_check(e);
		if (r == 0)
			r = tar_describe(&t, entry, &x, e);
		if (r == 0)
			r = fn(arg, &x, &t, e);
	}
	return r < 0 || got == ARCHIVE_EOF ? r : tar_error(&t, e);
}

ssize_t tar_read(void *arg, void *buf, size_t n, struct err *e)
{
	const struct tar *t = arg;
	ssize_t got = archive_read_data(t->a, buf, n);

	return got < 0 ? tar_error(t, e) : got;
}

/* ---- packing ---- */

static void writer_freep(struct archive **a)
{
	archive_write_free(*a);
}

static la_ssize_t append(struct archive *a, void *out, const void *data, size_t n)
{
	strbuf_add(out, data, n);
	return (la_ssize_t)n;
}

static bool pack_file(struct archive *a, const struct tar_file *f)
{
	struct archive_entry *entry = archive_entry_new();
	bool good;

	if (!entry)
		return false;
	archive_entry_set_pathname(entry, f->name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)f->n);
	good = archive_write_header(a, entry) == ARCHIVE_OK &&
	       archive_write_data(a, f->bytes, f->n) == (la_ssize_t)f->n;
	archive_entry_free(entry);
	return good;
}

int tar_pack(const struct tar_file *files, size_t n, struct strbuf *out, struct err *e)
{
	_cleanup_(writer_freep) struct archive *a = archive_write_new();
	bool good = a && archive_write_set_format_ustar(a) == ARCHIVE_OK &&
		    archive_write_open(a, out, NULL, append, NULL) == ARCHIVE_OK;

	for (size_t i = 0; good && i < n; i++)
		good = pack_file(a, &files[i]);
	if (!good || archive_write_close(a) != ARCHIVE_OK)
		return err_set(e, -EIO, "cannot pack what is to be sent: %s",
			       str_or(a ? archive_error_string(a) : NULL, "no memory"));
	return 0;
}
