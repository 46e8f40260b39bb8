/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules across keys that need no board, one function each. A message says what the cluster would have done and what
 * to write instead.
 */
#include "config/apps.h"
#include "config/check.h"

#include "base/log.h"
#include "config/address_plan.h"
#include "config/compat.h"
#include "schema/schema.h"

#define TEXT_OF(addr) ipv4_text(addr, (char[IPV4_TEXT]){ 0 })

static const char *node_key(const struct config *c, const struct node_config *n, const char *key)
{
	return arena_printf("nodes[%zu].%s", (size_t)(n - c->nodes.v), key);
}

/* It stands there, right or wrong, under its name or one like it. */
static bool config_is_given(const struct check *x, const char *key)
{
	const struct config *c = x->config;
	const char *last = strrchr(key, '.');
	const struct yaml_node *parent = last ? config_node(c, arena_strndup(key, (size_t)(last - key))) : c->doc;

	return yaml_get(parent, last ? last + 1 : key) || faults_key_meant(x->faults, key);
}

static const char *pool_key(const struct config *c, const struct pool *p)
{
	return arena_printf("loadBalancer.pools[%zu].range", (size_t)(p - c->lb.pools.v));
}

static const char *range_text(struct ip_range r)
{
	return arena_printf("%s-%s", TEXT_OF(r.first), TEXT_OF(r.last));
}

static bool check_range_has(struct ip_range r, uint32_t addr)
{
	return r.set && addr >= r.first && addr <= r.last;
}

static bool cidrs_overlap(struct cidr a, struct cidr b)
{
	return a.set && b.set && cidr_first(a) <= cidr_last(b) && cidr_first(b) <= cidr_last(a);
}

/* ---- nodes ---- */

static void check_servers(const struct check *x)
{
	const struct config *c = x->config;
	const struct yaml_node *nodes = yaml_get(c->doc, "nodes");

	if (config_count_role(c, ROLE_COUNT)) /* a wrong role has its own fault */
		return;
	if (nodes && nodes->type == YAML_SEQ && !nodes->count)
		fault_key(x->faults, c, "nodes", "nodes: there is no node; add at least one with role: control-plane");
	else if (c->nodes.n && !config_first_server(c))
		fault_key(
			x->faults, c, "nodes",
			"nodes: no node has role: control-plane, so there would be no API to join; make one of them a server");
}

static void check_duplicate_nodes(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (b, &c->nodes) {
		for (const struct node_config *a = c->nodes.v; a < b; a++) {
			if (a->name && b->name && streq(a->name, b->name))
				fault_key(x->faults, c, node_key(c, b, "name"),
					  "%s: '%s' is taken by nodes[%zu]; K3s refuses a second node of the same name",
					  node_key(c, b, "name"), b->name, (size_t)(a - c->nodes.v));
			if (a->address.set && b->address.set && a->address.addr == b->address.addr)
				fault_key(x->faults, c, node_key(c, b, "address"),
					  "%s: %s is the address of %s too; both would drop off the network",
					  node_key(c, b, "address"), TEXT_OF(b->address.addr),
					  str_or(a->name, "another node"));
		}
	}
}

static void check_first_server(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *first = config_first_server(c);

	if (!first || c->nodes.n < 2 || first->address.set || c->cluster.endpoint || c->cluster.vip)
		return;
	/* An address that cannot be used has its own fault. */
	if (config_is_given(x, node_key(c, first, "address")) || config_is_given(x, "cluster.endpoint") ||
	    config_is_given(x, "cluster.vip"))
		return;
	fault_key(
		x->faults, c, node_key(c, first, "name"),
		"nodes[%zu]: the first server is on DHCP, so the other nodes would not know where to join; give it an address, or set cluster.endpoint to a name that always leads to it",
		(size_t)(first - c->nodes.v));
}

static bool is_loopback(uint32_t addr)
{
	return addr >> 24 == 127 || addr >> 24 == 0;
}

/* Link-local addresses (RFC 3927), multicast and what is reserved above, the ends of the LAN. */
static bool is_no_machine(const struct config *c, uint32_t addr)
{
	struct cidr lan = c->network.subnet;

	return addr >> 16 == 0xa9fe || addr >> 28 >= 0xe ||
	       (lan.set && lan.prefix < 31 && (addr == cidr_first(lan) || addr == cidr_last(lan)));
}

/* "cp-1, cp-2" */
static const char *server_names(const struct config *c)
{
	const char *all = "";

	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_CONTROL_PLANE)
			all = arena_printf("%s%s%s", all, *all ? ", " : "", str_or(n->name, "a server"));
	return all;
}

/* Of pods, whose names the cluster's own DNS alone knows. */
static bool is_cluster_name(const char *name)
{
	return name_is_below(name, "cluster.local") || name_is_below(name, "svc") ||
	       name_is_below(name, "kubernetes.default");
}

