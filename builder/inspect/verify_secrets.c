/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is secret on a card stays with root: modes and owners of the files, and their values found nowhere else. A value
 * is never printed: a finding names the file that it belongs to and the place where it turned up.
 */
#include <sys/stat.h>

#include "base/file.h"
#include "inspect/secret_values.h"
#include "inspect/verify_internal.h"

enum { SECRET_LIMIT = 1024 * 1024 };

/* ---- modes of all that is ours ---- */

/* Folders of pibuild's own: what lies in them is ours even if no record says so. */
static const char *const own_dirs[] = { "/etc/pibuild/",       "/etc/rancher/",	    "/usr/lib/pibuild/",
					"/usr/share/pibuild/", "/var/lib/rancher/", "/usr/local/bin/" };

static bool verify_is_ours(struct verify_ctx *x, const struct listed *file)
{
	const struct record *rec;

	for (size_t i = 0; i < ARRAY_SIZE(own_dirs); i++)
		if (starts_with(file->path, own_dirs[i]))
			return true;
	rec = records_find(&x->records, file->path);
	return rec && rec->kind != ENTRY_EDIT;
}

int check_modes(struct verify_ctx *x, struct err *e)
{
	x->line->things = "files";
	vec_foreach (file, &x->files.v) {
		unsigned mode = file->st.mode & 07777;
		bool loose = mode & (S_ISDIR(file->st.mode) ? S_IWOTH : S_ISUID | S_ISGID | S_IWOTH);

		if (path_on_boot(file->path) || S_ISLNK(file->st.mode) || !verify_is_ours(x, file))
			continue;
		x->line->looked++;
		if (loose)
			found(x, file->path, "has mode %04o: nothing that pibuild brings is setuid or writable for all",
			      mode);
	}
	return 0;
}

/* ---- files ---- */

static void check_private_dirs(struct verify_ctx *x)
{
	for (const char *const *path = place_private_dirs; *path; path++) {
		const struct listed *dir = listing_find(&x->files, *path);

		if (!dir)
			continue;
		x->line->looked++;
		if ((dir->st.mode & 07777) != 0700 || dir->st.uid || dir->st.gid)
			found(x, dir->path, "has mode %04o and belongs to %u:%u, not 0700 and 0:0",
			      dir->st.mode & 07777, dir->st.uid, dir->st.gid);
	}
}

/* Some folder above is for root alone: a user's overlay may hide readable files in one. */
static bool in_private_folder(struct verify_ctx *x, const char *path)
{
	for (path = path_dir(path); !streq(path, "/"); path = path_dir(path)) {
		const struct listed *dir = listing_find(&x->files, path);

		if (dir && !dir->st.uid && !(dir->st.mode & 0077))
			return true;
	}
	return false;
}

/* An edited file keeps what the base gave it: shadow is 0640 and its group's. */
static void verify_secret(struct verify_ctx *x, const struct record *rec)
{
	const struct listed *file = listing_find(&x->files, rec->path);
	bool edited = rec->kind == ENTRY_EDIT, users = !edited && !starts_with(rec->origin, "generated");
	unsigned allowed = edited ? 0640 : users ? 0700 : 0600;
	unsigned owner = users && starts_with(rec->path, "/home/") ? rec->uid : 0; /* node_own_home() */

	if (!file || path_on_boot(rec->path))
		return;
	x->line->looked++;
	if (file->st.mode & 07777 & ~allowed && !(users && in_private_folder(x, rec->path)))
		found(x, rec->path, "is a secret and has mode %04o, not %04o", file->st.mode & 07777, allowed);
	if (file->st.uid != owner || (file->st.gid != owner && !edited))
		found(x, rec->path, "is a secret and belongs to %u:%u, not to %s", file->st.uid, file->st.gid,
		      owner ? "whose home it is in" : "root");
}

static void check_ssh_keys(struct verify_ctx *x, const struct listed *file)
{
	const struct listed *dir = listing_find(&x->files, path_dir(file->path));
	const struct listed *home = listing_find(&x->files, path_dir(path_dir(file->path)));

	x->line->looked++;
	if ((file->st.mode & 07777) != 0600 || (dir && (dir->st.mode & 07777) != 0700))
		found(x, file->path, "has mode %04o in a folder %04o, not 0600 in 0700: sshd may not take it",
		      file->st.mode & 07777, dir ? dir->st.mode & 07777 : 0);
	if (home && file->st.uid != home->st.uid)
		found(x, file->path, "belongs to user %u, the home to %u", file->st.uid, home->st.uid);
}

