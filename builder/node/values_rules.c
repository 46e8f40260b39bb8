/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on single values of the user's values file for Cilium: what this cluster, its boards, or what pibuild itself
 * sets would not go with. A row each. */
#include "base/file.h"
#include "config/values.h"
#include "node/values_judge.h"

typedef void (*rule_fn)(struct judge *j, const struct yaml_node *n, const char *path);

/* ---- ports of a node, where Cilium's programs listen beside K3s's ---- */

static const struct {
	unsigned port;
	const char *whose;
} taken_ports[] = {
	{ 22, "sshd" },
	{ 2379, "etcd" },
	{ 2380, "etcd" },
	{ 4240, "Cilium's health check" },
	{ 4244, "Hubble" },
	{ K3S_API_PORT, "K3s" },
	{ K3S_LOCAL_PORT, "K3s" },
	{ 9234, "Cilium's operator" },
	{ 9879, "Cilium's agent" },
	{ 10010, "containerd" },
	{ 10248, "the kubelet" },
	{ 10250, "the kubelet" },
	{ 10256, "Cilium, in kube-proxy's place" },
	{ 10257, "the controller manager" },
	{ 10258, "K3s" },
	{ 10259, "the scheduler" },
};

/* Where a program of Cilium listens on the node; OWN is the default, by which it may be known above. */
static const struct {
	const char *path;
	unsigned own;
} listens[] = {
	{ "kubeProxyReplacementHealthzBindAddr", 10256 },
	{ "healthPort", 9879 },
	{ "clusterHealthPort", 4240 },
	{ "hubble.listenAddress", 4244 },
	{ "hubble.peerService.targetPort", 4244 },
	{ "hubble.metrics.port", 9965 },
	{ "prometheus.port", 9962 },
	{ "operator.prometheus.port", 9963 },
	{ "envoy.prometheus.port", 9964 },
	{ "envoy.healthPort", 9878 },
	{ "envoy.debug.admin.port", 9901 },
	{ "authentication.mutual.port", 4250 },
	{ "ingressController.hostNetwork.sharedListenerPort", 8080 },
};

static void check_port(struct judge *j, const struct yaml_node *n, const char *path, unsigned own)
{
	const char *word = n->type == YAML_SCALAR ? yaml_word(n) : "", *colon = strrchr(word, ':');
	unsigned port;

	if (value_unsigned(colon ? colon + 1 : word, &port) < 0 || port == own)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(taken_ports); i++)
		if (taken_ports[i].port == port)
			fault_at(
				j->faults, n,
				"%s: port %u of a node belongs to %s, so one of the two would not start; remove it: %u is free",
				path, port, taken_ports[i].whose, own);
	if (port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST)
		fault_at(j->faults, n,
			 "%s: port %u of a node is one that Kubernetes gives to a Service; remove it: %u is free", path,
			 port, own);
}

/* ---- which nodes ---- */

