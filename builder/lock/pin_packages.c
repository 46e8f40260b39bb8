/* SPDX-License-Identifier: Apache-2.0 */
/* What the lock's section `packages` pins: .deb files for the card. */
#include "lock/pin.h"

const char *package_base(const struct pin *base)
{
	return arena_printf("%s %s", base->name, base->version);
}

/* The type deb has a namespace for each distributor (package-url/purl-spec types/deb-definition). */
static const char *package_purl(const struct locked_package *p)
{
	return strstr(p->url, "//deb.debian.org/") || strstr(p->url, "//snapshot.debian.org/")
		       ? arena_printf("pkg:deb/debian/%s@{version}?arch=arm64", p->name)
		       : NULL;
}

static struct pin package_as_artifact(const char *name, const char *version)
{
	struct artifact *a = arena_new(struct artifact);

	a->name = name;
	a->install.as = INSTALL_FILE;
	a->install.path = arena_printf(PACKAGES_DIR "/%s.deb", name);
	a->install.mode = 0644;
	return (struct pin){ .kind = PIN_ARTIFACT, .artifact = a, .name = name, .version = version };
}

static struct pin locked_package_pin(const struct locked_package *p)
{
	struct pin pin = package_as_artifact(p->name, p->version);
	struct artifact *a = unconst(pin.artifact);

	a->purl = package_purl(p);
	a->max_size = p->size;
	pin.url = p->url;
	pin.sha256 = p->sha256;
	pin.size = pin.max_size = p->size;
	return pin;
}

int package_pins(const struct release_set *set, const struct node_config *n, struct pins *ret, struct err *e)
{
	const struct text_list wanted = config_packages(set->config, n);
	const struct package_set *locked;
	const char *base;
	struct pin pin;
	int r;

	*ret = (struct pins){ 0 };
	if (!wanted.n || streq(set->config->os.base, DEBIAN_BASE))
		return 0;
	r = artifact_pin_base(set, &pin, e);
	if (r < 0)
		return r;
	base = package_base(&pin);
	locked = lock_package_set(set->lock, base, &wanted);
	for (size_t i = 0; !locked && i < wanted.n; i++)
		*vec_push(&ret->v) = package_as_artifact(wanted.v[i], arena_printf("for %s", base));
	for (size_t i = 0; locked && i < locked->list.n; i++)
		*vec_push(&ret->v) = locked_package_pin(&locked->list.v[i]);
	return 0;
}
