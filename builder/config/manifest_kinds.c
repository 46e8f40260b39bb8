/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kinds there are in which API, so that kubectl's "no matches for kind" is said before a card is written.
 * Sources: `kubectl api-resources` of Kubernetes 1.35 and 1.36, apis/ of kubernetes-sigs/gateway-api v1.6.1, the
 * definitions of K3s's helm-controller, cert-manager 1.21 and Cilium 1.18 to 1.20.
 */
#include "config/manifest.h"

#include "base/util.h"

static const struct api_kinds {
	const char *api, *kinds;
	bool open; /* others may bring more: only what is nearly one of these is a slip */
} apis[] = {
	{ "v1",
	  "Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount",
	  false },
	{ "apps/v1", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet", false },
	{ "batch/v1", "CronJob Job", false },
	{ "autoscaling/v1", "HorizontalPodAutoscaler Scale", false },
	{ "autoscaling/v2", "HorizontalPodAutoscaler", false },
	{ "policy/v1", "Eviction PodDisruptionBudget", false },
	{ "networking.k8s.io/v1", "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR", false },
	{ "rbac.authorization.k8s.io/v1", "ClusterRole ClusterRoleBinding Role RoleBinding", false },
	{ "storage.k8s.io/v1",
	  "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass", false },
	{ "scheduling.k8s.io/v1", "PriorityClass", false },
	{ "coordination.k8s.io/v1", "Lease", false },
	{ "apiextensions.k8s.io/v1", "CustomResourceDefinition", false },
	{ "apiregistration.k8s.io/v1", "APIService", false },
	{ "admissionregistration.k8s.io/v1",
	  "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
	  false },
	{ "discovery.k8s.io/v1", "EndpointSlice", false },
	{ "node.k8s.io/v1", "RuntimeClass", false },
	{ "certificates.k8s.io/v1", "CertificateSigningRequest", false },
	{ "helm.cattle.io/v1", "HelmChart HelmChartConfig", false },
	{ "cert-manager.io/v1", "Certificate CertificateRequest ClusterIssuer Issuer", false },
	{ "cilium.io/v2",
	  "CiliumBGPAdvertisement CiliumBGPClusterConfig CiliumBGPNodeConfig CiliumBGPNodeConfigOverride CiliumBGPPeerConfig CiliumCIDRGroup CiliumClusterwideEnvoyConfig CiliumClusterwideNetworkPolicy CiliumEgressGatewayPolicy CiliumEndpoint CiliumEnvoyConfig CiliumIdentity CiliumLoadBalancerIPPool CiliumLocalRedirectPolicy CiliumNetworkPolicy CiliumNode CiliumNodeConfig",
	  true },
	{ "cilium.io/v2alpha1",
	  "CiliumEndpointSlice CiliumGatewayClassConfig CiliumL2AnnouncementPolicy CiliumPodIPPool", true },
	{ "gateway.networking.k8s.io/v1",
	  "BackendTLSPolicy GRPCRoute Gateway GatewayClass HTTPRoute ListenerSet ReferenceGrant TLSRoute", true },
};

/* Versions that guides still have and those programs no more (cert-manager.io, "Upgrading from v1.7 to v1.8"). */
static const struct {
	const char *was, *is;
} moved_apis[] = {
	{ "certmanager.k8s.io/v1alpha1", "cert-manager.io/v1" },
	{ "cert-manager.io/v1alpha2", "cert-manager.io/v1" },
	{ "cert-manager.io/v1alpha3", "cert-manager.io/v1" },
	{ "cert-manager.io/v1beta1", "cert-manager.io/v1" },
	{ "gateway.networking.k8s.io/v1alpha1", "gateway.networking.k8s.io/v1" },
};

static bool has_kind(const struct api_kinds *a, const char *kind)
{
	char *save = NULL, *all = arena_strdup(a->kinds);

	for (char *one = strtok_r(all, " ", &save); one; one = strtok_r(NULL, " ", &save))
		if (streq(one, kind))
			return true;
	return false;
}

/* The first API that has KIND. */
static const char *api_of(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(apis); i++)
		if (has_kind(&apis[i], kind))
			return apis[i].api;
	return NULL;
}

static const char *nearest_kind(const struct api_kinds *a, const char *kind)
{
	char *save = NULL, *all = arena_strdup(a->kinds);
	const char *names[24];
	size_t n = 0;

	for (char *one = strtok_r(all, " ", &save); one && n < ARRAY_SIZE(names); one = strtok_r(NULL, " ", &save))
		names[n++] = one;
	return nearest_word(kind, names, n);
}

static const char *not_there(const char *api, const char *kind, const char *instead)
{
	return arena_printf("has a %s of %s, and the cluster knows no such kind there%s", kind, api, instead);
}

const char *manifest_kind_fault(const char *api, const char *kind)
{
	const char *right = api_of(kind), *near;

	for (size_t i = 0; i < ARRAY_SIZE(moved_apis); i++)
		if (streq(moved_apis[i].was, api))
			return not_there(api, kind, arena_printf("; write apiVersion: %s", moved_apis[i].is));
	for (size_t i = 0; i < ARRAY_SIZE(apis); i++) {
		if (!streq(apis[i].api, api))
			continue;
		if (has_kind(&apis[i], kind) || (ends_with(kind, "List") && !apis[i].open))
			return NULL;
		near = right ? NULL : nearest_kind(&apis[i], kind);
		/* What of Cilium's is v2 was v2alpha1, and some of it is served as both; not the other way. */
		if (apis[i].open && !near && !(right && streq(api, "cilium.io/v2")))
			return NULL;
		return not_there(api, kind,
				 right ? arena_printf("; write apiVersion: %s", right) : did_you_mean("; ", near));
	}
	/* Groups without a dot are Kubernetes's own, and those there are stand above. */
	if (!strchr(api, '.'))
		return not_there(api, kind, right ? arena_printf("; write apiVersion: %s", right) : "");
	return NULL;
}
