/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses and networks that cluster.yaml names, and private networks that are clear of all of them. */
#ifndef CONFIG_ADDRESS_PLAN_H
#define CONFIG_ADDRESS_PLAN_H

#include "config/config.h"

struct named_range {
	const char *key;  /* that names it: "network.nameservers[0]" */
	const char *text; /* as people write it: "10.42.0.10", "192.168.1.0/24" */
	struct ip_range range;
	bool may_be_service; /* an address in cluster.serviceCIDR may be meant: that of a Service */
};
struct named_ranges {
	VEC(struct named_range) list;
};
/* All but cluster.podCIDR and cluster.serviceCIDR: these are chosen freely, and have to stay clear of the others. The
 * LAN comes first. */
struct named_ranges config_named_ranges(const struct config *c);

/* The first MOST networks of /16 for pods or services that overlap neither any of those nor podCIDR nor serviceCIDR,
 * and how many there are; RET keeps what it has past them. Neighbours in this order lie in different private networks.
 */
size_t config_free_networks(const struct config *c, struct cidr *ret, size_t most);

#endif
