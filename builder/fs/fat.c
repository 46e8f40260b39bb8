/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a FAT by path. */
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "fs/fat_internal.h"

int fat_open(const struct fs_place *at, unsigned flags, struct fat **ret, struct err *e)
{
	struct fat *f = xcalloc(1, sizeof(*f));
	uint64_t size = cow_size(at->image), there = size > at->offset ? size - at->offset : 0;
	int r;

	f->image = at->image;
	f->offset = at->offset;
	f->epoch = at->epoch;
	f->writable = flags & FAT_WRITE;
	r = fat_table_read(f, at->length ? MIN(at->length, there) : there, e);
	if (r == 0 && f->writable)
		r = fat_sound(f, e);
	if (r < 0) {
		fat_abort(f);
		return r;
	}
	*ret = f;
	return 0;
}

void fat_abort(struct fat *f)
{
	free(f->table);
	free(f->dirty);
	free(f);
}

int fat_close(struct fat *f, struct err *e)
{
	int r = f->writable ? fat_table_write(f, e) : 0;

	fat_abort(f);
	return r;
}

/* FAT's own rules; letters beyond ASCII are left to others. */
static int fat_check_name(const char *path, struct err *e)
{
	for (const char *s = path; *s; s++)
		if (*s < ' ' || *s > '~' || strchr("*?\\:\"<>|", *s))
			return err_set(e, -EINVAL, "boot partition: the name %s has a character that FAT cannot take",
				       path);
	if (!*path || path[0] == '/' || strstr(path, "//") || ends_with(path, "/") || ends_with(path, ".") ||
	    ends_with(path, " ") || strstr(path, "./") || strstr(path, " /") || strlen(path_base(path)) > 255)
		return err_set(e, -EINVAL, "boot partition: \"%s\" is not a path of a file from the FAT's root", path);
	return 0;
}

/* ---- finding ---- */

/* The folder that holds (or will hold) PATH's last name; the caller's. MAKE makes what is missing on the way. -ENOENT
 * without a word when it is not there. */
static int find_dir(struct fat *f, const char *path, bool make, struct fat_dir *ret, struct err *e)
{
	_cleanup_free_ char *copy = xstrdup(path);
	char *name = copy, *slash;
	int r = fat_dir_root(f, ret, e);

	for (; r == 0 && (slash = strchr(name, '/')); name = slash + 1) {
		struct fat_dir parent = *ret;
		struct fat_file x;
		bool there;

		*slash = '\0';
		there = fat_dir_find(f, &parent, name, &x);
		if (there && !x.dir) {
			r = make ? err_set(e, -ENOTDIR, "boot partition: %s is a file, not a folder", copy) : -ENOENT;
		} else if (!there && !make) {
			r = -ENOENT;
		} else if (!there) {
			r = fat_dir_make(f, &parent, &x.first, e);
			if (r == 0)
				r = fat_dir_add(f, &parent, name, true, x.first, 0, e);
		}
		if (r == 0)
			r = fat_dir_read(f, x.first, ret, e);
		fat_dir_done(&parent);
		*slash = '/';
	}
	return r;
}

static int find_file(struct fat *f, const char *path, struct fat_file *ret, struct err *e)
{
	struct fat_dir dir;
	int r = find_dir(f, path, false, &dir, e);

	if (r == 0) {
		r = fat_dir_find(f, &dir, path_base(path), ret) ? 0 : -ENOENT;
		fat_dir_done(&dir);
	}
	if (r == -ENOENT)
		return err_set(e, r, "boot partition: there is no %s", path);
	if (r == 0 && ret->dir)
		return err_set(e, -EISDIR, "boot partition: %s is a folder", path);
	return r;
}

/* ---- reading ---- */

struct fat_reading {
	struct fat *f;
	unsigned char *buf; /* MIB */
	int (*take)(void *arg, const void *data, size_t n, struct err *e);
	void *arg;
};

