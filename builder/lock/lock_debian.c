/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `debian`, and what it pins: the base of os.base: debian and its packages. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "catalogue/url.h"
#include "crypto/digest.h"
#include "lock/pin.h"
#include "catalogue/rows.h"
#include "base/data.h"

/* Changes whenever the same packages and files would be made into other bytes. */
static const char base_format[] = "pibuild debian base 1";

static const char *const debian_files[] = { "base.yaml", "unpack", "configure", NULL };

/* ---- the section ---- */

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
		r = lock_read_time(yaml_get(map, "time"), &l->time, e);
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
	yaml_set(map, "time", yaml_str(lock_time_text(l->time)));
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

/* ---- pin ---- */

static int hash_file(struct sha256 *s, const char *name, struct err *e)
{
	_cleanup_close_ int fd = -1;
	const char *path;
	int r = data_path(arena_printf("configs/debian/%s", name), &path, e);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", path);
	return sha256_add_fd(s, fd, UINT64_MAX, path, e);
}

/* Everything that decides the bytes of the base. */
static int base_digest(const struct debian_lock *l, char hex[SHA256_HEX], struct err *e)
{
	_cleanup_(sha256_done) struct sha256 s;
	const char *line = arena_printf("%s\n%s\n%lld\n", base_format, l->version, (long long)l->time);
	int r = 0;

	sha256_init(&s);
	sha256_update(&s, line, strlen(line));
	vec_foreach (p, &l->packages) {
		line = arena_printf("%s %s %s\n", p->name, p->version, p->sha256);
		sha256_update(&s, line, strlen(line));
	}
	for (size_t i = 0; r == 0 && debian_files[i]; i++)
		r = hash_file(&s, debian_files[i], e);
	if (r == 0)
		sha256_final(&s, hex);
	return r;
}

static const struct pin *package_pins(const struct debian_lock *l)
{
	struct pin *pins = arena_alloc(l->packages.n * sizeof(*pins));
	size_t i = 0;

	vec_foreach (p, &l->packages)
		pins[i++] = (struct pin){
			.name = p->name,
			.version = p->version,
			.url = arena_printf("%s%s", l->mirror, p->path),
			.sha256 = p->sha256,
			.size = p->size,
			.max_size = p->size,
			.is_part = true,
		};
	return pins;
}

const struct debian_lock *lock_debian_of(const struct lock *l, const char *version)
{
	return l->debian && streq(l->debian->version, version) ? l->debian : NULL;
}

int debian_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, struct pin *ret,
	       struct err *e)
{
	struct pin p = { .name = DEBIAN_BASE, .version = artifact_version(cat, l, c, DEBIAN_BASE) };
	const struct debian_lock *d = lock_debian_of(l, p.version);
	char hex[SHA256_HEX];
	int r = d ? base_digest(d, hex, e) : 0;

	if (r < 0)
		return r;
	if (d) {
		p.sha256 = arena_strdup(hex);
		p.parts = package_pins(d);
		p.n_parts = d->packages.n;
		p.time = d->time;
	}
	*ret = p;
	return 0;
}
