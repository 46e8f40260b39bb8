/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cilium's chart takes unknown, misplaced and removed keys in silence, and blog posts are full of them. One row per
 * value that does harm on K3s, or none at all; faults stand at the line of the user's values file.
 */
#include "config/check.h"
#include "config/compat.h"

typedef void (*value_check)(const struct check *x, const struct yaml_node *n, const char *path);

#define FAULT(fmt, ...) fault_at(x->faults, n, "%s: " fmt, path, ##__VA_ARGS__)
#define NOTE(fmt, ...)	note_at(x->faults, n, "%s: " fmt, path, ##__VA_ARGS__)

/* ---- the way to the API ---- */

static void service_host(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "auto"))
		FAULT("auto reads a ConfigMap that only kubeadm makes; on K3s the agents would dial a host called 'auto', or the install stops. Remove it: pibuild sets 127.0.0.1");
	else if (!yaml_is(n, "127.0.0.1"))
		NOTE("every node would depend on this one address; K3s has the API on 127.0.0.1:6444 of every node");
}

static void service_port(const struct check *x, const struct yaml_node *n, const char *path)
{
	const struct yaml_node *host = yaml_get(x->config->cilium.values, "k8sServiceHost");

	if (yaml_is(n, "6444") || (host && !yaml_is(host, "127.0.0.1")))
		return;
	FAULT("on 127.0.0.1 K3s has the API at port 6444 on every node; 6443 exists on servers only. Remove it");
}

static void kube_proxy(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (!yaml_is(n, "true"))
		FAULT("must be true: K3s runs without kube-proxy here, so nothing else would serve ClusterIPs. Remove it");
}

/* ---- keys that do nothing ---- */

static void gone(const struct check *x, const struct yaml_node *n, const char *path)
{
	FAULT("this key is no longer in Cilium's chart and does nothing, without a word; remove it");
}

static void refused(const struct check *x, const struct yaml_node *n, const char *path)
{
	FAULT("Cilium's chart refuses this removed option; remove it");
}

static void in_cluster_yaml(const struct check *x, const struct yaml_node *n, const char *path)
{
	FAULT("set %s in cluster.yaml instead: more than this value depends on it (CRDs, GatewayClass, the Envoy of every board)",
	      starts_with(path, "gatewayAPI") ? "cilium.gatewayAPI" : "cilium.ingress");
}

static void cluster_name(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (x->config->cluster.name && !yaml_is(n, x->config->cluster.name))
		FAULT("this is cluster.name of cluster.yaml (%s); remove it here", x->config->cluster.name);
}

/* "operator:" with nothing below is what is left of a paste that lost its indentation. */
static void section(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (n->type != YAML_MAP)
		FAULT("must hold keys below it; with the indentation lost, Cilium's chart dies with 'nil pointer evaluating interface'");
}

/* ---- addresses ---- */

static void ipam_mode(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (!yaml_is(n, "cluster-pool") && !yaml_is(n, "kubernetes"))
		FAULT("on K3s it is cluster-pool (as pibuild sets it) or kubernetes");
}

static void pod_cidrs(const struct check *x, const struct yaml_node *n, const char *path)
{
	const char *want = cidr_text(x->config->cluster.pod_cidr);

	if (n->type == YAML_SEQ && n->count == 1 && yaml_is(n->items[0], want))
		return;
	FAULT("pods must come from cluster.podCIDR (%s), which K3s knows too; set that in cluster.yaml and remove this",
	      want);
}

/* Each node takes a network of this size of the pool. */
static void pod_mask(const struct check *x, const struct yaml_node *n, const char *path)
{
	struct cidr pods = x->config->cluster.pod_cidr;
	unsigned size;

	if (n->type != YAML_SCALAR || value_unsigned(yaml_word(n), &size) < 0)
		return; /* the chart's schema tells */
	if (size < pods.prefix || size > 27)
		FAULT("a node takes a network of this size for its pods: /%u is %s; remove it, pibuild sets 24", size,
		      size > 27 ? "room for a dozen pods at most" : "more than all of cluster.podCIDR");
	else if (size - pods.prefix < 31 && x->config->nodes.n > 1u << (size - pods.prefix))
		FAULT("cluster.podCIDR %s holds %u networks of this size, and there are %zu nodes: the rest would get no pods; remove it, pibuild sets 24",
		      cidr_text(pods), 1u << (size - pods.prefix), x->config->nodes.n);
}

