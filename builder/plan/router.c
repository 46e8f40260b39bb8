/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each router takes routes to addresses of the pools, and sends none. FRR wants policies in both directions before it
 * takes anything from another number (RFC 8212; `bgp ebgp-requires-policy`). Judged by FRR's own vtysh in the tests.
 */
#include "plan/router.h"

#include <stdio.h>

#include "base/terminal.h"

static const char *ip_of(uint32_t addr)
{
	return ipv4_text(addr, arena_alloc(IPV4_TEXT));
}

/* A range as networks, each as large as its place allows. */
static struct cidr next_network(uint32_t first, uint32_t last)
{
	struct cidr c = { .addr = first, .prefix = 32, .set = true };

	while (c.prefix > 0) {
		struct cidr larger = { first, (uint8_t)(c.prefix - 1), true };

		if (cidr_first(larger) != first || cidr_last(larger) > last)
			break;
		c = larger;
	}
	return c;
}

static void each_network(const struct config *c, void (*tell)(struct cidr network, unsigned number))
{
	unsigned number = 0;

	vec_foreach (p, &c->lb.pools) {
		uint32_t at = p->range.first;

		for (;;) {
			struct cidr network = next_network(at, p->range.last);

			tell(network, ++number);
			if (cidr_last(network) == p->range.last)
				break;
			at = cidr_last(network) + 1;
		}
	}
}

/* Of one number: what RFC 4271 calls an internal session, for which routers have words of its own. */
static bool is_internal(const struct config *c)
{
	return c->lb.bgp.asn == c->lb.bgp.router_asn;
}

/* Nodes whose address the router gives out cannot be named. */
static bool is_dynamic(const struct config *c)
{
	vec_foreach (n, &c->nodes)
		if (config_speaks_bgp(c, n) && !n->address.set)
			return true;
	return false;
}

/* ---- FRR ---- */

static void tell_prefix(struct cidr network, unsigned number)
{
	printf("ip prefix-list pibuild-pools seq %u permit %s%s\n", number * 5, cidr_text(network),
	       network.prefix < 32 ? " le 32" : "");
}

static void print_frr(const struct config *c)
{
	each_network(c, tell_prefix);
	printf("!\nroute-map pibuild-in permit 10\n match ip address prefix-list pibuild-pools\n!\n"
	       "route-map pibuild-out deny 10\n!\n");
	printf("router bgp %u\n bgp router-id %s\n neighbor pibuild peer-group\n neighbor pibuild remote-as %u\n",
	       c->lb.bgp.router_asn, ip_of(c->lb.bgp.router), c->lb.bgp.asn);
	if (config_signs_bgp(c))
		printf("! with the password in place of PASSWORD:\n! neighbor pibuild password PASSWORD\n");
	vec_foreach (n, &c->nodes)
		if (config_speaks_bgp(c, n) && n->address.set)
			printf(" neighbor %s peer-group pibuild\n neighbor %s description %s\n", ip_of(n->address.addr),
			       ip_of(n->address.addr), n->name);
	if (is_dynamic(c))
		printf(" bgp listen range %s peer-group pibuild\n", cidr_text(c->network.subnet));
	printf(" address-family ipv4 unicast\n  neighbor pibuild activate\n  neighbor pibuild route-map pibuild-in in\n"
	       "  neighbor pibuild route-map pibuild-out out\n  maximum-paths %s16\n exit-address-family\n!\n",
	       is_internal(c) ? "ibgp " : "");
}

static void print_frr_file(const struct config *c)
{
	printf("! FRR, vtysh or /etc/frr/frr.conf; bgpd=yes in /etc/frr/daemons\n");
	print_frr(c);
}

/* UniFi's gateways run FRR, and take its file. */
static void print_unifi(const struct config *c)
{
	printf("! UniFi Network: Settings, Policy Engine or Routing, BGP: upload this as a file\n");
	print_frr(c);
}

