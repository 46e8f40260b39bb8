/* SPDX-License-Identifier: Apache-2.0 */
#include "base/data.h"
#include "base/file.h"
#include "catalogue/catalogue.h"
#include "catalogue/url.h"
#include "catalogue/version.h"
#include "config/values.h"
#include "lock/lock.h"

#define AT(member) offsetof(struct lock_entry, member)
static const struct field raw_fields[] = {
	FIELD("size", number, AT(raw_size), .flags = REQUIRED),
	FIELD("sha256", sha256, AT(raw_sha256), .flags = REQUIRED),
	{ 0 },
};
static const struct field entry_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED, .help = "of an artifact of the catalogue"),
	FIELD("version", text, AT(version), .flags = REQUIRED),
	FIELD("url", https, AT(url), .flags = REQUIRED),
	FIELD("sha256", sha256, AT(sha256), .flags = REQUIRED),
	FIELD("size", number, AT(size)),
	FIELD("raw", map, 0, .sub = raw_fields, .help = "of a compressed base"),
	FIELD("source", text, AT(source), .help = "where the digest was looked up"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct lock_image, member)
static const struct field image_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED),
	FIELD("tag", text, AT(tag), .flags = REQUIRED),
	FIELD("digest", digest, AT(sha256), .flags = REQUIRED, .help = "of the index"),
	FIELD("for", texts, AT(for_versions), .help = "versions of a chart that asks for this tag"),
	FIELD("source", text, AT(source), .help = "where the digest was looked up"),
	{ 0 },
};
#undef AT

static const struct kind kind_key_line = { .name = "public key", .check = value_ssh_key_fault };
static const struct field key_item = { .kind = &kind_key_line };
#define AT(member) offsetof(struct lock_keys, member)
static const struct field keys_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("github", label, AT(user), .flags = REQUIRED, .help = "user"),
	FIELD("keys", list, AT(keys), .flags = REQUIRED, .item = &key_item, .size = sizeof(const char *),
	      .max = LOCK_KEYS_MOST),
	FIELD("source", text, AT(source), .help = "where they were looked up"),
	{ 0 },
};
#undef AT

static const char *check_version(const char *text)
{
	return version_valid(text) ? NULL : "an exact version was expected here";
}
static const struct kind kind_exact_version = { .name = "version", .check = check_version };

#define AT(member) offsetof(struct lock, member)
static const char *const api_versions[] = { "pibuild/v1" }, *const lock_kinds[] = { "Lock" };
static const struct field version_item = FIELD(NULL, exact_version, offsetof(struct version_pin, version));
const struct field lock_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(api_versions)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(lock_kinds)),
	FIELD("time", time, AT(time), .flags = REQUIRED, .help = "of builds without SOURCE_DATE_EPOCH"),
	FIELD("versions", keyed, AT(versions), .item = &version_item, .size = sizeof(struct version_pin),
	      .name_at = offsetof(struct version_pin, name), .help = "those chosen by `pibuild lock`"),
	FIELD("artifacts", list, AT(entries), .flags = REQUIRED, ITEMS(entry_fields, lock_entry)),
	FIELD("images", list, AT(images), ITEMS(image_fields, lock_image), .help = "container images, for airgap"),
	FIELD("sshKeys", list, AT(keys), ITEMS(keys_fields, lock_keys), .help = "of access.sshKeys: {github: USER}"),
	FIELD(DEBIAN_BASE, lock_debian, AT(debian), .sub = lock_debian_fields),
	FIELD("packages", list, AT(packages), ITEMS(lock_package_fields, package_set),
	      .help = "of os.packages and nodes[].packages, by base"),
	FIELD("apps", list, AT(apps), ITEMS(lock_app_fields, lock_app), .help = "charts and manifests of apps"),
	FIELD("judged", list, AT(judged), ITEMS(lock_judged_fields, lock_judged),
	      .help = "apps that were looked at, and the images they ask for"),
	{ 0 },
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

const struct lock_keys *lock_find_keys(const struct lock *l, const char *user)
{
	vec_foreach (k, &l->keys)
		if (strcasecmp(k->user, user) == 0)
			return k;
	return NULL;
}

int lock_check_keys(const struct lock *l, const struct config *c, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	vec_foreach (user, &c->access.github)
		if (!lock_find_keys(l, *user))
			strbuf_item(&missing, ", ", *user);
	if (!missing.n)
		return 0;
	return err_class(
		e, CLASS_VERIFY,
		"the lock does not pin the keys of access.sshKeys: {github: %s}: run `pibuild lock`, which fetches them",
		missing.s);
}

/* What no single key can tell. */
static void lock_check_all(const struct lock *l, struct faults *f)
{
	vec_foreach (x, &l->entries) {
		const struct lock_entry *twin = lock_find(l, x->name, x->version);

		if (twin != x)
			fault_at(f, x->where, "%s %s is there already, in line %u", x->name, x->version,
				 twin->where->line);
	}
	vec_foreach (x, &l->images) {
		const struct lock_image *twin = lock_find_image(l, x->name, x->tag);

		if (!image_name_valid(x->name) || !image_tag_valid(x->tag))
			fault_at(f, x->where, "%s:%s is no container image", x->name, x->tag);
		else if (twin != x)
			fault_at(f, x->where, "%s:%s is there already, in line %u", x->name, x->tag, twin->where->line);
	}
	vec_foreach (x, &l->keys)
		if (lock_find_keys(l, x->user) != x)
			fault_at(f, x->where, "the keys of %s are there already, in line %u", x->user,
				 lock_find_keys(l, x->user)->where->line);
	if (l->debian)
		lock_check_debian(l->debian, f);
	vec_foreach (s, &l->packages)
		lock_check_packages(s, f);
	lock_check_apps(l, f);
}

int lock_load_shipped(struct lock **ret, struct err *e)
{
	const char *path;
	int r = data_path("configs/pibuild.lock", &path, e);

	return r < 0 ? r : lock_load_file(path, ret, e);
}

int lock_load_file(const char *path, struct lock **ret, struct err *e)
{
	struct lock *lock = arena_new(struct lock);
	struct faults f = { 0 };
	struct reading l = { .faults = &f };
	int r = schema_load(&l, path, lock_fields, lock, e);

	if (r < 0)
		return r;
	lock->path = path;
	if (!f.errors)
		lock_check_all(lock, &f);
	*ret = lock;
	return faults_failure(&f, e);
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
	if (!file_is_missing(beside))
		return lock_load_file(beside, ret, e);
	return lock_load_shipped(ret, e);
}
