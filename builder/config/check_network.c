/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about addresses: of the LAN, of pods and services, of pools. */
#include "config/address_plan.h"
#include "config/check.h"
#include "config/compat.h"

static const char *pool_key(const struct config *c, const struct pool *p)
{
	return arena_printf("loadBalancer.pools[%zu].range", (size_t)(p - c->lb.pools.v));
}

static bool cidrs_overlap(struct cidr a, struct cidr b)
{
	return a.set && b.set && cidr_first(a) <= cidr_last(b) && cidr_first(b) <= cidr_last(a);
}

/* ---- network ---- */

static void check_addresses(const struct check *x)
{
	const struct config *c = x->config;
	struct cidr lan = c->network.subnet;

	vec_foreach (n, &c->nodes) {
		const char *key = check_node_key(c, n, "address");

		if (!n->address.set || !lan.set)
			continue;
		if (!cidr_has(lan, n->address.addr))
			fault_key(x->faults, c, key, "%s: %s lies outside network.subnet %s; the node would be cut off",
				  key, TEXT_OF(n->address.addr), cidr_text(lan));
		else if (n->address.prefix != lan.prefix)
			fault_key(
				x->faults, c, key,
				"%s: /%u does not fit network.subnet %s; the node would take other nodes for far away: use %s/%u",
				key, n->address.prefix, cidr_text(lan), TEXT_OF(n->address.addr), lan.prefix);
		if (range_has(c->network.dhcp_range, n->address.addr))
			fault_key(
				x->faults, c, key,
				"%s: %s lies in network.dhcpRange %s, so the router may give it to another machine; use one outside",
				key, TEXT_OF(n->address.addr), check_range_text(c->network.dhcp_range));
	}
}

static void check_gateway(const struct check *x)
{
	const struct config *c = x->config;
	uint32_t gateway = c->network.gateway;
	struct cidr lan = c->network.subnet;

	if (!gateway)
		return;
	if (lan.set && !cidr_has(lan, gateway))
		fault_key(x->faults, c, "network.gateway",
			  "network.gateway: %s lies outside network.subnet %s; no node could reach it",
			  TEXT_OF(gateway), cidr_text(lan));
	else if (check_lan_end(c, gateway))
		fault_key(x->faults, c, "network.gateway", "network.gateway: %s is the %s address of %s, not a router",
			  TEXT_OF(gateway), check_lan_end(c, gateway), cidr_text(lan));
	vec_foreach (n, &c->nodes)
		if (n->address.set && n->address.addr == gateway)
			fault_key(x->faults, c, check_node_key(c, n, "address"),
				  "%s: %s is network.gateway, your router", check_node_key(c, n, "address"),
				  TEXT_OF(gateway));
}

static void check_static_needs(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *n = c->nodes.v;
	const struct yaml_node *servers = yaml_find(c->doc, "network.nameservers");

	while (n < c->nodes.v + c->nodes.n && !n->address.set)
		n++;
	if (n == c->nodes.v + c->nodes.n)
		return;
	if (!c->network.gateway && !check_is_given(x, "network.gateway"))
		fault_key(
			x->faults, c, "network",
			"network.gateway is missing: %s has a static address and would have no way to the internet; K3s does not start without a default route",
			str_or(n->name, "a node"));
	/* What is there but wrong has its own fault. */
	if (!c->network.nameservers.n && !(servers && (servers->count || servers->type != YAML_SEQ)) &&
	    !faults_key_meant(x->faults, "network.nameservers"))
		fault_key(
			x->faults, c, "network",
			"network.nameservers is missing: %s has a static address and would resolve no name; your router's address usually does",
			str_or(n->name, "a node"));
}

static void check_nameservers(const struct check *x)
{
	const struct config *c = x->config;

	if (c->network.nameservers.n > 3)
		note_key(x->faults, c, "network.nameservers[3]",
			 "network.nameservers: pods and the C library use the first three only");
	for (size_t i = 0; i < c->network.nameservers.n; i++)
		vec_foreach (n, &c->nodes)
			if (n->address.set && n->address.addr == c->network.nameservers.v[i])
				note_key(
					x->faults, c, arena_printf("network.nameservers[%zu]", i),
					"network.nameservers[%zu]: %s is %s, where no name server runs at first boot, and a node needs names to fetch images; put your router's address here",
					i, TEXT_OF(n->address.addr), str_or(n->name, "a node"));
}