/* Agents of another minor version do not know what the chart tells them. */
static void image_tag(const struct check *x, const struct yaml_node *n, const char *path)
{
	const char *cilium = x->versions->cilium, *minor = cilium ? strchr(cilium, '.') : NULL, *same;

	if (!minor || n->type != YAML_SCALAR || n->text[0] != 'v' || n->text[1] < '0' || n->text[1] > '9')
		return;
	same = arena_strndup(cilium, (size_t)(minor + 1 - cilium) + strcspn(minor + 1, "."));
	if (!starts_with(n->text + 1, arena_printf("%s.", same)))
		FAULT("the chart is that of Cilium %s: beside its digests this tag does nothing, and without them agents would read what another version is told; remove it, and set versions.cilium",
		      cilium);
}

static void devices(const struct check *x, const struct yaml_node *n, const char *path)
{
	NOTE("Cilium finds the interfaces itself; a fixed list breaks nodes whose interface has another name (end0, wlan0, USB)");
}

static void vlan_bypass(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (n->type == YAML_SEQ && n->count > 5)
		FAULT("the agent refuses more than 5 VLAN ids; [0] lets all pass");
	else if (!x->config->network.vlan)
		NOTE("only tagged sub-interfaces of a node need this, not VLANs of the switch");
}

static void tunnel_protocol(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "geneve") && !streq(x->config->os.base, "debian"))
		FAULT("the kernels of Raspberry Pi OS have no geneve, so pods of different nodes would not reach each other; use vxlan");
}

/* ---- operator ---- */

static void replicas(const struct check *x, const struct yaml_node *n, const char *path)
{
	unsigned servers = config_count_role(x->config, ROLE_CONTROL_PLANE), v;

	if (yaml_value(n).kind != YAML_INT || value_unsigned(yaml_word(n), &v) < 0 || !v)
		FAULT("must be a number of 1 or more, without quotes: the chart's schema refuses text");
	else if (v > servers && servers)
		FAULT("%u replicas need %u control-plane nodes and there %s %u: the rest would stay Pending, and every wait for it fails",
		      v, v, servers == 1 ? "is" : "are", servers);
}

static void master_label(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (!x->versions->k3s || compat_k3s_master_label(x->versions->k3s))
		return;
	FAULT("K3s has not set the label node-role.kubernetes.io/master since 1.34, so this matches no node and the pods stay Pending; use node-role.kubernetes.io/control-plane: \"true\"");
}

/* Every place in the values where the label is selected on. */
static void find_master_label(const struct check *x, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; i < n->count; i++) {
		const char *at = n->type == YAML_MAP ? arena_printf("%s%s%s", path, *path ? "." : "", n->keys[i]->text)
						     : arena_printf("%s[%zu]", path, i);

		if (n->type == YAML_MAP && streq(n->keys[i]->text, "node-role.kubernetes.io/master"))
			master_label(x, n->keys[i], path);
		find_master_label(x, n->items[i], at);
	}
}

/* ---- L2 announcements ---- */

static void l2_enabled(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "false") && config_uses_arp(x->config))
		FAULT("cluster.yaml has address pools, and without announcements nobody on the LAN would find them; remove it");
}

static uint64_t lease(const struct check *x, const char *key, uint64_t fallback)
{
	const struct yaml_node *n = yaml_find(x->config->cilium.values, key);
	uint64_t ms = fallback;

	if (n && (n->type != YAML_SCALAR || value_duration(n->text, &ms) < 0))
		fault_at(x->faults, n, "%s: give a duration such as 15s", key);
	return ms;
}

