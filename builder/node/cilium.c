/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the first server needs to install Cilium: values of the chart, address pools, L2 announcement policies. CRD
 * fields: pkg/k8s/apis/cilium.io of Cilium 1.18 to 1.20.
 *
 * The gateway's address is a pool of its own that selects the gateway's Service: Services that come earlier (Cilium's
 * own Ingress does) would take it else. Names and namespaces of Services can be selected (cilium/cilium
 * Documentation/network/lb-ipam.rst, "Service Selectors").
 */
#include "board/announce.h"
#include "config/compat.h"
#include "node/cluster.h"

static const char origin[] = "generated: cilium";

static void add_block(struct yaml_node *blocks, const char *first, const char *last)
{
	struct yaml_node *block = yaml_append(blocks, yaml_map());

	yaml_set(block, "start", yaml_str(first));
	yaml_set(block, "stop", yaml_str(last));
}

static void add_block4(struct yaml_node *blocks, uint32_t first, uint32_t last)
{
	char a[IPV4_TEXT], b[IPV4_TEXT];

	if (first <= last)
		add_block(blocks, ipv4_text(first, a), ipv4_text(last, b));
}

/* Without the address HOLE, 0 = with all; NULL when nothing is left. An IPv6 address that nobody announces would be one
 * that nobody reaches. */
static struct yaml_node *pool(const struct node_ctx *x, const char *api_version, const struct pool *p, uint32_t hole)
{
	const struct config *c = x->config;
	struct yaml_node *doc = cluster_object(api_version, "CiliumLoadBalancerIPPool", p->name, NULL);
	struct yaml_node *blocks = yaml_set_path(doc, "spec.blocks", yaml_seq());
	bool split = hole >= p->range.first && hole <= p->range.last;
	char first[IPV6_TEXT], last[IPV6_TEXT];

	add_block4(blocks, p->range.first, split ? hole - 1 : p->range.last);
	if (split)
		add_block4(blocks, hole + 1, p->range.last);
	if (c->network.ipv6.enabled && config_uses_arp(c) &&
	    compat_cilium_announces_ipv6(cluster_version(x, "cilium"))) {
		config_pool6(c, (size_t)(p - c->lb.pools.v), first, last);
		add_block(blocks, first, last);
	}
	return blocks->count ? doc : NULL;
}

static const char *gateway_pool_name(const struct config *c)
{
	const char *name = "gateway";

	vec_foreach (p, &c->lb.pools)
		if (streq(p->name, name))
			name = "pibuild-gateway";
	return name;
}

static struct yaml_node *gateway_pool(const char *api_version, const struct config *c)
{
	struct yaml_node *doc = cluster_object(api_version, "CiliumLoadBalancerIPPool", gateway_pool_name(c), NULL);
	struct yaml_node *labels;

	add_block4(yaml_set_path(doc, "spec.blocks", yaml_seq()), c->gateway.address, c->gateway.address);
	labels = yaml_set_path(doc, "spec.serviceSelector.matchLabels", yaml_map());
	yaml_set(labels, "io.kubernetes.service.namespace", yaml_str(GATEWAY_NAMESPACE));
	yaml_set(labels, "io.kubernetes.service.name", yaml_str(GATEWAY_SERVICE));
	return doc;
}

static void add_pools(const struct node_ctx *x, struct tree *t)
{
	const struct cilium_compat *compat = compat_cilium(cluster_version(x, "cilium"));
	const char *api = compat ? compat->pool_api : "cilium.io/v2";
	const struct config *c = x->config;
	uint32_t hole = c->gateway.enabled ? c->gateway.address : 0;
	VEC(struct yaml_node *) docs = { 0 };

	vec_foreach (p, &c->lb.pools) {
		struct yaml_node *doc = pool(x, api, p, hole);

		if (doc)
			*vec_push(&docs) = doc;
	}
	if (hole)
		*vec_push(&docs) = gateway_pool(api, c);
	cluster_add_yaml(t, "/etc/pibuild/manifests/pools.yaml", 0644, origin, docs.v, docs.n);
}

/* Cilium reads interfaces as unanchored expressions: "eth0" would match veth0 too. */
static struct yaml_node *exactly(const char *interface)
{
	struct strbuf re = { 0 };
	struct yaml_node *n;

	strbuf_adds(&re, "^");
	for (const char *c = interface; *c; c++)
		strbuf_addf(&re, "%s%c", strchr(".+*?()[]{}|\\^$", *c) ? "\\" : "", *c);
	strbuf_adds(&re, "$");
	n = yaml_str(re.s);
	strbuf_done(&re);
	return n;
}

struct policy_choice {
	const struct announcers *announcers;
	const char *interface;
};

static bool policy_chooses(const struct config *c, const struct node_config *n, const void *arg)
{
	const struct policy_choice *choice = arg;
	const char *own = announcers_interface(choice->announcers, n);

	return own && streq(own, choice->interface);
}

static struct yaml_node *policy(const struct config *c, const char *name, const struct policy_choice *choice)
{
	struct yaml_node *doc = cluster_object("cilium.io/v2alpha1", "CiliumL2AnnouncementPolicy", name, NULL);
	struct yaml_node *spec = yaml_set(doc, "spec", yaml_map());

	cluster_select_nodes(spec, c, policy_chooses, choice);
	yaml_append(yaml_set(spec, "interfaces", yaml_seq()), exactly(choice->interface));
	yaml_set(spec, "loadBalancerIPs", yaml_bool(true));
	yaml_set(spec, "externalIPs", yaml_bool(true));
	return doc;
}

/* One for each interface that nodes announce on. */
static void add_policies(const struct node_ctx *x, struct tree *t)
{
	struct announcers a = board_announcers(x->config, x->boards);
	VEC(struct yaml_node *) docs = { 0 };
	VEC(const char *) interfaces = { 0 };

	vec_foreach (i, &a.list) {
		size_t k = 0;

		while (k < interfaces.n && !streq(interfaces.v[k], i->interface))
			k++;
		if (k < interfaces.n)
			continue;
		*vec_push(&interfaces) = i->interface;
		*vec_push(&docs) = policy(x->config, k ? arena_printf("lan-%s", i->interface) : "lan",
					  &(struct policy_choice){ &a, i->interface });
	}
	cluster_add_yaml(t, "/etc/pibuild/manifests/l2-policy.yaml", 0644, origin, docs.v, docs.n);
}

int node_add_cilium(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct yaml_node *values;

	if (!node_is_first_server(x))
		return 0;
	values = cilium_values(x, NULL);
	tree_add_dir(t, "/etc/pibuild", 0755, origin);
	tree_add_dir(t, "/etc/pibuild/manifests", 0755, origin);
	/* 0600: the user's own values may hold a secret. */
	cluster_add_yaml(t, "/etc/pibuild/cilium-values.yaml", 0600, origin, &values, 1)->secret =
		x->config->cilium.values != NULL;
	if (x->config->lb.pools.n) {
		add_pools(x, t);
		if (config_uses_arp(x->config))
			add_policies(x, t);
	}
	return node_add_bgp(x, t, e);
}
