/* SPDX-License-Identifier: Apache-2.0 */
#include "config/born.h"

static const char *pod_cidr(const struct config *c)
{
	return cidr_text(c->cluster.pod_cidr);
}

static const char *service_cidr(const struct config *c)
{
	return cidr_text(c->cluster.service_cidr);
}

static const char *datastore(const struct config *c)
{
	return config_uses_etcd(c) ? "etcd" : "sqlite";
}

static const char *secrets_encryption(const struct config *c)
{
	return c->k3s.secrets_encryption ? "true" : "false";
}

static const char *pods6(const struct config *c)
{
	return c->network.ipv6.enabled ? cidr6_text(&c->network.ipv6.pods) : BORN_NO_IPV6;
}

static const char *services6(const struct config *c)
{
	return c->network.ipv6.enabled ? cidr6_text(&c->network.ipv6.services) : BORN_NO_IPV6;
}

const struct born_fact born_facts[] = {
	{ "cluster.podCIDR", pod_cidr, NULL },
	{ "cluster.serviceCIDR", service_cidr, NULL },
	{ "cluster.datastore", datastore, NULL },
	{ "network.ipv6.podCIDR", pods6, BORN_NO_IPV6 },
	{ "network.ipv6.serviceCIDR", services6, BORN_NO_IPV6 },
	{ BORN_ENCRYPTION, secrets_encryption, "false" },
};
const size_t born_facts_count = ARRAY_SIZE(born_facts);

json_t *born_json(const struct config *c)
{
	json_t *j = json_object();

	for (size_t i = 0; i < born_facts_count; i++)
		json_object_set_new(j, born_facts[i].key, json_string(born_facts[i].value(c)));
	return j;
}
