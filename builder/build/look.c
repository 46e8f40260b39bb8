/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the base under what was put on it: names that the base must know, and links that lead nowhere. */
#include <errno.h>

#include "base/file.h"
#include "build/internal.h"

enum { LIST_LIMIT = 1024 * 1024 };

/* The first words of the lines of TEXT, which is ended by NUL, have WORD among them. */
static bool has_first_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *line = text; *line; line += *line == '\n') {
		line += strspn(line, " \t");
		if (!strncmp(line, word, n) && strchr(" \t\n", line[n]))
			return true;
		line += strcspn(line, "\n");
	}
	return false;
}

/* The nearest of the names that end in NEED's suffix in the folder of its path; "" when none is. */
static const char *need_near(const struct need *need, const struct fat_entry *files, size_t n)
{
	const char *path = path_in_boot(need->path), *name = path_base(path), *near;
	size_t dir = strlen(path) - strlen(name), tail = strlen(need->suffix);
	VEC(const char *) names = { 0 };

	for (size_t i = 0; i < n; i++) {
		const char *at = files[i].path;

		if (!strncasecmp(at, path, dir) && !strchr(at + dir, '/') && ends_with(at, need->suffix))
			*vec_push(&names) = arena_strndup(at + dir, strlen(at + dir) - tail);
	}
	near = nearest_word(arena_strndup(name, strlen(name) - tail), names.v, names.n);
	return did_you_mean("; ", near);
}

/* A FAT does not tell capitals from small letters. */
static int boot_need_check(struct fat *fat, const struct need *need, struct err *e)
{
	struct fat_entry *files;
	size_t n;
	int r = fat_list(fat, &files, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(files[i].path, path_in_boot(need->path)))
			return 0;
	return err_class(e, CLASS_CONFIG, "%s%s", need->words, need->suffix ? need_near(need, files, n) : "");
}

static int need_check(struct ext4 *fs, const struct need *need, struct err *e)
{
	_cleanup_strbuf_ struct strbuf list = { 0 };
	struct err ignored = { 0 };
	bool met;

	if (!need->word) {
		met = ext4_resolves(fs, need->path);
	} else {
		met = ext4_read(fs, need->path, LIST_LIMIT, &list, &ignored) <
		      0; /* a base without the list may know more */
		strbuf_add(&list, "", 0);
		met = met || has_first_word(list.s, need->word);
	}
	return met ? 0 : err_class(e, CLASS_CONFIG, "%s", need->words);
}

int look_needs(struct disk_image *image, const struct tree *t, struct err *e)
{
	int r = 0;

	vec_foreach (need, &t->needs)
		if (r == 0)
			r = path_on_boot(need->path) ? boot_need_check(image->boot, need, e)
						     : need_check(image->root, need, e);
	return r;
}

bool look_dangles(struct ext4 *fs, const struct record *rec)
{
	/* What only the running system has; units are found by their name, whatever the link says; and without a zone
	 * the clock shows UTC. */
	static const char *const elsewhere[] = { "/dev/", "/proc/", "/run/", "/sys/", "/tmp/" };

	if (rec->kind != ENTRY_SYMLINK || !rec->note || starts_with(rec->origin, "your ") ||
	    starts_with(rec->path, "/etc/systemd/system/") || streq(rec->note, "/usr/share/zoneinfo/UTC"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		if (starts_with(rec->note, elsewhere[i]))
			return false;
	return !ext4_resolves(fs, rec->path);
}

int look_links(struct ext4 *fs, const struct records *records, struct err *e)
{
	vec_foreach (rec, &records->v)
		if (look_dangles(fs, rec))
			return err_set(e, -ENOENT, "%s would lead nowhere: the base has no %s (%s)", rec->path,
				       rec->note, rec->origin);
	return 0;
}
