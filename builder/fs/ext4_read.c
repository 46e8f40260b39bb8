/* SPDX-License-Identifier: Apache-2.0 */
/* What is there: stat, content, links, all below a folder. */
#include "fs/internal.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/sig.h"
#include "crypto/digest.h"

/* i_mtime is signed, with two more bits of seconds above it when the inode is large. */
static int64_t inode_mtime(const struct ext2_inode_large *i)
{
	int64_t t = (int32_t)i->i_mtime;

	if (i->i_extra_isize >= offsetof(struct ext2_inode_large, i_atime_extra) - EXT2_GOOD_OLD_INODE_SIZE)
		t += (int64_t)(i->i_mtime_extra & EXT4_EPOCH_MASK) << 32;
	return t;
}

static struct fs_stat stat_of(const struct inode *n)
{
	const struct ext2_inode_large *i = &n->raw;

	return (struct fs_stat){
		.mode = i->i_mode,
		.uid = i->i_uid | (unsigned)i->i_uid_high << 16,
		.gid = i->i_gid | (unsigned)i->i_gid_high << 16,
		.size = EXT2_I_SIZE(i),
		.mtime = inode_mtime(i),
		.inode = n->number,
		.links = i->i_links_count,
	};
}

static int find_inode(struct ext4 *x, const char *path, unsigned flags, struct inode *ret, struct err *e)
{
	struct spot s;
	int r = path_find(x, path, flags, &s, e);

	return r < 0 ? r : inode_read(x, s.ino, path, ret, e);
}

int ext4_stat(struct ext4 *x, const char *path, struct fs_stat *ret, struct err *e)
{
	struct inode n;
	int r = find_inode(x, path, 0, &n, e);

	if (r < 0)
		return r;
	*ret = stat_of(&n);
	return 0;
}

bool ext4_exists(struct ext4 *x, const char *path)
{
	struct err ignored;
	struct spot s;

	return path_find(x, path, 0, &s, &ignored) == 0;
}

bool ext4_resolves(struct ext4 *x, const char *path)
{
	struct err ignored;
	struct spot s;

	return path_find(x, path, FOLLOW_LAST, &s, &ignored) == 0;
}

int ext4_readlink(struct ext4 *x, const char *path, struct strbuf *out, struct err *e)
{
	struct inode n;
	int r = find_inode(x, path, 0, &n, e);

	if (r == 0 && !S_ISLNK(n.raw.i_mode))
		r = err_set(e, -EINVAL, "%s: is not a symbolic link", path);
	return r < 0 ? r : symlink_target(x, &n, out, e);
}

/* ---- content ---- */

/* A regular file, read from its start. */
struct open_inode {
	struct ext4 *x;
	ext2_file_t file; /* NULL = none */
	const char *path; /* for messages */
	uint64_t left;	  /* bytes */
};

static void open_inode_done(struct open_inode *f)
{
	if (f->file)
		ext2fs_file_close(f->file);
}

static int open_regular(struct ext4 *x, const char *path, unsigned flags, struct open_inode *ret, struct err *e)
{
	struct inode n;
	errcode_t c;
	int r = find_inode(x, path, flags, &n, e);

	if (r < 0)
		return r;
	if (!S_ISREG(n.raw.i_mode))
		return err_set(e, S_ISDIR(n.raw.i_mode) ? -EISDIR : -EINVAL, "%s: is not a regular file", path);
	*ret = (struct open_inode){ .x = x, .path = path, .left = EXT2_I_SIZE(&n.raw) };
	c = ext2fs_file_open(x->fs, n.number, 0, &ret->file);
	return c ? ext4_error(e, c, path, "cannot open") : 0;
}

/* The next bytes, CHUNK of them unless it ends before, into BUF; checks for signals. */
static int read_piece(struct open_inode *f, char *buf, size_t *ret_n, struct err *e)
{
	unsigned n = (unsigned)MIN(f->left, (uint64_t)CHUNK), got = 0;
	errcode_t c = ext2fs_file_read(f->file, buf, n, &got);

	if (c)
		return ext4_error(e, c, f->path, "cannot read");
	if (got != n)
		return ext4_damaged(e, f->path, "a file is shorter than its length");
	f->left -= n;
	*ret_n = n;
	return sig_check(e);
}

