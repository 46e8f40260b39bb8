/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/files.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/sig.h"

struct files_walk {
	struct listing *listing;
	struct disk_image *image;
};

static int files_add_seen(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	const struct files_walk *w = arg;

	*vec_push(&w->listing->v) = (struct listed){ arena_strdup(path), w->image, *st, "" };
	return sig_check(e);
}

static int listed_by_path(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

int files_list(struct disk_image *c, unsigned flags, struct listing *ret, struct err *e)
{
	struct files_walk walk = { ret, c };
	struct fat_entry *boot;
	size_t n, first;
	int r = ext4_walk(c->root, "/", files_add_seen, &walk, e);

	if (r < 0)
		return r;
	r = fat_list(c->boot, &boot, &n, e);
	if (r < 0)
		return r;
	first = ret->v.n;
	for (size_t i = 0; i < n; i++)
		*vec_push(&ret->v) = (struct listed){ path_join(BOOT_DIR, boot[i].path),
						      c,
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

int listings_pair(const struct listing *a, const struct listing *b, listed_pair_fn fn, void *arg, struct err *e)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < a->v.n || j < b->v.n)) {
		const struct listed *x = i < a->v.n ? &a->v.v[i] : NULL, *y = j < b->v.n ? &b->v.v[j] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);

		r = fn(arg, order <= 0 ? x : NULL, order >= 0 ? y : NULL, e);
		i += order <= 0;
		j += order >= 0;
		if (r == 0)
			r = sig_check(e);
	}
	return r;
}

static int compare_targets(const struct listed *a, const struct listed *b, unsigned *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf s = { 0 }, t = { 0 };
	int r = ext4_readlink(a->image->root, a->path, &s, e);

	if (r == 0)
		r = ext4_readlink(b->image->root, b->path, &t, e);
	if (r == 0 && !streq(s.s, t.s))
		*ret |= DIFFERS_TARGET;
	return r;
}

static int compare_contents(const struct listed *a, const struct listed *b, unsigned *ret, struct err *e)
{
	bool same = a->st.size == b->st.size;
	int r = 0;

	if (same && path_on_boot(a->path))
		same = streq(a->sha256, b->sha256);
	else if (same)
		r = ext4_equal(a->image->root, a->path, b->image->root, b->path, &same, e);
	if (!same)
		*ret |= DIFFERS_CONTENT;
	return r;
}

int files_compare(const struct listed *a, const struct listed *b, unsigned *ret, struct err *e)
{
	unsigned d = 0;
	int r = 0;

	if ((a->st.mode & S_IFMT) != (b->st.mode & S_IFMT))
		d |= DIFFERS_TYPE;
	if (!S_ISLNK(a->st.mode) && (a->st.mode & 07777) != (b->st.mode & 07777))
		d |= DIFFERS_MODE;
	if (a->st.uid != b->st.uid || a->st.gid != b->st.gid)
		d |= DIFFERS_OWNER;
	if (a->st.mtime != b->st.mtime)
		d |= DIFFERS_TIME;
	if (!S_ISDIR(a->st.mode) && a->st.links != b->st.links)
		d |= DIFFERS_LINKS;
	if (!(d & DIFFERS_TYPE) && S_ISLNK(a->st.mode))
		r = compare_targets(a, b, &d, e);
	else if (!(d & DIFFERS_TYPE) && S_ISREG(a->st.mode))
		r = compare_contents(a, b, &d, e);
	*ret = d;
	return r;
}
