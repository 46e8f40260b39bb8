/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest of a card held against what is there. */
#include <errno.h>
#include <sys/stat.h>

#include "inspect/files.h"

const char *const record_state_names[RECORD_STATE_COUNT] = { "ok", "changed", "missing", "present" };

int files_manifest(struct disk_image *c, json_t **ret, struct records *records, struct strbuf *text, struct err *e)
{
	_cleanup_strbuf_ struct strbuf own = { 0 };
	struct strbuf *b = text ? text : &own;
	_cleanup_json_ json_t *j = NULL;
	json_error_t json_error;
	int r;

	if (!ext4_exists(c->root, MANIFEST_PATH))
		return 0;
	r = ext4_read(c->root, MANIFEST_PATH, MANIFEST_LIMIT, b, e);
	if (r < 0)
		return r;
	j = json_loadb(b->s, b->n, JSON_REJECT_DUPLICATES, &json_error);
	if (!j)
		return err_class(e, CLASS_VERIFY, "%s: %s:%d: %s", cow_name(c->cow), MANIFEST_PATH, json_error.line,
				 clean_text(json_error.text));
	r = records_parse(json_object_get(j, "files"), records, e);
	if (r < 0)
		return err_wrap(e, "%s: %s", cow_name(c->cow), MANIFEST_PATH);
	records_merge(records); /* sorted, whoever wrote it */
	*ret = json_incref(j);
	return 0;
}

/* ---- one record ---- */

static enum record_state missing(const char **why)
{
	*why = "is not there";
	return RECORD_MISSING;
}

static enum record_state changed(const char **why, const char *what)
{
	*why = what;
	return RECORD_CHANGED;
}

static enum record_state record_check_content(struct disk_image *c, const struct record *x, uint64_t size,
					      const char **why)
{
	char sha256[SHA256_HEX];
	struct err problem = { 0 };

	if (size != x->size)
		return changed(why, arena_printf("has %llu bytes, the manifest says %llu", (unsigned long long)size,
						 (unsigned long long)x->size));
	if (!*x->sha256)
		return RECORD_UNCHECKED;
	if (image_digest(c, x->path, sha256, &problem) < 0)
		return changed(why, arena_printf("cannot be read: %s", problem.msg));
	if (!streq(sha256, x->sha256))
		return changed(why, arena_printf("other content: sha256 %.12s..., the manifest says %.12s...", sha256,
						 x->sha256));
	return RECORD_OK;
}

static enum record_state record_check_boot(struct disk_image *c, const struct record *x, const char **why)
{
	struct err problem = { 0 };
	char sha256[SHA256_HEX];
	int r = image_digest(c, x->path, sha256, &problem);

	if (r == -ENOENT)
		return missing(why);
	if (r < 0)
		return changed(why, arena_printf("cannot be read: %s", problem.msg));
	if (!*x->sha256)
		return RECORD_UNCHECKED;
	return streq(sha256, x->sha256)
		       ? RECORD_OK
		       : changed(why, arena_printf("other content: sha256 %.12s..., the manifest says %.12s...", sha256,
						   x->sha256));
}

static enum record_state record_check_link(struct disk_image *c, const struct record *x, const char **why)
{
	_cleanup_strbuf_ struct strbuf target = { 0 };
	struct err problem = { 0 };

	if (ext4_readlink(c->root, x->path, &target, &problem) < 0)
		return changed(why, "is no symbolic link that can be read");
	if (!x->note || !streq(target.s, x->note))
		return changed(why, arena_printf("leads to %s, the manifest says %s", clean_text(target.s),
						 str_or(x->note, "nothing")));
	return RECORD_OK;
}

enum record_state record_check(struct disk_image *c, const struct record *x, const char **why)
{
	struct err ignored = { 0 };
	struct fs_stat st;
	bool dir = x->kind == ENTRY_DIR;

	if (path_on_boot(x->path))
		return record_check_boot(c, x, why);
	if (ext4_stat(c->root, x->path, &st, &ignored) < 0)
		return x->kind == ENTRY_REMOVE ? RECORD_OK : missing(why);
	if (x->kind == ENTRY_REMOVE)
		return changed(why, "is there again, the manifest says that it was removed");
	if (x->kind == ENTRY_SYMLINK)
		return record_check_link(c, x, why);
	if (dir ? !S_ISDIR(st.mode) : !S_ISREG(st.mode))
		return changed(why, arena_printf("is no %s", dir ? "folder" : "regular file"));
	if ((st.mode & 07777) != x->mode)
		return changed(why, arena_printf("has mode %04o, the manifest says %04o", st.mode & 07777, x->mode));
	if (st.uid != x->uid || st.gid != x->gid)
		return changed(
			why, arena_printf("belongs to %u:%u, the manifest says %u:%u", st.uid, st.gid, x->uid, x->gid));
	return dir ? RECORD_OK : record_check_content(c, x, st.size, why);
}

/* ---- against the base ---- */

/* A path is declared by its own record, as a parent folder that had to be made, or below a removed one. */
static bool declared(const struct records *records, const char *path)
{
	_cleanup_free_ char *below = xasprintf("%s/", path);

	if (streq(path, MANIFEST_PATH) || records_find(records, path) || records_have_below(records, path))
		return true;
	for (char *slash = strrchr(below, '/'); slash > below; slash = strrchr(below, '/')) {
		const struct record *x;

		*slash = '\0';
		x = records_find(records, below);
		if (x && x->kind == ENTRY_REMOVE)
			return true;
	}
	return false;
}

struct undeclared {
	const struct records *records;
	struct text_list *paths;
};

/* Folders differ by what is in them, which is looked at on its own. */
static int add_undeclared(void *arg, const struct listed *a, const struct listed *b, struct err *e)
{
	const struct undeclared *u = arg;
	const char *path = a ? a->path : b->path;
	unsigned differs = ~0u;
	int r = 0;

	if (declared(u->records, path))
		return 0;
	if (a && b)
		r = files_compare(a, b, &differs, e);
	if (a && b && S_ISDIR(a->st.mode))
		differs &= ~(unsigned)DIFFERS_TIME;
	if (r == 0 && differs)
		*vec_push(u->paths) = path;
	return r;
}

int files_undeclared(const struct listing *files, const struct records *records, const char *base_path,
		     struct text_list *ret, struct err *e)
{
	_cleanup_(image_close) struct disk_image base = { 0 };
	struct undeclared u = { records, ret };
	struct listing there = { 0 };
	int r = image_open(base_path, IMAGE_ROOT | IMAGE_BOOT, &base, e);

	if (r == 0)
		r = files_list(&base, BOOT_DIGESTS, &there, e);
	return r < 0 ? r : listings_pair(files, &there, add_undeclared, &u, e);
}