int ext4_read(struct ext4 *x, const char *path, uint64_t limit, struct strbuf *out, struct err *e)
{
	_cleanup_(open_inode_done) struct open_inode f = { 0 };
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
	size_t n;
	int r = open_regular(x, path, FOLLOW_LAST, &f, e);

	if (r < 0)
		return r;
	if (f.left > limit)
		return err_set(e, -E2BIG, "%s: has %s, more than the limit of %s", path, size_text(f.left, a),
			       size_text(limit, b));
	strbuf_add(out, "", 0);
	while (r == 0 && f.left) {
		r = read_piece(&f, x->chunk, &n, e);
		if (r == 0)
			strbuf_add(out, x->chunk, n);
	}
	return r;
}

int ext4_digest(struct ext4 *x, const char *path, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(open_inode_done) struct open_inode f = { 0 };
	_cleanup_(sha256_done) struct sha256 sha = { 0 };
	size_t n;
	int r = open_regular(x, path, 0, &f, e);

	if (r < 0)
		return r;
	sha256_init(&sha);
	while (f.left) {
		r = read_piece(&f, x->chunk, &n, e);
		if (r < 0)
			return r;
		sha256_update(&sha, x->chunk, n);
	}
	sha256_final(&sha, sha256);
	return 0;
}

int ext4_equal(struct ext4 *a, const char *path_a, struct ext4 *b, const char *path_b, bool *ret, struct err *e)
{
	_cleanup_(open_inode_done) struct open_inode f = { 0 }, g = { 0 };
	_cleanup_free_ char *other = xmalloc(CHUNK); /* A and B may be one */
	bool same;
	size_t n, m;
	int r = open_regular(a, path_a, 0, &f, e);

	if (r < 0)
		return r;
	r = open_regular(b, path_b, 0, &g, e);
	if (r < 0)
		return r;
	same = f.left == g.left;
	while (same && f.left) {
		r = read_piece(&f, a->chunk, &n, e);
		if (r < 0)
			return r;
		r = read_piece(&g, other, &m, e);
		if (r < 0)
			return r;
		same = memcmp(a->chunk, other, n) == 0;
	}
	*ret = same;
	return 0;
}

/* ---- walking ---- */

struct tour {
	struct ext4 *x;
	ext4_walk_fn fn;
	void *arg;
	struct strbuf path;
	unsigned char *seen; /* a bit per inode: folders met; damage can make loops */
	unsigned depth;
};

static void tour_done(struct tour *t)
{
	strbuf_done(&t->path);
	free(t->seen);
}

static int enter(struct tour *t, ext2_ino_t ino, struct err *e)
{
	unsigned char bit = (unsigned char)(1 << ino % 8);

	if (t->seen[ino / 8] & bit)
		return ext4_damaged(e, t->path.s, "a folder appears twice");
	t->seen[ino / 8] |= bit;
	if (t->depth >= MAX_DEPTH)
		return err_set(e, -ELOOP, "%s: folders are nested deeper than %d", t->path.s, MAX_DEPTH);
	return sig_check(e);
}

static int tour_dir(struct tour *t, ext2_ino_t dir, struct err *e)
{
	_cleanup_(dir_list_done) struct dir_list list = { 0 };
	size_t base = t->path.n;
	int r = enter(t, dir, e);

	if (r == 0)
		r = dir_read(t->x, dir, t->path.n ? t->path.s : "/", &list, e);
	t->depth++;
	for (size_t i = 0; i < list.n && r == 0; i++) {
		struct fs_stat st;
		struct inode n;

		strbuf_addf(&t->path, "/%s", list.v[i].name);
		r = inode_read(t->x, list.v[i].ino, t->path.s, &n, e);
		if (r == 0) {
			st = stat_of(&n);
			r = t->fn(t->arg, t->path.s, &st, e);
		}
		if (r >= 0)
			r = S_ISDIR(n.raw.i_mode) ? tour_dir(t, n.number, e) : 0;
		t->path.s[t->path.n = base] = '\0';
	}
	t->depth--;
	return r;
}

int ext4_walk(struct ext4 *x, const char *dir, ext4_walk_fn fn, void *arg, struct err *e)
{
	_cleanup_(tour_done) struct tour t = { .x = x, .fn = fn, .arg = arg };
	struct inode n;
	int r = find_inode(x, dir, FOLLOW_LAST, &n, e);

	if (r < 0)
		return r;
	if (!S_ISDIR(n.raw.i_mode))
		return err_set(e, -ENOTDIR, "%s: is not a folder", dir);
	t.seen = xcalloc(x->fs->super->s_inodes_count / 8 + 1, 1);
	strbuf_adds(&t.path, n.number == EXT2_ROOT_INO ? "" : dir);
	while (t.path.n && t.path.s[t.path.n - 1] == '/')
		t.path.s[--t.path.n] = '\0';
	return tour_dir(&t, n.number, e);
}
