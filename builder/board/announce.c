/* SPDX-License-Identifier: Apache-2.0 */
#include "board/announce.h"

enum { WIRED = 1 << 0, WIFI = 1 << 1 };

/* Access points pass on a broadcast late or never, and a Pi's Wi-Fi answers ARP for its own address only. */
static const unsigned announce_links[] = { WIRED, WIFI };

static bool announce_asked_for(const struct config *c, const char *interface)
{
	vec_foreach (i, &c->lb.interfaces)
		if (*i && streq(*i, interface))
			return true;
	return false;
}

static void announce_collect(const struct config *c, const struct board *const *boards, bool asked, unsigned roles,
			     unsigned links, struct announcers *a)
{
	vec_foreach (n, &c->nodes) {
		const char *interface = board_lan_interface(boards[n - c->nodes.v], c, n);

		if ((roles & 1u << n->role) && (links & (interface_is_wifi(interface) ? WIFI : WIRED)) &&
		    (!asked || announce_asked_for(c, interface)))
			*vec_push(&a->list) = (struct announcer){ n, interface };
	}
}

struct announcers board_announcers(const struct config *c, const struct board *const *boards)
{
	bool asked = c->lb.interfaces.n > 0;
	struct announcers a = { 0 };

	if (!config_uses_arp(c))
		return a;
	for (size_t l = 0; l < (asked ? 1 : ARRAY_SIZE(announce_links)); l++)
		for (size_t r = 0; r < ANNOUNCE_GROUPS && !a.list.n; r++)
			announce_collect(c, boards, asked, announce_roles[c->lb.nodes][r],
					 asked ? WIRED | WIFI : announce_links[l], &a);
	return a;
}

const char *announcers_interface(const struct announcers *a, const struct node_config *node)
{
	vec_foreach (i, &a->list)
		if (i->node == node)
			return i->interface;
	return NULL;
}
