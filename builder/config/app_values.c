/* SPDX-License-Identifier: Apache-2.0 */
/* Values of apps' charts, by keys that mean the same in nearly all: addresses of load balancers, and passwords. */
#include <fnmatch.h>

#include "config/apps.h"
#include "config/check.h"

struct app_walk {
	const struct check *check;
	const char *key; /* "apps[0]" */
};

static bool in_pool(const struct config *c, uint32_t addr)
{
	vec_foreach (p, &c->lb.pools)
		if (!p->range.set || check_range_has(p->range, addr))
			return true;
	return false;
}

/* One address, or several with commas between them, as lbipam.cilium.io/ips has it. */
static void note_balancer_address(const struct app_walk *w, const struct yaml_node *n, const char *path)
{
	const struct config *c = w->check->config;
	char *save = NULL, *all = arena_strdup(n->text);
	uint32_t addr;

	for (char *one = strtok_r(all, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
		if (value_ipv4(one, &addr) < 0)
			continue;
		if (!in_pool(c, addr))
			note_at(w->check->faults, n,
				"%s.values.%s: %s is in no pool of loadBalancer.pools, so that the Service waits for it for ever; take one of a pool",
				w->key, path, one);
		else if (c->gateway.enabled && addr == c->gateway.address)
			note_at(w->check->faults, n,
				"%s.values.%s: %s is gateway.address, which nothing else gets; take another one of a pool",
				w->key, path, one);
	}
}

static void note_foreign_annotation(const struct app_walk *w, const struct yaml_node *n, const char *path)
{
	note_at(w->check->faults, n,
		"%s.values.%s: Cilium reads no annotation of another load balancer, so that the Service gets any address; write lbipam.cilium.io/ips: %s",
		w->key, path, n->text);
}

static void note_literal_secret(const struct app_walk *w, const struct yaml_node *n, const char *path)
{
	enum yaml_kind kind = yaml_value(n).kind;

	if (kind == YAML_TEXT || kind == YAML_INT)
		note_at(w->check->faults, n,
			"%s.values.%s: a secret that is written here is in git and backups too; give it by secretValues: {%s: {env: NAME}}",
			w->key, path, path);
}

static const struct {
	const char *key; /* fnmatch(3), FNM_EXTMATCH */
	void (*run)(const struct app_walk *w, const struct yaml_node *n, const char *path);
} meanings[] = {
	{ "@(loadBalancerIP|lbipam.cilium.io/ips|io.cilium/lb-ipam-ips)", note_balancer_address },
	{ "@(metallb.universe.tf|metallb.io|kube-vip.io)/@(loadBalancerIPs|loadbalancerIPs)", note_foreign_annotation },
	{ "@(*assword|token|apiToken|apiKey|accessToken|secretKey|secretAccessKey|clientSecret)", note_literal_secret },
};

static void app_walk(const struct app_walk *w, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++)
		app_walk(w, n->items[i], arena_printf("%s[%zu]", path, i));
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++) {
		const struct yaml_node *value = n->items[i];
		const char *key = n->keys[i]->text, *at = *path ? arena_printf("%s.%s", path, key) : key;

		for (size_t k = 0; k < ARRAY_SIZE(meanings); k++)
			if (value->type == YAML_SCALAR && value->n && fnmatch(meanings[k].key, key, FNM_EXTMATCH) == 0)
				meanings[k].run(w, value, at);
		app_walk(w, value, at);
	}
}

void check_app_values(const struct check *x, const char *key, const struct yaml_node *values)
{
	struct app_walk w = { x, key };

	app_walk(&w, values, "");
}
