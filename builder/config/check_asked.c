/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and addresses at which nodes, or pods, would never get an answer: their own loopback, addresses that come up
 * only with the cluster, names that the one who asks cannot look up. One row per asker.
 */
#include "config/asked.h"
#include "config/check.h"

static const struct {
	const char *runs;  /* what has to run there */
	const char *waits; /* what does not go on without; NULL = the cluster comes up all the same */
	bool go;   /* K3s or a pod asks, whose resolver reads /etc/hosts and asks name servers, and knows no mDNS */
	bool pods; /* pods ask: their loopback is their own, and /etc/hosts of nodes is none of theirs */
} askers[ASKER_COUNT] = {
	[ASKED_FOR_TIME] = { "time server", "the time", false, false },
	[ASKED_AS_PROXY] = { "proxy", "the images that come through it", true, false },
	[ASKED_FOR_IMAGES] = { "registry", NULL, true, false },
	[ASKED_FOR_BACKUPS] = { "server of that kind", NULL, false, false },
	[ASKED_BY_PODS] = { "server of that kind", NULL, true, true },
};

static bool asks_itself(const struct asked *a)
{
	return a->addr >> 24 == 127 || streq(a->host, "0.0.0.0") ||
	       (!a->addr && (name_is_below(a->host, "localhost") || name_is_below(a->host, "localhost.localdomain")));
}

/* What a package or a file of one's own could bring is a note. */
static void check_itself(const struct check *x, const struct asked *a)
{
	const char *who = askers[a->by].pods ? "the pod itself that asks" : "each node itself",
		   *runs = askers[a->by].runs;

	if (a->by == ASKED_FOR_TIME || askers[a->by].pods)
		fault_key(x->faults, x->config, a->key,
			  "%s: %s is %s, where no %s runs; write the name or address of the machine that has it",
			  a->key, a->host, who, runs);
	else
		note_key(
			x->faults, x->config, a->key,
			"%s: %s is %s, where a %s runs only if a package or an overlay of yours brings one; is another machine meant?",
			a->key, a->host, who, runs);
}

/* "the pool 192.168.1.65-192.168.1.80", or NULL. */
static const char *comes_up_with_cluster(const struct config *c, uint32_t addr)
{
	vec_foreach (p, &c->lb.pools)
		if (range_has(p->range, addr))
			return arena_printf("lies in the pool %s, whose addresses come up", check_range_text(p->range));
	return addr && addr == c->cluster.vip ? "is cluster.vip, which comes up" : NULL;
}

static void check_asked_address(const struct check *x, const struct asked *a)
{
	const struct config *c = x->config;
	const char *later = comes_up_with_cluster(c, a->addr), *waits = askers[a->by].waits;

	if (a->by == ASKED_AS_PROXY && c->airgap)
		waits = NULL; /* the images are on the cards */
	if (later && waits)
		fault_key(x->faults, c, a->key, "%s: %s %s only after K3s, which waits for %s; use another %s", a->key,
			  a->host, later, waits, a->by == ASKED_FOR_TIME ? "server" : "one");
	else if (later && a->by == ASKED_FOR_IMAGES && !c->airgap)
		note_key(
			x->faults, c, a->key,
			"%s: %s %s with the cluster: the first images come from the registry itself, and first boot waits some minutes before it asks there",
			a->key, a->host, later);
	vec_foreach (n, &c->nodes)
		if (waits && n->address.set && n->address.addr == a->addr)
			note_key(x->faults, c, a->key, "%s: %s is %s, where no %s runs at first boot%s", a->key,
				 a->host, n->name && !streq(n->name, a->host) ? n->name : "a node of this file",
				 askers[a->by].runs,
				 a->by == ASKED_FOR_TIME ? "; the router often is one" : "; use another machine's");
}

static void check_asked_name(const struct check *x, const struct asked *a)
{
	bool mdns = name_is_below(a->host, "local"), pods = askers[a->by].pods;

	if (check_is_cluster_name(a->host)) {
		if (!pods)
			fault_key(x->faults, x->config, a->key,
				  "%s: %s is a name inside the cluster, which pods know and nodes do not; %s", a->key,
				  a->host,
				  askers[a->by].waits ? "use a machine beside the cluster"
						      : "give its Service an address of a pool, and write that");
	} else if (mdns && pods) {
		note_key(
			x->faults, x->config, a->key,
			"%s: %s is a name of mDNS, which pods do not ask; unless your name server knows it, write its address",
			a->key, a->host);
	} else if (mdns && askers[a->by].go) {
		fault_key(
			x->faults, x->config, a->key,
			"%s: %s is a name of mDNS, which K3s does not ask, so it would never find it; write its address, or put the name into network.hosts",
			a->key, a->host);
	}
}

void check_asked(const struct check *x)
{
	const struct asked_list all = config_asked(x->config);

	vec_foreach (a, &all.v) {
		if (asks_itself(a))
			check_itself(x, a);
		else if (a->addr)
			check_asked_address(x, a);
		else
			check_asked_name(x, a);
	}
}