/*
 * ---- RouterOS ----
 *
 * From 7.20 on a connection has to name its instance, which has the number (ansible-collections/community.routeros pull
 * 404; manual.mikrotik.com, routing/bgp/connection).
 */

static void tell_filter(struct cidr network, unsigned number)
{
	printf("/routing/filter/rule/add chain=pibuild-in rule=\"if (dst in %s) { accept }\"\n", cidr_text(network));
}

static void print_connection(const struct config *c, const char *name, const char *remote)
{
	printf("/routing/bgp/connection/add name=pibuild-%s instance=pibuild local.role=%s local.address=%s "
	       "remote.address=%s remote.as=%u input.filter=pibuild-in output.filter-chain=pibuild-out%s\n",
	       name, is_internal(c) ? "ibgp" : "ebgp", ip_of(c->lb.bgp.router), remote, c->lb.bgp.asn,
	       config_signs_bgp(c) ? " tcp-md5-key=PASSWORD" : "");
}

static void print_mikrotik(const struct config *c)
{
	printf("# MikroTik, RouterOS 7.20 and later%s\n",
	       config_signs_bgp(c) ? "; with the password in place of PASSWORD" : "");
	printf("# before 7.20: without the line of the instance, and as=%u in place of instance=pibuild\n",
	       c->lb.bgp.router_asn);
	each_network(c, tell_filter);
	printf("/routing/filter/rule/add chain=pibuild-in rule=reject\n"
	       "/routing/filter/rule/add chain=pibuild-out rule=reject\n"
	       "/routing/bgp/instance/add name=pibuild as=%u\n",
	       c->lb.bgp.router_asn);
	vec_foreach (n, &c->nodes)
		if (config_speaks_bgp(c, n) && n->address.set)
			print_connection(c, n->name, arena_printf("%s/32", ip_of(n->address.addr)));
	if (is_dynamic(c))
		print_connection(c, "others", arena_printf("%s connect=no listen=yes", cidr_text(c->network.subnet)));
}

/* ---- OPNsense ---- */

static void tell_opnsense_prefix(struct cidr network, unsigned number)
{
	printf("  Prefix lists: name pibuild-pools, sequence %u, permit, network %s%s\n", number * 5,
	       cidr_text(network), network.prefix < 32 ? " le 32" : "");
}

static void print_opnsense(const struct config *c)
{
	printf("OPNsense, plugin os-frr, Routing, BGP:\n  General: enable, AS number %u, router ID %s\n",
	       c->lb.bgp.router_asn, ip_of(c->lb.bgp.router));
	each_network(c, tell_opnsense_prefix);
	vec_foreach (n, &c->nodes)
		if (config_speaks_bgp(c, n))
			printf("  Neighbors: %s, peer IP %s, remote AS %u, prefix list in pibuild-pools%s\n", n->name,
			       n->address.set ? ip_of(n->address.addr) : "the one it has by DHCP", c->lb.bgp.asn,
			       config_signs_bgp(c) ? ", the password as BGP MD5 password" : "");
}

static const struct {
	const char *name;
	void (*print)(const struct config *c);
} routers[] = {
	{ "frr", print_frr_file },
	{ "unifi", print_unifi },
	{ "mikrotik", print_mikrotik },
	{ "opnsense", print_opnsense },
};

int router_print(const struct config *c, const char *name, struct err *e)
{
	if (!c->lb.bgp.enabled)
		return err_class(
			e, CLASS_CONFIG,
			"%s: there is nothing to tell a router; loadBalancer.announce.bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513} lets nodes speak BGP with it",
			c->path);
	for (size_t i = 0; i < ARRAY_SIZE(routers); i++)
		if (streq(routers[i].name, name)) {
			routers[i].print(c);
			return stdout_flush(e);
		}
	return err_class(e, CLASS_USAGE, "--router %s: there are frr, unifi, mikrotik and opnsense", name);
}
