/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `packages`: what os.packages and nodes[].packages come to on a base, with all they depend on. */
#include "catalogue/url.h"
#include "lock/lock.h"

#define AT(member) offsetof(struct locked_package, member)
static const struct field locked_package_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED),
	FIELD("version", text, AT(version), .flags = REQUIRED),
	FIELD("url", https, AT(url), .flags = REQUIRED),
	FIELD("size", number, AT(size), .flags = REQUIRED),
	FIELD("sha256", sha256, AT(sha256), .flags = REQUIRED),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct package_set, member)
const struct field lock_package_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("base", text, AT(base), .flags = REQUIRED, .help = "what they are for: the base and its version"),
	FIELD("wanted", texts, AT(wanted), .flags = REQUIRED, .help = "what cluster.yaml asks for, sorted"),
	FIELD("list", list, AT(list), ITEMS(locked_package_fields, locked_package),
	      .help = "what the base lacks of it and of all it depends on"),
	{ 0 },
};
#undef AT

static bool same_names(const struct yaml_node *list, const struct text_list *names)
{
	if (list->count != names->n)
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!streq(list->items[i]->text, names->v[i]))
			return false;
	return true;
}

const struct package_set *lock_package_set(const struct lock *l, const char *base, const struct text_list *wanted)
{
	vec_foreach (s, &l->packages)
		if (streq(s->base, base) && same_names(s->wanted, wanted))
			return s;
	return NULL;
}

void lock_check_packages(const struct package_set *s, struct faults *f)
{
	vec_foreach (p, &s->list) {
		if (!package_name_valid(p->name) || !package_name_valid(p->version))
			fault_at(f, p->where, "%s %s is no Debian package", p->name, p->version);
		for (const struct locked_package *q = s->list.v; q < p; q++)
			if (streq(q->name, p->name))
				fault_at(f, p->where, "%s is there already", p->name);
	}
}

struct yaml_node *lock_packages_yaml(const struct package_set *s)
{
	struct yaml_node *map = yaml_map(), *list;

	yaml_set(map, "base", yaml_str(s->base));
	yaml_set(map, "wanted", unconst(s->wanted));
	list = yaml_set(map, "list", yaml_seq());
	vec_foreach (p, &s->list) {
		struct yaml_node *m = yaml_append(list, yaml_map());

		m->flow = true;
		yaml_set(m, "name", yaml_str(p->name));
		yaml_set(m, "version", yaml_str(p->version));
		yaml_set(m, "url", yaml_str(p->url));
		yaml_set(m, "size", yaml_int((int64_t)p->size));
		yaml_set(m, "sha256", yaml_str(p->sha256));
	}
	return map;
}
