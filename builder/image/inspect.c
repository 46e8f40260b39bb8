/* SPDX-License-Identifier: Apache-2.0 */
#include "image/inspect.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sig.h"

enum { MANIFEST_LIMIT = 32 * 1024 * 1024, LINK_LIMIT = 4096, BOOT_LIMIT = 64 * 1024 * 1024 };

const char *const record_state_names[RECORD_STATE_COUNT] = { "ok", "changed", "missing", "present" };

/* An image opened for reading. */
struct opened {
	struct disk disk;
	struct ext4 *root;
	struct fat boot;
};

static void opened_done(struct opened *o)
{
	ext4_abortp(&o->root);
}

static int open_image(const char *path, struct opened *o, struct err *e)
{
	const struct partition *root;
	int r = disk_read_base(path, &o->disk, e);

	if (r < 0)
		return r;
	root = &o->disk.parts[o->disk.n - 1];
	o->boot = (struct fat){ path, o->disk.parts[0].start, 1 };
	return ext4_open(path, root->start, root->size, EXT4_READ, 1, &o->root, e);
}

/* ---- the manifest against what is there ---- */

static int digest_of(struct opened *o, const char *path, bool boot, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	int r;

	if (!boot)
		return ext4_digest(o->root, path, sha256, e);
	r = fat_read(&o->boot, path + strlen(BOOT_DIR "/"), &b, e);
	if (r == 0)
		sha256_bytes(b.s, b.n, sha256);
	return r;
}

static enum record_state check_boot(struct opened *o, const struct record *x)
{
	struct err ignored = { 0 };
	char sha256[SHA256_HEX];

	if (digest_of(o, x->path, true, sha256, &ignored) < 0)
		return STATE_MISSING;
	return !*x->sha256 ? STATE_UNCHECKED : streq(sha256, x->sha256) ? STATE_OK : STATE_CHANGED;
}

static enum record_state check_link(struct opened *o, const struct record *x)
{
	_cleanup_strbuf_ struct strbuf target = { 0 };
	struct err ignored = { 0 };

	if (ext4_readlink(o->root, x->path, &target, &ignored) < 0)
		return STATE_CHANGED;
	return x->note && streq(target.s, x->note) ? STATE_OK : STATE_CHANGED;
}

static enum record_state check_record(struct opened *o, const struct record *x)
{
	struct err ignored = { 0 };
	char sha256[SHA256_HEX];
	struct fs_stat st;

	if (starts_with(x->path, BOOT_DIR "/"))
		return check_boot(o, x);
	if (ext4_stat(o->root, x->path, &st, &ignored) < 0)
		return streq(x->kind, "remove") ? STATE_OK : STATE_MISSING;
	if (streq(x->kind, "remove"))
		return STATE_CHANGED;
	if (streq(x->kind, "symlink"))
		return check_link(o, x);
	if ((st.mode & 07777) != x->mode || st.uid != x->uid || st.gid != x->gid)
		return STATE_CHANGED;
	if (streq(x->kind, "dir"))
		return S_ISDIR(st.mode) ? STATE_OK : STATE_CHANGED;
	if (!S_ISREG(st.mode) || st.size != x->size)
		return STATE_CHANGED;
	if (!*x->sha256)
		return STATE_UNCHECKED;
	return ext4_digest(o->root, x->path, sha256, &ignored) == 0 && streq(sha256, x->sha256) ? STATE_OK
												: STATE_CHANGED;
}

static int read_manifest(struct opened *o, struct image_report *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	json_error_t json_error;
	int r;

	if (!ext4_exists(o->root, MANIFEST_PATH))
		return 0;
	r = ext4_read(o->root, MANIFEST_PATH, MANIFEST_LIMIT, &text, e);
	if (r < 0)
		return r;
	ret->manifest = json_loadb(text.s, text.n, JSON_REJECT_DUPLICATES, &json_error);
	if (!ret->manifest)
		return err_class(e, CLASS_VERIFY, "%s: %s:%d: %s", ret->path, MANIFEST_PATH, json_error.line,
				 json_error.text);
	r = records_parse(json_object_get(ret->manifest, "files"), &ret->records, e);
	if (r < 0)
		return err_wrap(e, "%s: %s", ret->path, MANIFEST_PATH);
	ret->states = arena_alloc(ret->records.v.n * sizeof(*ret->states) + 1);
	for (size_t i = 0; i < ret->records.v.n && r == 0; i++) {
		ret->states[i] = check_record(o, &ret->records.v.v[i]);
		r = sig_check(e);
	}
	return r;
}

/* ---- units ---- */

static int add_unit(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	static const char dir[] = "/etc/systemd/system/";
	struct image_report *r = arg;
	const char *wants = strstr(path, ".wants/");

	if (S_ISLNK(st->mode) && wants)
		*vec_push(&r->units) = (struct unit_link){
			arena_strndup(path + strlen(dir), (size_t)(wants - path) - strlen(dir)),
			arena_strdup(path_base(path)),
		};
	return 0;
}

