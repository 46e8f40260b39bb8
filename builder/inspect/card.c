/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/card.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/sig.h"

int card_open_table(const char *path, struct card *ret, struct err *e)
{
	bool unpacked;
	int fd, r = image_file_open(path, &fd, &unpacked, e);

	if (r < 0)
		return r;
	ret->path = path;
	ret->unpacked = unpacked;
	ret->fd = fd;
	if (unpacked)
		ret->path = arena_printf("/proc/self/fd/%d", fd);
	else
		close(fd);
	r = disk_read_base(ret->path, &ret->disk, e);
	if (r < 0)
		return err_rename(e, ret->path, path);
	return 0;
}

int card_open_boot(struct card *c, struct err *e)
{
	const struct partition *p = card_boot_part(c);
	int r = cow_open_path(c->path, false, &c->image, e);

	return r < 0 ? r : fat_open(c->image, p->start, p->size, FAT_READ, 1, &c->boot, e);
}

int card_open(const char *path, struct card *ret, struct err *e)
{
	const struct partition *root;
	int r = card_open_table(path, ret, e);

	if (r < 0)
		return r;
	root = card_root_part(ret);
	r = card_open_boot(ret, e);
	if (r == 0)
		r = ext4_open(ret->path, root->start, root->size, EXT4_READ, 1, &ret->root, e);
	return r < 0 ? err_rename(e, ret->path, path) : 0;
}

void card_close(struct card *c)
{
	ext4_abortp(&c->root);
	fat_abortp(&c->boot);
	cow_closep(&c->image);
	if (c->unpacked)
		closep(&c->fd);
	c->unpacked = false;
}

const struct partition *card_boot_part(const struct card *c)
{
	return &c->disk.parts[0];
}

const struct partition *card_root_part(const struct card *c)
{
	return &c->disk.parts[c->disk.n - 1];
}

static const char *boot_name(const char *path)
{
	return path + strlen(BOOT_DIR "/");
}

int card_read(struct card *c, const char *path, uint64_t limit, struct strbuf *out, struct err *e)
{
	return on_boot(path) ? fat_read(c->boot, boot_name(path), limit, out, e)
			     : ext4_read(c->root, path, limit, out, e);
}

int card_digest(struct card *c, const char *path, char sha256[SHA256_HEX], struct err *e)
{
	return on_boot(path) ? fat_digest(c->boot, boot_name(path), sha256, e) : ext4_digest(c->root, path, sha256, e);
}

/* ---- everything that is there ---- */

static int add_seen(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	struct listing *l = arg;

	*vec_push(&l->v) = (struct seen){ arena_strdup(path), *st, "" };
	return sig_check(e);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

int card_list(struct card *c, unsigned flags, struct listing *ret, struct err *e)
{
	struct fat_entry *boot;
	size_t n, first;
	int r = ext4_walk(c->root, "/", add_seen, ret, e);

	if (r == 0)
		r = fat_list(c->boot, &boot, &n, e);
	if (r < 0)
		return r;
	first = ret->v.n;
	for (size_t i = 0; i < n; i++)
		*vec_push(&ret->v) = (struct seen){ path_join(BOOT_DIR, boot[i].path),
						    { .mode = boot[i].dir ? S_IFDIR : S_IFREG, .size = boot[i].size },
						    "" };
	for (size_t i = 0; flags & BOOT_DIGESTS && i < n && r == 0; i++) {
		r = boot[i].dir ? 0 : fat_digest(c->boot, boot[i].path, ret->v.v[first + i].sha256, e);
		if (r == 0)
			r = sig_check(e);
	}
	if (r == 0 && ret->v.n)
		qsort(ret->v.v, ret->v.n, sizeof(*ret->v.v), by_path);
	return r;
}

const struct seen *listing_find(const struct listing *l, const char *path)
{
	const struct seen key = { .path = path };

	return l->v.n ? bsearch(&key, l->v.v, l->v.n, sizeof(*l->v.v), by_path) : NULL;
}

bool listing_is_public(const struct listing *l, const struct seen *x)
{
	const struct seen *dir;

	/* FAT knows no owners: it is mounted for everybody to read. */
	if (on_boot(x->path))
		return true;
	if (!(x->st.mode & S_IROTH))
		return false;
	for (const char *path = path_dir(x->path); !streq(path, "/"); path = path_dir(path)) {
		dir = listing_find(l, path);
		if (dir && !(dir->st.mode & S_IXOTH))
			return false;
	}
	return true;
}

static int compare_targets(struct card *a, struct card *b, const char *path, unsigned *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf s = { 0 }, t = { 0 };
	int r = ext4_readlink(a->root, path, &s, e);

	if (r == 0)
		r = ext4_readlink(b->root, path, &t, e);
	if (r == 0 && !streq(s.s, t.s))
		*ret |= DIFFERS_TARGET;
	return r;
}

static int compare_files(struct card *a, const struct seen *x, struct card *b, const struct seen *y, unsigned *ret,
			 struct err *e)
{
	bool same = x->st.size == y->st.size;
	int r = 0;

	if (same && on_boot(x->path))
		same = streq(x->sha256, y->sha256);
	else if (same)
		r = ext4_equal(a->root, x->path, b->root, y->path, &same, e);
	if (!same)
		*ret |= DIFFERS_CONTENT;
	return r;
}

int card_compare(struct card *a, const struct seen *x, struct card *b, const struct seen *y, unsigned *ret,
		 struct err *e)
{
	unsigned d = 0;
	int r = 0;

	if ((x->st.mode & S_IFMT) != (y->st.mode & S_IFMT))
		d |= DIFFERS_TYPE;
	if (!S_ISLNK(x->st.mode) && (x->st.mode & 07777) != (y->st.mode & 07777))
		d |= DIFFERS_MODE;
	if (x->st.uid != y->st.uid || x->st.gid != y->st.gid)
		d |= DIFFERS_OWNER;
	if (x->st.mtime != y->st.mtime)
		d |= DIFFERS_TIME;
	if (!S_ISDIR(x->st.mode) && x->st.links != y->st.links)
		d |= DIFFERS_LINKS;
	if (!(d & DIFFERS_TYPE) && S_ISLNK(x->st.mode))
		r = compare_targets(a, b, x->path, &d, e);
	else if (!(d & DIFFERS_TYPE) && S_ISREG(x->st.mode))
		r = compare_files(a, x, b, y, &d, e);
	*ret = d;
	return r;
}