/* K3s is linked statically: its resolver reads /etc/hosts and asks name servers, and knows no NSS module for mDNS. */
static void check_endpoint_name(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *first = config_first_server(c);
	const char *name = c->cluster.endpoint;

	if (is_cluster_name(name))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s is a name inside the cluster, which pods know and nodes do not; use the address of a server",
			name);
	else if (name_is_below(name, "local"))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s is a name of mDNS, which K3s does not ask, so no node would join; %s, or use a name that your name server knows",
			name,
			first && first->address.set
				? arena_printf("write %s", TEXT_OF(first->address.addr))
				: arena_printf("give %s an address and remove endpoint",
					       first ? str_or(first->name, "the first server") : "the first server"));
	else if (name_is_below(name, "localhost") || name_is_below(name, "localhost.localdomain") ||
		 starts_with(name, "ip6-"))
		fault_key(x->faults, c, "cluster.endpoint",
			  "cluster.endpoint: %s is every machine itself; use the address of a server", name);
	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_WORKER && n->name && streq(n->name, name))
			fault_key(x->faults, c, "cluster.endpoint",
				  "cluster.endpoint: %s is a worker, where no API listens; use a control-plane node",
				  name);
}

static void check_endpoint_address(const struct check *x, uint32_t addr)
{
	const struct config *c = x->config;
	const char *text = c->cluster.endpoint;

	vec_foreach (n, &c->nodes)
		if (n->address.set && n->address.addr == addr && n->role == ROLE_WORKER)
			fault_key(
				x->faults, c, "cluster.endpoint",
				"cluster.endpoint: %s is the worker %s, where no API listens; use a control-plane node",
				text, str_or(n->name, "of the cluster"));
	vec_foreach (p, &c->lb.pools)
		if (check_range_has(p->range, addr))
			fault_key(
				x->faults, c, "cluster.endpoint",
				"cluster.endpoint: %s lies in the pool %s, whose addresses come up only after nodes have joined; use another",
				text, range_text(p->range));
	if (check_range_has(c->network.dhcp_range, addr))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s lies in network.dhcpRange %s, so the router may give it to another machine; use one outside",
			text, range_text(c->network.dhcp_range));
	if (is_loopback(addr))
		fault_key(x->faults, c, "cluster.endpoint",
			  "cluster.endpoint: %s is every machine itself; use the address of a server", text);
	else if (is_no_machine(c, addr))
		fault_key(x->faults, c, "cluster.endpoint",
			  "cluster.endpoint: %s is no address that a machine can keep; use the address of a server",
			  text);
}

/* By its address, also that of network.hosts, or by its name where /etc/hosts of the others has it. */
static bool endpoint_is_server(const struct config *c, uint32_t addr)
{
	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_CONTROL_PLANE && n->address.set &&
		    (n->address.addr == addr || (n->name && streq(n->name, c->cluster.endpoint))))
			return true;
	return false;
}

/* Whoever dials the endpoint does not dial the VIP, unless the one leads to the other. */
static void check_endpoint_vip(const struct check *x, uint32_t addr)
{
	const struct config *c = x->config;
	const char *vip = TEXT_OF(c->cluster.vip);

	if (addr == c->cluster.vip)
		return;
	if (addr || endpoint_is_server(c, addr))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s is not cluster.vip %s, so kubeconfig would go past it: remove endpoint, or use a name that your name server leads to %s",
			c->cluster.endpoint, vip, vip);
	else
		note_key(x->faults, c, "cluster.endpoint",
			 "cluster.endpoint: your name server has to lead %s to cluster.vip %s", c->cluster.endpoint,
			 vip);
}

static void check_endpoint(const struct check *x)
{
	const struct config *c = x->config;
	size_t before = x->faults->errors;
	uint32_t addr = 0;
	bool is_address;

	if (!c->cluster.endpoint)
		return;
	is_address = value_ipv4(c->cluster.endpoint, &addr) == 0;
	if (!is_address) {
		check_endpoint_name(x);
		addr = config_host_address(c, c->cluster.endpoint);
	}
	if (is_address || addr)
		check_endpoint_address(x, addr);
	if (x->faults->errors != before)
		return;
	if (c->cluster.vip)
		check_endpoint_vip(x, addr);
	else if (config_first_server(c) && !endpoint_is_server(c, addr))
		note_key(x->faults, c, "cluster.endpoint",
			 "cluster.endpoint: %s is no server of this file: %s to TCP %d of %s before nodes can join",
			 c->cluster.endpoint,
			 addr ? "a load balancer or virtual address of yours has to lead from it"
			      : "your name server has to know it, and it has to lead",
			 K3S_API_PORT, server_names(c));
}

