/* SPDX-License-Identifier: Apache-2.0 */
#include "node/chart_keys.h"

#include "base/data.h"
#include "base/file.h"
#include "config/values.h"

/* ---- the list ---- */

static unsigned minor_of(const char *version)
{
	struct semver v = { 0 };

	value_semver(version, &v);
	return v.minor;
}

/* "1.19-", "-1.19", "1.18-1.19" or NULL. */
static bool in_range(const char *range, unsigned minor)
{
	const char *dash = range ? strchr(range, '-') : NULL;

	if (!dash)
		return true;
	if (dash > range && minor < minor_of(arena_strndup(range, (size_t)(dash - range))))
		return false;
	return !dash[1] || minor <= minor_of(dash + 1);
}

static void add_chart_key(struct chart_keys *k, char *line, unsigned minor)
{
	char *save = NULL, *path = strtok_r(line, " ", &save), *types = strtok_r(NULL, " ", &save);

	if (!types || *path == '#' || streq(path, "minors") || !in_range(strtok_r(NULL, " ", &save), minor))
		return;
	*vec_push(&k->keys) = (struct chart_key){
		.path = arena_strdup(path),
		.types = arena_strdup(types),
		.open = strchr(types, '+') != NULL,
	};
}

static unsigned nearest_minor(const char *text, unsigned minor)
{
	const char *line = strstr(text, "\nminors ");
	char first[16], last[16];

	if (!line || sscanf(line, "\nminors %15s %15s", first, last) != 2)
		return minor;
	return MAX(minor_of(first), MIN(minor_of(last), minor));
}

int chart_keys_load(const char *version, struct chart_keys *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct chart_keys k = { 0 };
	const char *path;
	unsigned minor;
	size_t n;
	int r = data_path("configs/cilium-values-keys.txt", &path, e);

	if (r < 0)
		return r;
	r = file_read(path, MIB, &text, &n, e);
	if (r < 0)
		return r;
	minor = nearest_minor(text, minor_of(version));
	k.covered = minor == minor_of(version);
	text_foreach (line, text, "\n")
		add_chart_key(&k, line, minor);
	*ret = k;
	return 0;
}

const struct chart_key *chart_keys_find(const struct chart_keys *k, const char *path)
{
	vec_foreach (i, &k->keys)
		if (streq(i->path, path))
			return i;
	return NULL;
}

/* ---- what was meant ---- */

/* Name of PATH when it stands right below PARENT, else NULL. */
static const char *child_of(const char *path, const char *parent)
{
	size_t n = strlen(parent);

	if (n && (strncmp(path, parent, n) != 0 || path[n] != '.'))
		return NULL;
	path += n ? n + 1 : 0;
	return strchr(path, '.') ? NULL : path;
}

static const char *similar_sibling(const struct chart_keys *k, const char *parent, const char *key)
{
	VEC(const char *) names = { 0 };
	const char *name;

	vec_foreach (i, &k->keys)
		if ((name = child_of(i->path, parent)))
			*vec_push(&names) = name;
	name = nearest_word(key, names.v, names.n);
	return name && *parent ? arena_printf("%s.%s", parent, name) : name;
}

const char *chart_keys_near(const struct chart_keys *k, const char *parent, const char *key)
{
	const char *near = similar_sibling(k, parent, key), *end = arena_printf(".%s", key), *found = NULL;

	if (near)
		return near;
	vec_foreach (i, &k->keys) {
		if (!ends_with(i->path, end))
			continue;
		if (found)
			return NULL;
		found = i->path;
	}
	return found;
}

/* ---- types ---- */

static char chart_type_of(const struct yaml_node *n)
{
	static const char letters[] = {
		[YAML_NULL] = 'n',  [YAML_BOOL] = 'b', [YAML_INT] = 'i',
		[YAML_FLOAT] = 'f', [YAML_TEXT] = 's', [YAML_NO_JSON] = '?',
	};

	if (n->type != YAML_SCALAR)
		return n->type == YAML_MAP ? 'o' : 'a';
	return letters[yaml_value(n).kind];
}

static const char *chart_type_words(const char *types)
{
	static const struct {
		char letter;
		const char *words;
	} names[] = {
		{ 'b', "true or false" },     { 'i', "a whole number" }, { 'f', "a number" },
		{ 's', "text (use quotes)" }, { 'a', "a list" },	 { 'o', "a map of keys" },
	};
	const char *all = "";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strchr(types, names[i].letter))
			all = *all ? arena_printf("%s, or %s", all, names[i].words) : names[i].words;
	return all;
}

const char *chart_key_fault(const struct chart_key *k, const struct yaml_node *n)
{
	char type = chart_type_of(n);

	if (strpbrk(k->types, "*") || strchr(k->types, type) || (type == 'i' && strchr(k->types, 'f')))
		return NULL;
	/* null takes a list or a map of the chart away, as is wanted of default tolerations; what has keys of its own
	 * is asked for them by the templates. */
	if (type == 'n' && (strchr(k->types, 'a') || k->open))
		return NULL;
	return chart_type_words(k->types);
}
