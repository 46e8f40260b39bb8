/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes tell others where service addresses are, by ARP or by BGP. */
#include "config/config.h"

enum { WORKERS = 1 << ROLE_WORKER, SERVERS = 1 << ROLE_CONTROL_PLANE };

const char *const announce_names[ANNOUNCE_COUNT] = { "auto", "workers", "all" };
const unsigned announce_roles[ANNOUNCE_COUNT][ANNOUNCE_GROUPS] = {
	[ANNOUNCE_AUTO] = { WORKERS, SERVERS },
	[ANNOUNCE_WORKERS] = { WORKERS },
	[ANNOUNCE_ALL] = { WORKERS | SERVERS },
};

bool config_uses_arp(const struct config *c)
{
	vec_foreach (p, &c->lb.pools)
		if (!c->lb.bgp.enabled || !c->network.subnet.set || cidr_has(c->network.subnet, p->range.first))
			return true;
	return false;
}

unsigned config_announce_roles(const struct config *c)
{
	for (size_t i = 0; i < ANNOUNCE_GROUPS; i++)
		vec_foreach (n, &c->nodes)
			if (announce_roles[c->lb.nodes][i] & 1u << n->role)
				return announce_roles[c->lb.nodes][i];
	return 0;
}

bool config_signs_bgp(const struct config *c)
{
	return c->lb.bgp.enabled && c->lb.bgp.password.kind != SECRET_NONE;
}

bool config_speaks_bgp(const struct config *c, const struct node_config *n)
{
	unsigned roles = config_announce_roles(c);

	return c->lb.bgp.enabled && (!roles || roles & 1u << n->role);
}
