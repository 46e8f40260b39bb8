/* SPDX-License-Identifier: Apache-2.0 */
/* Which version of what, by which digest: config over lock over catalogue, looked up in the lock. */
#include <errno.h>
#include <sys/stat.h>

#include "catalogue/url.h"
#include "crypto/digest.h"
#include "lock/pin.h"

static const uint64_t max_own_base = 16 * GIB;

const char *artifact_version(const struct release_set *set, const char *version_key)
{
	vec_foreach (v, &set->config->versions)
		if (streq(v->name, version_key))
			return v->version;
	vec_foreach (v, &set->lock->versions)
		if (streq(v->name, version_key))
			return v->version;
	return catalogue_version(set->catalogue, version_key);
}

struct cluster_versions versions_in_force(const struct release_set *set)
{
	return (struct cluster_versions){
		.k3s = artifact_version(set, "k3s"),
		.cilium = artifact_version(set, "cilium"),
		.gateway_api = artifact_version(set, "gatewayAPI"),
		.cert_manager = artifact_version(set, "certManager"),
	};
}

int artifact_pin(const struct release_set *set, const char *name, struct pin *ret, struct err *e)
{
	const struct artifact *a = catalogue_find(set->catalogue, name);
	const struct lock_entry *locked;
	const char *version;

	if (!a)
		return err_class(e, CLASS_CONFIG, "%s: there is no artifact '%s'", set->catalogue->path, name);
	version = artifact_version(set, a->version_key);
	locked = lock_find(set->lock, name, version);
	*ret = (struct pin){
		.kind = PIN_ARTIFACT,
		.artifact = a,
		.name = name,
		.version = version,
		.url = locked ? locked->url : artifact_url(a, version),
		.max_size = a->max_size,
	};
	if (locked) {
		ret->sha256 = locked->sha256;
		ret->size = locked->size;
		ret->raw_size = locked->raw_size;
		ret->raw_sha256 = locked->raw_sha256;
	}
	return 0;
}

static int pin_base_file(const char *path, struct pin *p, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		err_errno(e, -errno, "os.base: cannot read %s", path);
		return err_blame(e, CLASS_CONFIG);
	}
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_CONFIG, "os.base: %s is no file", path);
	p->kind = PIN_FILE;
	p->file = path;
	p->size = p->max_size = (uint64_t)st.st_size;
	return 0;
}

static int pin_base_url(const char *url, struct pin *p, struct err *e)
{
	const char *why = url_fault(url);

	if (why)
		return err_class(e, CLASS_CONFIG, "os.base: '%s': %s", url, why);
	p->kind = PIN_URL;
	p->url = url;
	p->max_size = max_own_base;
	return 0;
}

int artifact_pin_base(const struct release_set *set, struct pin *ret, struct err *e)
{
	const char *base = set->config->os.base;
	const struct artifact *a = catalogue_find(set->catalogue, base);
	struct pin p = { .name = "base", .sha256 = set->config->os.sha256 };
	int r;

	if (a && a->base)
		return artifact_pin(set, base, ret, e);
	if (streq(base, DEBIAN_BASE)) {
		const char *version = artifact_version(set, base);

		return debian_pin(lock_debian_of(set->lock, version), version, ret, e);
	}
	if (!p.sha256 || !sha256_valid(p.sha256))
		return err_class(e, CLASS_CONFIG, "os.base: %s needs os.sha256: what `sha256sum FILE` prints", base);
	p.version = arena_strndup(p.sha256, 12);
	r = base[0] == '/' ? pin_base_file(base, &p, e) : pin_base_url(base, &p, e);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int pins_check_locked(const struct pin *pins, size_t n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	for (size_t i = 0; i < n; i++)
		if (!pins[i].sha256)
			strbuf_addf(&missing, "%s%s %s", missing.n ? ", " : "", pins[i].name, pins[i].version);
	if (!missing.n)
		return 0;
	return err_class(
		e, CLASS_VERIFY,
		"the lock does not pin %s: run `pibuild lock`, which looks the digests up from upstream's own checksum files",
		missing.s);
}
