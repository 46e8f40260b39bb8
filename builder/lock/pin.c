/* SPDX-License-Identifier: Apache-2.0 */
/* Which version of what, by which digest: config over lock over catalogue, looked up in the lock. */
#include <errno.h>
#include <sys/stat.h>

#include "catalogue/url.h"
#include "crypto/digest.h"
#include "lock/pin.h"

static const uint64_t max_own_base = 16 * GIB;

const char *artifact_version(const struct catalogue *cat, const struct lock *l, const struct config *c,
			     const char *version_key)
{
	vec_foreach (v, &c->versions)
		if (streq(v->name, version_key))
			return v->version;
	vec_foreach (v, &l->versions)
		if (streq(v->name, version_key))
			return v->version;
	return catalogue_version(cat, version_key);
}

struct cluster_versions versions_in_force(const struct catalogue *cat, const struct lock *l, const struct config *c)
{
	return (struct cluster_versions){
		.k3s = artifact_version(cat, l, c, "k3s"),
		.cilium = artifact_version(cat, l, c, "cilium"),
		.gateway_api = artifact_version(cat, l, c, "gatewayAPI"),
		.cert_manager = artifact_version(cat, l, c, "certManager"),
	};
}

static void pin_by_lock(struct pin *p, const struct lock_entry *x)
{
	p->url = x->url;
	p->sha256 = x->sha256;
	p->size = x->size;
	p->raw_size = x->raw_size;
	p->raw_sha256 = x->raw_sha256;
}

int artifact_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, const char *name,
		 struct pin *ret, struct err *e)
{
	const struct artifact *a = catalogue_find(cat, name);
	const struct lock_entry *x;
	struct pin p = { .artifact = a, .name = name };

	if (!a)
		return err_class(e, CLASS_CONFIG, "%s: there is no artifact '%s'", cat->path, name);
	p.version = artifact_version(cat, l, c, a->version_key);
	p.url = artifact_url(a, p.version);
	p.max_size = a->max_size;
	x = lock_find(l, name, p.version);
	if (x)
		pin_by_lock(&p, x);
	*ret = p;
	return 0;
}

static const struct artifact *base_of_catalogue(const struct catalogue *cat, const char *name)
{
	const struct artifact *a = catalogue_find(cat, name);

	return a && a->base ? a : NULL;
}

static int pin_base_file(const char *path, struct pin *p, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_class(e, CLASS_CONFIG, "os.base: cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_CONFIG, "os.base: %s is no file", path);
	p->file = path;
	p->size = p->max_size = (uint64_t)st.st_size;
	return 0;
}

static int pin_base_url(const char *url, struct pin *p, struct err *e)
{
	const char *why = url_fault(url);

	if (why)
		return err_class(e, CLASS_CONFIG, "os.base: '%s': %s", url, why);
	p->url = url;
	p->max_size = max_own_base;
	return 0;
}

int artifact_pin_base(const struct catalogue *cat, const struct lock *l, const struct config *c, struct pin *ret,
		      struct err *e)
{
	const char *base = c->os.base;
	struct pin p = { .name = "base", .sha256 = c->os.sha256 };
	int r;

	if (base_of_catalogue(cat, base))
		return artifact_pin(cat, l, c, base, ret, e);
	if (streq(base, DEBIAN_BASE)) {
		const char *version = artifact_version(cat, l, c, base);

		return debian_pin(lock_debian_of(l, version), version, ret, e);
	}
	if (!p.sha256 || !sha256_valid(p.sha256))
		return err_class(e, CLASS_CONFIG, "os.base: %s needs os.sha256: what `sha256sum FILE` prints", base);
	p.version = arena_strndup(p.sha256, 12);
	r = base[0] == '/' ? pin_base_file(base, &p, e) : pin_base_url(base, &p, e);
	if (r == 0)
		*ret = p;
	return r;
}

int pins_check_locked(const struct pin *pins, size_t n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	for (size_t i = 0; i < n; i++)
		if (!pins[i].sha256)
			strbuf_addf(&missing, "%s%s %s", missing.n ? ", " : "", pins[i].name, pins[i].version);
	if (!missing.n)
		return 0;
	return err_class(e, CLASS_VERIFY,
			 "the lock does not pin %s: run `pibuild lock`, which looks the digests up from upstream's own "
			 "checksum files",
			 missing.s);
}