/* What has the address that is to be the VIP already, and what that leads to; NULL = nobody. */
static const char *vip_taken(const struct config *c)
{
	uint32_t vip = c->cluster.vip;

	vec_foreach (n, &c->nodes)
		if (n->address.set && n->address.addr == vip)
			return arena_printf("is the address of %s, which it would lose to another server",
					    str_or(n->name, "a node"));
	if (vip == c->network.gateway)
		return "is network.gateway, your router";
	for (size_t i = 0; i < c->network.nameservers.n; i++)
		if (vip == c->network.nameservers.v[i])
			return arena_printf("is network.nameservers[%zu], a name server", i);
	vec_foreach (p, &c->lb.pools)
		if (check_range_has(p->range, vip))
			return arena_printf("lies in the pool %s, so Cilium would give it to a Service too",
					    range_text(p->range));
	if (check_range_has(c->network.dhcp_range, vip))
		return arena_printf("lies in network.dhcpRange %s, so the router may give it to another machine",
				    range_text(c->network.dhcp_range));
	return NULL;
}

static void check_vip_servers(const struct check *x)
{
	const struct config *c = x->config;
	const char *vip = TEXT_OF(c->cluster.vip);

	if (config_count_role(c, ROLE_CONTROL_PLANE) == 1)
		note_key(
			x->faults, c, "cluster.vip",
			"cluster.vip: there is one server, so nobody takes %s over from it; with cluster.datastore: etcd two more can be added",
			vip);
	/* K3s then looks for one on its interface at every start, and the VIP is there too. */
	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_CONTROL_PLANE && !n->address.set)
			note_key(
				x->faults, c, node_key(c, n, "name"),
				"%s: a server on DHCP may take cluster.vip %s for its own address while it holds it; give %s one",
				node_key(c, n, "name"), vip, str_or(n->name, "it"));
}

static void check_vip(const struct check *x)
{
	const struct config *c = x->config;
	struct cidr lan = c->network.subnet;
	uint32_t vip = c->cluster.vip;
	const char *taken;

	if (!vip)
		return;
	taken = vip_taken(c);
	if (!lan.set && !config_is_given(x, "network.subnet"))
		fault_key(
			x->faults, c, "cluster.vip",
			"cluster.vip: network.subnet is missing, and without it nobody can tell whether %s is an address of your LAN; give it",
			TEXT_OF(vip));
	else if (lan.set && !cidr_has(lan, vip))
		fault_key(
			x->faults, c, "cluster.vip",
			"cluster.vip: %s lies outside network.subnet %s, where no machine would find it; use a free address inside",
			TEXT_OF(vip), cidr_text(lan));
	else if (lan.set && lan.prefix < 31 && (vip == cidr_first(lan) || vip == cidr_last(lan)))
		fault_key(x->faults, c, "cluster.vip", "cluster.vip: %s is the %s address of %s; use a free one",
			  TEXT_OF(vip), vip == cidr_first(lan) ? "network" : "broadcast", cidr_text(lan));
	else if (taken)
		fault_key(x->faults, c, "cluster.vip", "cluster.vip: %s %s; use a free address", TEXT_OF(vip), taken);
	else
		check_vip_servers(x);
}

static void check_datastore(const struct check *x)
{
	const struct config *c = x->config;
	unsigned servers = config_count_role(c, ROLE_CONTROL_PLANE);

	if (servers > 1 && c->cluster.datastore == DATASTORE_SQLITE)
		fault_key(
			x->faults, c, "cluster.datastore",
			"cluster.datastore: sqlite lives on one server and cannot be shared by %u; use etcd, or one server",
			servers);
	else if (config_uses_etcd(c) && servers && servers % 2 == 0)
		fault_key(
			x->faults, c, "nodes",
			"nodes: %u servers with etcd survive no more failures than %u, and a split stops both halves; use %u or %u",
			servers, servers - 1, servers - 1, servers + 1);
}

/* ---- taints ---- */

static void check_taint_servers(const struct check *x)
{
	const struct config *c = x->config;

	if (config_taints_servers(c) && config_first_server(c) && !config_count_role(c, ROLE_COUNT) &&
	    !config_count_role(c, ROLE_WORKER))
		fault_key(
			x->faults, c, "cluster.taintServers",
			"cluster.taintServers: there is no worker, so no pod of yours would find a node; add one, or write auto");
}

static void check_taint_twins(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (n, &c->nodes) {
		for (size_t b = 1; b < n->taints.n; b++) {
			const struct node_taint *t = &n->taints.v[b];

			for (size_t a = 0; t->key && a < b; a++)
				if (n->taints.v[a].key && streq(n->taints.v[a].key, t->key) &&
				    streq(n->taints.v[a].effect, t->effect))
					fault_key(
						x->faults, c, arena_printf("%s[%zu]", node_key(c, n, "taints"), b),
						"%s[%zu]: a node has one taint %s with the effect %s, and taints[%zu] is it; remove one",
						node_key(c, n, "taints"), b, t->key, t->effect, a);
		}
	}
}