int check_secret_files(struct verify_ctx *x, struct err *e)
{
	x->line->things = "files and folders";
	check_private_dirs(x);
	vec_foreach (rec, &x->records.v)
		if (record_is_secret(rec))
			verify_secret(x, rec);
	vec_foreach (file, &x->files.v) {
		if (ends_with(file->path, "/.ssh/authorized_keys"))
			check_ssh_keys(x, file);
		if (S_ISREG(file->st.mode) && place_is_secret(file->path) && listing_is_public(&x->files, file))
			found(x, file->path, "has mode %04o: everybody on the node can read it; make it 0600",
			      file->st.mode & 07777);
	}
	return 0;
}

/* ---- values ---- */

static int collect_values(struct verify_ctx *x, struct values *v, struct err *e)
{
	int r = 0;

	vec_foreach (file, &x->files.v) {
		const struct record *rec = S_ISREG(file->st.mode) ? records_find(&x->records, file->path) : NULL;
		_cleanup_strbuf_ struct strbuf b = { 0 };

		if (!values_known(file->path) && !(rec && record_is_secret(rec) && !path_on_boot(file->path)))
			continue;
		if (!S_ISREG(file->st.mode) || file->st.size > SECRET_LIMIT)
			continue;
		r = ext4_read(x->image.root, file->path, SECRET_LIMIT, &b, e);
		if (r < 0)
			r = found_failure(x, file->path, e);
		else
			values_of_file(v, file->path, b.s, b.n);
		if (r < 0)
			break;
	}
	return r;
}

static void report_hits(struct verify_ctx *x, const char *where, const struct hits *h)
{
	vec_foreach (hit, &h->v)
		found(x, where, "holds a secret of %s, at byte %llu: everybody can read it there", hit->from,
		      (unsigned long long)hit->at);
}

static void search_text(struct verify_ctx *x, const struct values *v, const char *where, const char *text, size_t n)
{
	struct hits h = { 0 };

	x->line->looked++;
	values_search(v, text, n, n, 0, &h);
	report_hits(x, where, &h);
}

/* Everything that is no secret itself and that pibuild or the user wrote as text: units, what lies in /etc/pibuild. */
static void search_files(struct verify_ctx *x, const struct values *v)
{
	vec_foreach (file, &x->files.v) {
		_cleanup_strbuf_ struct strbuf b = { 0 };
		struct err ignored = { 0 };

		if (!S_ISREG(file->st.mode) || file->st.size > SECRET_LIMIT || streq(file->path, MANIFEST_PATH) ||
		    !(starts_with(file->path, UNIT_DIR) || starts_with(file->path, "/etc/pibuild/")) ||
		    !listing_is_public(&x->files, file))
			continue;
		if (ext4_read(x->image.root, file->path, SECRET_LIMIT, &b, &ignored) == 0)
			search_text(x, v, file->path, b.s, b.n);
	}
}

/* Which files of the boot partition hold one; what is left lies in free space or in a file's slack. */
static bool name_boot_files(struct verify_ctx *x, const struct values *v)
{
	size_t before = x->report->findings.v.n;

	vec_foreach (file, &x->files.v) {
		_cleanup_strbuf_ struct strbuf b = { 0 };
		struct err ignored = { 0 };

		if (path_on_boot(file->path) && S_ISREG(file->st.mode) && file->st.size <= BOOT_FILE_LIMIT &&
		    image_read(&x->image, file->path, BOOT_FILE_LIMIT, &b, &ignored) == 0)
			search_text(x, v, file->path, b.s, b.n);
	}
	return x->report->findings.v.n > before;
}

static int search_boot(struct verify_ctx *x, const struct values *v, struct err *e)
{
	const struct fs_place at = image_place(&x->image, image_boot_part(&x->image), 1);
	struct hits h = { 0 };
	int r = values_search_part(v, &at, &h, e);

	x->line->looked++;
	if (r < 0)
		return found_failure(x, "partition 1", e);
	if (h.v.n && !name_boot_files(x, v))
		report_hits(x, "partition 1, free space", &h);
	return 0;
}

int check_secret_values(struct verify_ctx *x, struct err *e)
{
	struct values v = { 0 };
	int r = collect_values(x, &v, e);

	if (r < 0)
		return r;
	x->line->things = arena_printf("places, for %zu values", v.v.n);
	search_text(x, &v, MANIFEST_PATH, x->text.s, x->text.n);
	search_files(x, &v);
	return search_boot(x, &v, e);
}
