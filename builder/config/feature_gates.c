/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of Kubernetes ends at a gate that it does not have (any more), and at one that is locked to the other
 * value (k8s.io/component-base featuregate/feature_gate.go, SetFromMap()). Which has which is in
 * configs/names/feature-gates.txt; what was gone long before those versions stands here, as guides of that time are
 * what people copy from (kubernetes/website, "Feature Gates (removed)").
 */
#include "config/feature_gates.h"

#include "config/names.h"
#include "config/values.h"

static const char *const long_gone[] = {
	"BoundServiceAccountTokenVolume",
	"CSIBlockVolume",
	"CSIDriverRegistry",
	"CSIInlineVolume",
	"CSIMigration",
	"CSINodeInfo",
	"CSIStorageCapacity",
	"ConfigurableFSGroupPolicy",
	"CronJobControllerV2",
	"CronJobTimeZone",
	"DaemonSetUpdateSurge",
	"DefaultPodTopologySpread",
	"DevicePlugins",
	"DisableAcceleratorUsageMetrics",
	"DryRun",
	"DynamicKubeletConfig",
	"EndpointSlice",
	"EndpointSliceProxying",
	"EphemeralContainers",
	"ExpandCSIVolumes",
	"ExpandInUsePersistentVolumes",
	"ExpandPersistentVolumes",
	"GRPCContainerProbe",
	"GenericEphemeralVolume",
	"HugePageStorageMediumSize",
	"HugePages",
	"IPv6DualStack",
	"IdentifyPodOS",
	"ImmutableEphemeralVolumes",
	"IndexedJob",
	"JobTrackingWithFinalizers",
	"LegacyServiceAccountTokenNoAutoGeneration",
	"LocalStorageCapacityIsolation",
	"MixedProtocolLBService",
	"NetworkPolicyEndPort",
	"NonPreemptingPriority",
	"PodDisruptionBudget",
	"PodOverhead",
	"PodPriority",
	"PodSecurity",
	"PreferNominatedNode",
	"ProbeTerminationGracePeriod",
	"RemoveSelfLink",
	"RotateKubeletClientCertificate",
	"RunAsGroup",
	"RuntimeClass",
	"SCTPSupport",
	"SeccompDefault",
	"ServiceInternalTrafficPolicy",
	"ServiceLBNodePortControl",
	"ServiceLoadBalancerClass",
	"ServiceTopology",
	"StartupProbe",
	"StatefulSetMinReadySeconds",
	"SupportNodePidsLimit",
	"SupportPodPidsLimit",
	"SuspendJob",
	"Sysctls",
	"TTLAfterFinished",
	"TokenRequest",
	"TokenRequestProjection",
	"TopologyManager",
	"VolumeSnapshotDataSource",
	"WindowsHostProcessContainers",
};

static const char not_started[] = "K3s does not start with it";

/* A row of the list: minor versions of 1.x, 0 = not known; VALUE is what it is locked to. */
struct gate_row {
	unsigned since, locked, gone;
	char value[8];
};

static struct gate_row gate_row(const char *words)
{
	char since[8] = "", locked[8] = "", gone[8] = "";
	struct gate_row row = { 0 };

	if (sscanf(words, "%7s %7s %7s %7s", since, locked, gone, row.value) == 4) {
		row.since = (unsigned)atoi(since);
		row.locked = (unsigned)atoi(locked);
		row.gone = (unsigned)atoi(gone);
	}
	return row;
}

static const char *row_fault(const struct gate_row *row, unsigned minor, const char *gate, const char *value)
{
	if (row->gone && minor >= row->gone)
		return arena_printf("Kubernetes has no feature gate %s any more since 1.%u, and %s; remove it%s", gate,
				    row->gone, not_started,
				    streq(row->value, "true") ? ": what it switched on is always on" : "");
	if (row->since && minor < row->since)
		return arena_printf("Kubernetes has the feature gate %s since 1.%u, and 1.%u of this K3s %s", gate,
				    row->since, minor, "does not start with it; remove it, or set versions.k3s");
	if (row->locked && minor >= row->locked && !streq(row->value, value))
		return arena_printf("the feature gate %s is locked to %s since Kubernetes 1.%u, and %s; remove it",
				    gate, row->value, row->locked, not_started);
	return NULL;
}

static const char *nearest_gate(const char *gate)
{
	const struct name *all = NULL;
	struct err e = { 0 };
	const char **words;
	size_t n = 0;

	if (names_all(NAMES_FEATURE_GATES, &all, &n, &e) < 0)
		return NULL;
	words = arena_alloc((n + 1) * sizeof(*words));
	for (size_t i = 0; i < n; i++)
		words[i] = all[i].name;
	return nearest_word(gate, words, n);
}

const char *feature_gate_fault(const char *k3s, const char *gate, const char *value, struct faults *f,
			       const char **ret_note)
{
	const struct name *found = NULL;
	struct err e = { 0 };
	struct gate_row row;
	struct semver v;

	*ret_note = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(long_gone); i++)
		if (streq(long_gone[i], gate))
			return arena_printf("Kubernetes has no feature gate %s any more, and %s; remove it", gate,
					    not_started);
	if (names_find(NAMES_FEATURE_GATES, gate, &found, &e) < 0)
		return faults_reason(f, &e);
	if (!found) {
		const char *near = nearest_gate(gate);

		if (near && strcasecmp(near, gate) == 0)
			return arena_printf("capitals count in a feature gate's name, and %s; write %s", not_started,
					    near);
		*ret_note = arena_printf(
			"pibuild does not know the feature gate %s, and K3s does not start with one that its Kubernetes has not%s",
			gate, did_you_mean("; ", near));
		return NULL;
	}
	row = gate_row(str_or(found->instead, ""));
	if (!k3s || value_semver(k3s, &v) < 0 || v.major != 1)
		return NULL;
	return row_fault(&row, v.minor, gate, value);
}
