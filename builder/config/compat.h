/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions fit together and what changed where: the only place that knows. Sources: go.mod of the Cilium
 * releases (Gateway API), chart annotations (CRD versions), K3s PR 12395 (master label) and 14557 (Gateway CRDs),
 * cert-manager's chart; of what is tested with which Kubernetes, Cilium's page network/kubernetes/compatibility and
 * cert-manager's page of supported releases.
 */
#ifndef CONFIG_COMPAT_H
#define CONFIG_COMPAT_H

#include "config/config.h"

/* Minor versions of Kubernetes 1.x that a release is tested with; 0 = nobody has said. */
struct kubernetes_range {
	unsigned first, last;
};

struct cilium_compat {
	unsigned minor;		 /* of 1.x */
	unsigned gateway_minor;	 /* Gateway API 1.x it was built against; a newer minor crashes or disables it */
	unsigned gateway_patch;	 /* at least */
	const char *gateway_api; /* the version to name in a cure */
	const char *pool_api;	 /* apiVersion of CiliumLoadBalancerIPPool */
	struct kubernetes_range tested;
};
/* NULL for a minor version that is not supported. VERSION is "1.20.0". */
const struct cilium_compat *compat_cilium(const char *version);
#define COMPAT_CILIUM_RANGE "1.17 to 1.20"

/* It answers for IPv6 addresses of services on the LAN too (cilium pull 39648). */
bool compat_cilium_announces_ipv6(const char *version);
/* Its kubelet reads drop-ins of agent/etc/kubelet.conf.d (k3s-io/k3s pkg/daemons/agent/agent.go). */
bool compat_k3s_kubelet_dropins(const char *k3s);
/* Its nodes can give each other images (embedded-registry, out of its trial since December 2024: docs.k3s.io
 * installation/registry-mirror). */
bool compat_k3s_shares_images(const char *k3s);
/* Nodes carry node-role.kubernetes.io/master. */
bool compat_k3s_master_label(const char *k3s);
/*
 * K3s brings the Gateway API CRDs itself, as AddOn gateway-api-crd, and takes over those it finds. The Job that does it
 * needs the network, which needs them: they are on the card all the same.
 */
bool compat_k3s_gateway_crds(const char *k3s);
/* ACME issuers know `profile`. */
bool compat_cert_manager_profile(const char *version);
/* The chart takes config.gatewayAPI.enabled; before it was config.enableGatewayAPI. */
bool compat_cert_manager_gateway_api(const char *version);

/* What keeps a set of versions from being used. */
struct misfit {
	const char *key, *other; /* of `versions`; OTHER is NULL for a version that pibuild cannot use with anything */
	bool untested;		 /* it may work, but upstream does not test it */
	const char *why;
};
struct misfits {
	VEC(struct misfit) list;
};
/* Versions that are NULL are not judged. GATEWAY_API, CERT_MANAGER: the cluster uses it. */
struct misfits compat_misfits(const struct cluster_versions *v, bool gateway_api, bool cert_manager);

#endif