/* What the kubelet and K3s say of a node themselves, "KEY=VALUE", from its registration on. */
static bool has_own_label(const struct config *c, const struct node_config *n, const char *key, const char *value)
{
	const char *arch = arch_names[n->arch == ARCH_UNKNOWN ? ARCH_ARM64 : n->arch];
	bool server = n->role == ROLE_CONTROL_PLANE;
	const struct {
		const char *key, *value;
	} own[] = {
		{ "kubernetes.io/hostname", n->name },
		{ "kubernetes.io/os", "linux" },
		{ "kubernetes.io/arch", arch },
		{ "beta.kubernetes.io/os", "linux" },
		{ "beta.kubernetes.io/arch", arch },
		{ "node.kubernetes.io/instance-type", "k3s" },
		{ "node-role.kubernetes.io/control-plane", server ? "true" : "" },
		{ "node-role.kubernetes.io/etcd", server && config_uses_etcd(c) ? "true" : "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (streq(own[i].key, key) && streq(own[i].value, value))
			return true;
	return false;
}

/* The first key of SELECTOR that node I of the cluster has not at its registration, or NULL. Those that must be text
 * and are none have a fault of their own. */
static const struct yaml_node *unmatched(const struct judge *j, size_t i, const struct yaml_node *selector)
{
	const struct config *c = j->x->config;
	const struct text_list labels = cluster_labels(&c->nodes.v[i], j->x->boards[i], true);

	for (size_t k = 0; k < selector->count; k++) {
		const struct yaml_node *v = selector->items[k];
		const char *key = selector->keys[k]->text, *pair;
		bool found = v->type != YAML_SCALAR || yaml_value(v).kind != YAML_TEXT;

		pair = found ? "" : arena_printf("%s=%s", key, v->text);
		vec_foreach (label, &labels)
			found |= streq(*label, pair);
		if (!found && !has_own_label(c, &c->nodes.v[i], key, v->text))
			return selector->keys[k];
	}
	return NULL;
}

static void operator_selector(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;
	const struct yaml_node *missing = NULL;

	for (size_t i = 0; n->type == YAML_MAP && i < c->nodes.n; i++) {
		if (c->nodes.v[i].role != ROLE_CONTROL_PLANE)
			continue;
		missing = unmatched(j, i, n);
		if (!missing)
			return;
	}
	if (missing && !faults_at(j->faults, missing, false) && !starts_with(missing->text, "node-role.kubernetes.io/"))
		fault_at(
			j->faults, missing,
			"%s: no server has this %s from its start on, so the operator would stay Pending, no CRD be registered and every node stay NotReady; remove it, or give it to a server with nodes[].labels",
			path, missing->text);
}

static void agent_selector(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;

	for (size_t i = 0; n->type == YAML_MAP && i < c->nodes.n; i++) {
		const struct yaml_node *missing = unmatched(j, i, n);

		if (!missing || faults_at(j->faults, missing, false))
			continue;
		fault_at(
			j->faults, missing,
			"%s: %s has not this %s from its start on, so it would get no agent and stay NotReady; remove it",
			path, c->nodes.v[i].name, missing->text);
		return;
	}
}

/* ---- what pods of other nodes and of the LAN are reached by ---- */

static void values_mtu(struct judge *j, const struct yaml_node *n, const char *path)
{
	unsigned lan = j->x->config->network.mtu ? j->x->config->network.mtu : 1500, v;

	if (n->type == YAML_SCALAR && value_unsigned(yaml_word(n), &v) == 0 && v > lan)
		fault_at(
			j->faults, n,
			"%s: packets of %u do not fit the LAN's %u, and those of pods would be lost as soon as they are large; remove it, and set network.mtu where every machine and switch takes more",
			path, v, lan);
}

static void fault_native(struct judge *j, const struct yaml_node *n, const char *path, const char *key,
			 const char *pods)
{
	fault_at(j->faults, n,
		 "%s: %s does not hold the pods, %s %s, which are what nodes route without masquerading; set %s", path,
		 n->text, key, pods, pods);
}

static void native_cidr(struct judge *j, const struct yaml_node *n, const char *path)
{
	struct cidr pods = j->x->config->cluster.pod_cidr, net;

	if (n->type != YAML_SCALAR || value_cidr(n->text, &net) < 0)
		return;
	if (pods.set && (cidr_first(pods) < cidr_first(net) || cidr_last(pods) > cidr_last(net)))
		fault_native(j, n, path, "cluster.podCIDR", cidr_text(pods));
}

static void native_cidr6(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;
	const struct cidr6 *pods = &c->network.ipv6.pods;
	struct cidr6 net;

	if (!c->network.ipv6.enabled || n->type != YAML_SCALAR || value_cidr6(n->text, &net) < 0)
		return;
	if (net.prefix > pods->prefix || !cidrs6_overlap(&net, pods))
		fault_native(j, n, path, "network.ipv6.podCIDR", cidr6_text(pods));
}

/* BGP of loadBalancer.announce tells the router of services alone (bgp.c), and nodes take no routes from it. */
static void native_over_bgp(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;

	if (yaml_is(n, "native") && c->lb.bgp.enabled && c->nodes.n > 1 &&
	    !yaml_is(yaml_find(j->merged, "autoDirectNodeRoutes"), "true"))
		fault_at(
			j->faults, n,
			"%s: native with loadBalancer.announce.bgp: that tells the router of services, and nobody of the pods of other nodes, which would not reach each other; set autoDirectNodeRoutes: true",
			path);
}

static void ingress_address(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;
	uint32_t addr;

	if (n->type != YAML_SCALAR || !n->n || !cilium_ingress_on(j->x))
		return;
	vec_foreach (p, &c->lb.pools)
		if (value_ipv4(n->text, &addr) == 0 && range_has(p->range, addr))
			return;
	fault_at(j->faults, n,
		 "%s: %s is in no pool of loadBalancer.pools, so Ingress would get no address; take one of a pool",
		 path, n->text);
}

/* The same by annotation (Documentation/network/lb-ipam.rst). */
static void ingress_annotations(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct yaml_node *ips = yaml_get(n, "lbipam.cilium.io/ips");

	ips = ips ? ips : yaml_get(n, "io.cilium/lb-ipam-ips");
	if (ips && ips->type == YAML_SCALAR && !strchr(ips->text, ',') && !strchr(ips->text, ':'))
		ingress_address(j, ips, path);
}

/* Listeners are then ports of nodes, and nobody gets an address. */
static void gateway_host_network(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "true") && j->x->config->gateway.enabled)
		fault_at(
			j->faults, n,
			"%s: Gateways would listen at the nodes' own addresses, and gateway.address be nobody's; remove it, or remove gateway from cluster.yaml",
			path);
}

