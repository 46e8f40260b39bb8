/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: their entries come, go and lead elsewhere; inodes are ext4_inode.c's business. */
#include "fs/internal.h"

#include <sys/stat.h>

static int file_type(unsigned mode)
{
	return S_ISDIR(mode) ? EXT2_FT_DIR : S_ISLNK(mode) ? EXT2_FT_SYMLINK : EXT2_FT_REG_FILE;
}

/* The times of the folder that AT is in, and LINKS more or less links to it (a sub-folder's ".."). */
static int dir_changed(struct ext4 *x, const struct spot *at, int links, struct err *e)
{
	struct inode dir;
	int r = inode_read(x, at->dir, at->path, &dir, e);

	if (r < 0)
		return r;
	/* dir_nlink: 1 stands for more than can be counted. */
	if (links && dir.raw.i_links_count > 1)
		dir.raw.i_links_count = (uint16_t)(dir.raw.i_links_count + links);
	if (dir.raw.i_links_count >= EXT2_LINK_MAX)
		dir.raw.i_links_count = 1;
	inode_touch(x, &dir, true);
	return inode_write(x, &dir, e);
}

int entry_add(struct ext4 *x, const struct spot *at, ext2_ino_t ino, unsigned mode, struct err *e)
{
	struct inode parent;
	errcode_t c = EXT2_ET_DIR_NO_SPACE;
	int r = inode_read(x, at->dir, at->path, &parent, e);

	/* An indexed folder grows inside ext2fs_link(), sometimes only at the second try; expanding it from outside
	 * would leave a block that its index does not know. */
	for (unsigned i = 0; r == 0 && i < 3 && c == EXT2_ET_DIR_NO_SPACE; i++) {
		c = ext2fs_link(x->fs, at->dir, at->name, ino, file_type(mode));
		if (c == EXT2_ET_DIR_NO_SPACE && !(parent.raw.i_flags & EXT2_INDEX_FL)) {
			c = ext2fs_expand_dir(x->fs, at->dir);
			c = c ? c : EXT2_ET_DIR_NO_SPACE;
		}
	}
	if (r == 0 && c)
		r = ext4_error(e, c, at->path, "cannot add it to its folder");
	return r < 0 ? r : dir_changed(x, at, S_ISDIR(mode), e);
}

struct name_swap {
	const char *name;
	ext2_ino_t ino;
	int type;
	bool done;
};

static int swap_one(struct ext2_dir_entry *d, int offset, int blocksize, char *buf, void *arg)
{
	struct name_swap *s = arg;
	size_t n = (size_t)ext2fs_dirent_name_len(d);

	if (n != strlen(s->name) || memcmp(d->name, s->name, n) != 0)
		return 0;
	d->inode = s->ino;
	ext2fs_dirent_set_file_type(d, s->type);
	s->done = true;
	return DIRENT_CHANGED | DIRENT_ABORT;
}

int entry_swap(struct ext4 *x, const struct spot *at, ext2_ino_t ino, unsigned mode, struct err *e)
{
	struct name_swap s = { at->name, ino, file_type(mode), false };
	errcode_t c = ext2fs_dir_iterate(x->fs, at->dir, 0, NULL, swap_one, &s);

	if (c || !s.done)
		return ext4_error(e, c ? c : EXT2_ET_FILE_NOT_FOUND, at->path, "cannot replace it in its folder");
	return dir_changed(x, at, 0, e);
}

int entry_remove(struct ext4 *x, const struct spot *at, bool is_dir, struct err *e)
{
	errcode_t c = ext2fs_unlink(x->fs, at->dir, at->name, at->ino, 0);

	if (c)
		return ext4_error(e, c, at->path, "cannot remove it from its folder");
	return dir_changed(x, at, is_dir ? -1 : 0, e);
}

int dir_create(struct ext4 *x, const struct spot *at, const struct fs_meta *m, ext2_ino_t *ret, struct err *e)
{
	const struct new_inode folder = { .type = S_IFDIR, .parent = at->dir, .meta = m, .path = at->path };
	ext2_ino_t ino;
	int r = inode_create(x, &folder, &ino, e);

	if (r < 0)
		return r;
	r = entry_add(x, at, ino, S_IFDIR, e);
	if (r < 0)
		return r;
	*ret = ino;
	return 0;
}

/* ---- reading ---- */

struct dir_reading {
	struct dir_list *list;
	uint32_t max_ino;
	bool damaged;
};

static int dir_add_item(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset, int blocksize, char *buf,
			void *arg)
{
	struct dir_reading *l = arg;
	struct dir_list *list = l->list;
	size_t n = (size_t)ext2fs_dirent_name_len(d);

	if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE)
		return 0;
	if (n == 0 || d->inode > l->max_ino || memchr(d->name, '/', n) || memchr(d->name, '\0', n)) {
		l->damaged = true;
		return DIRENT_ABORT;
	}
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->v = xrealloc(list->v, list->cap * sizeof(*list->v));
	}
	list->v[list->n].name = xcalloc(1, n + 1);
	memcpy(list->v[list->n].name, d->name, n);
	list->v[list->n++].ino = d->inode;
	return 0;
}

int dir_read(struct ext4 *x, ext2_ino_t dir, const char *path, struct dir_list *ret, struct err *e)
{
	struct dir_reading l = { ret, x->fs->super->s_inodes_count, false };
	errcode_t c = ext2fs_dir_iterate2(x->fs, dir, 0, NULL, dir_add_item, &l);

	if (c)
		return ext4_error(e, c, path, "cannot read the folder");
	if (l.damaged)
		return ext4_damaged(e, path, "a folder has an impossible entry");
	vec_sort_by(ret, name);
	return 0;
}

void dir_list_done(struct dir_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct dir_list){ 0 };
}
