/* SPDX-License-Identifier: Apache-2.0 */
#include "config/compat.h"

#include "config/values.h"

static const struct cilium_compat cilium[] = {
	{ 17, 2, 0, "v1.2.1", "cilium.io/v2alpha1", { 0, 0 } },
	{ 18, 3, 0, "v1.3.0", "cilium.io/v2", { 30, 33 } },
	{ 19, 4, 1, "v1.4.1", "cilium.io/v2", { 0, 0 } },
	{ 20, 6, 1, "v1.6.1", "cilium.io/v2", { 33, 36 } },
};
/* By minor version of cert-manager 1.x. */
static const struct {
	unsigned minor;
	struct kubernetes_range tested;
} cert_manager[] = {
	{ 18, { 29, 33 } },
	{ 19, { 31, 35 } },
	{ 20, { 32, 35 } },
	{ 21, { 33, 36 } },
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

static bool gateway_fits(const struct cilium_compat *c, const char *gateway_api)
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

bool compat_cilium_announces_ipv6(const char *version)
{
	return at_least(version, 19);
}

bool compat_k3s_kubelet_dropins(const char *k3s)
{
	return at_least(k3s, 32);
}

bool compat_k3s_shares_images(const char *k3s)
{
	static const struct semver since[] = { { 1, 29, 12 }, { 1, 30, 8 }, { 1, 31, 4 } };
	struct semver v;

	if (value_semver(k3s, &v) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(since); i++)
		if (v.major == 1 && v.minor == since[i].minor)
			return v.patch >= since[i].patch;
	return at_least(k3s, 32);
}

bool compat_k3s_master_label(const char *k3s)
{
	return !at_least(k3s, 34);
}

bool compat_k3s_gateway_crds(const char *k3s)
{
	return at_least(k3s, 37);
}

/* The chart knows crds.enabled; before it was installCRDs. */
static bool compat_cert_manager_crds(const char *version)
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

/* ---- pairs ---- */

static void add_misfit(struct misfits *ret, struct misfit x)
{
	*vec_push(&ret->list) = x;
}

static void judge_gateway_api(const struct cluster_versions *v, const struct cilium_compat *k, struct misfits *ret)
{
	if (v->gateway_api && !gateway_fits(k, v->gateway_api))
		add_misfit(
			ret,
			(struct misfit){
				.key = "gatewayAPI",
				.other = "cilium",
				.why = arena_printf(
					"Cilium %s does not work with the Gateway API CRDs %s: its operator crashes or leaves the Gateway API off without a word; set versions.gatewayAPI: %s",
					v->cilium, v->gateway_api, k->gateway_api),
			});
	if (v->k3s && compat_k3s_gateway_crds(v->k3s) && k->gateway_minor < 6)
		add_misfit(
			ret,
			(struct misfit){
				.key = "k3s",
				.other = "cilium",
				.why = arena_printf(
					"K3s %s brings Gateway API CRDs of its own (v1.6), with which the operator of Cilium %s crashes; use Cilium 1.20 or set cilium.gatewayAPI: false",
					v->k3s, v->cilium),
			});
}

static void judge_kubernetes(const char *k3s, const char *key, const char *what, struct kubernetes_range tested,
			     struct misfits *ret)
{
	if (!tested.last || (at_least(k3s, tested.first) && !at_least(k3s, tested.last + 1)))
		return;
	add_misfit(ret, (struct misfit){
				.key = "k3s",
				.other = key,
				.untested = true,
				.why = arena_printf("%s is tested with Kubernetes 1.%u to 1.%u, not with K3s %s", what,
						    tested.first, tested.last, k3s),
			});
}

static void judge_cilium(const struct cluster_versions *v, bool gateway_api, struct misfits *ret)
{
	const struct cilium_compat *k = compat_cilium(v->cilium);

	if (!k) {
		add_misfit(ret, (struct misfit){
					.key = "cilium",
					.why = arena_printf(
						"pibuild knows the values and CRDs of Cilium " COMPAT_CILIUM_RANGE
						", not of %s",
						v->cilium),
				});
		return;
	}
	if (gateway_api)
		judge_gateway_api(v, k, ret);
	if (v->k3s)
		judge_kubernetes(v->k3s, "cilium", arena_printf("Cilium %s", v->cilium), k->tested, ret);
}

static void judge_cert_manager(const struct cluster_versions *v, struct misfits *ret)
{
	struct semver version;

	if (!compat_cert_manager_crds(v->cert_manager))
		add_misfit(
			ret,
			(struct misfit){
				.key = "certManager",
				.why = arena_printf(
					"the chart of %s does not know the values pibuild writes; use v1.15 or later",
					v->cert_manager),
			});
	if (!v->k3s || value_semver(v->cert_manager, &version) < 0 || version.major != 1)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(cert_manager); i++)
		if (cert_manager[i].minor == version.minor)
			judge_kubernetes(v->k3s, "certManager", arena_printf("cert-manager %s", v->cert_manager),
					 cert_manager[i].tested, ret);
}

struct misfits compat_misfits(const struct cluster_versions *v, bool gateway_api, bool cert_manager_on)
{
	struct misfits ret = { 0 };

	if (v->cilium)
		judge_cilium(v, gateway_api, &ret);
	if (v->cert_manager && cert_manager_on)
		judge_cert_manager(v, &ret);
	return ret;
}
