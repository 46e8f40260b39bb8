/* SPDX-License-Identifier: Apache-2.0 */
/* The LAN this machine is on, from the kernel's routing table: most often the one the Pis will be on too. */
#include <arpa/inet.h>
#include <net/route.h>

#include "cmd/init.h"

struct route {
	char interface[16];
	unsigned destination, gateway, flags, metric, mask; /* addresses in network order, as the kernel prints them */
};

static bool parse_route(const char *line, struct route *r)
{
	return sscanf(line, "%15s %x %x %x %*s %*s %u %x", r->interface, &r->destination, &r->gateway, &r->flags,
		      &r->metric, &r->mask) == 6 &&
	       r->flags & RTF_UP;
}

static bool is_default(const struct route *r)
{
	return r->destination == 0 && r->mask == 0 && r->flags & RTF_GATEWAY;
}

/* A network the machine is on itself, not one behind a router. */
static bool is_link(const struct route *r)
{
	return r->mask != 0 && r->gateway == 0;
}

static struct cidr cidr_of(const struct route *r)
{
	uint32_t mask = ntohl(r->mask);

	return (struct cidr){ ntohl(r->destination), (uint8_t)__builtin_popcount(mask), true };
}

bool init_guess_lan(const char *table, struct cidr *ret_subnet, uint32_t *ret_gateway)
{
	_cleanup_fclose_ FILE *f = fopen(str_or(table, "/proc/net/route"), "re");
	struct route best = { .metric = UINT32_MAX }, r;
	bool found = false;
	char line[256];

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (parse_route(line, &r) && is_default(&r) && r.metric < best.metric)
			best = r;
	rewind(f);
	while (!found && fgets(line, sizeof(line), f)) {
		if (!parse_route(line, &r) || !is_link(&r) || !streq(r.interface, best.interface))
			continue;
		*ret_subnet = cidr_of(&r);
		*ret_gateway = ntohl(best.gateway);
		/* Point-to-point links and whole class A networks are no LAN to put nodes on. */
		found = cidr_has(*ret_subnet, *ret_gateway) && ret_subnet->prefix >= 8 && ret_subnet->prefix <= 30;
	}
	return found && !ferror(f); /* another route may have been the better one */
}
