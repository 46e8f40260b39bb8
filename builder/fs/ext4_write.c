/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the tree: names come and go, inodes are ext4_inode.c's business. */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

/* ---- entries of folders ---- */

static int file_type(unsigned mode)
{
	return S_ISDIR(mode) ? EXT2_FT_DIR : S_ISLNK(mode) ? EXT2_FT_SYMLINK : EXT2_FT_REG_FILE;
}

/* The folder's own times, and LINKS more or less links to it (a sub-folder's ".."). */
static int dir_changed(struct ext4 *x, ext2_ino_t dir, int links, const char *path, struct err *e)
{
	inode_t inode;
	int r = inode_read(x, dir, &inode, path, e);

	if (r < 0)
		return r;
	/* dir_nlink: 1 stands for more than can be counted. */
	if (links && inode.i_links_count > 1)
		inode.i_links_count = (uint16_t)(inode.i_links_count + links);
	if (inode.i_links_count >= EXT2_LINK_MAX)
		inode.i_links_count = 1;
	inode_touch(x, &inode, true);
	return inode_write(x, dir, &inode, path, e);
}

static int entry_add(struct ext4 *x, ext2_ino_t dir, const char *name, ext2_ino_t ino, unsigned mode, const char *path,
		     struct err *e)
{
	inode_t parent;
	errcode_t c = EXT2_ET_DIR_NO_SPACE;
	int r = inode_read(x, dir, &parent, path, e);

	/* An indexed folder grows inside ext2fs_link(), sometimes only at the second try; expanding it from outside
	 * would leave a block that its index does not know. */
	for (unsigned i = 0; r == 0 && i < 3 && c == EXT2_ET_DIR_NO_SPACE; i++) {
		c = ext2fs_link(x->fs, dir, name, ino, file_type(mode));
		if (c == EXT2_ET_DIR_NO_SPACE && !(parent.i_flags & EXT2_INDEX_FL)) {
			c = ext2fs_expand_dir(x->fs, dir);
			c = c ? c : EXT2_ET_DIR_NO_SPACE;
		}
	}
	if (r == 0 && c)
		r = ext4_error(e, c, path, "cannot add it to its folder");
	return r < 0 ? r : dir_changed(x, dir, S_ISDIR(mode), path, e);
}

struct swap {
	const char *name;
	ext2_ino_t ino;
	int type;
	bool done;
};

static int swap_one(struct ext2_dir_entry *d, int offset, int blocksize, char *buf, void *arg)
{
	struct swap *s = arg;
	size_t n = (size_t)ext2fs_dirent_name_len(d);

	if (n != strlen(s->name) || memcmp(d->name, s->name, n) != 0)
		return 0;
	d->inode = s->ino;
	ext2fs_dirent_set_file_type(d, s->type);
	s->done = true;
	return DIRENT_CHANGED | DIRENT_ABORT;
}

/* Lets the entry NAME, which is there, lead to another inode: order and index of the folder stay. */
static int entry_swap(struct ext4 *x, ext2_ino_t dir, const char *name, ext2_ino_t ino, unsigned mode, const char *path,
		      struct err *e)
{
	struct swap s = { name, ino, file_type(mode), false };
	errcode_t c = ext2fs_dir_iterate(x->fs, dir, 0, NULL, swap_one, &s);

	if (c || !s.done)
		return ext4_error(e, c ? c : EXT2_ET_FILE_NOT_FOUND, path, "cannot replace it in its folder");
	return dir_changed(x, dir, 0, path, e);
}

static int entry_remove(struct ext4 *x, const struct spot *s, bool is_dir, const char *path, struct err *e)
{
	errcode_t c = ext2fs_unlink(x->fs, s->dir, s->name, s->ino, 0);

	if (c)
		return ext4_error(e, c, path, "cannot remove it from its folder");
	return dir_changed(x, s->dir, is_dir ? -1 : 0, path, e);
}

/* ---- making ---- */

int dir_create(struct ext4 *x, ext2_ino_t parent, const char *name, const struct fs_meta *m, const char *path,
	       ext2_ino_t *ret, struct err *e)
{
	ext2_ino_t ino;
	int r = inode_create(x, parent, S_IFDIR, m, NULL, path, &ino, e);

	if (r == 0)
		r = entry_add(x, parent, name, ino, S_IFDIR, path, e);
	if (r == 0)
		*ret = ino;
	return r;
}

static int refuse_folder(struct ext4 *x, const struct spot *s, const char *path, struct err *e)
{
	inode_t inode;
	int r;

	if (!s->name[0])
		return err_set(e, -EISDIR, "%s: is a folder", path);
	if (!s->ino)
		return 0;
	r = inode_read(x, s->ino, &inode, path, e);
	if (r == 0 && S_ISDIR(inode.i_mode))
		r = err_set(e, -EISDIR, "%s: a folder is in the way", path);
	return r;
}

