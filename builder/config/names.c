/* SPDX-License-Identifier: Apache-2.0 */
#include "config/names.h"

#include "base/data.h"
#include "base/file.h"

static const char *const list_files[NAME_LIST_COUNT] = {
	[NAMES_TIMEZONES] = "configs/names/timezones.txt",
	[NAMES_LOCALES] = "configs/names/locales.txt",
	[NAMES_KEYBOARDS] = "configs/names/keyboards.txt",
	[NAMES_COUNTRIES] = "configs/names/countries.txt",
	[NAMES_DOMAINS] = "configs/names/domains.txt",
	[NAMES_K3S_KEYS] = "configs/names/k3s-keys.txt",
	[NAMES_KUBELET_KEYS] = "configs/names/kubelet-keys.txt",
	[NAMES_FEATURE_GATES] = "configs/names/feature-gates.txt",
	[NAMES_SSHD_KEYWORDS] = "configs/names/sshd-keywords.txt",
};

struct listed_names {
	char *path, *text;
	struct name *v;
	size_t n;
};

static struct listed_names lists[NAME_LIST_COUNT]; /* each is read once, so nothing of it lies on the arena */

static int names_load(enum name_list list, struct listed_names **ret, struct err *e)
{
	struct listed_names *names = &lists[list];
	size_t n, lines = 0;
	const char *path;
	int r;

	*ret = names;
	if (names->n)
		return 0;
	r = data_path(list_files[list], &path, e);
	if (r < 0)
		return r;
	r = file_read(path, MIB, &names->text, &n, e);
	if (r < 0)
		return r;
	names->path = xstrdup(path);
	for (size_t i = 0; i < n; i++)
		lines += names->text[i] == '\n';
	names->v = xcalloc(lines + 1, sizeof(*names->v));
	text_foreach (line, names->text, "\n") {
		char *blank = strchr(line, ' ');

		if (*line == '#')
			continue;
		if (blank)
			*blank++ = '\0';
		names->v[names->n++] = (struct name){ .name = line, .instead = blank };
	}
	return 0;
}

int names_find(enum name_list list, const char *name, const struct name **ret, struct err *e)
{
	struct listed_names *names;
	int r = names_load(list, &names, e);

	*ret = NULL;
	if (r < 0)
		return r;
	vec_foreach (n, names)
		if (streq(n->name, name))
			*ret = n;
	return 0;
}

int names_all(enum name_list list, const struct name **ret, size_t *ret_n, struct err *e)
{
	struct listed_names *names;
	int r = names_load(list, &names, e);

	*ret = names->v;
	*ret_n = names->n;
	return r;
}

static const char *last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* The name, or that part of one, with the letters of NAME in whatever case. */
static const char *same_letters(const struct listed_names *names, const char *name,
				const char *(*part)(const char *name))
{
	vec_foreach (n, names)
		if (!strcasecmp(part(n->name), name))
			return n->instead && !streq(n->instead, "world") ? n->instead : n->name;
	return NULL;
}

static const char *whole(const char *name)
{
	return name;
}

const char *names_nearest(enum name_list list, const char *name)
{
	const struct listed_names *names = &lists[list];
	_cleanup_free_ const char **words = xcalloc(names->n + 1, sizeof(*words));
	const char *found = same_letters(names, name, whole);
	size_t count = 0;

	if (!found)
		found = same_letters(names, name, last_part);
	if (found || strlen(name) < 4) /* of two or three letters any are near to any others */
		return found;
	vec_foreach (n, names)
		if (!n->instead && !strncasecmp(n->name, name, 2))
			words[count++] = n->name;
	return nearest_word(name, words, count);
}

const char *names_path(enum name_list list)
{
	return lists[list].path;
}

int board_names(const char *const **ret, size_t *ret_n, struct err *e)
{
	VEC(const char *) names = { 0 };
	const char *const *files;
	const char *path;
	size_t n;
	int r = data_path("boards", &path, e);

	if (r < 0)
		return r;
	r = folder_names(path, &files, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (files[i][0] != '.' && ends_with(files[i], ".yaml"))
			*vec_push(&names) = arena_strndup(files[i], strlen(files[i]) - strlen(".yaml"));
	vec_sort(&names, text_order); /* not as with ".yaml" behind them */
	*ret = names.v;
	*ret_n = names.n;
	return 0;
}
