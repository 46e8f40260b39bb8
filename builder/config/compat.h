/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions fit together and what changed where: the only place that knows. Sources: go.mod of the Cilium
 * releases (Gateway API), chart annotations (CRD versions), K3s PR 12395 (master label) and 14557 (Gateway CRDs),
 * cert-manager's chart.
 */
#ifndef CONFIG_COMPAT_H
#define CONFIG_COMPAT_H

#include "base/util.h"

struct cilium_compat {
	unsigned minor;		 /* of 1.x */
	unsigned gateway_minor;	 /* Gateway API 1.x it was built against; a newer minor crashes or disables it */
	unsigned gateway_patch;	 /* at least */
	const char *gateway_api; /* the version to name in a cure */
	const char *pool_api;	 /* apiVersion of CiliumLoadBalancerIPPool */
};
/* NULL for a minor version that is not supported. VERSION is "1.20.0". */
const struct cilium_compat *compat_cilium(const char *version);
#define COMPAT_CILIUM_RANGE "1.17 to 1.20"

bool compat_gateway_fits(const struct cilium_compat *c, const char *gateway_api);

/* Nodes carry node-role.kubernetes.io/master. */
bool compat_k3s_master_label(const char *k3s);
/* K3s brings the Gateway API CRDs itself, as AddOn gateway-api-crd. */
bool compat_k3s_gateway_crds(const char *k3s);
/* One of the Kubernetes versions that Cilium 1.20 and cert-manager 1.21 are tested with. */
bool compat_k3s_tested(const char *k3s);
#define COMPAT_K3S_RANGE "1.33 to 1.36"

/* The chart knows crds.enabled; before it was installCRDs. */
bool compat_cert_manager_crds(const char *version);
/* ACME issuers know `profile`. */
bool compat_cert_manager_profile(const char *version);
/* The chart takes config.gatewayAPI.enabled; before it was config.enableGatewayAPI. */
bool compat_cert_manager_gateway_api(const char *version);

#endif
