/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/files.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/sig.h"

static int files_add_seen(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	struct listing *l = arg;

	*vec_push(&l->v) = (struct listed){ arena_strdup(path), *st, "" };
	return sig_check(e);
}

static int listed_by_path(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

int files_list(struct disk_image *c, unsigned flags, struct listing *ret, struct err *e)
{
	struct fat_entry *boot;
	size_t n, first;
	int r = ext4_walk(c->root, "/", files_add_seen, ret, e);

	if (r < 0)
		return r;
	r = fat_list(c->boot, &boot, &n, e);
	if (r < 0)
		return r;
	first = ret->v.n;
	for (size_t i = 0; i < n; i++)
		*vec_push(&ret->v) = (struct listed){ path_join(BOOT_DIR, boot[i].path),
						      { .mode = boot[i].dir ? S_IFDIR : S_IFREG, .size = boot[i].size },
						      "" };
	for (size_t i = 0; flags & BOOT_DIGESTS && i < n && r == 0; i++) {
		r = boot[i].dir ? 0 : fat_digest(c->boot, boot[i].path, ret->v.v[first + i].sha256, e);
		if (r == 0)
			r = sig_check(e);
	}
	if (r == 0 && ret->v.n)
		vec_sort(&ret->v, listed_by_path);
	return r;
}

const struct listed *listing_find(const struct listing *l, const char *path)
{
	const struct listed key = { .path = path };

	return l->v.n ? bsearch(&key, l->v.v, l->v.n, sizeof(*l->v.v), listed_by_path) : NULL;
}

bool listing_is_public(const struct listing *l, const struct listed *x)
{
	const struct listed *dir;

	/* FAT knows no owners: it is mounted for everybody to read. */
	if (path_on_boot(x->path))
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

static int compare_targets(struct disk_image *a, struct disk_image *b, const char *path, unsigned *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf s = { 0 }, t = { 0 };
	int r = ext4_readlink(a->root, path, &s, e);

	if (r == 0)
		r = ext4_readlink(b->root, path, &t, e);
	if (r == 0 && !streq(s.s, t.s))
		*ret |= DIFFERS_TARGET;
	return r;
}

static int compare_contents(struct disk_image *a, const struct listed *x, struct disk_image *b, const struct listed *y,
			    unsigned *ret, struct err *e)
{
	bool same = x->st.size == y->st.size;
	int r = 0;

	if (same && path_on_boot(x->path))
		same = streq(x->sha256, y->sha256);
	else if (same)
		r = ext4_equal(a->root, x->path, b->root, y->path, &same, e);
	if (!same)
		*ret |= DIFFERS_CONTENT;
	return r;
}

int files_compare(struct disk_image *a, const struct listed *x, struct disk_image *b, const struct listed *y,
		  unsigned *ret, struct err *e)
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
		r = compare_contents(a, x, b, y, &d, e);
	*ret = d;
	return r;
}
