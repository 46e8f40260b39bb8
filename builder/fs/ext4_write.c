/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the tree: names come and go, inodes are ext4_inode.c's business. */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

static int ext4_refuse_folder(struct ext4 *x, const struct spot *at, struct err *e)
{
	struct inode n;
	int r;

	if (!at->name[0])
		return err_set(e, -EISDIR, "%s: is a folder", at->path);
	if (!at->ino)
		return 0;
	r = inode_read(x, at->ino, at->path, &n, e);
	if (r == 0 && S_ISDIR(n.raw.i_mode))
		r = err_set(e, -EISDIR, "%s: a folder is in the way", at->path);
	return r;
}

/* The old content goes first: its blocks may be what the new one needs. */
static int put(struct ext4 *x, const char *path, unsigned type, const struct fs_meta *m, const struct fs_source *src,
	       struct err *e)
{
	struct new_inode new = { .type = type, .meta = m, .content = src, .path = path };
	struct spot at;
	ext2_ino_t ino;
	int r = path_resolve(x, path, MAKE_PARENTS, &at, e);

	if (r == 0)
		r = ext4_refuse_folder(x, &at, e);
	if (r == 0 && at.ino)
		r = inode_drop(x, at.ino, path, e);
	if (r < 0)
		return r;
	new.parent = at.dir;
	r = inode_create(x, &new, &ino, e);
	if (r < 0)
		return r;
	return at.ino ? entry_swap(x, &at, ino, type, e) : entry_add(x, &at, ino, type, e);
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

static int set_meta(struct ext4 *x, struct inode *n, const struct fs_meta *m, struct err *e)
{
	struct ext2_inode_large before = n->raw;

	inode_set_owner(n, m);
	if (memcmp(&before, &n->raw, sizeof(before)) == 0)
		return 0;
	inode_touch(x, n, false);
	return inode_write(x, n, e);
}

int ext4_mkdir(struct ext4 *x, const char *path, const struct fs_meta *m, struct err *e)
{
	struct spot at;
	struct inode n;
	int r = path_resolve(x, path, MAKE_PARENTS | FOLLOW_LAST, &at, e);

	if (r < 0)
		return r;
	if (!at.ino)
		return dir_create(x, &at, m, &at.ino, e);
	r = inode_read(x, at.ino, path, &n, e);
	if (r == 0 && !S_ISDIR(n.raw.i_mode))
		r = err_set(e, -ENOTDIR, "%s: a file is in the way", path);
	return r < 0 ? r : set_meta(x, &n, m, e);
}

int ext4_hardlink(struct ext4 *x, const char *path, const char *existing, struct err *e)
{
	struct spot from, to;
	struct inode n;
	int r = path_find(x, existing, 0, &from, e);

	if (r < 0)
		return r;
	r = inode_read(x, from.ino, existing, &n, e);
	if (r < 0)
		return r;
	if (S_ISDIR(n.raw.i_mode))
		return err_set(e, -EPERM, "%s: a folder cannot have a second name", existing);
	if (n.raw.i_links_count >= EXT2_LINK_MAX)
		return err_set(e, -EMLINK, "%s: has too many names", existing);
	r = path_resolve(x, path, MAKE_PARENTS, &to, e);
	if (r < 0)
		return r;
	r = ext4_refuse_folder(x, &to, e);
	if (r < 0 || to.ino == from.ino)
		return r;
	n.raw.i_links_count++;
	inode_touch(x, &n, false);
	r = inode_write(x, &n, e);
	if (r < 0)
		return r;
	if (!to.ino)
		return entry_add(x, &to, from.ino, n.raw.i_mode, e);
	r = inode_drop(x, to.ino, path, e);
	return r < 0 ? r : entry_swap(x, &to, from.ino, n.raw.i_mode, e);
}

int ext4_set_xattr(struct ext4 *x, const char *path, const char *name, const void *value, size_t n, struct err *e)
{
	struct ext2_xattr_handle *h = NULL;
	struct spot at;
	struct inode inode;
	errcode_t c;
	int r = path_find(x, path, 0, &at, e);

	if (r < 0)
		return r;
	c = ext2fs_xattrs_open(x->fs, at.ino, &h);
	if (c == 0)
		c = ext2fs_xattrs_read(h);
	if (c == 0)
		c = ext2fs_xattr_set(h, name, value, n);
	if (h)
		ext2fs_xattrs_close(&h);
	if (c)
		return ext4_error(e, c, path, "cannot set an attribute");
	r = inode_read(x, at.ino, path, &inode, e);
	inode_touch(x, &inode, false);
	return r < 0 ? r : inode_write(x, &inode, e);
}

/* Everything below and the folder itself; entries of folders that go too are not touched one by one. */
static int drop_tree(struct ext4 *x, ext2_ino_t ino, const char *path, unsigned depth, struct err *e)
{
	_cleanup_(dir_list_done) struct dir_list list = { 0 };
	struct inode n;
	int r = inode_read(x, ino, path, &n, e);

	if (r == 0 && S_ISDIR(n.raw.i_mode)) {
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
	struct spot at;
	struct inode n;
	int r = path_resolve(x, path, 0, &at, e);

	if (r == -ENOENT || r == -ENOTDIR || (r == 0 && !at.ino)) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (r == 0 && !at.name[0])
		r = err_set(e, -EBUSY, "%s: cannot be removed", path);
	if (r < 0)
		return r;
	r = inode_read(x, at.ino, path, &n, e);
	if (r < 0)
		return r;
	r = drop_tree(x, at.ino, path, 0, e);
	return r < 0 ? r : entry_remove(x, &at, S_ISDIR(n.raw.i_mode), e);
}