/* Machines that the file names beside nodes, by whatever key. */
static void check_other_machines(const struct check *x)
{
	static const char *const told[] = { "network.gateway", "cluster.vip", "cluster.endpoint", "network.dhcpRange",
					    "loadBalancer.pools[" };
	const struct config *c = x->config;
	const struct named_ranges named = config_named_ranges(c);

	vec_foreach (n, &named.list) {
		const char *end = n->range.first == n->range.last ? check_lan_end(c, n->range.first) : NULL;

		for (size_t i = 0; i < ARRAY_SIZE(told); i++)
			end = starts_with(n->key, told[i]) ? NULL : end;
		if (end)
			fault_key(
				x->faults, c, n->key,
				"%s: %s is the %s address of %s, which no machine has; write that of the machine you mean",
				n->key, n->text, end, cidr_text(c->network.subnet));
	}
}

static void check_dhcp_range(const struct check *x)
{
	const struct config *c = x->config;
	struct ip_range r = c->network.dhcp_range;

	if (r.set && c->network.subnet.set &&
	    (!cidr_has(c->network.subnet, r.first) || !cidr_has(c->network.subnet, r.last)))
		fault_key(x->faults, c, "network.dhcpRange", "network.dhcpRange: %s lies outside network.subnet %s",
			  check_range_text(r), cidr_text(c->network.subnet));
}

/* Nobody but the router knows what it hands out: unless it is told here, a collision shows on the LAN only. */
static void check_dhcp_range_given(const struct check *x)
{
	const struct config *c = x->config;
	bool fixed = c->lb.pools.n || c->cluster.vip;

	vec_foreach (n, &c->nodes)
		fixed |= n->address.set;
	if (fixed && !check_is_given(x, "network.dhcpRange"))
		note_key(
			x->faults, c, "network",
			"network.dhcpRange is not given: nobody can tell whether your router hands out addresses of nodes or pools; its web page shows the range, FIRST-LAST");
}

/* One place of cluster.yaml that names an interface, KEY. */
static void check_interface_at(const struct check *x, const char *key, const struct node_config *n)
{
	const struct config *c = x->config;
	const char *name = config_interface(c, n), *lan = config_lan_interface(c, n);

	if (interface_is_wifi(name)) {
		if (!streq(name, "wlan0"))
			fault_key(x->faults, c, key, "%s: the Wi-Fi of a Pi is wlan0, not %s", key, name);
		if (c->network.vlan && !n)
			fault_key(x->faults, c, "network.vlan",
				  "network.vlan: Wi-Fi carries no tagged frames; remove vlan, or use eth0");
		if (!c->network.wifi.ssid && !yaml_find(c->doc, "network.wifi"))
			fault_key(x->faults, c, key, "%s: %s needs network.wifi with ssid, passphrase and country", key,
				  name);
	} else if (strlen(lan) > 15) {
		fault_key(x->faults, c, n ? key : "network.vlan",
			  "%s: the interface would be called %s, and Linux allows 15 characters",
			  n ? key : "network.vlan", lan);
	}
}

static void config_check_interface(const struct check *x)
{
	const struct config *c = x->config;

	check_interface_at(x, "network.interface", NULL);
	vec_foreach (n, &c->nodes)
		if (n->interface)
			check_interface_at(x, check_node_key(c, n, "interface"), n);
}

/* Every short name is looked for below each of these first. */
static void check_search_domains(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->network.search_domains.n; i++) {
		const char *domain = str_or(c->network.search_domains.v[i], ""),
			   *key = arena_printf("network.searchDomains[%zu]", i);

		if (check_is_cluster_name(domain))
			fault_key(
				x->faults, c, key,
				"%s: %s is the cluster's own, whose names pods know and the name servers of nodes do not; remove it: pods look there by themselves",
				key, domain);
		else if (name_is_below(domain, "local"))
			note_key(
				x->faults, c, key,
				"%s: names below %s are asked for by multicast (mDNS), and K3s knows none of them; where your name server has them, call it another way, such as home.arpa",
				key, domain);
	}
}

static void check_host_names(const struct check *x)
{
	const struct config *c = x->config;
	const struct yaml_node *map = yaml_find(c->doc, "network.hosts");

	vec_foreach (host, &c->network.hosts)
		vec_foreach (n, &c->nodes)
			if (n->name && streq(n->name, host->name))
				fault_at(
					x->faults, yaml_get(map, host->name),
					"network.hosts: %s is a node of this file, whose address nodes[].address says; remove it here",
					host->name);
}

/* ---- address plan of the cluster ---- */