/* Those that register themselves in pkg/hubble/metrics. */
static void hubble_metrics(struct judge *j, const struct yaml_node *n, const char *path)
{
	static const char *const known[] = { "dns",  "drop",  "flow",	"flows-to-world",    "http", "httpV2",
					     "icmp", "kafka", "policy", "port-distribution", "sctp", "tcp" };

	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++) {
		const char *text = n->items[i]->type == YAML_SCALAR ? n->items[i]->text : "dns", *name, *near;
		bool found = false;

		name = arena_strndup(text, strcspn(text, ":;"));
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			found |= streq(known[k], name);
		near = nearest_word(name, known, ARRAY_SIZE(known));
		if (!found)
			note_at(j->faults, n->items[i],
				"%s: pibuild knows no metrics of Hubble by the name %s, and with one that it has not Hubble gives none at all%s",
				path, name, did_you_mean("; ", near));
	}
}

static void service_host_ref(struct judge *j, const struct yaml_node *n, const char *path)
{
	fault_at(
		j->faults, n,
		"%s: Cilium's chart refuses it beside k8sServiceHost, which pibuild sets to the K3s of every node; remove it",
		path);
}

static void api_server_urls(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (n->type == YAML_SCALAR && *yaml_word(n))
		note_at(j->faults, n,
			"%s: agents would ask there and not at 127.0.0.1:6444 of their node, where K3s leads to any server that lives; remove it",
			path);
}

static void values_hubble_tls(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "helm"))
		fault_at(
			j->faults, n,
			"%s: certificates made by helm are never renewed and the relay stops after 365 days; remove it, pibuild sets cronJob",
			path);
}

static void tolerations(struct judge *j, const struct yaml_node *n, const char *path)
{
	bool of_operator = starts_with(path, "operator.");

	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++)
		if (yaml_is(yaml_get(n->items[i], "operator"), "Exists") && !yaml_get(n->items[i], "key") &&
		    !yaml_get(n->items[i], "effect"))
			return;
	fault_at(j->faults, n,
		 "%s: this list takes the place of %s; a taint it misses keeps the %s: add {operator: Exists}", path,
		 of_operator ? "pibuild's" : "the chart's",
		 of_operator ? "operator off, then no CRD is registered and every node stays NotReady"
			     : "agents off, and every node has one until its agent runs, so that it stays NotReady");
}

/* Cilium takes a list or words apart by blanks: names, "eth+" and "!eth0". */
static bool device_fits(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '+')
		return strncmp(pattern, name, n - 1) == 0;
	return streq(pattern, name);
}

static bool devices_have(const struct yaml_node *n, const char *name)
{
	bool only_excluded = true;
	char *words;

	if (n->type == YAML_SEQ) {
		struct strbuf all = { 0 };

		for (size_t i = 0; i < n->count; i++)
			strbuf_addf(&all, "%s ", str_or(n->items[i]->text, ""));
		words = arena_strdup(str_or(all.s, ""));
		strbuf_done(&all);
	} else {
		words = arena_strdup(str_or(n->text, ""));
	}
	text_foreach (w, words, " ") {
		if (*w == '!') {
			if (device_fits(w + 1, name))
				return false;
			continue;
		}
		only_excluded = false;
		if (device_fits(w, name))
			return true;
	}
	return only_excluded;
}

