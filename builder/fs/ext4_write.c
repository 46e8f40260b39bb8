/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the tree: names come and go, inodes are ext4_inode.c's business. */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

static int ext4_refuse_folder(struct ext4 *x, const struct spot *s, const char *path, struct err *e)
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
		r = ext4_refuse_folder(x, &s, path, e);
	if (r == 0 && s.ino)
		r = inode_drop(x, s.ino, path, e);
	if (r < 0)
		return r;
	r = inode_create(x, s.dir, type, m, src, path, &ino, e);
	if (r < 0)
		return r;
	return s.ino ? entry_swap(x, &s, ino, type, path, e) : entry_add(x, &s, ino, type, path, e);
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
		return dir_create(x, &s, m, path, &s.ino, e);
	r = inode_read(x, s.ino, &inode, path, e);
	if (r == 0 && !S_ISDIR(inode.i_mode))
		r = err_set(e, -ENOTDIR, "%s: a file is in the way", path);
	return r < 0 ? r : set_meta(x, s.ino, &inode, m, path, e);
}

int ext4_hardlink(struct ext4 *x, const char *path, const char *existing, struct err *e)
{
	struct spot from, to;
	inode_t inode;
	int r = path_find(x, existing, 0, &from, e);

	if (r < 0)
		return r;
	r = inode_read(x, from.ino, &inode, existing, e);
	if (r < 0)
		return r;
	if (S_ISDIR(inode.i_mode))
		return err_set(e, -EPERM, "%s: a folder cannot have a second name", existing);
	if (inode.i_links_count >= EXT2_LINK_MAX)
		return err_set(e, -EMLINK, "%s: has too many names", existing);
	r = path_resolve(x, path, MAKE_PARENTS, &to, e);
	if (r < 0)
		return r;
	r = ext4_refuse_folder(x, &to, path, e);
	if (r < 0 || to.ino == from.ino)
		return r;
	inode.i_links_count++;
	inode_touch(x, &inode, false);
	r = inode_write(x, from.ino, &inode, existing, e);
	if (r < 0)
		return r;
	if (!to.ino)
		return entry_add(x, &to, from.ino, inode.i_mode, path, e);
	r = inode_drop(x, to.ino, path, e);
	return r < 0 ? r : entry_swap(x, &to, from.ino, inode.i_mode, path, e);
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
	if (r < 0)
		return r;
	r = inode_read(x, s.ino, &inode, path, e);
	if (r < 0)
		return r;
	r = drop_tree(x, s.ino, path, 0, e);
	return r < 0 ? r : entry_remove(x, &s, S_ISDIR(inode.i_mode), path, e);
}
