/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about nodes: which servers there are, how they are reached, what keeps pods off, data disks. */
#include "config/check.h"

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
				fault_key(x->faults, c, check_node_key(c, b, "name"),
					  "%s: '%s' is taken by nodes[%zu]; K3s refuses a second node of the same name",
					  check_node_key(c, b, "name"), b->name, (size_t)(a - c->nodes.v));
			if (a->address.set && b->address.set && a->address.addr == b->address.addr)
				fault_key(x->faults, c, check_node_key(c, b, "address"),
					  "%s: %s is the address of %s too; both would drop off the network",
					  check_node_key(c, b, "address"), TEXT_OF(b->address.addr),
					  str_or(a->name, "another node"));
		}
	}
}

/* As inet_aton(3) reads it, and with it ssh, curl and whoever asks getaddrinfo(3): "7" is 0.0.0.7. */
static bool is_number_name(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0' ||
	       (starts_with(text, "0x") && text[2] && text[2 + strspn(text + 2, "0123456789abcdef")] == '\0');
}

static void check_number_names(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (n, &c->nodes)
		if (n->name && is_number_name(n->name))
			note_key(
				x->faults, c, check_node_key(c, n, "name"),
				"%s: programs take a name that is a number for an IPv4 address, so that ssh %s and the like lead nowhere; put a letter before it",
				check_node_key(c, n, "name"), n->name);
}

static void check_first_server(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *first = config_first_server(c);

	if (!first || c->nodes.n < 2 || first->address.set || c->cluster.endpoint || c->cluster.vip)
		return;
	/* An address that cannot be used has its own fault. */
	if (check_is_given(x, check_node_key(c, first, "address")) || check_is_given(x, "cluster.endpoint") ||
	    check_is_given(x, "cluster.vip"))
		return;
	fault_key(
		x->faults, c, check_node_key(c, first, "name"),
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
	return addr >> 16 == 0xa9fe || addr >> 28 >= 0xe || check_lan_end(c, addr);
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

/* K3s is linked statically: its resolver reads /etc/hosts and asks name servers, and knows no NSS module for mDNS. */
static void check_endpoint_name(const struct check *x)
{
	const struct config *c = x->config;
	const struct node_config *first = config_first_server(c);
	const char *name = c->cluster.endpoint;

	if (check_is_cluster_name(name))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s is a name inside the cluster, which pods know and nodes do not; use the address of a server",
			name);
	else if (name_is_below(name, "local") && !config_host_address(c, name))
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
		if (range_has(p->range, addr))
			fault_key(
				x->faults, c, "cluster.endpoint",
				"cluster.endpoint: %s lies in the pool %s, whose addresses come up only after nodes have joined; use another",
				text, check_range_text(p->range));
	if (range_has(c->network.dhcp_range, addr))
		fault_key(
			x->faults, c, "cluster.endpoint",
			"cluster.endpoint: %s lies in network.dhcpRange %s, so the router may give it to another machine; use one outside",
			text, check_range_text(c->network.dhcp_range));
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
	if (vip == c->lb.bgp.router)
		return "is loadBalancer.announce.bgp.router";
	vec_foreach (p, &c->lb.pools)
		if (range_has(p->range, vip))
			return arena_printf("lies in the pool %s, so Cilium would give it to a Service too",
					    check_range_text(p->range));
	if (range_has(c->network.dhcp_range, vip))
		return arena_printf("lies in network.dhcpRange %s, so the router may give it to another machine",
				    check_range_text(c->network.dhcp_range));
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
				x->faults, c, check_node_key(c, n, "name"),
				"%s: a server on DHCP may take cluster.vip %s for its own address while it holds it; give %s one",
				check_node_key(c, n, "name"), vip, str_or(n->name, "it"));
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
	if (!lan.set && !check_is_given(x, "network.subnet"))
		fault_key(
			x->faults, c, "cluster.vip",
			"cluster.vip: network.subnet is missing, and without it nobody can tell whether %s is an address of your LAN; give it",
			TEXT_OF(vip));
	else if (lan.set && !cidr_has(lan, vip))
		fault_key(
			x->faults, c, "cluster.vip",
			"cluster.vip: %s lies outside network.subnet %s, where no machine would find it; use a free address inside",
			TEXT_OF(vip), cidr_text(lan));
	else if (check_lan_end(c, vip))
		fault_key(x->faults, c, "cluster.vip", "cluster.vip: %s is the %s address of %s; use a free one",
			  TEXT_OF(vip), check_lan_end(c, vip), cidr_text(lan));
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
			"nodes: the cluster stands still as soon as %u of %u servers with etcd fail, no later than with one server less, and a split stops both halves; use %u or %u",
			servers / 2, servers, servers - 1, servers + 1);
}

/* Members of etcd know each other by their addresses, and a node that comes back with another is none of them. */
static void check_etcd_addresses(const struct check *x)
{
	const struct config *c = x->config;
	unsigned servers = config_count_role(c, ROLE_CONTROL_PLANE);

	vec_foreach (n, &c->nodes) {
		const char *key = check_node_key(c, n, "name");

		if (servers < 2 || n->role != ROLE_CONTROL_PLANE || n->address.set ||
		    check_is_given(x, check_node_key(c, n, "address")))
			continue;
		note_key(
			x->faults, c, key,
			"%s: %s is a server with etcd on DHCP: etcd does not follow a member whose address changes, and a card that is made anew looks for the others by their names; give it an address, or let your router always give it the same one, and know its name",
			key, str_or(n->name, "it"));
		return;
	}
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

			for (size_t a = 0; t->key && a < b; a++) {
				if (n->taints.v[a].key && streq(n->taints.v[a].key, t->key) &&
				    streq(n->taints.v[a].effect, t->effect)) {
					fault_key(
						x->faults, c,
						arena_printf("%s[%zu]", check_node_key(c, n, "taints"), b),
						"%s[%zu]: a node has one taint %s with the effect %s, and taints[%zu] is it; remove one",
						check_node_key(c, n, "taints"), b, t->key, t->effect, a);
					break;
				}
			}
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
			x->faults, c, check_node_key(c, first, "taints"),
			"%s: every node keeps pods off that do not tolerate its taints, so CoreDNS, Hubble and cert-manager would stay Pending; leave one without",
			check_node_key(c, first, "taints"));
}

/* A name of /dev/disk/by-id is that of one disk. */
static void check_data_twins(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t b = 1; b < c->nodes.n; b++) {
		const char *device = c->nodes.v[b].data.device, *key = check_node_key(c, &c->nodes.v[b], "data.device");

		if (!device || !starts_with(device, "by-id/"))
			continue;
		for (size_t a = 0; a < b; a++)
			if (c->nodes.v[a].data.device && streq(c->nodes.v[a].data.device, device))
				fault_key(
					x->faults, c, key,
					"%s: %s is the data disk of nodes[%zu] already, and a disk is in one machine; look on each node: ls /dev/disk/by-id",
					key, device, a);
	}
}

const struct check_rule check_node_rules[] = {
	{ "servers", check_servers },
	{ "duplicate nodes", check_duplicate_nodes },
	{ "names of digits", check_number_names },
	{ "first server", check_first_server },
	{ "endpoint", check_endpoint },
	{ "VIP", check_vip },
	{ "datastore", check_datastore },
	{ "addresses of etcd", check_etcd_addresses },
	{ "tainted servers", check_taint_servers },
	{ "taints of one name", check_taint_twins },
	{ "nodes for pods", check_taints_leave_room },
	{ "data disks", check_data_twins },
	{ 0 },
};