static void values_devices(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct config *c = j->x->config;

	for (size_t i = 0; i < c->nodes.n; i++) {
		const char *name = board_lan_interface(j->x->boards[i], c, &c->nodes.v[i]);

		if (n->type != YAML_MAP && !devices_have(n, name)) {
			fault_at(
				j->faults, n,
				"%s: leaves out %s, which carries the address of %s; %s. Remove it: Cilium finds the interfaces itself",
				path, name, c->nodes.v[i].name,
				streq(path, "devices") ? "Cilium would serve nothing there"
						       : "pods would get no answer through it");
			return;
		}
	}
}

static void envoy_needed(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "true") && !cluster_runs_envoy(j->x))
		fault_at(
			j->faults, n,
			"%s: Envoy does not run on every board here (39 address bits), so pibuild keeps it off; remove it, or see os.base: debian",
			path);
}

static void values_l7_proxy(struct judge *j, const struct yaml_node *n, const char *path)
{
	bool ingress = cilium_ingress_on(j->x), gateway = cilium_gateway_on(j->x);

	envoy_needed(j, n, path);
	if (yaml_is(n, "false") && (ingress || gateway) && !faults_at(j->faults, n, false))
		fault_at(
			j->faults, n,
			"%s: Cilium's chart refuses %s without the L7 proxy; set cilium: {ingress: false, gatewayAPI: false} in cluster.yaml",
			path,
			ingress && gateway ? "ingress and Gateway API"
			: ingress	   ? "ingress"
					   : "Gateway API");
}

static void gateway_class(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (yaml_is(n, "false") && cilium_gateway_on(j->x))
		fault_at(j->faults, n, "%s: without a GatewayClass no Gateway is ever served; remove it", path);
}

/* Each service that a node announces is a lease it renews once per deadline. */
static void client_rate(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct yaml_node *deadline = yaml_find(j->merged, "l2announcements.leaseRenewDeadline");
	uint64_t services = cluster_pool_size(j->x->config), ms = 5000, needed;
	unsigned qps;

	if (!services || n->type != YAML_SCALAR || value_unsigned(yaml_word(n), &qps) < 0)
		return;
	if (deadline && deadline->type == YAML_SCALAR)
		value_duration(deadline->text, &ms);
	needed = (services * 1000 + MAX(ms, 1) - 1) / MAX(ms, 1);
	if (qps < needed && qps < 50)
		fault_at(
			j->faults, n,
			"%s: a node that answers for the pool's %llu addresses renews up to %llu leases a second, and %u requests are too few: addresses would jump between nodes. Remove it, pibuild sets 50",
			path, (unsigned long long)services, (unsigned long long)needed, qps);
}

/* ---- IPsec's keys: a Secret that only an overlay can bring ---- */

#define MANIFESTS "var/lib/rancher/k3s/server/manifests"

