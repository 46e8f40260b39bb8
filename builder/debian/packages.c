/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages os.base: debian asks for, and whether the lock has them all. */
#include <errno.h>

#include "base/data.h"
#include "catalogue/url.h"
#include "crypto/digest.h"
#include "debian/debian.h"

/* ---- recipe ---- */

static void archives_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must be a map from folders of the mirror to lists of suites");
	for (size_t i = 0; i < n->count; i++)
		schema_texts(l, n->items[i], schema_path(path, n->keys[i]->text));
	*(const struct yaml_node **)dst = n;
}
static void archives_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("object"));
	json_object_set_new(out, "additionalProperties",
			    json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string"));
}
static const struct kind kind_archives = {
	.name = "suites by folder",
	.node = archives_node,
	.schema = archives_schema,
};

#define AT(member) offsetof(struct debian_recipe, member)
static const char *const api_versions[] = { "pibuild/v1" }, *const recipe_kinds[] = { "DebianBase" };
const struct field debian_recipe_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(api_versions)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(recipe_kinds)),
	FIELD("mirror", https, AT(mirror), .flags = REQUIRED),
	FIELD("snapshot", https, AT(snapshot), .flags = REQUIRED),
	FIELD("keyring", text, AT(keyring), .flags = REQUIRED),
	FIELD("archives", archives, AT(archives), .flags = REQUIRED),
	FIELD("components", texts, AT(components), .flags = REQUIRED),
	FIELD("packages", texts, AT(packages), .flags = REQUIRED),
	{ 0 },
};
#undef AT

int debian_recipe_load(struct debian_recipe **ret, struct err *e)
{
	struct debian_recipe *recipe = arena_new(struct debian_recipe);
	struct faults f = { 0 };
	struct reading l = { .faults = &f };
	const char *path;
	int r = data_path("configs/debian/base.yaml", &path, e);

	if (r < 0)
		return r;
	r = schema_load(&l, path, debian_recipe_fields, recipe, e);
	if (r < 0)
		return r;
	r = faults_failure(&f, e);
	if (r < 0)
		return r;
	*ret = recipe;
	return 0;
}

/* ---- lock: check and update ---- */

static bool has_package(const struct debian_lock *l, const char *name)
{
	vec_foreach (p, &l->packages)
		if (streq(p->name, name))
			return true;
	return false;
}

/* What cluster.yaml asks for and L was not made with, or NULL. */
static const char *lacking_extra(const struct debian_lock *l, const struct text_list *extra)
{
	vec_foreach (name, extra) {
		bool found = false;

		for (size_t i = 0; l->extra && i < l->extra->count; i++)
			found |= streq(l->extra->items[i]->text, *name);
		if (!found)
			return *name;
	}
	return NULL;
}

/* The first package that L lacks, or NULL. */
static const char *lacking(const struct debian_lock *l, const struct debian_recipe *recipe,
			   const struct text_list *extra)
{
	for (size_t i = 0; i < recipe->packages->count; i++)
		if (!has_package(l, recipe->packages->items[i]->text))
			return recipe->packages->items[i]->text;
	return lacking_extra(l, extra);
}

/* Why L cannot stay as it is, or NULL. */
static const char *staleness(const struct debian_lock *l, const struct debian_recipe *recipe, const struct config *c)
{
	const struct text_list extra = config_packages(c, NULL);
	const char *name = l ? lacking(l, recipe, &extra) : NULL;

	if (!l)
		return "the lock has no packages for it";
	return name ? arena_printf("the lock has no package %s", name) : NULL;
}

/* One digest for all packages: what changed in the list changes it. */
static const char *packages_digest(const struct debian_lock *l)
{
	char hex[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	vec_foreach (p, &l->packages)
		sha256_update(&s, p->sha256, strlen(p->sha256));
	sha256_final(&s, hex);
	return arena_strdup(hex);
}

static struct lock_line line_of(const struct debian_lock *l, const char *version, enum lock_change change,
				const char *why)
{
	return (struct lock_line){
		.change = change,
		.what = LOCK_DEBIAN,
		.debian = l,
		.entry = { .name = DEBIAN_BASE,
			   .version = version,
			   .sha256 = l ? packages_digest(l) : NULL,
			   .url = l ? l->mirror : NULL },
		.why = why,
	};
}

int debian_check_lock(const struct release_set *set, struct lock_line *ret, struct err *e)
{
	const char *version = artifact_version(set, DEBIAN_BASE), *why;
	const struct debian_lock *d = lock_debian_of(set->lock, version);
	struct debian_recipe *recipe;
	int r = debian_recipe_load(&recipe, e);

	if (r < 0)
		return r;
	why = staleness(d, recipe, set->config);
	*ret = line_of(d, version, why ? LOCK_MISSING : LOCK_KEPT, why);
	return 0;
}

int debian_update_lock(const struct release_set *set, int64_t now, bool offline, bool forced, struct lock_line *ret,
		       struct err *e)
{
	const char *version = artifact_version(set, DEBIAN_BASE), *was;
	const struct debian_lock *d = lock_debian_of(set->lock, version);
	struct debian_recipe *recipe;
	struct debian_lock *new;
	int r = debian_recipe_load(&recipe, e);

	if (r < 0)
		return r;
	if (!forced && !staleness(d, recipe, set->config)) {
		*ret = line_of(d, version, LOCK_KEPT, NULL);
		return 0;
	}
	if (offline)
		return err_set(e, -ENOENT, "--offline, and the packages of debian %s have to be looked up at %s",
			       version, recipe->mirror);
	r = debian_resolve(recipe, set->config, version, now, &new, e);
	if (r < 0)
		return err_wrap(e, "debian %s", version);
	was = d ? packages_digest(d) : NULL;
	if (was && streq(was, packages_digest(new)))
		*ret = line_of(d, version, LOCK_CONFIRMED, NULL);
	else
		*ret = line_of(new, version, was ? LOCK_CHANGED : LOCK_ADDED, was);
	return 0;
}
