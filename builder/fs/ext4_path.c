/* SPDX-License-Identifier: Apache-2.0 */
/* Names. The root of every path is the root of the filesystem: no link of the image leads to the host. */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

static int slow_target(struct ext4 *x, const struct inode *n, size_t size, struct strbuf *out, struct err *e)
{
	ext2_file_t file;
	unsigned got = 0;
	errcode_t c = ext2fs_file_open(x->fs, n->number, 0, &file);

	if (c)
		return ext4_error(e, c, n->path, "cannot read the link");
	c = ext2fs_file_read(file, x->chunk, (unsigned)size, &got);
	ext2fs_file_close(file);
	if (c)
		return ext4_error(e, c, n->path, "cannot read the link");
	strbuf_add(out, x->chunk, got);
	return 0;
}

int symlink_target(struct ext4 *x, struct inode *n, struct strbuf *out, struct err *e)
{
	uint64_t size = EXT2_I_SIZE(&n->raw);
	size_t start = out->n;
	int r = 0;

	if (size == 0 || size > x->fs->blocksize)
		return ext4_damaged(e, n->path, "a symbolic link has no sane length");
	if (ext2fs_is_fast_symlink(small(n)))
		strbuf_add(out, n->raw.i_block, (size_t)MIN(size, sizeof(n->raw.i_block)));
	else
		r = slow_target(x, n, (size_t)size, out, e);
	if (r == 0 && strlen(out->s + start) != size)
		r = ext4_damaged(e, n->path, "a symbolic link has no sane target");
	return r;
}

/* A path being walked: where we are and what is left to do. */
struct path_walk {
	ext2_ino_t at;
	struct strbuf rest;
	size_t done; /* bytes of rest behind us */
	unsigned links;
	struct spot *spot; /* its name is that of the component */
};

static void walk_done(struct path_walk *w)
{
	strbuf_done(&w->rest);
}

/* The next component into spot->name; false at the end. */
static int next_component(struct path_walk *w, struct err *e)
{
	const char *s = w->rest.s + w->done;
	size_t n;

	s += strspn(s, "/");
	n = strcspn(s, "/");
	w->done = (size_t)(s - w->rest.s) + n;
	if (n > EXT2_NAME_LEN)
		return err_set(e, -ENAMETOOLONG, "%s: a part of the path is longer than 255 bytes", w->spot->path);
	if (n) {
		memcpy(w->spot->name, s, n);
		w->spot->name[n] = '\0';
	}
	return n > 0;
}

static bool is_last(const struct path_walk *w)
{
	return w->rest.s[w->done + strspn(w->rest.s + w->done, "/")] == '\0';
}

static int lookup(struct ext4 *x, const struct path_walk *w, ext2_ino_t *ret, struct err *e)
{
	const char *name = w->spot->name;
	errcode_t c = ext2fs_lookup(x->fs, w->at, name, (int)strlen(name), NULL, ret);

	if (c == EXT2_ET_FILE_NOT_FOUND) {
		*ret = 0;
		return 0;
	}
	if (c)
		return ext4_error(e, c, w->spot->path, "cannot read a folder");
	if (*ret == 0 || *ret > x->fs->super->s_inodes_count)
		return ext4_damaged(e, w->spot->path, "a folder names an impossible inode");
	return 0;
}

static int path_follow(struct ext4 *x, struct path_walk *w, struct inode *link, struct err *e)
{
	struct strbuf target = { 0 };
	int r;

	if (++w->links > MAX_SYMLINKS)
		return err_set(e, -ELOOP, "%s: too many symbolic links", w->spot->path);
	r = symlink_target(x, link, &target, e);
	if (r == 0 && target.s[0] == '/')
		w->at = EXT2_ROOT_INO;
	if (r == 0) {
		strbuf_addf(&target, "/%s", w->rest.s + w->done);
		strbuf_done(&w->rest);
		w->rest = target;
		w->done = 0;
		return 0;
	}
	strbuf_done(&target);
	return r;
}

static int path_missing(struct ext4 *x, struct path_walk *w, unsigned flags, struct err *e)
{
	static const struct fs_meta plain = { 0755, 0, 0 };

	if (!(flags & MAKE_PARENTS))
		return err_set(e, -ENOENT, "%s: there is no %s on the filesystem", w->spot->path, w->spot->name);
	return dir_create(x, w->spot, &plain, &w->at, e);
}

/* One component: 1 to go on, 0 when the spot is found. */
static int step(struct ext4 *x, struct path_walk *w, unsigned flags, struct err *e)
{
	bool last = is_last(w);
	ext2_ino_t ino;
	struct inode n;
	int r = lookup(x, w, &ino, e);

	if (r < 0)
		return r;
	w->spot->dir = w->at;
	w->spot->ino = ino;
	if (!ino && last)
		return 0;
	if (!ino) {
		r = path_missing(x, w, flags, e);
		return r < 0 ? r : 1;
	}
	r = inode_read(x, ino, w->spot->path, &n, e);
	if (r < 0)
		return r;
	if (S_ISLNK(n.raw.i_mode) && (!last || flags & FOLLOW_LAST)) {
		r = path_follow(x, w, &n, e);
		return r < 0 ? r : 1;
	}
	if (last)
		return 0;
	if (!S_ISDIR(n.raw.i_mode))
		return err_set(e, -ENOTDIR, "%s: %s is not a folder", w->spot->path, w->spot->name);
	w->at = ino;
	return 1;
}

static int path_walk(struct ext4 *x, struct path_walk *w, unsigned flags, struct err *e)
{
	int r;

	while ((r = next_component(w, e)) > 0) {
		if (streq(w->spot->name, "."))
			continue;
		r = step(x, w, flags, e);
		if (r < 0)
			return r;
		if (r == 0 && !streq(w->spot->name, ".."))
			return 0;
		if (r == 0)
			w->at = w->spot->ino;
	}
	if (r < 0)
		return r;
	/* The path was "/" or ended in "." or "..": a folder without a name of its own. */
	*w->spot = (struct spot){ .path = w->spot->path, .dir = w->at, .ino = w->at };
	return 0;
}

int path_resolve(struct ext4 *x, const char *path, unsigned flags, struct spot *ret, struct err *e)
{
	_cleanup_(walk_done) struct path_walk w = { .at = EXT2_ROOT_INO, .spot = ret };

	if (path[0] != '/')
		return err_set(e, -EINVAL, "%s: is not an absolute path", path);
	*ret = (struct spot){ .path = path };
	strbuf_adds(&w.rest, path);
	return path_walk(x, &w, flags, e);
}

int path_find(struct ext4 *x, const char *path, unsigned flags, struct spot *ret, struct err *e)
{
	int r = path_resolve(x, path, flags, ret, e);

	if (r == 0 && !ret->ino)
		r = err_set(e, -ENOENT, "%s: is not on the filesystem", path);
	return r;
}