static bool file_has_secret(const char *path, const char *name)
{
	struct yaml_node **docs;
	struct err e = { 0 };
	size_t n;

	if (yaml_load_all(path, MIB, &docs, &n, &e) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (yaml_is(yaml_get(docs[i], "kind"), "Secret") && yaml_is(yaml_find(docs[i], "metadata.name"), name))
			return true;
	return false;
}

static bool overlay_has_secret(const struct judge *j, const char *layer, const char *name)
{
	const char *folder = arena_printf("%s/%s/" MANIFESTS, j->x->user_overlays, layer);
	const char *const *files;
	bool found = false;
	struct err ignored;
	size_t n;
	int r = folder_names(folder, &files, &n, &ignored);

	for (size_t i = 0; r == 0 && i < n && !found; i++)
		found = *files[i] != '.' && file_has_secret(arena_printf("%s/%s", folder, files[i]), name);
	return found;
}

static void encryption(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct yaml_node *type = yaml_find(j->merged, "encryption.type"),
			       *named = yaml_find(j->merged, "encryption.ipsec.secretName");
	const char *name = named ? yaml_word(named) : "cilium-ipsec-keys";

	if (!yaml_is(n, "true") || (type && !yaml_is(type, "ipsec")))
		return;
	if (j->x->user_overlays &&
	    (overlay_has_secret(j, "common", name) || overlay_has_secret(j, "control-plane", name) ||
	     overlay_has_secret(j, config_first_server(j->x->config)->name, name)))
		return;
	fault_at(
		j->faults, type && type->file ? type : n,
		"%s: IPsec takes its keys from the Secret kube-system/%s, which nothing makes here, so that every agent would wait for it; set encryption.type: wireguard, which needs none, or bring the Secret by overlays/control-plane/" MANIFESTS
		"/ipsec.yaml",
		type && type->file ? "encryption.type" : path, name);
}

static const struct {
	const char *path;
	rule_fn run;
} rules[] = {
	{ "k8sServiceHostRef", service_host_ref },
	{ "k8s.apiServerURLs", api_server_urls },
	{ "hubble.tls.auto.method", values_hubble_tls },
	{ "operator.tolerations", tolerations },
	{ "tolerations", tolerations },
	{ "operator.nodeSelector", operator_selector },
	{ "nodeSelector", agent_selector },
	{ "MTU", values_mtu },
	{ "routingMode", native_over_bgp },
	{ "ipv4NativeRoutingCIDR", native_cidr },
	{ "ipv6NativeRoutingCIDR", native_cidr6 },
	{ "egressMasqueradeInterfaces", values_devices },
	{ "ingressController.service.loadBalancerIP", ingress_address },
	{ "ingressController.service.annotations", ingress_annotations },
	{ "gatewayAPI.hostNetwork.enabled", gateway_host_network },
	{ "hubble.metrics.enabled", hubble_metrics },
	{ "devices", values_devices },
	{ "l7Proxy", values_l7_proxy },
	{ "envoy.enabled", envoy_needed },
	{ "gatewayAPI.gatewayClass.create", gateway_class },
	{ "k8sClientRateLimit.qps", client_rate },
	{ "encryption.enabled", encryption },
};

/* Values that may be named but not changed: the rest of the card goes by them. */
static const struct {
	const char *path;
	const char *value; /* NULL: as there is IPv6 or not */
	const char *why;
} fixed[] = {
	{ "k8sServiceHost", "127.0.0.1", "K3s has the API there on every node, and any one server may die" },
	{ "agent", "true", "without agents there is no pod network" },
	{ "operator.enabled", "true", "the operator registers the CRDs that agents wait for" },
	{ "ipv4.enabled", "true", "pods and services of this cluster have IPv4 addresses" },
	{ "ipv6.enabled", NULL, "K3s has to have the same families, which network.ipv6 of cluster.yaml decides" },
	{ "cni.binPath", "/opt/cni/bin", "K3s looks for the CNI there" },
	{ "cni.confPath", "/etc/cni/net.d", "K3s looks for the CNI there" },
	{ "operator.hostNetwork", "true", "the operator starts before there is a network for pods" },
	{ "operator.skipCRDCreation", "false", "nobody else registers the CRDs that agents wait for" },
	{ "rbac.create", "true", "nobody else gives agents and operator the rights they need" },
	{ "serviceAccounts.cilium.create", "true", "agents start under it" },
	{ "serviceAccounts.operator.create", "true", "the operator starts under it" },
	{ "namespaceOverride", "kube-system", "first boot and `cilium` look for Cilium there" },
	{ "waitForKubeProxy", "false", "K3s runs without kube-proxy here, so agents would wait for ever" },
	{ "policyEnforcementMode", "default",
	  "with another one pods without a policy are cut off, CoreDNS first, or policies hold for none; a CiliumClusterwideNetworkPolicy can deny by default once the cluster is up" },
	{ "defaultLBServiceIPAM", "lbipam", "else services get no address from the pools" },
	{ "enableLBIPAM", "true", "nobody else gives services an address of the pools" },
};

void values_judge_rules(struct judge *j)
{
	const struct yaml_node *n;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const char *value = str_or(fixed[i].value, j->x->config->network.ipv6.enabled ? "true" : "false");

		n = yaml_find(j->user, fixed[i].path);
		if (n && n->type == YAML_SCALAR && !yaml_is(n, value) && !faults_at(j->faults, n, false))
			fault_at(j->faults, n, "%s: must be %s: %s; remove it", fixed[i].path, value, fixed[i].why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(listens); i++) {
		n = yaml_find(j->user, listens[i].path);
		if (n && !faults_at(j->faults, n, false))
			check_port(j, n, listens[i].path, listens[i].own);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		n = yaml_find(j->user, rules[i].path);
		if (n && !faults_at(j->faults, n, false))
			rules[i].run(j, n, rules[i].path);
	}
}

/* ---- rules on keys that stand in many places ---- */

/* Kubernetes takes labels as text only: an unquoted true is refused when the pod is made. */
static void node_selector(struct judge *j, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++) {
		const struct yaml_node *v = n->items[i];

		if (v->type == YAML_SCALAR && yaml_value(v).kind == YAML_NULL)
			continue; /* takes a label of the chart away */
		if (v->type != YAML_SCALAR || yaml_value(v).kind != YAML_TEXT)
			fault_at(j->faults, v, "%s: the value of %s must be text: put it in quotes", path,
				 n->keys[i]->text);
		else if (starts_with(n->keys[i]->text, "node-role.kubernetes.io/") && !yaml_is(v, "true"))
			fault_at(j->faults, v,
				 "%s: K3s gives the label %s the value \"true\", so nothing would match '%s'", path,
				 n->keys[i]->text, v->text);
	}
}

