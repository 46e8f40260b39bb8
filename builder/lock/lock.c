/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "catalogue/catalogue.h"
#include "catalogue/rows.h"
#include "catalogue/version.h"
#include "lock/lock.h"
#include "base/data.h"
#include "base/file.h"

#define AT(member) offsetof(struct lock_entry, member)
static const struct row raw_rows[] = {
	{ "size", ROW_NUMBER, AT(raw_size), true, NULL, NULL, 0 },
	{ "sha256", ROW_SHA256, AT(raw_sha256), true, NULL, NULL, 0 },
};
static const struct row entry_rows[] = {
	{ "name", ROW_TEXT, AT(name), true, NULL, NULL, 0 },
	{ "version", ROW_TEXT, AT(version), true, NULL, NULL, 0 },
	{ "url", ROW_URL, AT(url), true, NULL, NULL, 0 },
	{ "sha256", ROW_SHA256, AT(sha256), true, NULL, NULL, 0 },
	{ "size", ROW_NUMBER, AT(size), false, NULL, NULL, 0 },
	{ "raw", ROW_MAP, 0, false, NULL, raw_rows, ARRAY_SIZE(raw_rows) },
	{ "source", ROW_TEXT, AT(source), false, NULL, NULL, 0 },
};
#undef AT
#define AT(member) offsetof(struct lock_image, member)
static const struct row image_rows[] = {
	{ "name", ROW_TEXT, AT(name), true, NULL, NULL, 0 },
	{ "tag", ROW_TEXT, AT(tag), true, NULL, NULL, 0 },
	{ "digest", ROW_DIGEST, AT(sha256), true, NULL, NULL, 0 },
	{ "for", ROW_NODE, AT(for_versions), false, NULL, NULL, 0 },
	{ "source", ROW_TEXT, AT(source), false, NULL, NULL, 0 },
};
#undef AT

const struct lock_entry *lock_find(const struct lock *l, const char *name, const char *version)
{
	vec_foreach (x, &l->entries)
		if (streq(x->name, name) && streq(x->version, version))
			return x;
	return NULL;
}

const struct lock_image *lock_find_image(const struct lock *l, const char *name, const char *tag)
{
	vec_foreach (x, &l->images)
		if (streq(x->name, name) && streq(x->tag, tag))
			return x;
	return NULL;
}

static int read_entries(const struct yaml_node *list, struct lock *l, struct err *e)
{
	if (list->type != YAML_SEQ)
		return rows_fault(e, list, "a list was expected here");
	for (size_t i = 0; i < list->count; i++) {
		struct lock_entry x = { .where = list->items[i] };
		const struct lock_entry *twin;
		int r = rows_read(list->items[i], entry_rows, ARRAY_SIZE(entry_rows), &x, e);

		if (r < 0)
			return r;
		twin = lock_find(l, x.name, x.version);
		if (twin)
			return rows_fault(e, x.where, "%s %s is there already, in line %u", x.name, x.version,
					  twin->where->line);
		*vec_push(&l->entries) = x;
	}
	return 0;
}

/* The map may be missing: then the config and the catalogue decide. */
static int read_versions(const struct yaml_node *map, struct lock *l, struct err *e)
{
	if (map && map->type != YAML_MAP)
		return rows_fault(e, map, "a map was expected here");
	for (size_t i = 0; map && i < map->count; i++) {
		const struct yaml_node *v = map->items[i];

		if (v->type != YAML_SCALAR || !version_valid(v->text))
			return rows_fault(e, v, "an exact version was expected here");
		*vec_push(&l->versions) = (struct version_pin){ map->keys[i]->text, v->text };
	}
	return 0;
}

static int check_for(const struct yaml_node *list, struct err *e)
{
	if (list && list->type != YAML_SEQ)
		return rows_fault(e, list, "a list of versions was expected here");
	for (size_t i = 0; list && i < list->count; i++)
		if (list->items[i]->type != YAML_SCALAR)
			return rows_fault(e, list->items[i], "a version was expected here");
	return 0;
}

/* The list may be missing: without airgap nobody needs it. */
static int read_images(const struct yaml_node *list, struct lock *l, struct err *e)
{
	if (list && list->type != YAML_SEQ)
		return rows_fault(e, list, "a list was expected here");
	for (size_t i = 0; list && i < list->count; i++) {
		struct lock_image x = { .where = list->items[i] };
		const struct lock_image *twin;
		int r = rows_read(list->items[i], image_rows, ARRAY_SIZE(image_rows), &x, e);

		if (r == 0)
			r = check_for(x.for_versions, e);
		if (r < 0)
			return r;
		if (!image_name_valid(x.name) || !image_tag_valid(x.tag))
			return rows_fault(e, x.where, "%s:%s is no container image", x.name, x.tag);
		twin = lock_find_image(l, x.name, x.tag);
		if (twin)
			return rows_fault(e, x.where, "%s:%s is there already, in line %u", x.name, x.tag,
					  twin->where->line);
		*vec_push(&l->images) = x;
	}
	return 0;
}

static int read_lock(const struct yaml_node *doc, struct lock *l, struct err *e)
{
	static const char *const keys[] = {
		"apiVersion", "kind", "time", "artifacts", "images", "versions", DEBIAN_BASE
	};
	const struct yaml_node *debian = yaml_get(doc, DEBIAN_BASE);
	const size_t required = 4;
	int r = rows_check_kind(doc, "Lock", e);

	if (r == 0)
		r = rows_check_keys(doc, keys, ARRAY_SIZE(keys), e);
	for (size_t i = 0; r == 0 && i < required; i++)
		if (!yaml_get(doc, keys[i]))
			r = rows_fault(e, doc, "the key '%s' is missing", keys[i]);
	if (r == 0)
		r = rows_read_time(yaml_get(doc, "time"), &l->time, e);
	if (r == 0)
		r = read_versions(yaml_get(doc, "versions"), l, e);
	if (r == 0)
		r = read_entries(yaml_get(doc, "artifacts"), l, e);
	if (r == 0 && debian)
		r = lock_read_debian(debian, &l->debian, e);
	return r < 0 ? r : read_images(yaml_get(doc, "images"), l, e);
}

int lock_load_shipped(struct lock **ret, struct err *e)
{
	const char *path;
	int r = data_path("configs/pibuild.lock", &path, e);

	return r < 0 ? r : lock_load_file(path, ret, e);
}

int lock_load_file(const char *path, struct lock **ret, struct err *e)
{
	struct lock *l = arena_new(struct lock);
	struct yaml_node *doc;
	int r = yaml_load(path, &doc, e);

	l->path = path;
	if (r == 0)
		r = read_lock(doc, l, e);
	if (r == 0)
		*ret = l;
	return r;
}

const char *lock_path_beside(const struct config *c)
{
	return path_join(c->dir, "pibuild.lock");
}

int lock_load(const char *file, const struct config *c, struct lock **ret, struct err *e)
{
	const char *env = getenv("PIBUILD_LOCK"), *beside;

	if (file)
		return lock_load_file(file, ret, e);
	if (env && *env)
		return lock_load_file(env, ret, e);
	beside = lock_path_beside(c);
	/* Anything but "not there" is for the reader to report: a lock that cannot be read is no reason to ignore it.
	 */
	if (access(beside, F_OK) == 0 || errno != ENOENT)
		return lock_load_file(beside, ret, e);
	return lock_load_shipped(ret, e);
}
