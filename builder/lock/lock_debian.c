/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `debian`: the packages of os.base: debian. */

#include "catalogue/url.h"
#include "lock/lock.h"

#define AT(member) offsetof(struct debian_package, member)
static const struct field package_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED),
	FIELD("version", text, AT(version), .flags = REQUIRED),
	FIELD("path", text, AT(path), .flags = REQUIRED, .help = "below the mirror"),
	FIELD("size", number, AT(size), .flags = REQUIRED),
	FIELD("sha256", sha256, AT(sha256), .flags = REQUIRED),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct debian_lock, member)
const struct field lock_debian_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("version", text, AT(version), .flags = REQUIRED),
	FIELD("mirror", https, AT(mirror), .flags = REQUIRED, .help = "ends with a slash"),
	FIELD("time", time, AT(time), .flags = REQUIRED, .help = "when apt resolved it: the time of the base"),
	FIELD("extra", texts, AT(extra), .help = "what cluster.yaml asks for beside the recipe"),
	FIELD("packages", list, AT(packages), .flags = REQUIRED, ITEMS(package_fields, debian_package)),
	{ 0 },
};
#undef AT

static void lock_debian_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			     void *dst)
{
	struct debian_lock *d = arena_new(struct debian_lock);

	schema_read(l, f->sub, n, path, d);
	*(const struct debian_lock **)dst = d;
}

const struct kind kind_lock_debian = { .name = "packages of Debian", .node = lock_debian_node };

bool package_name_valid(const char *s)
{
	return s[0] != '.' && s[0] != '-' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~:_")] == '\0';
}

void lock_check_debian(const struct debian_lock *l, struct faults *f)
{
	if (!ends_with(l->mirror, "/"))
		fault_at(f, yaml_get(l->where, "mirror"), "'%s' does not end with a slash", l->mirror);
	if (!l->packages.n)
		fault_at(f, yaml_get(l->where, "packages"), "there is no package");
	vec_foreach (p, &l->packages) {
		if (!package_name_valid(p->name) || !package_name_valid(p->version))
			fault_at(f, p->where, "%s %s is no Debian package", p->name, p->version);
		if (p->path[0] == '/' || url_fault(arena_printf("%s%s", l->mirror, p->path)))
			fault_at(f, p->where, "'%s' is no path below the mirror", p->path);
		for (const struct debian_package *q = l->packages.v; q < p; q++)
			if (streq(q->name, p->name))
				fault_at(f, p->where, "%s is there already", p->name);
	}
}

struct yaml_node *lock_debian_yaml(const struct debian_lock *l)
{
	struct yaml_node *map = yaml_map(), *list;

	yaml_set(map, "version", yaml_str(l->version));
	yaml_set(map, "mirror", yaml_str(l->mirror));
	yaml_set(map, "time", yaml_str(utc_text(l->time)));
	if (l->extra)
		yaml_set(map, "extra", unconst(l->extra));
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