/* " Take another private network for KEY, such as 172.20.0.0/16"; INDEX is 0 of pods, 1 of services */
static const char *another_network(const struct config *c, const char *key, size_t index)
{
	struct cidr nets[2];

	if (config_free_networks(c, nets, index + 1) <= index)
		return arena_printf(" Take another private network for %s", key);
	return arena_printf(" Take another private network for %s, such as %s", key, cidr_text(nets[index]));
}

/* At KEY, or where the file does not have it, at what it collides with. */
static void cluster_network(const struct check *x, const char *key, struct cidr net, size_t index)
{
	const struct config *c = x->config;
	struct named_ranges named = config_named_ranges(c);
	struct ip_range range = { cidr_first(net), cidr_last(net), net.set };

	vec_foreach (n, &named.list) {
		bool given = yaml_find(c->doc, key) != NULL, lan = streq(n->key, "network.subnet");

		if (!ranges_overlap(n->range, range) || (n->may_be_service && index == 1))
			continue;
		fault_key(x->faults, c, given ? key : n->key, "%s: %s%s overlaps %s %s; %s.%s", key, cidr_text(net),
			  given ? "" : " (the default)", lan ? "your LAN" : n->key, n->text,
			  lan ? "nodes would lose every machine in it, SSH included" : "nodes could not reach it",
			  another_network(c, key, index));
		return;
	}
}

