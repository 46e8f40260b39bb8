/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/flashed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"

static const size_t largest = 16 * MIB;
static const char begun[] = "begun", removed[] = "removed";

static json_t *entry(const struct flashed_line *x, const char *sha256)
{
	const char *cluster = *str_or(x->cluster, "") ? x->cluster : NULL;
	json_t *starts = x->planned ? json_boolean(x->born) : NULL;

	return json_pack("{s:s, s:s, s:s, s:s*, s:o*, s:O*, s:s*, s:s?, s:s?, s:s?, s:s, s:s, s:s, s:I}", "time",
			 utc_text(time(NULL)), "state", sha256 ? "done" : begun, "node", x->node, "cluster", cluster,
			 "starts", starts, "born", x->born, "made", x->made, "held", x->held, "image", x->image,
			 "sha256", sha256, "serial", x->serial, "model", x->model, "disk", x->disk, "size",
			 (json_int_t)x->size);
}

/* A file that root makes in a user's folder is the user's. */
static void flashed_keep_owner(int fd, const char *dir)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		return; /* root's it stays, which harms nothing */
}

/* Of a line that was cut by a full disk or a loss of power, which takes none with it. */
static bool ends_in_a_line(int fd, const struct stat *st)
{
	char last = '\n';

	return st->st_size == 0 || pread(fd, &last, 1, st->st_size - 1) != 1 || last == '\n';
}

static int flashed_append(const char *dir, const json_t *j, struct err *e)
{
	const char *path = path_join(dir, FLASHED_FILE);
	_cleanup_close_ int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	_cleanup_free_ char *line = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot write %s", path);
	if (!text)
		return err_set(e, -EILSEQ, "cannot write %s: a name in it is no UTF-8", path);
	if (st.st_size == 0)
		flashed_keep_owner(fd, dir);
	line = xasprintf("%s%s\n", ends_in_a_line(fd, &st) ? "" : "\n", text);
	r = write_all(fd, line, strlen(line));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot write %s", path) : 0;
}

int flashed_add(const struct flashed_line *x, const char *sha256, struct err *e)
{
	_cleanup_json_ json_t *j = entry(x, sha256);

	return flashed_append(x->dir, j, e);
}

int flashed_remove(const char *dir, const char *node, const char *cluster, struct err *e)
{
	_cleanup_json_ json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "time", utc_text(time(NULL)), "state", removed,
					     "node", node, "cluster", cluster);

	return flashed_append(dir, j, e);
}

int flashed_load(const char *dir, json_t **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	json_t *all = *ret = json_array();
	int r = file_read(path_join(dir, FLASHED_FILE), largest, &text, NULL, e);

	if (r == -ENOENT) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (r < 0)
		return err_set(
			e, r,
			"%s; it says which cards were written and how the cluster was started: see that it can be read",
			arena_strdup(e->msg));
	text_foreach (s, text, "\n") {
		json_t *j = json_loads(s, 0, NULL);

		if (json_is_object(j) && json_is_string(json_object_get(j, "node")))
			json_array_append(all, j);
		json_decref(j);
	}
	return 0;
}

json_t *flashed_read(const char *dir)
{
	struct err ignored = { 0 };
	json_t *all;

	flashed_load(dir, &all, &ignored);
	return all;
}

static bool has(const json_t *j, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text && streq(text, value);
}

int64_t flashed_time(const json_t *line)
{
	int64_t t;

	return utc_parse(json_get_text(line, "time"), &t) ? t : 0;
}

enum line_kind { LINE_BEGUN, LINE_REMOVED, LINE_DONE };

static enum line_kind kind_of(const json_t *j)
{
	return has(j, "state", begun) ? LINE_BEGUN : has(j, "state", removed) ? LINE_REMOVED : LINE_DONE;
}

/* How many lines there are up to the latest one of NODE of that kind; 0 = none. */
static size_t latest(const json_t *all, const char *node, enum line_kind kind)
{
	size_t n = json_array_size(all);

	while (n && !(has(json_array_get(all, n - 1), "node", node) && kind_of(json_array_get(all, n - 1)) == kind))
		n--;
	return n;
}

json_t *flashed_card(json_t *all, const char *node)
{
	size_t at = latest(all, node, LINE_DONE);
	json_t *card = at > latest(all, node, LINE_REMOVED) ? json_array_get(all, at - 1) : NULL;
	const char *serial = json_string_value(json_object_get(card, "serial"));

	for (size_t i = at; card && i < json_array_size(all); i++) {
		const json_t *later = json_array_get(all, i);

		if (has(later, "held", node) && has(later, "serial", str_or(serial, "")))
			return NULL;
	}
	return card;
}

json_t *flashed_unfinished(json_t *all, const char *node)
{
	size_t begin = latest(all, node, LINE_BEGUN);

	return begin > latest(all, node, LINE_DONE) && begin > latest(all, node, LINE_REMOVED)
		       ? json_array_get(all, begin - 1)
		       : NULL;
}

json_t *flashed_by_serial(json_t *all, const char *node, const char *serial)
{
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *j = json_array_get(all, i);

		if (has(j, "node", node) && has(j, "serial", serial) && kind_of(j) == LINE_DONE)
			return j;
	}
	return NULL;
}
