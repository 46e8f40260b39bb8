/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file describes the cluster. Without -c it is cluster.yaml of the current folder, else the shipped default; but
 * not where somebody evidently has a cluster of their own under another name or one folder up.
 */
#include <dirent.h>
#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/data.h"
#include "base/file.h"
#include "config/internal.h"

static const char usual_name[] = "cluster.yaml";

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- files that are meant to be cluster.yaml ---- */

static bool is_regular(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* cluster.yml, Cluster.yaml, cluster.yaml.txt, "cluster (1).yaml", cluster.json; not cluster-issuer.yaml. */
static bool is_like_usual_name(const char *name)
{
	static const char stem[] = "cluster";
	const char *rest = name + strlen(stem);

	if (strncasecmp(name, stem, strlen(stem)) != 0 || !strchr(". (", *rest))
		return false;
	return !*rest || strcasestr(rest, ".y") || strcasestr(rest, ".txt") || strcasestr(rest, ".json");
}

static bool has_line_of(const char *text, const char *start)
{
	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (starts_with(p, start))
			return true;
	return false;
}

/* A copy of an example under its own name, say. */
static bool is_cluster_inside(const char *path, const char *name)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };

	if (!strcasestr(name, ".yaml") && !strcasestr(name, ".yml"))
		return false;
	return is_regular(path) && file_read(path, MIB, &text, NULL, &ignored) == 0 &&
	       has_line_of(text, "apiVersion: pibuild/") && has_line_of(text, "cluster:");
}

/* The first of them in DIR by name, as a path; NULL when there is none. */
static const char *find_alike(const char *dir, bool look_inside)
{
	const char *best = NULL;
	struct dirent *d;
	DIR *folder = opendir(dir);

	while (folder && (d = readdir(folder))) {
		const char *path = path_join(dir, d->d_name);

		if (d->d_name[0] == '.' || (best && strcmp(d->d_name, best) >= 0))
			continue;
		if ((is_like_usual_name(d->d_name) && is_regular(path)) ||
		    (look_inside && is_cluster_inside(path, d->d_name)))
			best = arena_strdup(d->d_name);
	}
	if (folder)
		closedir(folder);
	return best && !streq(dir, ".") ? path_join(dir, best) : best;
}

/* ---- the folders above ---- */

/* A project ends at its repository, at the home folder, at a file system; and none begins in /tmp. */
static bool is_top(const char *dir, const struct stat *st)
{
	const char *home = getenv("HOME");
	struct stat other;

	if (st->st_mode & S_ISVTX || !file_is_missing(path_join(dir, ".git")))
		return true;
	if (home && *home && stat(home, &other) == 0 && is_same_file(st, &other))
		return true;
	return stat(path_join(dir, ".."), &other) < 0 || other.st_dev != st->st_dev || is_same_file(st, &other);
}

/* "../../cluster.yaml" of the nearest folder above that has one; NULL when there is none. */
static const char *find_above(void)
{
	const char *dir = ".", *found = NULL;
	struct stat st;

	while (!found && stat(dir, &st) == 0 && !is_top(dir, &st)) {
		dir = streq(dir, ".") ? ".." : path_join(dir, "..");
		if (stat(dir, &st) == 0 && !(st.st_mode & S_ISVTX))
			found = find_alike(dir, false);
	}
	return found;
}

/* ---- what is taken ---- */

static int refuse_alike(const char *found, bool above, struct err *e)
{
	err_class(e, CLASS_CONFIG, "there is no cluster.yaml here, but %s%s: name it with `-c %s`, %s", found,
		  above ? " in a folder above" : "", shell_word(found),
		  above ? "or go to its folder" : "or rename it to cluster.yaml");
	clean_text(e->msg);
	return e->code;
}

static int refuse_folder(const char *path, struct err *e)
{
	const char *inside = find_alike(path, true);

	err_class(e, CLASS_CONFIG, "%s is a folder: %s", path,
		  inside ? arena_printf("name the file in it, with `-c %s`", shell_word(inside))
			 : "-c takes the file that describes the cluster, and there is none in it");
	clean_text(e->msg);
	return e->code;
}

const char *config_alike(void)
{
	return find_alike(".", true);
}

/* Whether PATH is the shipped default itself. */
static bool is_shipped_default(const char *path)
{
	struct err ignored = { 0 };
	const char *shipped;
	struct stat a, b;

	return data_path("configs/default.yaml", &shipped, &ignored) == 0 && stat(path, &a) == 0 &&
	       stat(shipped, &b) == 0 && is_same_file(&a, &b);
}

int config_locate(const char *path, struct config_place *ret, struct err *e)
{
	const char *found;
	struct stat st;

	*ret = (struct config_place){ .path = str_or(path, usual_name), .dir = "." };
	if (path && streq(path, "-")) {
		ret->path = "<stdin>";
		ret->from_stdin = true;
		return 0;
	}
	if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return refuse_folder(path, e);
	/* A link that leads nowhere is a cluster.yaml too: reading it says what is wrong. */
	if (path || lstat(usual_name, &st) == 0 || errno != ENOENT) {
		/* The shipped file is nobody's: secrets, lock and overlays are looked for where the user stands. */
		if (!path || !is_shipped_default(path))
			ret->dir = path_dir(ret->path);
		return 0;
	}
	found = config_alike();
	if (found)
		return refuse_alike(found, false, e);
	found = find_above();
	if (found)
		return refuse_alike(found, true, e);
	ret->is_default = true;
	return data_path("configs/default.yaml", &ret->path, e);
}

int config_require_file(const char *path, const char *why, struct err *e)
{
	struct config_place place;
	int r = config_locate(path, &place, e);

	if (r == 0 && place.is_default)
		return err_class(
			e, CLASS_CONFIG,
			"there is no cluster.yaml here, and %s: `pibuild init` writes that file, `-c FILE` names one that lies elsewhere",
			why);
	return r;
}
