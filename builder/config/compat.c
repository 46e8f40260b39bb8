/* SPDX-License-Identifier: Apache-2.0 */
#include "config/compat.h"

#include "config/values.h"

static const struct cilium_compat cilium[] = {
	{ 17, 2, 0, "v1.2.1", "cilium.io/v2alpha1" },
	{ 18, 3, 0, "v1.3.0", "cilium.io/v2" },
	{ 19, 4, 1, "v1.4.1", "cilium.io/v2" },
	{ 20, 6, 1, "v1.6.1", "cilium.io/v2" },
};

const struct cilium_compat *compat_cilium(const char *version)
{
	struct semver v;

	if (value_semver(version, &v) < 0 || v.major != 1)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(cilium); i++)
		if (cilium[i].minor == v.minor)
			return &cilium[i];
	return NULL;
}

bool compat_gateway_fits(const struct cilium_compat *c, const char *gateway_api)
{
	struct semver v;

	return value_semver(gateway_api, &v) == 0 && v.major == 1 && v.minor == c->gateway_minor &&
	       v.patch >= c->gateway_patch;
}

/* VERSION is 1.MINOR or later. */
static bool at_least(const char *version, unsigned minor)
{
	struct semver v;

	return value_semver(version, &v) == 0 && (v.major > 1 || (v.major == 1 && v.minor >= minor));
}

bool compat_k3s_master_label(const char *k3s)
{
	return !at_least(k3s, 34);
}

bool compat_k3s_gateway_crds(const char *k3s)
{
	return at_least(k3s, 37);
}

bool compat_k3s_tested(const char *k3s)
{
	return at_least(k3s, 33) && !at_least(k3s, 37);
}

bool compat_cert_manager_crds(const char *version)
{
	return at_least(version, 15);
}

bool compat_cert_manager_profile(const char *version)
{
	return at_least(version, 18);
}

bool compat_cert_manager_gateway_api(const char *version)
{
	return at_least(version, 21);
}