static int read_run(void *arg, uint64_t at, size_t n, struct err *e)
{
	struct fat_reading *x = arg;
	int r = fat_get(x->f, x->buf, n, at, e);

	return r < 0 ? r : x->take(x->arg, x->buf, n, e);
}

static int fat_read_file(struct fat *f, const char *path, uint64_t limit,
			 int (*take)(void *arg, const void *data, size_t n, struct err *e), void *arg, struct err *e)
{
	char have[SIZE_TEXT_MAX], most[SIZE_TEXT_MAX];
	_cleanup_free_ unsigned char *buf = xmalloc(MIB + f->cluster);
	struct fat_file x;
	int r = find_file(f, path, &x, e);

	if (r < 0)
		return r;
	if (x.size > limit)
		return err_set(e, -E2BIG, "boot partition: %s has %s, more than the limit of %s", path,
			       size_text(x.size, have), size_text(limit, most));
	return fat_chain_runs(f, x.first, x.size, read_run, &(struct fat_reading){ f, buf, take, arg }, e);
}

static int fat_take_text(void *arg, const void *data, size_t n, struct err *e)
{
	strbuf_add(arg, data, n);
	return 0;
}

int fat_read(struct fat *f, const char *path, uint64_t limit, struct strbuf *out, struct err *e)
{
	strbuf_add(out, "", 0);
	return fat_read_file(f, path, limit, fat_take_text, out, e);
}

static int take_digest(void *arg, const void *data, size_t n, struct err *e)
{
	sha256_update(arg, data, n);
	return 0;
}

int fat_digest(struct fat *f, const char *path, char sha256[SHA256_HEX], struct err *e)
{
	struct sha256 h;
	int r;

	sha256_init(&h);
	r = fat_read_file(f, path, UINT64_MAX, take_digest, &h, e);
	sha256_final(&h, sha256);
	return r;
}

static int take_copy(void *arg, const void *data, size_t n, struct err *e)
{
	int r = write_all(*(int *)arg, data, n);

	return r < 0 ? err_errno(e, r, "cannot copy a file of the boot partition") : 0;
}

int fat_extract(struct fat *f, const char *path, const char *to, struct err *e)
{
	_cleanup_close_ int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, -errno, "cannot create %s", to)
		      : fat_read_file(f, path, UINT64_MAX, take_copy, &fd, e);
}

struct fat_walk {
	VEC(struct fat_entry) v;
	unsigned char *seen; /* by cluster: a folder that is in two is not followed for ever */
};

static int fat_walk_dir(struct fat *f, const struct fat_dir *d, const char *path, unsigned depth, struct fat_walk *w,
			struct err *e)
{
	struct fat_file x;
	int r = 0;

	for (size_t at = 0; r == 0 && fat_dir_next(f, d, &at, &x);) {
		struct fat_entry *entry = vec_push(&w->v);
		struct fat_dir below;

		*entry = (struct fat_entry){ *path ? path_join(path, x.name) : arena_strdup(x.name), x.size, x.dir };
		if (!x.dir)
			continue;
		if (x.first >= f->end || w->seen[x.first]++)
			return fat_damaged(e, "a folder lies in two folders, or outside of it");
		if (depth == FAT_MAX_DEPTH)
			return fat_damaged(e, "folders lie too deep in each other");
		r = fat_dir_read(f, x.first, &below, e);
		if (r < 0)
			return r;
		r = fat_walk_dir(f, &below, w->v.v[w->v.n - 1].path, depth + 1, w, e);
		fat_dir_done(&below);
	}
	return r;
}

int fat_list(struct fat *f, struct fat_entry **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ unsigned char *seen = xcalloc(f->end, 1);
	struct fat_walk w = { .seen = seen };
	struct fat_dir root;
	int r = fat_dir_root(f, &root, e);

	if (r < 0)
		return r;
	r = fat_walk_dir(f, &root, "", 0, &w, e);
	fat_dir_done(&root);
	if (r < 0)
		return r;
	vec_sort_by(&w.v, path);
	*ret = w.v.v;
	*ret_n = w.v.n;
	return 0;
}

