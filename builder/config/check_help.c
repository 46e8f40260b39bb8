/* SPDX-License-Identifier: Apache-2.0 */
/* What rules share: keys and ranges as messages name them, what is given, which names are the cluster's. */
#include "config/check.h"

const char *check_node_key(const struct config *c, const struct node_config *n, const char *key)
{
	return arena_printf("nodes[%zu].%s", (size_t)(n - c->nodes.v), key);
}

bool check_is_given(const struct check *x, const char *key)
{
	const struct config *c = x->config;
	const char *last = strrchr(key, '.');
	const struct yaml_node *parent = last ? config_node(c, arena_strndup(key, (size_t)(last - key))) : c->doc;

	return yaml_get(parent, last ? last + 1 : key) || faults_key_meant(x->faults, key);
}

const char *check_range_text(struct ip_range r)
{
	return arena_printf("%s-%s", TEXT_OF(r.first), TEXT_OF(r.last));
}

const char *check_lan_end(const struct config *c, uint32_t addr)
{
	struct cidr lan = c->network.subnet;

	if (!lan.set || lan.prefix > 30)
		return NULL;
	return addr == cidr_first(lan) ? "network" : addr == cidr_last(lan) ? "broadcast" : NULL;
}

bool check_is_cluster_name(const char *name)
{
	return name_is_below(name, "cluster.local") || name_is_below(name, "svc") ||
	       name_is_below(name, "kubernetes.default");
}
