/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade rehearsed: the cluster of an older lock runs in QEMU, and `apply` of today's cluster.yaml and lock goes
 * over it as it would over the real one, by SSH and with the same order, drains and waits. The verdict is apply's, and
 * that every node is Ready with the K3s that it was to get.
 */
#include <errno.h>
#include <limits.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/apply.h"
#include "cmd/boot.h"
#include "remote/cluster.h"

static const char *versions_text(const struct plan *p)
{
	const struct cluster_versions v = versions_in_force(&p->project->set);

	return arena_printf("K3s %s, Cilium %s", v.k3s, v.cilium);
}

/* What apply would refuse in front of the running nodes. */
static int upgrade_check_skew(const struct plan *from, const struct plan *to, struct err *e)
{
	const struct cluster_versions a = versions_in_force(&from->project->set),
				      b = versions_in_force(&to->project->set);
	const char *why = skew_k3s(a.k3s, b.k3s);

	why = why ? why : skew_cilium(a.cilium, b.cilium);
	return why ? err_class(e, CLASS_REFUSED, "%s; `pibuild apply` would refuse it too, and nothing was started",
			       why)
		   : 0;
}

static int check_reached(const struct plan *p, struct err *e)
{
	vec_foreach (n, &p->nodes)
		if (!(*n)->node->address.set && p->nodes.n > 1)
			return err_class(
				e, CLASS_CONFIG,
				"%s has no address of its own, and is not reached in the machines' LAN: an upgrade is rehearsed with addresses in cluster.yaml",
				(*n)->name);
	return 0;
}

int upgrade_load(const char *base, const struct rehearsal *from, struct upgrade *ret, struct err *e)
{
	struct rollout *x = &ret->rollout;
	struct plan *plan;
	int r = temp_dir("upgrade", &ret->dir, e);

	if (r == 0)
		r = rehearsal_plan(x->o, &(struct rehearsal_want){ .base = base }, ret->dir, &plan, e);
	if (r == 0)
		r = upgrade_check_skew(from->plan, plan, e);
	if (r == 0)
		r = check_reached(plan, e);
	if (r < 0)
		return r;
	ret->before = versions_text(from->plan);
	ret->after = versions_text(plan);
	log_info("from %s to %s%s", ret->before, ret->after,
		 streq(ret->before, ret->after) ? ": the versions are the same, only files may differ" : "");
	return rollout_open(x, plan, json_array(), e);
}

void upgrade_done(struct upgrade *u)
{
	struct err ignored = { 0 };

	rollout_done(&u->rollout);
	if (u->dir)
		remove_tree(u->dir, &ignored);
	u->dir = NULL;
}

/* The real cluster's known hosts and record of cards are none of its business. */
static void lead_to_machines(const struct upgrade *u, const unsigned *ports)
{
	const struct plan *p = u->rollout.plan;
	struct config *c = p->project->config;
	char real[PATH_MAX];

	vec_foreach (file, &c->access.key_files)
		if (realpath(*file, real))
			*file = arena_strdup(real);
	c->dir = u->dir;
	vec_foreach (n, &c->nodes)
		for (size_t i = 0; i < p->nodes.n; i++)
			if (p->nodes.v[i]->node == n)
				n->ssh_port = ports[i];
}

/* ---- the verdict ---- */

static int judge_nodes(const struct rollout *x, struct err *e)
{
	const char *k3s = versions_in_force(&x->plan->project->set).k3s;
	struct live_cluster l;
	int r = cluster_find(x->config, NULL, x->cards, &l, e);

	if (r < 0)
		return r;
	vec_foreach (n, &x->plan->nodes) {
		const struct live_node *it = cluster_node(&l, (*n)->name);

		if (!it || !it->ready)
			return err_set(e, -EIO, "%s is %s", (*n)->name, it ? "not Ready" : "no node of the cluster");
		if (*it->kubelet && !streq(it->kubelet, k3s))
			return err_set(e, -EIO, "%s still runs K3s %s", (*n)->name, it->kubelet);
	}
	return 0;
}

static void show_reports(const struct rollout *x)
{
	static const char *const argv[] = { "pibuild-status", NULL };

	vec_foreach (t, &x->targets) {
		_cleanup_strbuf_ struct strbuf out = { 0 };
		struct err why = { 0 };

		remote_run(&t->remote, &(struct remote_call){ .argv = argv, .output = &out }, &why);
		log_info("the report of %s:%s", t->plan->name, out.n ? "" : arena_printf(" none: %s", why.msg));
		if (out.n)
			text_foreach (line, out.s, "\n")
				log_info("  %s", clean_text(line));
	}
}

int upgrade_run(void *arg, const unsigned *ports, struct err *e)
{
	struct upgrade *u = arg;
	struct rollout *x = &u->rollout;
	double start = now_seconds();
	int r;

	log_info("the cluster of before is there; now cluster.yaml and its lock are applied to it");
	lead_to_machines(u, ports);
	r = rollout_run(x, e);
	if (r == 0)
		r = judge_nodes(x, e);
	if (r < 0 && err_interrupted(e))
		return r;
	if (r < 0) {
		show_reports(x);
		return err_wrap(e, "the upgrade from %s to %s does not hold", u->before, u->after);
	}
	log_info("the upgrade holds: %zu %s from %s to %s, Ready and with good reports, in %.0f s", x->targets.n,
		 x->targets.n == 1 ? "node" : "nodes", u->before, u->after, now_seconds() - start);
	return 0;
}
