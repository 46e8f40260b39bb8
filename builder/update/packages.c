/* SPDX-License-Identifier: Apache-2.0 */
/* Which lists of packages the nodes ask for, and what apt says of them on the base. */
#include <errno.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "debian/debian.h"
#include "image/image.h"
#include "update/packages.h"

struct package_lists {
	VEC(struct text_list) v;
};

static bool same_texts(const struct text_list *a, const struct text_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!streq(a->v[i], b->v[i]))
			return false;
	return true;
}

/* Each list that a node asks for, once. */
static struct package_lists lists_of(const struct config *c)
{
	struct package_lists all = { 0 };

	vec_foreach (n, &c->nodes) {
		const struct text_list list = config_packages(c, n);
		bool known = !list.n;

		vec_foreach (other, &all.v)
			known |= same_texts(other, &list);
		if (!known)
			*vec_push(&all.v) = list;
	}
	return all;
}

/* One digest for the list: what changed in it changes it. */
static const char *package_set_digest(const struct package_set *s)
{
	char hex[SHA256_HEX];
	struct sha256 sum;

	sha256_init(&sum);
	vec_foreach (p, &s->list) {
		const char *line = arena_printf("%s %s %s\n", p->name, p->version, p->sha256);

		sha256_update(&sum, line, strlen(line));
	}
	sha256_final(&sum, hex);
	return arena_strdup(hex);
}

static const char *joined(const struct text_list *list)
{
	const char *all = "";

	vec_foreach (name, list)
		all = arena_printf("%s%s%s", all, *all ? "," : "", *name);
	return all;
}

static struct lock_line *add_set_line(struct lock_report *ret, enum lock_change change, const struct package_set *s,
				      const struct text_list *wanted, const char *base)
{
	struct lock_line *line = vec_push(&ret->lines);

	*line = (struct lock_line){
		.change = change,
		.what = LOCK_PACKAGES,
		.packages = s,
		.entry = { .name = PACKAGES_NAME,
			   .version = joined(wanted),
			   .sha256 = s ? package_set_digest(s) : NULL,
			   .source = base },
	};
	return line;
}

static bool asks_for_packages(const struct config *c)
{
	return config_packages(c, NULL).n && !streq(c->os.base, DEBIAN_BASE);
}

int packages_check_lock(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	const struct package_lists lists = lists_of(set->config);
	struct pin base;
	int r;

	if (!asks_for_packages(set->config))
		return 0;
	r = artifact_pin_base(set, &base, e);
	if (r < 0)
		return r;
	vec_foreach (wanted, &lists.v) {
		const char *name = package_base(&base);
		const struct package_set *s = lock_package_set(set->lock, name, wanted);

		add_set_line(ret, s ? LOCK_KEPT : LOCK_MISSING, s, wanted, name)->why =
			s ? NULL : arena_printf("the lock has no such list for %s", name);
	}
	return 0;
}

static struct package_set *new_sets(const struct package_lists *lists, const char *base)
{
	struct package_set *sets = arena_alloc(lists->v.n * sizeof(*sets));

	for (size_t i = 0; i < lists->v.n; i++) {
		struct yaml_node *names = yaml_seq();

		vec_foreach (name, &lists->v.v[i])
			yaml_append(names, yaml_str(*name));
		sets[i] = (struct package_set){ .base = base, .wanted = names };
	}
	return sets;
}

static int open_base(const struct pin *base, const struct lock_options *o, struct disk_image *ret, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	int r;

	if (base->kind == PIN_FILE)
		return image_open(base->file, IMAGE_ROOT, ret, e);
	r = cache_open(o->cache, &cache, e);
	if (r < 0)
		return r;
	r = fetch_all(&cache, base, 1, NULL, &o->fetch, e);
	if (r < 0)
		return r;
	return image_open(path_join(cache.dir, cache_object_name(base->sha256)), IMAGE_ROOT, ret, e);
}

static int ask_apt(const struct release_set *set, const struct lock_options *o, const struct pin *base,
		   const struct package_lists *lists, struct package_set *sets, struct err *e)
{
	_cleanup_(image_close) struct disk_image image = { 0 };
	int r = open_base(base, o, &image, e);

	if (r < 0)
		return r;
	return debian_resolve_sets(image.root, set->config, sets, lists->v.v, lists->v.n, e);
}

int packages_update_lock(const struct release_set *set, const struct lock_options *o, const struct pin *base, bool all,
			 struct lock_report *ret, struct err *e)
{
	const struct package_lists lists = lists_of(set->config);
	const char *name = package_base(base);
	struct package_set *sets;
	bool all_known = true;
	int r;

	if (!asks_for_packages(set->config))
		return 0;
	vec_foreach (wanted, &lists.v)
		all_known &= lock_package_set(set->lock, name, wanted) != NULL;
	if (all_known && !all) {
		vec_foreach (wanted, &lists.v)
			add_set_line(ret, LOCK_KEPT, lock_package_set(set->lock, name, wanted), wanted, name);
		return 0;
	}
	if (o->fetch.offline)
		return err_set(e, -ENOENT,
			       "--offline, and the packages of os.packages have to be looked up in the archives of %s",
			       name);
	sets = new_sets(&lists, name);
	r = ask_apt(set, o, base, &lists, sets, e);
	if (r < 0)
		return err_wrap(e, "packages for %s", name);
	for (size_t i = 0; i < lists.v.n; i++) {
		const struct package_set *old = lock_package_set(set->lock, name, &lists.v.v[i]);
		bool same = old && streq(package_set_digest(old), package_set_digest(&sets[i]));

		add_set_line(ret,
			     !old   ? LOCK_ADDED
			     : same ? LOCK_CONFIRMED
				    : LOCK_UPDATED,
			     &sets[i], &lists.v.v[i], name);
	}
	return 0;
}
