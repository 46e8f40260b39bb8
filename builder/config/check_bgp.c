/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what cluster.yaml says of both sides makes a session. */
#include "config/check.h"

enum { AS_TRANS = 23456 };

/* RFC 6996 */
static bool is_private(uint32_t asn)
{
	return (asn >= 64512 && asn <= 65534) || (asn >= 4200000000U && asn <= 4294967294U);
}

static void check_number(const struct check *x, const char *name, uint32_t asn)
{
	const char *key = arena_printf("loadBalancer.announce.bgp.%s", name);

	if (asn == AS_TRANS)
		fault_key(
			x->faults, x->config, key,
			"%s: %u stands for numbers that old routers cannot write (RFC 6793), and no router takes it for one: use a private number, 64512-65534 or 4200000000-4294967294",
			key, asn);
	else if (asn && !is_private(asn))
		note_key(
			x->faults, x->config, key,
			"%s: %u is somebody's on the internet; private numbers are 64512-65534 and 4200000000-4294967294",
			key, asn);
}

static void check_router(const struct check *x)
{
	static const char key[] = "loadBalancer.announce.bgp.router";
	const struct config *c = x->config;
	char ip[IPV4_TEXT];

	if (!c->lb.bgp.router)
		return;
	ipv4_text(c->lb.bgp.router, ip);
	if (c->network.subnet.set && !cidr_has(c->network.subnet, c->lb.bgp.router))
		fault_key(
			x->faults, c, key,
			"%s: %s lies outside network.subnet %s, and nodes reach neighbours only; write the router's address there",
			key, ip, cidr_text(c->network.subnet));
	vec_foreach (p, &c->lb.pools)
		if (range_has(p->range, c->lb.bgp.router))
			fault_key(x->faults, c, key,
				  "%s: %s lies in the pool %s, so Cilium would give it to a Service too; move the pool",
				  key, ip, check_range_text(p->range));
	vec_foreach (n, &c->nodes)
		if (n->address.set && n->address.addr == c->lb.bgp.router)
			fault_key(x->faults, c, key, "%s: %s is the address of %s, a node of the cluster", key, ip,
				  str_or(n->name, "a node"));
}

void check_bgp(const struct check *x)
{
	const struct config *c = x->config;

	if (!c->lb.bgp.enabled)
		return;
	check_router(x);
	check_number(x, "routerASN", c->lb.bgp.router_asn);
	check_number(x, "asn", c->lb.bgp.asn);
	if (c->lb.bgp.asn && c->lb.bgp.asn == c->lb.bgp.router_asn)
		note_key(
			x->faults, c, "loadBalancer.announce.bgp.asn",
			"loadBalancer.announce.bgp.asn: router and cluster have the number %u, which makes their session an internal one: routers pass on nothing that they learnt in such a session; take two numbers",
			c->lb.bgp.asn);
	if (!c->lb.pools.n)
		fault_key(
			x->faults, c, "loadBalancer.announce.bgp",
			"loadBalancer.announce.bgp: there is no pool whose addresses could be announced; add loadBalancer.pools");
	for (size_t i = 0; i < c->lb.pools.n; i++)
		if (c->lb.pools.v[i].range.set && c->network.subnet.set &&
		    cidr_has(c->network.subnet, c->lb.pools.v[i].range.first))
			note_key(
				x->faults, c, arena_printf("loadBalancer.pools[%zu].range", i),
				"loadBalancer.pools[%zu].range: this pool is part of the LAN, so its addresses are announced twice, by ARP and by BGP; one outside the LAN is announced by BGP alone, and packets are spread over the nodes",
				i);
}
