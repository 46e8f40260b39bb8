/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `apps`: charts and manifests of cluster.yaml's apps, by digest. */
#include "catalogue/url.h"
#include "lock/lock.h"

#define AT(member) offsetof(struct lock_app, member)
const struct field lock_app_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("from", label, AT(from), .flags = REQUIRED,
	      .help = "REPOSITORY/CHART, oci://REGISTRY/PATH or a manifest's address"),
	FIELD("version", text, AT(version), .help = "of a chart"),
	FIELD("url", https, AT(url), .flags = REQUIRED),
	FIELD("sha256", sha256, AT(sha256), .flags = REQUIRED),
	FIELD("size", number, AT(size), .flags = REQUIRED),
	FIELD("source", text, AT(source), .help = "where the digest was looked up"),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct lock_judged, member)
const struct field lock_judged_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("app", label, AT(app), .flags = REQUIRED),
	FIELD("of", sha256, AT(of), .flags = REQUIRED, .help = "of what it is made of and given"),
	FIELD("guessed", bool, AT(guessed), .help = "no Helm rendered its chart: images are those of its values"),
	FIELD("images", texts, AT(images), .help = "that it asks for"),
	{ 0 },
};
#undef AT

const struct lock_judged *lock_find_judged(const struct lock *l, const char *app)
{
	vec_foreach (x, &l->judged)
		if (streq(x->app, app))
			return x;
	return NULL;
}

const struct lock_app *lock_find_app(const struct lock *l, const char *from, const char *version)
{
	vec_foreach (x, &l->apps)
		if (streq(x->from, from) && streq(str_or(x->version, ""), str_or(version, "")))
			return x;
	return NULL;
}

void lock_check_apps(const struct lock *l, struct faults *f)
{
	vec_foreach (x, &l->apps) {
		const struct lock_app *twin = lock_find_app(l, x->from, x->version);

		if (twin != x)
			fault_at(f, x->where, "%s is there already, in line %u", x->from, twin->where->line);
	}
	vec_foreach (x, &l->judged)
		if (lock_find_judged(l, x->app) != x)
			fault_at(f, x->where, "%s is there already, in line %u", x->app,
				 lock_find_judged(l, x->app)->where->line);
}

struct yaml_node *lock_judged_yaml(const struct lock_judged *x)
{
	struct yaml_node *m = yaml_map();

	yaml_set(m, "app", yaml_str(x->app));
	yaml_set(m, "of", yaml_str(x->of));
	if (x->guessed)
		yaml_set(m, "guessed", yaml_bool(true));
	if (x->images && x->images->count)
		yaml_set(m, "images", unconst(x->images));
	return m;
}

struct yaml_node *lock_app_yaml(const struct lock_app *x)
{
	struct yaml_node *m = yaml_map();

	yaml_set(m, "from", yaml_str(x->from));
	if (x->version)
		yaml_set(m, "version", yaml_str(x->version));
	yaml_set(m, "url", yaml_str(x->url));
	yaml_set(m, "sha256", yaml_str(x->sha256));
	yaml_set(m, "size", yaml_int((int64_t)x->size));
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
	return m;
}
