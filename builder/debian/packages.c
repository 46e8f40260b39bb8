/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages os.base: debian asks for, and whether the lock has them all. */
#include <errno.h>

#include "base/data.h"
#include "catalogue/rows.h"
#include "crypto/digest.h"
#include "debian/debian.h"

/* ---- recipe ---- */

#define AT(member) offsetof(struct debian_recipe, member)
static const struct row recipe_rows[] = {
	{ "apiVersion", ROW_TEXT, AT(api_version), true, NULL, NULL, 0 },
	{ "kind", ROW_TEXT, AT(kind), true, NULL, NULL, 0 },
	{ "mirror", ROW_URL, AT(mirror), true, NULL, NULL, 0 },
	{ "snapshot", ROW_URL, AT(snapshot), true, NULL, NULL, 0 },
	{ "keyring", ROW_TEXT, AT(keyring), true, NULL, NULL, 0 },
	{ "archives", ROW_NODE, AT(archives), true, NULL, NULL, 0 },
	{ "components", ROW_NODE, AT(components), true, NULL, NULL, 0 },
	{ "packages", ROW_NODE, AT(packages), true, NULL, NULL, 0 },
};
#undef AT

static int check_texts(const struct yaml_node *list, struct err *e)
{
	if (list->type != YAML_SEQ || !list->count)
		return rows_fault(e, list, "a list was expected here");
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i]->type != YAML_SCALAR || !list->items[i]->n)
			return rows_fault(e, list->items[i], "a name was expected here");
	return 0;
}

int debian_recipe_load(struct debian_recipe **ret, struct err *e)
{
	struct debian_recipe *recipe = arena_new(struct debian_recipe);
	struct yaml_node *doc;
	const char *path;
	int r = data_path("configs/debian/base.yaml", &path, e);

	if (r == 0)
		r = yaml_load(path, &doc, e);
	if (r == 0)
		r = rows_check_kind(doc, "DebianBase", e);
	if (r == 0)
		r = rows_read(doc, recipe_rows, ARRAY_SIZE(recipe_rows), recipe, e);
	if (r == 0)
		r = check_texts(recipe->components, e);
	if (r == 0)
		r = check_texts(recipe->packages, e);
	if (r == 0 && recipe->archives->type != YAML_MAP)
		r = rows_fault(e, recipe->archives, "a map was expected here");
	for (size_t i = 0; r == 0 && i < recipe->archives->count; i++)
		r = check_texts(recipe->archives->items[i], e);
	if (r == 0)
		*ret = recipe;
	return r;
}

/* ---- lock: check and update ---- */

/* The first package of the recipe that L lacks, or NULL. */
static const char *lacking(const struct debian_lock *l, const struct debian_recipe *recipe)
{
	for (size_t i = 0; i < recipe->packages->count; i++) {
		const char *name = recipe->packages->items[i]->text;
		bool found = false;

		vec_foreach (p, &l->packages)
			found |= streq(p->name, name);
		if (!found)
			return name;
	}
	return NULL;
}

/* Why L cannot stay as it is, or NULL. */
static const char *staleness(const struct debian_lock *l, const struct debian_recipe *recipe)
{
	const char *name = l ? lacking(l, recipe) : NULL;

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
	why = staleness(d, recipe);
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
	if (!forced && !staleness(d, recipe)) {
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