/* What nobody on the internet has: RFC 1918, 6598 and 2544. */
static bool is_nobodys(struct cidr net)
{
	static const struct cidr_of {
		uint32_t addr;
		unsigned prefix;
	} own[] = {
		{ 0x0a000000, 8 }, { 0xac100000, 12 }, { 0xc0a80000, 16 }, { 0x64400000, 10 }, { 0xc6120000, 15 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (net.prefix >= own[i].prefix && (net.addr ^ own[i].addr) >> (32 - own[i].prefix) == 0)
			return true;
	return false;
}

static void check_not_internet(const struct check *x, const char *key, struct cidr net, size_t index)
{
	if (net.set && !is_nobodys(net))
		note_key(x->faults, x->config, key,
			 "%s: %s are addresses of the internet, which nodes and pods could not reach any more.%s", key,
			 cidr_text(net), another_network(x->config, key, index));
}

static void check_cluster_networks(const struct check *x)
{
	const struct config *c = x->config;
	const char *key = yaml_find(c->doc, "cluster.podCIDR") ? "cluster.podCIDR" : "cluster.serviceCIDR";

	cluster_network(x, "cluster.podCIDR", c->cluster.pod_cidr, 0);
	cluster_network(x, "cluster.serviceCIDR", c->cluster.service_cidr, 1);
	check_not_internet(x, "cluster.podCIDR", c->cluster.pod_cidr, 0);
	check_not_internet(x, "cluster.serviceCIDR", c->cluster.service_cidr, 1);
	if (cidrs_overlap(c->cluster.pod_cidr, c->cluster.service_cidr))
		fault_key(
			x->faults, c, key,
			"cluster.podCIDR %s and cluster.serviceCIDR %s overlap; pods and services would get the same addresses.%s",
			cidr_text(c->cluster.pod_cidr), cidr_text(c->cluster.service_cidr),
			another_network(c, key, streq(key, "cluster.podCIDR") ? 0 : 1));
}

static void check_cluster_sizes(const struct check *x)
{
	const struct config *c = x->config;
	struct cidr pods = c->cluster.pod_cidr, services = c->cluster.service_cidr;
	unsigned enough = 16;

	while (enough > 8 && c->nodes.n > 1u << (24 - enough))
		enough--;
	if (pods.set && (pods.prefix > 24 || c->nodes.n > (1u << (24 - pods.prefix))))
		fault_key(
			x->faults, c, "cluster.podCIDR",
			"cluster.podCIDR: each node takes a /24 for its pods, and %s has room for %u of the %zu nodes; use a /%u",
			cidr_text(pods), pods.prefix > 24 ? 0 : 1u << (24 - pods.prefix), c->nodes.n, enough);
	if (services.set && (services.prefix < 12 || services.prefix > 28))
		fault_key(x->faults, c, "cluster.serviceCIDR",
			  "cluster.serviceCIDR: Kubernetes takes networks from /12 to /28 here, not /%u; use a /16",
			  services.prefix);
}

static void check_ipv6_pairs(const struct check *x)
{
	const struct {
		const char *key;
		const struct cidr6 *net;
	} nets[] = {
		{ "network.ipv6.subnet", &x->config->network.ipv6.subnet },
		{ "network.ipv6.podCIDR", &x->config->network.ipv6.pods },
		{ "network.ipv6.serviceCIDR", &x->config->network.ipv6.services },
	};

	for (size_t b = 1; b < ARRAY_SIZE(nets); b++)
		for (size_t a = 0; a < b; a++)
			if (cidrs6_overlap(nets[a].net, nets[b].net))
				fault_key(x->faults, x->config, nets[b].key,
					  "%s: %s overlaps %s %s; the same addresses would be two things: use another",
					  nets[b].key, cidr6_text(nets[b].net), nets[a].key, cidr6_text(nets[a].net));
}

static void check_ipv6_word(const struct check *x, const char *key, const char *word)
{
	if (streq(word, "ipv6.disable=1") || streq(word, "ipv6.disable_ipv6=1"))
		fault_key(x->faults, x->config, key,
			  "%s: %s switches off what network.ipv6 gives the nodes; remove one of the two", key, word);
}

/* Of IPv6 the same as of IPv4: fd00::/8 is nobody's, and 2001:db8::/32 no router has (RFC 4193, 3849). */
static void check_ipv6_internet(const struct check *x)
{
	static const struct cidr6 documentation = { .addr = { 0x20, 0x01, 0x0d, 0xb8 }, .prefix = 32, .set = true };
	const struct config *c = x->config;
	const struct {
		const char *key;
		const struct cidr6 *net;
	} nets[] = {
		{ "network.ipv6.podCIDR", &c->network.ipv6.pods },
		{ "network.ipv6.serviceCIDR", &c->network.ipv6.services },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		if (nets[i].net->set && nets[i].net->addr[0] != 0xfd)
			note_key(
				x->faults, c, nets[i].key,
				"%s: %s are addresses of the internet, which nodes and pods could not reach any more; leave it out for private ones",
				nets[i].key, cidr6_text(nets[i].net));
	if (c->network.ipv6.subnet.set && cidrs6_overlap(&c->network.ipv6.subnet, &documentation))
		note_key(
			x->faults, c, "network.ipv6.subnet",
			"network.ipv6.subnet: 2001:db8::/32 is set aside for documentation, and no router has it; write that of yours, or leave it out for a private one");
}

static void check_ipv6_switches(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (word, &c->boot.cmdline)
		check_ipv6_word(x, "boot.cmdline", str_or(*word, ""));
	vec_foreach (n, &c->nodes)
		vec_foreach (word, &n->boot.cmdline)
			check_ipv6_word(x, check_node_key(c, n, "boot.cmdline"), str_or(*word, ""));
	vec_foreach (s, &c->os.sysctl)
		if (ends_with(s->key, "disable_ipv6") && !streq(s->value, "0"))
			fault_key(
				x->faults, c, "os.sysctl",
				"os.sysctl: %s = %s switches off what network.ipv6 gives the nodes; remove one of the two",
				s->key, s->value);
}

/* K3s starts no node of a cluster with both families that is not told its address in both: "must share the same IP
 * version" (k3s-io/k3s pkg/daemons/agent/agent.go, startNetwork and validateNetworkConfiguration). */
static void check_ipv6(const struct check *x)
{
	const struct config *c = x->config;
	unsigned prefix = c->network.ipv6.pods.prefix;

	if (!c->network.ipv6.enabled)
		return;
	check_ipv6_pairs(x);
	check_ipv6_internet(x);
	check_ipv6_switches(x);
	vec_foreach (n, &c->nodes)
		if (!n->address.set)
			fault_key(
				x->faults, c, check_node_key(c, n, "name"),
				"%s: with network.ipv6 every node needs a static address, which gives it its IPv6 address too; K3s has to be told both, and %s has DHCP: give it an address",
				check_node_key(c, n, "name"), str_or(n->name, "it"));
	if (c->nodes.n > 1u << (64 - prefix))
		fault_key(
			x->faults, c, "network.ipv6.podCIDR",
			"network.ipv6.podCIDR: each node takes a /64 for its pods, and %s has room for %u of the %zu nodes; use a /56",
			cidr6_text(&c->network.ipv6.pods), 1u << (64 - prefix), c->nodes.n);
	if (c->lb.pools.n && !config_uses_arp(c))
		note_key(
			x->faults, c, "network.ipv6",
			"network.ipv6: the router hears by BGP of IPv4 addresses alone, and no pool is part of the LAN, where nodes would answer for others; so services of type LoadBalancer have IPv4 alone");
	else if (c->lb.pools.n && x->versions->cilium && !compat_cilium_announces_ipv6(x->versions->cilium))
		note_key(
			x->faults, c, "network.ipv6",
			"network.ipv6: Cilium %s announces no IPv6 addresses on the LAN, which 1.19 and later do, so services of type LoadBalancer have IPv4 alone",
			x->versions->cilium);
}

/* ---- load balancer ---- */

static void check_pool(const struct check *x, const struct pool *p)
{
	const struct config *c = x->config;
	struct cidr lan = c->network.subnet;
	const char *key = pool_key(c, p);

	if (lan.set && c->lb.bgp.enabled && cidr_has(lan, p->range.first) != cidr_has(lan, p->range.last))
		fault_key(x->faults, c, key, "%s: %s lies partly in network.subnet %s; make two pools of it", key,
			  check_range_text(p->range), cidr_text(lan));
	else if (lan.set && !c->lb.bgp.enabled && (!cidr_has(lan, p->range.first) || !cidr_has(lan, p->range.last)))
		fault_key(
			x->faults, c, key,
			"%s: %s lies outside network.subnet %s; nobody on the LAN would ask for these addresses by ARP",
			key, check_range_text(p->range), cidr_text(lan));
	else if (lan.set && (p->range.first == cidr_first(lan) || p->range.last == cidr_last(lan)))
		fault_key(x->faults, c, key, "%s: %s includes the %s address of %s, which no service can have", key,
			  check_range_text(p->range), p->range.first == cidr_first(lan) ? "network" : "broadcast",
			  cidr_text(lan));
	if (ranges_overlap(p->range, c->network.dhcp_range))
		fault_key(
			x->faults, c, key,
			"%s: %s overlaps network.dhcpRange %s; the router would give service addresses to other machines",
			key, check_range_text(p->range), check_range_text(c->network.dhcp_range));
	if (range_has(p->range, c->network.gateway))
		fault_key(
			x->faults, c, key,
			"%s: %s includes the gateway %s; a service that got it would take the whole LAN off the internet",
			key, check_range_text(p->range), TEXT_OF(c->network.gateway));
	for (size_t i = 0; i < c->network.nameservers.n; i++)
		if (range_has(p->range, c->network.nameservers.v[i]) &&
		    c->network.nameservers.v[i] != c->network.gateway)
			fault_key(x->faults, c, key, "%s: %s includes the name server %s", key,
				  check_range_text(p->range), TEXT_OF(c->network.nameservers.v[i]));
	vec_foreach (n, &c->nodes)
		if (n->address.set && range_has(p->range, n->address.addr))
			fault_key(x->faults, c, key,
				  "%s: %s includes %s, the address of %s; two machines would answer for it", key,
				  check_range_text(p->range), TEXT_OF(n->address.addr), str_or(n->name, "a node"));
}

static void check_pools(const struct check *x)
{
	const struct config *c = x->config;

	if (c->lb.pools.n && !c->network.subnet.set && !check_is_given(x, "network.subnet"))
		fault_key(x->faults, c, "loadBalancer.pools", "loadBalancer.pools: %s; say which one in network.subnet",
			  c->lb.bgp.enabled
				  ? "nodes answer by ARP for pools of your LAN, and tell the router of the others alone"
				  : "a pool must be part of your LAN");
	vec_foreach (p, &c->lb.pools)
		if (p->range.set)
			check_pool(x, p);
}

static void check_pool_pairs(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (b, &c->lb.pools) {
		for (const struct pool *a = c->lb.pools.v; a < b; a++) {
			if (a->name && b->name && streq(a->name, b->name))
				fault_key(x->faults, c, pool_key(c, b),
					  "loadBalancer.pools: the name '%s' is used twice", b->name);
			if (ranges_overlap(a->range, b->range))
				fault_key(
					x->faults, c, pool_key(c, b),
					"%s: %s overlaps the pool %s (%s); Cilium would stop giving out addresses of one",
					pool_key(c, b), check_range_text(b->range), str_or(a->name, "before"),
					check_range_text(a->range));
		}
	}
}

const struct check_rule check_network_rules[] = {
	{ "addresses", check_addresses },
	{ "gateway", check_gateway },
	{ "static addresses", check_static_needs },
	{ "name servers", check_nameservers },
	{ "other machines", check_other_machines },
	{ "DHCP range", check_dhcp_range },
	{ "DHCP range given", check_dhcp_range_given },
	{ "interface", config_check_interface },
	{ "host names", check_host_names },
	{ "cluster networks", check_cluster_networks },
	{ "cluster network sizes", check_cluster_sizes },
	{ "IPv6", check_ipv6 },
	{ "pools", check_pools },
	{ "pool pairs", check_pool_pairs },
	{ "search domains", check_search_domains },
	{ 0 },
};