/* ---- against the base ---- */

struct seen {
	const char *path;
	struct fs_stat st;
};
struct listing {
	VEC(struct seen) v;
};

static int add_seen(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	struct listing *l = arg;

	*vec_push(&l->v) = (struct seen){ arena_strdup(path), *st };
	return sig_check(e);
}

static int by_seen_path(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

static int list_image(struct opened *o, struct listing *l, struct err *e)
{
	struct fat_entry *boot;
	size_t n;
	int r = ext4_walk(o->root, "/", add_seen, l, e);

	if (r == 0)
		r = fat_list(&o->boot, &boot, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		*vec_push(&l->v) = (struct seen){ path_join(BOOT_DIR, boot[i].path),
						  { .mode = boot[i].dir ? S_IFDIR : S_IFREG, .size = boot[i].size } };
	if (l->v.n)
		qsort(l->v.v, l->v.n, sizeof(*l->v.v), by_seen_path);
	return 0;
}

/* A path is declared by its own record, as a parent folder that had to be made, or below a removed or unpacked one. */
static bool declared(const struct records *records, const char *path)
{
	size_t n = strlen(path);

	if (streq(path, MANIFEST_PATH))
		return true;
	vec_foreach (x, &records->v) {
		size_t m = strlen(x->path);

		if (streq(x->path, path) || (!strncmp(x->path, path, n) && x->path[n] == '/'))
			return true;
		if (streq(x->kind, "remove") && !strncmp(path, x->path, m) && path[m] == '/')
			return true;
	}
	return false;
}

/* Folders differ by what is in them, which is looked at on its own. */
static bool same_entry(struct opened *a, const struct seen *x, struct opened *b, const struct seen *y)
{
	bool boot = starts_with(x->path, BOOT_DIR "/");
	_cleanup_strbuf_ struct strbuf s = { 0 }, t = { 0 };
	char one[SHA256_HEX], two[SHA256_HEX];
	struct err ignored = { 0 };

	if (x->st.mode != y->st.mode || x->st.uid != y->st.uid || x->st.gid != y->st.gid)
		return false;
	if (S_ISDIR(x->st.mode))
		return true;
	if (x->st.size != y->st.size || x->st.mtime != y->st.mtime || x->st.links != y->st.links)
		return false;
	if (S_ISLNK(x->st.mode))
		return ext4_readlink(a->root, x->path, &s, &ignored) == 0 &&
		       ext4_readlink(b->root, y->path, &t, &ignored) == 0 && streq(s.s, t.s);
	if (!S_ISREG(x->st.mode))
		return true;
	return digest_of(a, x->path, boot, one, &ignored) == 0 && digest_of(b, y->path, boot, two, &ignored) == 0 &&
	       streq(one, two);
}

static int compare_base(struct opened *image, const char *base_path, struct image_report *ret, struct err *e)
{
	_cleanup_(opened_done) struct opened base = { 0 };
	struct listing a = { 0 }, b = { 0 };
	size_t i = 0, j = 0;
	int r = open_image(base_path, &base, e);

	if (r == 0)
		r = list_image(image, &a, e);
	if (r == 0)
		r = list_image(&base, &b, e);
	while (r == 0 && (i < a.v.n || j < b.v.n)) {
		int c = i == a.v.n ? 1 : j == b.v.n ? -1 : strcmp(a.v.v[i].path, b.v.v[j].path);
		const char *path = c <= 0 ? a.v.v[i].path : b.v.v[j].path;
		bool same = c == 0 && same_entry(image, &a.v.v[i], &base, &b.v.v[j]);

		if (!same && !declared(&ret->records, path))
			*vec_push(&ret->undeclared) = path;
		i += c <= 0;
		j += c >= 0;
		r = sig_check(e);
	}
	return r;
}

int image_inspect(const char *path, const char *base, struct image_report *ret, struct err *e)
{
	_cleanup_(opened_done) struct opened o = { 0 };
	int r = open_image(path, &o, e);

	if (r < 0)
		return r;
	ret->path = path;
	ret->disk = o.disk;
	ext4_info(o.root, &ret->root);
	r = fat_free(&o.boot, &ret->boot_free, e);
	if (r == 0)
		r = read_manifest(&o, ret, e);
	if (r == 0 && ext4_exists(o.root, "/etc/systemd/system"))
		r = ext4_walk(o.root, "/etc/systemd/system", add_unit, ret, e);
	if (r == 0 && base)
		r = compare_base(&o, base, ret, e);
	return r;
}

void image_report_done(struct image_report *r)
{
	json_decref(r->manifest);
	r->manifest = NULL;
}

size_t image_report_faults(const struct image_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->records.v.n; i++)
		n += r->states[i] == STATE_CHANGED || r->states[i] == STATE_MISSING;
	return n;
}