static void l2_timing(const struct check *x, const struct yaml_node *n, const char *path)
{
	size_t before = x->faults->errors;
	uint64_t duration = lease(x, "l2announcements.leaseDuration", 15000);
	uint64_t deadline = lease(x, "l2announcements.leaseRenewDeadline", 5000);
	uint64_t retry = lease(x, "l2announcements.leaseRetryPeriod", 2000);

	if (x->faults->errors != before)
		return;
	if (duration < 1000)
		FAULT("leaseDuration must be at least 1s");
	else if (duration <= deadline)
		FAULT("leaseDuration (%.1fs) must be longer than leaseRenewDeadline (%.1fs), or addresses jump between nodes for ever",
		      (double)duration / 1000, (double)deadline / 1000);
	else if (deadline * 10 < retry * 12)
		FAULT("leaseRenewDeadline (%.1fs) must be at least 1.2 times leaseRetryPeriod (%.1fs), or the agent does not start announcing",
		      (double)deadline / 1000, (double)retry / 1000);
}

/* ---- ingress, Gateway API ---- */

static void ingress_mode(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "dedicated"))
		NOTE("each Ingress takes an address of its own from the pool, besides the one of the shared service; shared takes one");
	else if (!yaml_is(n, "shared"))
		FAULT("must be shared or dedicated");
}

static void traffic_policy(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "Local"))
		FAULT("with L2 announcements the address of a Local service can be announced by a node that drops its traffic, or by none; keep Cluster");
	else if (!yaml_is(n, "Cluster"))
		FAULT("must be Cluster");
}

/* ---- Hubble ---- */

static void hubble_off(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "false") && (x->config->cilium.hubble_relay || x->config->cilium.hubble_ui))
		FAULT("Cilium's chart refuses the relay without Hubble; set hubble: {relay: false, ui: false} in cluster.yaml");
}

static void hubble_part(const struct check *x, const struct yaml_node *n, const char *path)
{
	FAULT("set cilium.hubble.%s in cluster.yaml instead", strstr(path, ".ui.") ? "ui" : "relay");
}

static void hubble_tls(const struct check *x, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "certmanager"))
		FAULT("cert-manager runs only once the network does, which waits for these certificates; use cronJob");
}

static const struct {
	const char *path;
	value_check run;
} rules[] = {
	{ "k8sServiceHost", service_host },
	{ "k8sServicePort", service_port },
	{ "kubeProxyReplacement", kube_proxy },
	{ "externalIPs", gone },
	{ "nodePort.enabled", gone },
	{ "tunnel", refused },
	{ "containerRuntime.integration", refused },
	{ "enableCiliumEndpointSlice", refused },
	{ "encryption.keyFile", refused },
	{ "operator", section },
	{ "l2announcements", section },
	{ "hubble", section },
	{ "ipam", section },
	{ "ingressController", section },
	{ "gatewayAPI", section },
	{ "k8sClientRateLimit", section },
	{ "bpf", section },
	{ "cluster.name", cluster_name },
	{ "ipam.mode", ipam_mode },
	{ "ipam.operator.clusterPoolIPv4PodCIDRList", pod_cidrs },
	{ "ipam.operator.clusterPoolIPv4MaskSize", pod_mask },
	{ "image.tag", image_tag },
	{ "operator.image.tag", image_tag },
	{ "devices", devices },
	{ "bpf.vlanBypass", vlan_bypass },
	{ "tunnelProtocol", tunnel_protocol },
	{ "operator.replicas", replicas },
	{ "l2announcements.enabled", l2_enabled },
	{ "l2announcements", l2_timing },
	{ "ingressController.enabled", in_cluster_yaml },
	{ "gatewayAPI.enabled", in_cluster_yaml },
	{ "ingressController.loadbalancerMode", ingress_mode },
	{ "ingressController.service.externalTrafficPolicy", traffic_policy },
	{ "gatewayAPI.externalTrafficPolicy", traffic_policy },
	{ "hubble.enabled", hubble_off },
	{ "hubble.relay.enabled", hubble_part },
	{ "hubble.ui.enabled", hubble_part },
	{ "hubble.tls.auto.method", hubble_tls },
};

void check_values_file(const struct check *x)
{
	const struct yaml_node *values = x->config->cilium.values;

	if (!values)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct yaml_node *n = yaml_find(values, rules[i].path);

		if (n)
			rules[i].run(x, n, rules[i].path);
	}
	find_master_label(x, values, "");
}
