/* SPDX-License-Identifier: Apache-2.0 */
#include "flash/record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"

static const size_t largest = 16 * MIB;

static json_t *entry(const char *node, const char *image, const struct flash *f)
{
	const struct device *d = f->device;
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s, s:s, s:I}", "time", when, "node", node, "image", image,
			 "sha256", f->result.sha256, "serial", d->identity, "model", d->model, "disk", d->path, "size",
			 (json_int_t)d->size);
}

/* A file that root makes in a user's folder is the user's. */
static void keep_owner(int fd, const char *dir)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		return; /* root's it stays, which harms nothing */
}

int flash_record_add(const char *dir, const char *node, const char *image, const struct flash *f, struct err *e)
{
	const char *path = path_join(dir, FLASH_RECORD);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	_cleanup_json_ json_t *j = entry(node, image, f);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	_cleanup_free_ char *line = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot write %s", path);
	if (!text)
		return err_set(e, -EILSEQ, "cannot write %s: a name in it is no UTF-8", path);
	if (fstat(fd, &st) == 0 && st.st_size == 0)
		keep_owner(fd, dir);
	line = xasprintf("%s\n", text);
	r = write_all(fd, line, strlen(line));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot write %s", path) : 0;
}

json_t *flash_record_read(const char *dir)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	json_t *all = json_array();
	char *save = NULL;

	if (file_read(path_join(dir, FLASH_RECORD), largest, &text, NULL, &ignored) < 0)
		return all;
	for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		json_t *j = json_loads(s, 0, NULL);

		if (json_is_object(j) && json_is_string(json_object_get(j, "node")))
			json_array_append(all, j);
		json_decref(j);
	}
	return all;
}

json_t *flash_record_last(json_t *all, const char *node)
{
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *j = json_array_get(all, i);

		if (streq(json_string_value(json_object_get(j, "node")), node))
			return j;
	}
	return NULL;
}
