/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the base under what was put on it: names that the base must know, and links that lead nowhere. */
#include <errno.h>

#include "build/build.h"

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

int look_needs(struct ext4 *fs, const struct tree *t, struct err *e)
{
	int r = 0;

	vec_foreach (need, &t->needs)
		if (r == 0)
			r = need_check(fs, need, e);
	return r;
}

bool look_dangles(struct ext4 *fs, const struct record *rec)
{
	/* What only the running system has; units are found by their name, whatever the link says; and without a zone
	 * the clock shows UTC. */
	static const char *const elsewhere[] = { "/dev/", "/proc/", "/run/", "/sys/", "/tmp/" };

	if (!streq(rec->kind, entry_kind_names[ENTRY_SYMLINK]) || !rec->note || starts_with(rec->origin, "your ") ||
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
