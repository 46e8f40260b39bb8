/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of addresses that a manifest brings beside those of cluster.yaml. Cilium gives out nothing of the later one of
 * two that overlap (cilium/cilium operator/pkg/lbipam, condition cilium.io/PoolConflict), and an address that a machine
 * has is answered for by two.
 */
#include "config/manifest.h"

#include "config/address_plan.h"
#include "config/check.h"

/* "cidr", or "start" and "stop", which alone is one address; unset when it is of IPv6, or none. */
static struct ip_range block_range(const struct yaml_node *block)
{
	const char *cidr = yaml_text_at(block, "cidr"), *start = yaml_text_at(block, "start"),
		   *stop = yaml_text_at(block, "stop");
	struct ip_range r = { 0 };
	struct cidr net;

	if (*cidr && value_cidr(cidr, &net) == 0)
		return (struct ip_range){ cidr_first(net), cidr_last(net), true };
	if (value_ipv4(start, &r.first) == 0)
		r.set = value_ipv4(*stop ? stop : start, &r.last) == 0 && r.first <= r.last;
	return r;
}

/* A pool is part of the LAN, and a node's address is known with its network. */
static const char *pool_taken_by(const struct config *c, struct ip_range r)
{
	const struct named_ranges named = config_named_ranges(c);

	vec_foreach (p, &c->lb.pools)
		if (ranges_overlap(p->range, r))
			return arena_printf(
				"the pool %s (%s) of loadBalancer.pools, and Cilium gives out nothing of the later one",
				str_or(p->name, "without a name"), check_range_text(p->range));
	vec_foreach (n, &c->nodes)
		if (n->address.set && range_has(r, n->address.addr))
			return arena_printf("the node %s, and two machines would answer for its address",
					    str_or(n->name, "without a name"));
	vec_foreach (n, &named.list)
		if (!streq(n->key, "network.subnet") && !starts_with(n->key, "nodes[") && ranges_overlap(n->range, r))
			return arena_printf("%s (%s), and two machines would answer for an address", n->key, n->text);
	return NULL;
}

static const char *pool_fault(const struct config *c, const struct yaml_node *doc)
{
	const char *name = yaml_text_at(doc, "metadata.name");
	const struct yaml_node *blocks = yaml_find(doc, "spec.blocks"),
			       *ends = yaml_find(doc, "spec.allowFirstLastIPs");

	vec_foreach (p, &c->lb.pools)
		if (p->name && streq(p->name, name))
			return arena_printf(
				"has a pool of the name %s, as loadBalancer.pools has, and each would take the place of the other; give it another",
				name);
	if (ends && ends->type == YAML_SCALAR &&
	    !(ends->plain ? false : streq(ends->text, "Yes") || streq(ends->text, "No")))
		return arena_printf(
			"has the pool %s whose spec.allowFirstLastIPs is no text of the cluster's: write \"Yes\" or \"No\", in quotes",
			name);
	for (size_t i = 0; blocks && blocks->type == YAML_SEQ && i < blocks->count; i++) {
		const char *by = pool_taken_by(c, block_range(blocks->items[i]));

		if (by)
			return arena_printf("has the pool %s, whose spec.blocks[%zu] overlaps %s; take other addresses",
					    name, i, by);
	}
	return NULL;
}

const char *manifest_pools_fault(const struct config *c, const char *name, const char *text, size_t n)
{
	struct yaml_node **docs = NULL;
	struct err e = { 0 };
	size_t count = 0;

	if (!memmem(text, n, "CiliumLoadBalancerIPPool", strlen("CiliumLoadBalancerIPPool")) ||
	    yaml_parse_all(name, text, n, &docs, &count, &e) < 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *why = docs[i]->type == YAML_MAP &&
						  streq(yaml_text_at(docs[i], "kind"), "CiliumLoadBalancerIPPool")
					  ? pool_fault(c, docs[i])
					  : NULL;

		if (why)
			return why;
	}
	return NULL;
}
