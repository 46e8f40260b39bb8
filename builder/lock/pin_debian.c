/* SPDX-License-Identifier: Apache-2.0 */
/* What the lock's section `debian` pins: the base that is made of packages, and each of them. */
#include <errno.h>
#include <fcntl.h>

#include "base/data.h"
#include "crypto/digest.h"
#include "lock/pin.h"

/* Changes whenever the same packages and files would be made into other bytes. */
static const char base_format[] = "pibuild debian base 1";

static const char *const debian_files[] = { "base.yaml", "unpack", "configure", NULL };

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
static int debian_base_digest(const struct debian_lock *l, char hex[SHA256_HEX], struct err *e)
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
	for (size_t i = 0; l->extra && i < l->extra->count; i++) {
		line = arena_printf("extra %s\n", l->extra->items[i]->text);
		sha256_update(&s, line, strlen(line));
	}
	for (size_t i = 0; r == 0 && debian_files[i]; i++)
		r = hash_file(&s, debian_files[i], e);
	if (r < 0)
		return r;
	sha256_final(&s, hex);
	return 0;
}

static const struct pin *debian_package_pins(const struct debian_lock *l)
{
	struct pin *pins = arena_alloc(l->packages.n * sizeof(*pins));
	size_t i = 0;

	vec_foreach (p, &l->packages)
		pins[i++] = (struct pin){
			.kind = PIN_PACKAGE,
			.name = p->name,
			.version = p->version,
			.url = arena_printf("%s%s", l->mirror, p->path),
			.sha256 = p->sha256,
			.size = p->size,
			.max_size = p->size,
		};
	return pins;
}

int debian_pin(const struct debian_lock *d, const char *version, struct pin *ret, struct err *e)
{
	struct pin p = { .kind = PIN_PACKAGES, .name = DEBIAN_BASE, .version = version };
	char hex[SHA256_HEX];
	int r = d ? debian_base_digest(d, hex, e) : 0;

	if (r < 0)
		return r;
	if (d) {
		p.sha256 = arena_strdup(hex);
		p.packages.v = debian_package_pins(d);
		p.packages.n = d->packages.n;
		p.packages.time = d->time;
		p.packages.extra = d->extra;
	}
	*ret = p;
	return 0;
}
