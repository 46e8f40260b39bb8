/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Would git take a file with secrets along? The patterns of .gitignore from the top of the work tree down to the file's
 * folder are matched as git does, but for "**" within a pattern. In doubt it says no, which costs a warning.
 */
#include <fnmatch.h>

#include "base/file.h"
#include "base/log.h"
#include "secrets/internal.h"

/* One pattern against PATH and the folders it lies in: a folder that is ignored takes all below with it. */
static bool ignore_matches(char *pattern, const char *path)
{
	size_t n = strlen(pattern);
	bool only_dirs = n && pattern[n - 1] == '/';
	bool anchored;

	if (only_dirs)
		pattern[n - 1] = '\0';
	while (starts_with(pattern, "**/"))
		pattern += 3;
	anchored = strchr(pattern, '/') != NULL;
	pattern += pattern[0] == '/';
	for (const char *end = path; end; end = *end ? end : NULL) {
		_cleanup_free_ char *part = NULL;

		end += strcspn(end, "/");
		part = xstrdup(path);
		part[end - path] = '\0';
		if (!(only_dirs && !*end) &&
		    fnmatch(pattern, anchored ? part : path_base(part), anchored ? FNM_PATHNAME : 0) == 0)
			return true;
		end += *end == '/';
	}
	return false;
}

/* What FILE says of PATH (relative to the file's folder); IGNORED when it says nothing. The last match wins. */
static bool apply(const char *file, const char *path, bool ignored)
{
	_cleanup_free_ char *text = NULL;
	struct err e = { 0 };
	char *line, *rest;

	if (file_read(file, GITIGNORE_LIMIT, &text, NULL, &e) < 0)
		return ignored;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		size_t n = strlen(line);
		bool negated = line[0] == '!';

		while (n && strchr(" \t\r", line[n - 1]))
			line[--n] = '\0';
		if (n && line[0] != '#' && ignore_matches(line + negated, path))
			ignored = !negated;
	}
	return ignored;
}

/* Top of the git work tree that holds DIR, on the arena; NULL when there is none. */
static const char *work_tree(const char *dir)
{
	while (file_is_missing(path_join(dir, ".git"))) {
		if (streq(dir, "/"))
			return NULL;
		dir = path_dir(dir);
	}
	return dir;
}

void secrets_warn_unless_ignored(const char *path, const char *holds)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	const char *dir, *top;
	bool ignored;
	size_t at;

	if (!real)
		return;
	dir = path_dir(real);
	top = work_tree(dir);
	if (!top)
		return;
	at = streq(top, "/") ? 0 : strlen(top);
	ignored = apply(path_join(top, ".git/info/exclude"), real + at + 1, false);
	for (; real[at]; at += 1 + strcspn(real + at + 1, "/"))
		ignored = apply(path_join(arena_strndup(real, at + 1), ".gitignore"), real + at + 1, ignored);
	if (!ignored)
		log_warning("git would take %s along, and with it %s: add the line\n"
			    "\t%s*\nto %s before the next commit",
			    path, holds, path_base(real), path_join(dir, ".gitignore"));
}