static bool keeps_pods_off(const struct config *c, const struct node_config *n)
{
	vec_foreach (t, &n->taints)
		if (t->key && !streq(t->effect, "PreferNoSchedule"))
			return true;
	return n->role == ROLE_CONTROL_PLANE && config_taints_servers(c);
}

static void check_taints_leave_room(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *first = NULL;

	vec_foreach (n, &c->nodes) {
		if (!keeps_pods_off(c, n))
			return;
		first = first || !n->taints.n ? first : n;
	}
	if (first)
		fault_key(
			x->faults, c, node_key(c, first, "taints"),
			"%s: every node keeps pods off that do not tolerate its taints, so CoreDNS, Hubble and cert-manager would stay Pending; leave one without",
			node_key(c, first, "taints"));
}

static void check_access(const struct check *x)
{
	const struct config *c = x->config;
	const struct yaml_node *keys = yaml_find(c->doc, "access.sshKeys");

	if (c->access.ssh_keys.n || c->access.github.n || c->access.password_hash || !yaml_get(c->doc, "access"))
		return;
	/* What is there but wrong has its own fault. */
	if (yaml_find(c->doc, "access.passwordHash") || (keys && keys->count) || (keys && keys->type != YAML_SEQ))
		return;
	fault_key(x->faults, c, "access.sshKeys",
		  "access: nobody could log in: give sshKeys (make one with `ssh-keygen -t ed25519`) or passwordHash");
}

/* ---- network ---- */

