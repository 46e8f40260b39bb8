/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/inspect.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/sig.h"

static int check_records(struct disk_image *c, struct image_report *ret, struct err *e)
{
	const char *why;
	int r = files_manifest(c, &ret->manifest, &ret->records, NULL, e);

	ret->states = arena_alloc(ret->records.v.n * sizeof(*ret->states) + 1);
	for (size_t i = 0; i < ret->records.v.n && r == 0; i++) {
		ret->states[i] = record_check(c, &ret->records.v.v[i], &why);
		r = sig_check(e);
	}
	return r;
}

static int inspect_add_unit(void *arg, const char *path, const struct fs_stat *st, struct err *e)
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

static int compare_base(struct disk_image *c, const char *base, struct image_report *ret, struct err *e)
{
	struct listing files = { 0 };
	int r = files_list(c, BOOT_DIGESTS, &files, e);

	return r < 0 ? r : files_undeclared(&files, &ret->records, base, &ret->undeclared, e);
}

int image_inspect(const char *path, const char *base, struct image_report *ret, struct err *e)
{
	_cleanup_(image_close) struct disk_image c = { 0 };
	int r = image_open(path, IMAGE_ROOT | IMAGE_BOOT, &c, e);

	if (r < 0)
		return r;
	ret->path = path;
	ret->disk = c.disk;
	ext4_info(c.root, &ret->root);
	ret->boot_free = fat_free_bytes(c.boot);
	r = check_records(&c, ret, e);
	if (r == 0 && ext4_exists(c.root, "/etc/systemd/system"))
		r = ext4_walk(c.root, "/etc/systemd/system", inspect_add_unit, ret, e);
	if (r == 0 && base)
		r = compare_base(&c, base, ret, e);
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
		n += r->states[i] == RECORD_CHANGED || r->states[i] == RECORD_MISSING;
	return n;
}