/* The old content goes first: its blocks may be what the new one needs. */
static int put(struct ext4 *x, const char *path, unsigned type, const struct fs_meta *m, const struct fs_source *src,
	       struct err *e)
{
	struct spot s;
	ext2_ino_t ino;
	int r = path_resolve(x, path, MAKE_PARENTS, &s, e);

	if (r == 0)
		r = refuse_folder(x, &s, path, e);
	if (r == 0 && s.ino)
		r = inode_drop(x, s.ino, path, e);
	if (r == 0)
		r = inode_create(x, s.dir, type, m, src, path, &ino, e);
	if (r < 0)
		return r;
	return s.ino ? entry_swap(x, s.dir, s.name, ino, type, path, e)
		     : entry_add(x, s.dir, s.name, ino, type, path, e);
}

int ext4_write(struct ext4 *x, const char *path, const struct fs_meta *m, const struct fs_source *src, struct err *e)
{
	return put(x, path, S_IFREG, m, src, e);
}

int ext4_symlink(struct ext4 *x, const char *path, const char *target, const struct fs_meta *m, struct err *e)
{
	struct fs_meta meta = { 0777, m->uid, m->gid };
	struct fs_bytes state;
	struct fs_source src = fs_source_bytes(&state, target, strlen(target));

	if (src.size == 0 || src.size >= x->fs->blocksize)
		return err_set(e, -EINVAL, "%s: a symbolic link's target must have 1 to %u bytes", path,
			       x->fs->blocksize - 1);
	return put(x, path, S_IFLNK, &meta, &src, e);
}

static int set_meta(struct ext4 *x, ext2_ino_t ino, inode_t *inode, const struct fs_meta *m, const char *path,
		    struct err *e)
{
	inode_t before = *inode;

	inode_set_owner(inode, m);
	if (memcmp(&before, inode, sizeof(before)) == 0)
		return 0;
	inode_touch(x, inode, false);
	return inode_write(x, ino, inode, path, e);
}

int ext4_mkdir(struct ext4 *x, const char *path, const struct fs_meta *m, struct err *e)
{
	struct spot s;
	inode_t inode;
	int r = path_resolve(x, path, MAKE_PARENTS | FOLLOW_LAST, &s, e);

	if (r < 0)
		return r;
	if (!s.ino)
		return dir_create(x, s.dir, s.name, m, path, &s.ino, e);
	r = inode_read(x, s.ino, &inode, path, e);
	if (r == 0 && !S_ISDIR(inode.i_mode))
		r = err_set(e, -ENOTDIR, "%s: a file is in the way", path);
	return r < 0 ? r : set_meta(x, s.ino, &inode, m, path, e);
}

int ext4_hardlink(struct ext4 *x, const char *path, const char *existing, struct err *e)
{
	struct spot from, to = { 0 };
	inode_t inode;
	int r = path_find(x, existing, 0, &from, e);

	if (r == 0)
		r = inode_read(x, from.ino, &inode, existing, e);
	if (r == 0 && S_ISDIR(inode.i_mode))
		r = err_set(e, -EPERM, "%s: a folder cannot have a second name", existing);
	if (r == 0 && inode.i_links_count >= EXT2_LINK_MAX)
		r = err_set(e, -EMLINK, "%s: has too many names", existing);
	if (r == 0)
		r = path_resolve(x, path, MAKE_PARENTS, &to, e);
	if (r == 0)
		r = refuse_folder(x, &to, path, e);
	if (r < 0 || to.ino == from.ino)
		return r;
	inode.i_links_count++;
	inode_touch(x, &inode, false);
	r = inode_write(x, from.ino, &inode, existing, e);
	if (r == 0 && !to.ino)
		return entry_add(x, to.dir, to.name, from.ino, inode.i_mode, path, e);
	if (r == 0)
		r = inode_drop(x, to.ino, path, e);
	return r < 0 ? r : entry_swap(x, to.dir, to.name, from.ino, inode.i_mode, path, e);
}

int ext4_set_xattr(struct ext4 *x, const char *path, const char *name, const void *value, size_t n, struct err *e)
{
	struct ext2_xattr_handle *h = NULL;
	struct spot s;
	inode_t inode;
	errcode_t c;
	int r = path_find(x, path, 0, &s, e);

	if (r < 0)
		return r;
	c = ext2fs_xattrs_open(x->fs, s.ino, &h);
	if (c == 0)
		c = ext2fs_xattrs_read(h);
	if (c == 0)
		c = ext2fs_xattr_set(h, name, value, n);
	if (h)
		ext2fs_xattrs_close(&h);
	if (c)
		return ext4_error(e, c, path, "cannot set an attribute");
	r = inode_read(x, s.ino, &inode, path, e);
	inode_touch(x, &inode, false);
	return r < 0 ? r : inode_write(x, s.ino, &inode, path, e);
}

/* ---- owner of a tree ---- */

