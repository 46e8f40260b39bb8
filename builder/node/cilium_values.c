/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of Cilium's Helm chart: what every cluster gets, what topology and boards decide, what the user puts over it.
 * Source: values.yaml and templates of the charts 1.18 to 1.20.
 */
#include "node/cluster.h"

#define API_HOST "127.0.0.1"

struct setting {
	const char *path, *value;
	bool text; /* a string, else true, false or a number */
};
/* The versions of clang-format disagree on these braces. */
/* clang-format off */
#define TEXT(path, value) { path, value, true }
#define VALUE(path, value) { path, value, false }
/* clang-format on */

/* devices stays out: Cilium finds the interfaces, and names differ between nodes. */
static const struct setting always[] = {
	TEXT("k8sServiceHost", API_HOST),
	VALUE("k8sServicePort", "6444"),
	VALUE("kubeProxyReplacement", "true"),
	TEXT("kubeProxyReplacementHealthzBindAddr", "0.0.0.0:10256"),
	TEXT("ipam.mode", "cluster-pool"),
	VALUE("ipam.operator.clusterPoolIPv4MaskSize", "24"),
	TEXT("routingMode", "tunnel"),
	/* The kernels of Raspberry Pi OS have no geneve. */
	TEXT("tunnelProtocol", "vxlan"),
	VALUE("cni.exclusive", "true"),
	VALUE("operator.rollOutPods", "true"),
	VALUE("rollOutCiliumPods", "true"),
	VALUE("hubble.enabled", "true"),
	VALUE("hubble.tls.auto.enabled", "true"),
	/* Certificates made by helm are never renewed; cert-manager needs the network that waits for them. */
	TEXT("hubble.tls.auto.method", "cronJob"),
};

/* Renewing takes one request per service and deadline: 50 a second carry 250 services. */
static const struct setting announcing[] = {
	VALUE("l2announcements.enabled", "true"),
	TEXT("l2announcements.leaseDuration", "15s"),
	TEXT("l2announcements.leaseRenewDeadline", "5s"),
	TEXT("l2announcements.leaseRetryPeriod", "2s"),
	VALUE("k8sClientRateLimit.qps", "50"),
	VALUE("k8sClientRateLimit.burst", "200"),
};

/* Nodes find each other over IPv4 as without it (underlayProtocol). Both sides give each node a /64: K3s's controller
 * by its default (k3s-io/k3s pkg/daemons/control, node-cidr-mask-size-ipv6), Cilium by this. */
static const struct setting both_families[] = {
	VALUE("ipv6.enabled", "true"),
	VALUE("ipam.operator.clusterPoolIPv6MaskSize", "64"),
};

static const struct setting with_envoy[] = {
	VALUE("l7Proxy", "true"),
	VALUE("envoy.enabled", "true"),
	VALUE("envoy.rollOutPods", "true"),
};
/* Without the DaemonSet alone the agent would start an Envoy of its own, and die of it. */
static const struct setting without_envoy[] = {
	VALUE("l7Proxy", "false"),
	VALUE("envoy.enabled", "false"),
};

static const struct setting ingress_on[] = {
	VALUE("ingressController.enabled", "true"),
	VALUE("ingressController.default", "true"),
	/* One address for all of them: pools at home are small. */
	TEXT("ingressController.loadbalancerMode", "shared"),
};
static const struct setting ingress_off[] = {
	VALUE("ingressController.enabled", "false"),
	VALUE("ingressController.default", "false"),
};

static const struct setting gateway_on[] = {
	VALUE("gatewayAPI.enabled", "true"),
	/* Local is not announced by L2 (cilium issue 48799). */
	TEXT("gatewayAPI.externalTrafficPolicy", "Cluster"),
	/* auto would ask the API at install time, and make none where it cannot. */
	TEXT("gatewayAPI.gatewayClass.create", "true"),
};
static const struct setting gateway_off[] = {
	VALUE("gatewayAPI.enabled", "false"),
};

static const struct setting relay_on[] = {
	VALUE("hubble.relay.enabled", "true"),
	VALUE("hubble.relay.rollOutPods", "true"),
};
static const struct setting relay_off[] = {
	VALUE("hubble.relay.enabled", "false"),
};
static const struct setting ui_on[] = {
	VALUE("hubble.ui.enabled", "true"),
	VALUE("hubble.ui.rollOutPods", "true"),
};
/* nginx ends where it cannot listen on [::] (cilium/hubble-ui issue 278). */
static const struct setting ui_without_ipv6[] = {
	VALUE("hubble.ui.frontend.server.ipv6.enabled", "false"),
};
static const struct setting ui_off[] = {
	VALUE("hubble.ui.enabled", "false"),
};