/* ---- writing ---- */

struct writing {
	struct fat *f;
	const unsigned char *p;
	uint64_t left;
};

static int write_run(void *arg, uint64_t at, size_t n, struct err *e)
{
	static const unsigned char zeros[128 * FAT_SECTOR];
	struct writing *x = arg;
	size_t data = (size_t)MIN(x->left, (uint64_t)n);
	int r = fat_put(x->f, x->p, data, at, e);

	if (r == 0 && data < n)
		r = fat_put(x->f, zeros, n - data, at + data, e);
	x->p += data;
	x->left -= data;
	return r;
}

static uint64_t whole_clusters(const struct fat *f, uint64_t n)
{
	return (n + f->cluster - 1) / f->cluster * f->cluster;
}

static int fat_write_content(struct fat *f, const char *path, const void *data, size_t n, uint32_t *ret_first,
			     struct err *e)
{
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	uint64_t size = whole_clusters(f, n);
	int r;

	if (n > UINT32_MAX || size > fat_free_bytes(f))
		return err_set(e, -ENOSPC, "boot partition: %s needs %s, only %s are free", path, size_text(n, want),
			       size_text(fat_free_bytes(f), have));
	r = fat_chain_add(f, 0, (uint32_t)(size / f->cluster), ret_first, e);
	return r < 0 ? r : fat_chain_runs(f, *ret_first, size, write_run, &(struct writing){ f, data, n }, e);
}

int fat_write(struct fat *f, const char *path, const void *data, size_t n, struct err *e)
{
	const char *name = path_base(path);
	struct fat_file x;
	struct fat_dir dir;
	uint32_t first = 0;
	bool there;
	int r = fat_check_name(path, e);

	if (r < 0)
		return r;
	r = find_dir(f, path, true, &dir, e);
	if (r < 0)
		return r;
	there = fat_dir_find(f, &dir, name, &x);
	if (there && x.dir)
		r = err_set(e, -EISDIR, "boot partition: %s is a folder", path);
	if (r == 0 && there)
		r = fat_chain_drop(f, x.first, e);
	if (r == 0)
		r = fat_write_content(f, path, data, n, &first, e);
	if (r == 0)
		r = there ? fat_dir_set(f, &dir, &x, first, (uint32_t)n, e)
			  : fat_dir_add(f, &dir, name, false, first, (uint32_t)n, e);
	fat_dir_done(&dir);
	return r;
}

static int drop_all(struct fat *f, const struct fat_file *x, unsigned depth, struct err *e)
{
	struct fat_dir d;
	struct fat_file y;
	int r;

	if (!x->dir)
		return fat_chain_drop(f, x->first, e);
	if (depth == FAT_MAX_DEPTH)
		return fat_damaged(e, "folders lie too deep in each other");
	r = fat_dir_read(f, x->first, &d, e);
	if (r < 0)
		return r;
	/* The folder before what is in it: one that holds itself is found free. */
	r = fat_chain_drop(f, x->first, e);
	for (size_t at = 0; r == 0 && fat_dir_next(f, &d, &at, &y);)
		r = drop_all(f, &y, depth + 1, e);
	fat_dir_done(&d);
	return r;
}

int fat_remove(struct fat *f, const char *path, struct err *e)
{
	struct fat_file x;
	struct fat_dir dir;
	int r = fat_check_name(path, e);

	if (r == 0)
		r = find_dir(f, path, false, &dir, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (fat_dir_find(f, &dir, path_base(path), &x)) {
		r = drop_all(f, &x, 0, e);
		if (r == 0)
			r = fat_dir_drop(f, &dir, &x, e);
	}
	fat_dir_done(&dir);
	return r;
}