struct owner {
	struct ext4 *x;
	unsigned uid, gid;
};

static int chown_one(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	const struct owner *o = arg;
	struct fs_meta m = { st->mode & 07777, o->uid, o->gid };
	inode_t inode;
	int r = inode_read(o->x, (ext2_ino_t)st->inode, &inode, path, e);

	return r < 0 ? r : set_meta(o->x, (ext2_ino_t)st->inode, &inode, &m, path, e);
}

int ext4_chown_tree(struct ext4 *x, const char *path, unsigned uid, unsigned gid, struct err *e)
{
	struct owner o = { x, uid, gid };
	struct fs_stat st;
	int r = ext4_stat(x, path, &st, e);

	if (r == 0)
		r = chown_one(&o, path, &st, e);
	if (r == 0 && S_ISDIR(st.mode))
		r = ext4_walk(x, path, chown_one, &o, e);
	return r;
}

/* ---- moving and removing ---- */

/* Would FOLDER become a part of itself when it moved into DIR? */
static int refuse_loop(struct ext4 *x, ext2_ino_t folder, ext2_ino_t dir, const char *path, struct err *e)
{
	for (unsigned depth = 0; dir != EXT2_ROOT_INO; depth++) {
		errcode_t c;

		if (dir == folder)
			return err_set(e, -EINVAL, "%s: a folder cannot move into itself", path);
		if (depth > MAX_DEPTH)
			return ext4_damaged(e, path, "folders form a loop");
		c = ext2fs_lookup(x->fs, dir, "..", 2, NULL, &dir);
		if (c)
			return ext4_error(e, c, path, "cannot read a folder");
	}
	return 0;
}

static int move_checked(struct ext4 *x, const struct spot *from, const struct spot *to, unsigned mode, const char *path,
			struct err *e)
{
	bool is_dir = S_ISDIR(mode);
	int r = to->ino ? inode_drop(x, to->ino, path, e) : 0;

	if (r == 0)
		r = to->ino ? entry_swap(x, to->dir, to->name, from->ino, mode, path, e)
			    : entry_add(x, to->dir, to->name, from->ino, mode, path, e);
	if (r == 0)
		r = entry_remove(x, from, is_dir, path, e);
	if (r == 0 && is_dir && from->dir != to->dir)
		r = entry_swap(x, from->ino, "..", to->dir, S_IFDIR, path, e);
	return r;
}

int ext4_rename(struct ext4 *x, const char *from, const char *to, struct err *e)
{
	struct spot a, b = { 0 };
	inode_t inode;
	int r = path_find(x, from, 0, &a, e);

	if (r == 0 && !a.name[0])
		r = err_set(e, -EBUSY, "%s: cannot be moved", from);
	if (r == 0)
		r = inode_read(x, a.ino, &inode, from, e);
	if (r == 0)
		r = path_resolve(x, to, MAKE_PARENTS, &b, e);
	if (r < 0 || b.ino == a.ino)
		return r;
	r = refuse_folder(x, &b, to, e);
	if (r == 0 && S_ISDIR(inode.i_mode) && b.ino)
		r = err_set(e, -ENOTDIR, "%s: a file is in the way", to);
	if (r == 0 && S_ISDIR(inode.i_mode))
		r = refuse_loop(x, a.ino, b.dir, to, e);
	return r < 0 ? r : move_checked(x, &a, &b, inode.i_mode, to, e);
}

/* Everything below and the folder itself; entries of folders that go too are not touched one by one. */
static int drop_tree(struct ext4 *x, ext2_ino_t ino, const char *path, unsigned depth, struct err *e)
{
	_cleanup_(dir_list_done) struct dir_list list = { 0 };
	inode_t inode;
	int r = inode_read(x, ino, &inode, path, e);

	if (r == 0 && S_ISDIR(inode.i_mode)) {
		if (depth > MAX_DEPTH)
			return err_set(e, -ELOOP, "%s: folders are nested deeper than %d", path, MAX_DEPTH);
		r = dir_read(x, ino, path, &list, e);
	}
	for (size_t i = 0; i < list.n && r == 0; i++)
		r = drop_tree(x, list.v[i].ino, path, depth + 1, e);
	return r < 0 ? r : inode_drop(x, ino, path, e);
}

int ext4_remove(struct ext4 *x, const char *path, struct err *e)
{
	struct spot s;
	inode_t inode;
	int r = path_resolve(x, path, 0, &s, e);

	if (r == -ENOENT || r == -ENOTDIR || (r == 0 && !s.ino)) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (r == 0 && !s.name[0])
		r = err_set(e, -EBUSY, "%s: cannot be removed", path);
	if (r == 0)
		r = inode_read(x, s.ino, &inode, path, e);
	if (r == 0)
		r = drop_tree(x, s.ino, path, 0, e);
	return r < 0 ? r : entry_remove(x, &s, S_ISDIR(inode.i_mode), path, e);
}