/* Images from an archive are known by tag only: a reference with a digest would be pulled. */
static const struct setting by_tag[] = {
	VALUE("image.useDigest", "false"),
	VALUE("operator.image.useDigest", "false"),
	VALUE("envoy.image.useDigest", "false"),
	VALUE("hubble.relay.image.useDigest", "false"),
	VALUE("hubble.ui.backend.image.useDigest", "false"),
	VALUE("hubble.ui.frontend.image.useDigest", "false"),
	VALUE("certgen.image.useDigest", "false"),
};

#define SET(values, list) set_all(values, list, ARRAY_SIZE(list))
static void set_all(struct yaml_node *values, const struct setting *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct yaml_node *value = yaml_str(list[i].value);

		value->plain = !list[i].text;
		yaml_set_path(values, list[i].path, value);
	}
}
#define SET_IF(values, cond, yes, no)                                                                                  \
	do {                                                                                                           \
		if (cond)                                                                                              \
			SET(values, yes);                                                                              \
		else                                                                                                   \
			SET(values, no);                                                                               \
	} while (0)

static void set_operator(struct yaml_node *values, const struct config *c)
{
	struct yaml_node *selector, *all;

	/* Never more than servers: each must be on another, and the rest would stay Pending. */
	yaml_set_path(values, "operator.replicas", yaml_int(config_count_role(c, ROLE_CONTROL_PLANE) > 1 ? 2 : 1));
	selector = yaml_set_path(values, "operator.nodeSelector", yaml_map());
	yaml_set(selector, "kubernetes.io/os", yaml_str("linux"));
	yaml_set(selector, ROLE_LABEL, yaml_str("true"));
	/* It registers the CRDs that agents wait for: a taint that keeps it off stops the whole cluster. */
	all = yaml_map();
	yaml_set(all, "operator", yaml_str("Exists"));
	yaml_append(yaml_set_path(values, "operator.tolerations", yaml_seq()), all);
}

/* The UI may run on any node. */
static bool any_kernel_lacks_ipv6(const struct config *c)
{
	vec_foreach (n, &c->nodes) {
		const struct boot_config boot = config_node_boot(c, n);

		vec_foreach (word, &boot.cmdline)
			if (streq(*word, "ipv6.disable=1"))
				return true;
	}
	return false;
}

static struct yaml_node *generate(const struct node_ctx *x)
{
	const struct config *c = x->config;
	struct yaml_node *values = yaml_map();

	yaml_set_path(values, "cluster.name", yaml_str(c->cluster.name));
	SET(values, always);
	yaml_set_path(values, "ipam.operator.clusterPoolIPv4PodCIDRList",
		      cluster_strings(cidr_text(c->cluster.pod_cidr), NULL));
	if (c->network.ipv6.enabled) {
		SET(values, both_families);
		yaml_set_path(values, "ipam.operator.clusterPoolIPv6PodCIDRList",
			      cluster_strings(cidr6_text(&c->network.ipv6.pods), NULL));
	}
	set_operator(values, c);
	if (config_uses_arp(c))
		SET(values, announcing);
	if (c->lb.bgp.enabled)
		yaml_set_path(values, "bgpControlPlane.enabled", yaml_bool(true));
	SET_IF(values, cluster_runs_envoy(x), with_envoy, without_envoy);
	SET_IF(values, cilium_ingress_on(x), ingress_on, ingress_off);
	SET_IF(values, cilium_gateway_on(x), gateway_on, gateway_off);
	SET_IF(values, c->cilium.hubble_relay, relay_on, relay_off);
	SET_IF(values, c->cilium.hubble_ui, ui_on, ui_off);
	if (c->cilium.hubble_ui && any_kernel_lacks_ipv6(c))
		SET(values, ui_without_ipv6);
	if (c->airgap)
		SET(values, by_tag);
	return values;
}

struct yaml_node *cilium_values(const struct node_ctx *x, struct faults *faults)
{
	const struct yaml_node *user = x->config->cilium.values;
	struct yaml_node *values = generate(x);

	if (!user)
		return values;
	yaml_merge(values, user);
	if (faults)
		values_check(x, user, generate(x), values, faults);
	return values;
}