static void service_monitor(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (yaml_is(yaml_get(n, "enabled"), "true") && !yaml_is(yaml_get(n, "trustCRDsExist"), "true") &&
	    !yaml_is(yaml_find(j->user, "prometheus.serviceMonitor.trustCRDsExist"), "true"))
		fault_at(
			j->faults, yaml_get(n, "enabled"),
			"%s.enabled: Cilium's chart refuses to install without the ServiceMonitor CRD, which comes later than Cilium; set it with `cilium upgrade` once Prometheus is there",
			path);
}

static bool on_the_card(const struct judge *j, const char *name)
{
	vec_foreach (i, &j->x->set.catalogue->images)
		if (streq(i->name, name))
			return true;
	return false;
}

/* A map of the chart, or a reference written out, as containers of the user's own have it. */
static void airgap_image(struct judge *j, const struct yaml_node *n, const char *path)
{
	static const char *const keys[] = { "override", "repository", "tag", "digest", "suffix" };

	if (!j->x->config->airgap)
		return;
	if (n->type == YAML_SCALAR && *yaml_word(n))
		fault_at(
			j->faults, n,
			"%s: with airgap: true the card holds the images of the chart, not %s, and nothing could pull it; remove it",
			path, n->text);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct yaml_node *v = yaml_get(n, keys[i]);

		if (v && (v->type != YAML_SCALAR || *yaml_word(v)) &&
		    !(streq(keys[i], "repository") && v->type == YAML_SCALAR && on_the_card(j, v->text)))
			fault_at(
				j->faults, v,
				"%s.%s: with airgap: true the card holds the images of the chart, not this one; remove it",
				path, keys[i]);
	}
	if (yaml_is(yaml_get(n, "useDigest"), "true"))
		fault_at(
			j->faults, yaml_get(n, "useDigest"),
			"%s.useDigest: images on the card are known by tag; a reference with a digest would be pulled, and with airgap: true it cannot be",
			path);
}

static void airgap_pull(struct judge *j, const struct yaml_node *n, const char *path)
{
	if (j->x->config->airgap && yaml_is(n, "Always"))
		fault_at(j->faults, n,
			 "%s: with airgap: true nothing can be pulled, so no pod would start; set IfNotPresent", path);
}

/* A pod of a class that is not there is not made at all (the admission plugin Priority). */
static void priority_class(struct judge *j, const struct yaml_node *n, const char *path)
{
	const char *name = n->type == YAML_SCALAR ? yaml_word(n) : "";

	if (*name && !streq(name, "system-node-critical") && !streq(name, "system-cluster-critical"))
		fault_at(
			j->faults, n,
			"%s: there is no PriorityClass %s when Cilium is installed, so no pod of this would be made; system-node-critical and system-cluster-critical are always there",
			path, name);
}

static const struct {
	const char *key;
	rule_fn run;
} anywhere[] = {
	{ "nodeSelector", node_selector },  { "serviceMonitor", service_monitor },   { "image", airgap_image },
	{ "initImage", airgap_image },	    { "priorityClassName", priority_class }, { "pullPolicy", airgap_pull },
	{ "imagePullPolicy", airgap_pull },
};

static void check_anywhere(struct judge *j, const struct yaml_node *map, const char *parent)
{
	for (size_t i = 0; map->type == YAML_SEQ && i < map->count; i++)
		check_anywhere(j, map->items[i], arena_printf("%s[%zu]", parent, i));
	for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
		const char *key = map->keys[i]->text;
		const char *path = *parent ? arena_printf("%s.%s", parent, key) : key;

		for (size_t k = 0; k < ARRAY_SIZE(anywhere); k++)
			if (streq(key, anywhere[k].key))
				anywhere[k].run(j, map->items[i], path);
		check_anywhere(j, map->items[i], path);
	}
}

void values_judge_anywhere(struct judge *j)
{
	check_anywhere(j, j->user, "");
}