static void check_addresses(const struct check *x)
{
	const struct config *c = x->config;
	struct cidr lan = c->network.subnet;

	vec_foreach (n, &c->nodes) {
		const char *key = node_key(c, n, "address");

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
		if (check_range_has(c->network.dhcp_range, n->address.addr))
			fault_key(
				x->faults, c, key,
				"%s: %s lies in network.dhcpRange %s, so the router may give it to another machine; use one outside",
				key, TEXT_OF(n->address.addr), range_text(c->network.dhcp_range));
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
	else if (lan.set && (gateway == cidr_first(lan) || gateway == cidr_last(lan)))
		fault_key(x->faults, c, "network.gateway", "network.gateway: %s is the %s address of %s, not a router",
			  TEXT_OF(gateway), gateway == cidr_first(lan) ? "network" : "broadcast", cidr_text(lan));
	vec_foreach (n, &c->nodes)
		if (n->address.set && n->address.addr == gateway)
			fault_key(x->faults, c, node_key(c, n, "address"), "%s: %s is network.gateway, your router",
				  node_key(c, n, "address"), TEXT_OF(gateway));
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
	if (!c->network.gateway && !config_is_given(x, "network.gateway"))
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

static void check_dhcp_range(const struct check *x)
{
	const struct config *c = x->config;
	struct ip_range r = c->network.dhcp_range;

	if (r.set && c->network.subnet.set &&
	    (!cidr_has(c->network.subnet, r.first) || !cidr_has(c->network.subnet, r.last)))
		fault_key(x->faults, c, "network.dhcpRange", "network.dhcpRange: %s lies outside network.subnet %s",
			  range_text(r), cidr_text(c->network.subnet));
}

/* Nobody but the router knows what it hands out: unless it is told here, a collision shows on the LAN only. */
static void check_dhcp_range_given(const struct check *x)
{
	const struct config *c = x->config;
	bool fixed = c->lb.pools.n || c->cluster.vip;

	vec_foreach (n, &c->nodes)
		fixed |= n->address.set;
	if (fixed && !config_is_given(x, "network.dhcpRange"))
		note_key(
			x->faults, c, "network",
			"network.dhcpRange is not given: nobody can tell whether your router hands out addresses of nodes or pools; its web page shows the range, FIRST-LAST");
}

/* One place of cluster.yaml that names an interface, KEY. */
static void check_interface_at(const struct check *x, const char *key, const struct node_config *n)
{
	const struct config *c = x->config;
	const char *name = config_interface(c, n), *lan = config_lan_interface(c, n);

	if (starts_with(name, "wlan")) {
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
			check_interface_at(x, node_key(c, n, "interface"), n);
}

/* Time is waited for before K3s starts. */
static void check_ntp(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->network.ntp.n; i++) {
		const char *key = arena_printf("network.ntp[%zu]", i), *name = c->network.ntp.v[i];
		uint32_t addr = 0;

		if (!name || (value_ipv4(name, &addr) < 0 && !(addr = config_host_address(c, name))))
			continue;
		vec_foreach (p, &c->lb.pools)
			if (check_range_has(p->range, addr))
				fault_key(
					x->faults, c, key,
					"%s: %s lies in the pool %s, whose addresses come up only after K3s, which waits for the time; use another server",
					key, name, range_text(p->range));
		vec_foreach (n, &c->nodes)
			if (n->address.set && n->address.addr == addr)
				note_key(
					x->faults, c, key,
					"%s: %s is %s, where no time server runs at first boot; the router often is one",
					key, name, str_or(n->name, "a node"));
	}
}

/* Every short name is looked for below each of these first. */
static void check_search_domains(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->network.search_domains.n; i++) {
		const char *domain = str_or(c->network.search_domains.v[i], ""),
			   *key = arena_printf("network.searchDomains[%zu]", i);

		if (is_cluster_name(domain))
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

/* " Take another private network for KEY, such as 172.20.0.0/16" */
static const char *another_network(const struct config *c, const char *key, size_t index)
{
	struct cidr net = config_free_network(c, index);

	if (!net.set)
		return arena_printf(" Take another private network for %s", key);
	return arena_printf(" Take another private network for %s, such as %s", key, cidr_text(net));
}

/* At KEY, or where the file does not have it, at what it collides with. */
static void cluster_network(const struct check *x, const char *key, struct cidr net, size_t index)
{
	const struct config *c = x->config;
	struct named_ranges named = config_named_ranges(c);
	struct ip_range range = { cidr_first(net), cidr_last(net), net.set };

	vec_foreach (n, &named.list) {
		bool given = yaml_find(c->doc, key) != NULL, lan = streq(n->key, "network.subnet");

		if (!ranges_overlap(n->range, range))
			continue;
		fault_key(x->faults, c, given ? key : n->key, "%s: %s%s overlaps %s %s; %s.%s", key, cidr_text(net),
			  given ? "" : " (the default)", lan ? "your LAN" : n->key, n->text,
			  lan ? "nodes would lose every machine in it, SSH included" : "nodes could not reach it",
			  another_network(c, key, index));
		return;
	}
}

static void check_cluster_networks(const struct check *x)
{
	const struct config *c = x->config;
	const char *key = yaml_find(c->doc, "cluster.podCIDR") ? "cluster.podCIDR" : "cluster.serviceCIDR";

	cluster_network(x, "cluster.podCIDR", c->cluster.pod_cidr, 0);
	cluster_network(x, "cluster.serviceCIDR", c->cluster.service_cidr, 1);
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

	if (pods.set && (pods.prefix > 24 || c->nodes.n > (1u << (24 - pods.prefix))))
		fault_key(
			x->faults, c, "cluster.podCIDR",
			"cluster.podCIDR: each node takes a /24 for its pods, and %s has room for %u of the %zu nodes; use a /16",
			cidr_text(pods), pods.prefix > 24 ? 0 : 1u << (24 - pods.prefix), c->nodes.n);
	if (services.set && (services.prefix < 12 || services.prefix > 28))
		fault_key(x->faults, c, "cluster.serviceCIDR",
			  "cluster.serviceCIDR: Kubernetes takes networks from /12 to /28 here, not /%u; use a /16",
			  services.prefix);
}

static bool cidrs6_overlap(const struct cidr6 *a, const struct cidr6 *b)
{
	unsigned bits = MIN(a->prefix, b->prefix);

	for (unsigned bit = 0; bit < bits; bit++)
		if ((a->addr[bit / 8] ^ b->addr[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
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

static void check_ipv6_switches(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (word, &c->boot.cmdline)
		check_ipv6_word(x, "boot.cmdline", *word);
	vec_foreach (n, &c->nodes)
		vec_foreach (word, &n->boot.cmdline)
			check_ipv6_word(x, node_key(c, n, "boot.cmdline"), *word);
	vec_foreach (s, &c->os.sysctl)
		if (ends_with(s->key, "disable_ipv6") && !streq(s->value, "0"))
			fault_key(
				x->faults, c, "os.sysctl",
				"os.sysctl: %s = %s switches off what network.ipv6 gives the nodes; remove one of the two",
				s->key, s->value);
}

/* K3s starts no node of a cluster with both families that is not told its address in both (k3s-io/k3s
 * pkg/daemons/agent/ agent.go, startNetwork and validateNetworkConfiguration: "must share the same IP version"). */
static void check_ipv6(const struct check *x)
{
	const struct config *c = x->config;
	unsigned prefix = c->network.ipv6.pods.prefix;

	if (!c->network.ipv6.enabled)
		return;
	check_ipv6_pairs(x);
	check_ipv6_switches(x);
	vec_foreach (n, &c->nodes)
		if (!n->address.set)
			fault_key(
				x->faults, c, node_key(c, n, "name"),
				"%s: with network.ipv6 every node needs a static address, which gives it its IPv6 address too; K3s has to be told both, and %s has DHCP: give it an address",
				node_key(c, n, "name"), str_or(n->name, "it"));
	if (c->nodes.n > 1u << (64 - prefix))
		fault_key(
			x->faults, c, "network.ipv6.podCIDR",
			"network.ipv6.podCIDR: each node takes a /64 for its pods, and %s has room for %u of the %zu nodes; use a /56",
			cidr6_text(&c->network.ipv6.pods), 1u << (64 - prefix), c->nodes.n);
	if (c->lb.pools.n && x->versions->cilium && !compat_cilium_announces_ipv6(x->versions->cilium))
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
			  range_text(p->range), cidr_text(lan));
	else if (lan.set && !c->lb.bgp.enabled && (!cidr_has(lan, p->range.first) || !cidr_has(lan, p->range.last)))
		fault_key(
			x->faults, c, key,
			"%s: %s lies outside network.subnet %s; nobody on the LAN would ask for these addresses by ARP",
			key, range_text(p->range), cidr_text(lan));
	else if (lan.set && (p->range.first == cidr_first(lan) || p->range.last == cidr_last(lan)))
		fault_key(x->faults, c, key, "%s: %s includes the %s address of %s, which no service can have", key,
			  range_text(p->range), p->range.first == cidr_first(lan) ? "network" : "broadcast",
			  cidr_text(lan));
	if (ranges_overlap(p->range, c->network.dhcp_range))
		fault_key(
			x->faults, c, key,
			"%s: %s overlaps network.dhcpRange %s; the router would give service addresses to other machines",
			key, range_text(p->range), range_text(c->network.dhcp_range));
	if (check_range_has(p->range, c->network.gateway))
		fault_key(
			x->faults, c, key,
			"%s: %s includes the gateway %s; a service that got it would take the whole LAN off the internet",
			key, range_text(p->range), TEXT_OF(c->network.gateway));
	for (size_t i = 0; i < c->network.nameservers.n; i++)
		if (check_range_has(p->range, c->network.nameservers.v[i]) &&
		    c->network.nameservers.v[i] != c->network.gateway)
			fault_key(x->faults, c, key, "%s: %s includes the name server %s", key, range_text(p->range),
				  TEXT_OF(c->network.nameservers.v[i]));
	vec_foreach (n, &c->nodes)
		if (n->address.set && check_range_has(p->range, n->address.addr))
			fault_key(x->faults, c, key,
				  "%s: %s includes %s, the address of %s; two machines would answer for it", key,
				  range_text(p->range), TEXT_OF(n->address.addr), str_or(n->name, "a node"));
}

static void check_pools(const struct check *x)
{
	const struct config *c = x->config;

	if (c->lb.pools.n && !c->network.subnet.set && !config_is_given(x, "network.subnet"))
		fault_key(x->faults, c, "loadBalancer.pools",
			  "loadBalancer.pools: a pool must be part of your LAN; say which one in network.subnet");
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
					pool_key(c, b), range_text(b->range), str_or(a->name, "before"),
					range_text(a->range));
		}
	}
}

/* ---- features ---- */

static void check_hubble(const struct check *x)
{
	const struct config *c = x->config;

	if (c->cilium.hubble_ui && !c->cilium.hubble_relay)
		fault_key(
			x->faults, c, "cilium.hubble.relay",
			"cilium.hubble: the UI talks to the relay, and Cilium's chart refuses one without the other; set relay: true or ui: false");
}

static void check_cert_manager(const struct check *x)
{
	const struct config *c = x->config;
	bool dns01 = yaml_find(c->doc, "certManager.dns01") != NULL;

	if (!c->cert_manager.enabled)
		return;
	if (!dns01 && (c->cert_manager.issuers[ISSUER_STAGING] || c->cert_manager.issuers[ISSUER_PRODUCTION]))
		fault_key(
			x->faults, c, "certManager.issuers",
			"certManager.issuers: Let's Encrypt wants proof that a domain is yours; add dns01 with your DNS provider, or take [ca], a CA of your own");
	if (!dns01 && c->cert_manager.zones.n && config_default_issuer(c) == ISSUER_COUNT)
		fault_key(
			x->faults, c, "certManager.zones",
			"certManager.zones: no issuer would serve them; add dns01, or issuers: [ca] for a CA of your own");
	if (c->cert_manager.issuers[ISSUER_CA] && !c->cert_manager.zones.n && !config_is_given(x, "certManager.zones"))
		fault_key(
			x->faults, c, "certManager.issuers",
			"certManager.issuers: ca signs for names below certManager.zones alone, so that it can do no harm elsewhere; add zones, such as [home.arpa]");
	if (c->cert_manager.wildcard && !c->cert_manager.zones.n)
		fault_key(x->faults, c, "certManager.wildcard", "certManager.wildcard: for which domains? add zones");
}

static void check_base(const struct check *x)
{
	const struct config *c = x->config;
	bool shipped;

	if (!c->os.base)
		return;
	shipped = config_base_named(c->os.base);
	if (!shipped && !c->os.sha256 && !yaml_find(c->doc, "os.sha256"))
		fault_key(
			x->faults, c, "os.base",
			"os.sha256 is missing: an image of your own is used only when its digest is known (sha256sum FILE)");
	if (shipped && c->os.sha256)
		fault_key(x->faults, c, "os.sha256",
			  "os.sha256: %s is pinned by the lock; remove this, or give a path or URL as base",
			  c->os.base);
}

static void check_signature_key(const struct check *x)
{
	const struct config *c = x->config;

	if (c->os.signature_key && c->os.base && (c->os.base[0] == '/' || streq(c->os.base, "debian")))
		fault_key(
			x->faults, c, "os.signatureKey",
			"os.signatureKey: a signature lies beside what is downloaded; os.sha256 alone vouches for an image of your own");
}

/* The default asks for what the base can. */
static void check_swap(const struct check *x)
{
	const struct config *c = x->config;
	bool debian = c->os.base && streq(c->os.base, "debian");

	if (!c->os.base || c->os.swap != SWAP_ZRAM || !yaml_find(c->doc, "os.swap") ||
	    (!debian && !streq(c->os.base, "raspios-bookworm")))
		return;
	note_key(x->faults, c, "os.swap", "os.swap: os.base: %s cannot swap into memory; its nodes %s", c->os.base,
		 debian ? "do not swap" : "swap into a file on the card, as it sets up: off ends that");
}

/* A section that is on because it is there, with nothing in it: what stood below may be a comment by now. */
static void check_empty_sections(const struct check *x)
{
	static const struct {
		const char *key, *means;
	} sections[] = {
		{ "certManager", "cert-manager is installed, without an issuer" },
		{ "network.ipv6", "nodes, pods and services have IPv6 too, in private networks" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct yaml_node *n = yaml_find(x->config->doc, sections[i].key);

		if (n && schema_is_null(n))
			note_key(
				x->faults, x->config, sections[i].key,
				"%s: nothing stands below it, which is taken as {}: %s; to be without, remove the line",
				sections[i].key, sections[i].means);
	}
}

static void check_mirrors(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (m, &c->mirrors)
		if (m->from && m->to && streq(m->from, m->to))
			fault_key(x->faults, c, arena_printf("mirrors[%zu].to", (size_t)(m - c->mirrors.v)),
				  "mirrors[%zu]: from and to are the same address", (size_t)(m - c->mirrors.v));
}

/* ---- K3s's own keys ---- */

static void check_disabled(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->k3s.disable.n; i++)
		if (c->k3s.disable.v[i] && streq(c->k3s.disable.v[i], "coredns"))
			note_key(
				x->faults, c, arena_printf("k3s.disable[%zu]", i),
				"k3s.disable[%zu]: without coredns no pod resolves a name, Hubble's and cert-manager's among them, until you bring another name server for the cluster",
				i);
}

static void check_cluster_dns(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (s, &c->k3s.server) {
		const struct yaml_node *addr = s->value->type == YAML_SEQ && s->value->count ? s->value->items[0]
											     : NULL;
		uint32_t ip;

		if (!streq(s->key, "cluster-dns") || !addr || value_ipv4(addr->text, &ip) < 0)
			continue;
		if (c->cluster.service_cidr.set && !cidr_has(c->cluster.service_cidr, ip))
			fault_key(
				x->faults, c, "k3s.server.cluster-dns",
				"k3s.server.cluster-dns: %s lies outside cluster.serviceCIDR %s, so no service could have it; take one inside",
				addr->text, cidr_text(c->cluster.service_cidr));
	}
}

/* ---- versions ---- */

/* At the side of the pair that the file pins. */
static void config_check_versions(const struct check *x)
{
	const struct config *c = x->config;
	struct misfits misfits = compat_misfits(x->versions, c->cilium.gateway_api != STATE_OFF,
						c->cert_manager.enabled);

	vec_foreach (m, &misfits.list) {
		const char *key = arena_printf("versions.%s", m->key);

		if (m->other && !yaml_find(c->doc, key) && yaml_find(c->doc, arena_printf("versions.%s", m->other)))
			key = arena_printf("versions.%s", m->other);
		if (m->untested)
			note_key(x->faults, c, key, "%s: %s", key, m->why);
		else
			fault_key(x->faults, c, key, "%s: %s", key, m->why);
	}
}

/* ---- secrets behind references ---- */

/* What a command prints is seen by the build alone: here none is run. */
static void probe(const struct check *x, const char *key, const struct secret_ref *ref)
{
	struct err e = { 0 };
	const char *text;
	size_t n;

	if (ref->kind != SECRET_NONE && secret_resolve(ref, SECRET_PROBE, &text, &n, &e) < 0)
		fault_key_failed(x->faults, x->config, key, &e);
}

static void probe_apps(const struct check *x)
{
	vec_foreach (a, &x->config->apps) {
		const char *key = app_key(x->config, a);

		vec_foreach (v, &a->secret_values)
			probe(x, arena_printf("%s.secretValues", key), &v->secret);
		vec_foreach (s, &a->secrets)
			vec_foreach (d, &s->data)
				probe(x,
				      a->flux ? key
					      : arena_printf("%s.secrets[%zu].data.%s", key, (size_t)(s - a->secrets.v),
							     d->key),
				      &d->secret);
	}
}

void config_check_secrets(const struct config *c, struct faults *f)
{
	const struct check x = { .config = c, .faults = f };

	probe(&x, "network.wifi.passphrase", &c->network.wifi.passphrase);
	probe(&x, "network.proxy.http", &c->network.proxy.http.secret);
	probe(&x, "network.proxy.https", &c->network.proxy.https.secret);
	vec_foreach (a, &c->registries.auth)
		probe(&x, arena_printf("registries.auth[%zu].password", (size_t)(a - c->registries.auth.v)),
		      &a->password);
	vec_foreach (v, &c->cert_manager.dns01)
		probe(&x, arena_printf("certManager.dns01.%s", v->key), &v->secret);
	probe_apps(&x);
	probe(&x, "loadBalancer.announce.bgp.password", &c->lb.bgp.password);
	probe(&x, "backup.to.s3.accessKey", &c->backup.s3.access_key);
	probe(&x, "backup.to.s3.secretKey", &c->backup.s3.secret_key);
	probe(&x, "backup.to.ssh.key", &c->backup.ssh.key);
}

/* A name of /dev/disk/by-id is that of one disk. */
static void check_data_twins(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t b = 1; b < c->nodes.n; b++) {
		const char *device = c->nodes.v[b].data.device, *key = node_key(c, &c->nodes.v[b], "data.device");

		if (!device || !starts_with(device, "by-id/"))
			continue;
		for (size_t a = 0; a < b; a++)
			if (c->nodes.v[a].data.device && streq(c->nodes.v[a].data.device, device))
				fault_key(
					x->faults, c, key,
					"%s: %s is the data disk of nodes[%zu] already, and a disk is in one machine; "
					"look on each node: ls /dev/disk/by-id",
					key, device, a);
	}
}

static const struct {
	const char *name;
	void (*run)(const struct check *x);
} checks[] = {
	{ "servers", check_servers },
	{ "duplicate nodes", check_duplicate_nodes },
	{ "first server", check_first_server },
	{ "endpoint", check_endpoint },
	{ "VIP", check_vip },
	{ "datastore", check_datastore },
	{ "tainted servers", check_taint_servers },
	{ "taints of one name", check_taint_twins },
	{ "nodes for pods", check_taints_leave_room },
	{ "addresses", check_addresses },
	{ "gateway", check_gateway },
	{ "static addresses", check_static_needs },
	{ "name servers", check_nameservers },
	{ "DHCP range", check_dhcp_range },
	{ "DHCP range given", check_dhcp_range_given },
	{ "interface", config_check_interface },
	{ "time servers", check_ntp },
	{ "host names", check_host_names },
	{ "cluster networks", check_cluster_networks },
	{ "cluster network sizes", check_cluster_sizes },
	{ "IPv6", check_ipv6 },
	{ "pools", check_pools },
	{ "pool pairs", check_pool_pairs },
	{ "Hubble", check_hubble },
	{ "cert-manager", check_cert_manager },
	{ "base", check_base },
	{ "signature key", check_signature_key },
	{ "swap", check_swap },
	{ "mirrors", check_mirrors },
	{ "what K3s leaves out", check_disabled },
	{ "K3s's DNS", check_cluster_dns },
	{ "kubelet", check_kubelet },
	{ "registries", check_registries },
	{ "versions", config_check_versions },
	{ "values file", check_values_file },
	{ "access", check_access },
	{ "names", check_names },
	{ "BGP", check_bgp },
	{ "zones", check_zones },
	{ "the cluster's gateway", check_gateway_section },
	{ "backup", check_backup },
	{ "data disks", check_data_twins },
	{ "packages", check_packages },
	{ "apps", check_apps },
	{ "search domains", check_search_domains },
	{ "empty sections", check_empty_sections },
};

void config_check(const struct config *c, const struct cluster_versions *v, struct faults *f)
{
	struct check x = { .config = c, .versions = v, .faults = f };

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		log_debug("check: %s", checks[i].name);
		checks[i].run(&x);
	}
}
