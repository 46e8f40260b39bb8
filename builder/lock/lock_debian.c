/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `debian`: the packages of os.base: debian. */

#include "catalogue/url.h"
#include "lock/lock.h"
#include "catalogue/rows.h"

#define AT(member) offsetof(struct debian_package, member)
static const struct row package_rows[] = {
	{ "name", ROW_TEXT, AT(name), true, NULL, NULL, 0 },
	{ "version", ROW_TEXT, AT(version), true, NULL, NULL, 0 },
	{ "path", ROW_TEXT, AT(path), true, NULL, NULL, 0 },
	{ "size", ROW_NUMBER, AT(size), true, NULL, NULL, 0 },
	{ "sha256", ROW_SHA256, AT(sha256), true, NULL, NULL, 0 },
};
#undef AT

struct section {
	const char *version, *mirror, *time;
	const struct yaml_node *packages;
};
#define AT(member) offsetof(struct section, member)
static const struct row section_rows[] = {
	{ "version", ROW_TEXT, AT(version), true, NULL, NULL, 0 },
	{ "mirror", ROW_URL, AT(mirror), true, NULL, NULL, 0 },
	{ "time", ROW_TEXT, AT(time), true, NULL, NULL, 0 },
	{ "packages", ROW_NODE, AT(packages), true, NULL, NULL, 0 },
};
#undef AT

/* Its file name is made of these two. */
static bool is_plain_name(const char *s)
{
	return s[0] != '.' && s[0] != '-' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~:_")] == '\0';
}

static int read_package(const struct yaml_node *node, const char *mirror, struct debian_lock *l, struct err *e)
{
	struct debian_package p = { 0 };
	int r = rows_read(node, package_rows, ARRAY_SIZE(package_rows), &p, e);

	if (r < 0)
		return r;
	if (!is_plain_name(p.name) || !is_plain_name(p.version))
		return rows_fault(e, node, "%s %s is no Debian package", p.name, p.version);
	if (p.path[0] == '/' || url_fault(arena_printf("%s%s", mirror, p.path)))
		return rows_fault(e, node, "'%s' is no path below the mirror", p.path);
	vec_foreach (twin, &l->packages)
		if (streq(twin->name, p.name))
			return rows_fault(e, node, "%s is there already", p.name);
	*vec_push(&l->packages) = p;
	return 0;
}

int lock_read_debian(const struct yaml_node *map, const struct debian_lock **ret, struct err *e)
{
	struct debian_lock *l = arena_new(struct debian_lock);
	struct section s = { 0 };
	int r = rows_read(map, section_rows, ARRAY_SIZE(section_rows), &s, e);

	if (r == 0)
		r = rows_read_time(yaml_get(map, "time"), &l->time, e);
	if (r == 0 && !ends_with(s.mirror, "/"))
		r = rows_fault(e, yaml_get(map, "mirror"), "'%s' does not end with a slash", s.mirror);
	if (r == 0 && (s.packages->type != YAML_SEQ || !s.packages->count))
		r = rows_fault(e, s.packages, "a list was expected here");
	for (size_t i = 0; r == 0 && i < s.packages->count; i++)
		r = read_package(s.packages->items[i], s.mirror, l, e);
	if (r < 0)
		return r;
	l->version = s.version;
	l->mirror = s.mirror;
	l->where = map;
	*ret = l;
	return 0;
}

struct yaml_node *lock_debian_yaml(const struct debian_lock *l)
{
	struct yaml_node *map = yaml_map(), *list;

	yaml_set(map, "version", yaml_str(l->version));
	yaml_set(map, "mirror", yaml_str(l->mirror));
	yaml_set(map, "time", yaml_str(utc_text(l->time)));
	list = yaml_set(map, "packages", yaml_seq());
	vec_foreach (p, &l->packages) {
		struct yaml_node *m = yaml_append(list, yaml_map());

		m->flow = true;
		yaml_set(m, "name", yaml_str(p->name));
		yaml_set(m, "version", yaml_str(p->version));
		yaml_set(m, "path", yaml_str(p->path));
		yaml_set(m, "size", yaml_int((int64_t)p->size));
		yaml_set(m, "sha256", yaml_str(p->sha256));
	}
	return map;
}

const struct debian_lock *lock_debian_of(const struct lock *l, const char *version)
{
	return l->debian && streq(l->debian->version, version) ? l->debian : NULL;
}
