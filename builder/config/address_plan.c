/* SPDX-License-Identifier: Apache-2.0 */
#include "config/address_plan.h"

#include "config/asked.h"
#include "config/values.h"

/* Where free networks are looked for: from FIRST on, /16 after /16. The last one is that of carriers, which VPNs of
 * people's own like to take. */
static const struct {
	uint32_t first;
	unsigned count;
} candidate_blocks[] = {
	{ 10u << 24 | 42u << 16, 40 },
	{ 172u << 24 | 20u << 16, 12 },
	{ 10u << 24 | 200u << 16, 40 },
	{ 100u << 24 | 96u << 16, 20 },
};
enum { CANDIDATES_PER_BLOCK = 40 };

char *config_address6(const struct config *c, const struct node_config *n)
{
	uint8_t addr[16];
	char buf[IPV6_TEXT];

	memcpy(addr, c->network.ipv6.subnet.addr, sizeof(addr));
	for (unsigned i = 0; i < 4; i++) {
		unsigned part = n->address.addr >> (24 - 8 * i) & 255;

		addr[8 + 2 * i] = (uint8_t)(part / 100);
		addr[9 + 2 * i] = (uint8_t)(part / 10 % 10 << 4 | part % 10);
	}
	return arena_strdup(ipv6_text(addr, buf));
}

/* The first groups behind the network are those of no node's. */
void config_pool6(const struct config *c, size_t index, char first[IPV6_TEXT], char last[IPV6_TEXT])
{
	uint8_t addr[16];

	memcpy(addr, c->network.ipv6.subnet.addr, sizeof(addr));
	addr[12] = (uint8_t)((index + 1) >> 8);
	addr[13] = (uint8_t)(index + 1);
	ipv6_text(addr, first);
	addr[14] = addr[15] = 0xff;
	ipv6_text(addr, last);
}

static struct ip_range cidr_range(struct cidr c)
{
	return (struct ip_range){ cidr_first(c), cidr_last(c), c.set };
}

static void plan_name(struct named_ranges *r, const char *key, const char *text, struct ip_range range)
{
	if (range.set)
		*vec_push(&r->list) = (struct named_range){ .key = key, .text = text, .range = range };
}

static void plan_name_address(struct named_ranges *r, const char *key, uint32_t addr)
{
	char ip[IPV4_TEXT];

	plan_name(r, key, arena_strdup(ipv4_text(addr, ip)), (struct ip_range){ addr, addr, addr != 0 });
}

static const char *plan_range_text(struct ip_range r)
{
	char first[IPV4_TEXT], last[IPV4_TEXT];

	return arena_printf("%s-%s", ipv4_text(r.first, first), ipv4_text(r.last, last));
}

/* Machines beside the cluster. */
static void plan_name_others(struct named_ranges *r, const struct config *c)
{
	const struct asked_list asked = config_asked(c);

	vec_foreach (a, &asked.v) {
		plan_name_address(r, a->key, a->addr);
		if (a->addr && a->by == ASKED_FOR_IMAGES)
			r->list.v[r->list.n - 1].may_be_service = true;
	}
	vec_foreach (host, &c->network.hosts) {
		plan_name_address(r, "network.hosts", host->addr);
		if (host->addr)
			r->list.v[r->list.n - 1].may_be_service = true;
	}
	plan_name_address(r, "loadBalancer.announce.bgp.router", c->lb.bgp.router);
}

struct named_ranges config_named_ranges(const struct config *c)
{
	struct named_ranges r = { 0 };
	uint32_t endpoint = 0;

	if (c->network.subnet.set)
		plan_name(&r, "network.subnet", cidr_text(c->network.subnet), cidr_range(c->network.subnet));
	vec_foreach (n, &c->nodes)
		if (n->address.set)
			plan_name(&r, arena_printf("nodes[%zu].address", (size_t)(n - c->nodes.v)),
				  cidr_text(n->address), cidr_range(n->address));
	plan_name_address(&r, "network.gateway", c->network.gateway);
	for (size_t i = 0; i < c->network.nameservers.n; i++)
		plan_name_address(&r, arena_printf("network.nameservers[%zu]", i), c->network.nameservers.v[i]);
	if (c->network.dhcp_range.set)
		plan_name(&r, "network.dhcpRange", plan_range_text(c->network.dhcp_range), c->network.dhcp_range);
	vec_foreach (p, &c->lb.pools)
		if (p->range.set)
			plan_name(&r, arena_printf("loadBalancer.pools[%zu].range", (size_t)(p - c->lb.pools.v)),
				  plan_range_text(p->range), p->range);
	plan_name_address(&r, "cluster.vip", c->cluster.vip);
	if (c->cluster.endpoint && value_ipv4(c->cluster.endpoint, &endpoint) == 0)
		plan_name_address(&r, "cluster.endpoint", endpoint);
	plan_name_others(&r, c);
	return r;
}

static bool plan_is_free(const struct config *c, const struct named_ranges *named, struct cidr net)
{
	struct ip_range range = cidr_range(net);

	vec_foreach (n, &named->list)
		if (ranges_overlap(n->range, range))
			return false;
	return !ranges_overlap(cidr_range(c->cluster.pod_cidr), range) &&
	       !ranges_overlap(cidr_range(c->cluster.service_cidr), range);
}

size_t config_free_networks(const struct config *c, struct cidr *ret, size_t most)
{
	struct named_ranges named = config_named_ranges(c);
	size_t n = 0;

	for (unsigned i = 0; i < CANDIDATES_PER_BLOCK; i++) {
		for (size_t b = 0; b < ARRAY_SIZE(candidate_blocks) && n < most; b++) {
			struct cidr net = { candidate_blocks[b].first + (i << 16), 16, true };

			if (i < candidate_blocks[b].count && plan_is_free(c, &named, net))
				ret[n++] = net;
		}
	}
	return n;
}
