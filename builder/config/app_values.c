/* SPDX-License-Identifier: Apache-2.0 */
/* Values of apps' charts, by keys that mean the same in nearly all: addresses of load balancers, and passwords. */
#include <fnmatch.h>

#include "config/apps.h"
#include "config/check.h"
#include "schema/schema.h"

struct app_value_check {
	const struct check *check;
	const char *key; /* "apps[0]" */
};

static bool in_pool(const struct config *c, uint32_t addr)
{
	vec_foreach (p, &c->lb.pools)
		if (!p->range.set || range_has(p->range, addr))
			return true;
	return false;
}

/* One address, or several with commas between them, as lbipam.cilium.io/ips has it. */
static void note_balancer_address(const struct app_value_check *v, const struct yaml_node *n, const char *path)
{
	const struct config *c = v->check->config;
	char *save = NULL, *all = arena_strdup(n->text);
	uint32_t addr;

	for (char *one = strtok_r(all, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
		if (value_ipv4(one, &addr) < 0)
			continue;
		if (!in_pool(c, addr))
			note_at(v->check->faults, n,
				"%s.values.%s: %s is in no pool of loadBalancer.pools, so that the Service waits for it for ever; take one of a pool",
				v->key, path, one);
		else if (c->gateway.enabled && addr == c->gateway.address)
			note_at(v->check->faults, n,
				"%s.values.%s: %s is gateway.address, which nothing else gets; take another one of a pool",
				v->key, path, one);
	}
}

static void note_foreign_annotation(const struct app_value_check *v, const struct yaml_node *n, const char *path)
{
	note_at(v->check->faults, n,
		"%s.values.%s: Cilium reads no annotation of another load balancer, so that the Service gets any address; write lbipam.cilium.io/ips: %s",
		v->key, path, n->text);
}

static void note_literal_secret(const struct app_value_check *v, const struct yaml_node *n, const char *path)
{
	enum yaml_kind kind = yaml_value(n).kind;

	if (kind == YAML_TEXT || kind == YAML_INT)
		note_at(v->check->faults, n,
			"%s.values.%s: a secret that is written here is in git and backups too; give it by secretValues: {%s: {env: NAME}}",
			v->key, path, path);
}

static const struct {
	const char *key; /* fnmatch(3), FNM_EXTMATCH */
	void (*run)(const struct app_value_check *v, const struct yaml_node *n, const char *path);
} meanings[] = {
	{ "@(loadBalancerIP|lbipam.cilium.io/ips|io.cilium/lb-ipam-ips)", note_balancer_address },
	{ "@(metallb.universe.tf|metallb.io|kube-vip.io)/@(loadBalancerIPs|loadbalancerIPs)", note_foreign_annotation },
	{ "@(*assword|token|apiToken|apiKey|accessToken|secretKey|secretAccessKey|clientSecret)", note_literal_secret },
};

static void app_value_at(void *arg, const char *key, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (n->type == YAML_SCALAR && n->n && fnmatch(meanings[i].key, key, FNM_EXTMATCH) == 0)
			meanings[i].run(arg, n, path);
}

void check_app_values(const struct check *x, const char *key, const struct yaml_node *values)
{
	schema_each_key(values, app_value_at, &(struct app_value_check){ x, key });
}
