/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node remove NAME: out of the cluster that runs, of etcd and of what is recorded here, in an order in which a run that
 * was cut can be begun again: drained, its K3s stopped, its Node deleted, which K3s holds back until its member of etcd
 * is gone, then flashed.jsonl. cluster.yaml stays its author's.
 */
#include <errno.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "plan/flashed.h"
#include "remote/cluster.h"

enum { DRAIN_SECONDS = 300, DELETE_SECONDS = 120, STOP_SECONDS = 120, SLACK_SECONDS = 30 };

static struct {
	bool force;
	unsigned timeout;
} node_opt;

static const struct option node_options[] = {
	CMD_OWN_SECONDS("timeout", &node_opt.timeout, "patience with pods that have to end (300)"),
	CMD_OWN("force", OPT_FLAG, &node_opt.force, NULL,
		"remove it though it cannot be drained; pods without owner go"),
	CMD_OPTION_YES("do not ask"),
};

struct removal {
	const struct cmd_options *o;
	const struct config *config;
	json_t *cards;
	const char *name;
	const struct node_config *node; /* NULL = not in cluster.yaml any more */
	struct live_cluster live;
	const struct live_node *it; /* NULL = the cluster has no such node */
};

static void removal_done(struct removal *x)
{
	json_decref(x->cards);
}

static bool is_server(const struct removal *x)
{
	return x->it ? x->it->server : x->node && x->node->role == ROLE_CONTROL_PLANE;
}

static bool has_cards(const struct removal *x)
{
	return flashed_card(x->cards, x->name) || flashed_unfinished(x->cards, x->name);
}

/* ---- what is refused ---- */

static int refuse_last_server(const struct removal *x, struct err *e)
{
	unsigned left = 0;

	if (x->it)
		vec_foreach (n, &x->live.nodes)
			left += n->server && n != x->it;
	else
		vec_foreach (n, &x->config->nodes)
			left += n->role == ROLE_CONTROL_PLANE && n != x->node;
	if (!is_server(x) || left)
		return 0;
	return err_class(
		e, CLASS_REFUSED,
		"%s is the only server of %s, and there is no cluster without one: add servers first, or if the cluster is to end, power its machines off",
		x->name, x->config->cluster.name);
}

static int check_quorum(const struct removal *x, struct err *e)
{
	struct members rest = cluster_other_members(&x->live, x->name);
	_cleanup_strbuf_ struct strbuf away = { 0 };

	if (!x->it->member || members_go_on(rest))
		return 0;
	vec_foreach (n, &x->live.nodes)
		if (n->member && !n->ready && n != x->it)
			strbuf_item(&away, ", ", n->name);
	return err_class(
		e, CLASS_REFUSED,
		"without %s etcd would have %u members of which %u %s ready, and more than half have to be, or the cluster stops: power %s on first, or remove what is gone for good instead",
		x->name, rest.others, rest.ready, rest.ready == 1 ? "is" : "are", away.s);
}

static int node_unknown(const struct removal *x, struct err *e)
{
	_cleanup_strbuf_ struct strbuf list = { 0 };
	VEC(const char *) names = { 0 };
	const char *near;

	vec_foreach (n, &x->live.nodes) {
		*vec_push(&names) = n->name;
		strbuf_item(&list, ", ", n->name);
	}
	near = nearest_word(x->name, names.v, names.n);
	return err_class(e, CLASS_USAGE, "%s has no node '%s'%s%s There are %s", x->config->cluster.name, x->name,
			 did_you_mean(", ", near), near ? "" : ".", list.s);
}

static int confirm_removal(const struct removal *x, struct err *e)
{
	const char *cluster = x->config->cluster.name;

	return cmd_confirm(x->o,
			   arena_printf("%s, %s, %s, leaves %s: its pods go to other nodes, its local volumes are lost",
					x->name, x->it->server ? "a server" : "a worker",
					x->it->ready ? "which runs" : "of which nothing is heard", cluster),
			   arena_printf("%s leaves %s", x->name, cluster), arena_printf("%s stays", x->name), e);
}

/* ---- the steps ---- */

static int node_drain(const struct removal *x, struct err *e)
{
	unsigned seconds = node_opt.timeout ? node_opt.timeout : DRAIN_SECONDS;
	int r;

	if (!x->it->ready) {
		log_info("nothing is heard of %s: its pods cannot be asked to end, and are made anew elsewhere",
			 x->name);
		return 0;
	}
	log_info("draining %s: its pods have %u seconds to go elsewhere", x->name, seconds);
	r = cluster_drain(&x->live, x->name, seconds, node_opt.force, e);
	if (r < 0 && err_interrupted(e))
		log_warning(
			"%s may take no more pods: run this again, or on %s let it go on: sudo k3s kubectl uncordon %s",
			x->name, x->live.server.node, x->name);
	if (r == 0 || err_interrupted(e))
		return r;
	if (node_opt.force) {
		log_warning("%s is not drained: %s", x->name, e->msg);
		*e = (struct err){ 0 };
		return 0;
	}
	return err_set(
		e, r,
		"%s is not drained and takes no more pods: %s. Mend that and run this again, give it up with --force, or on %s let it go on: sudo k3s kubectl uncordon %s",
		x->name, arena_strdup(e->msg), x->live.server.node, x->name);
}

/* So that it does not come back by itself. True when it did stop. */
static bool stop_k3s(const struct removal *x)
{
	const char *const argv[] = { "systemctl", "disable", "--now",
				     x->it->server ? "k3s.service" : "k3s-agent.service", NULL };
	struct remote r = x->node ? remote_of(x->config, x->node, x->cards)
				  : remote_at(x->config, x->name, x->it->address, x->cards);
	struct err e = { 0 };

	if (!*r.host)
		return false;
	if (remote_run(&r, &(struct remote_call){ .argv = argv, .root = true, .timeout = STOP_SECONDS }, &e) == 0)
		return true;
	log_debug("%s", e.msg);
	return false;
}

static int delete_node(const struct removal *x, struct err *e)
{
	const char *const words[] = {
		"delete", "node", x->name, "--ignore-not-found", arena_printf("--timeout=%ds", DELETE_SECONDS), NULL
	};
	int r;

	log_info("%s", x->it->member ? arena_printf("removing %s and its member of etcd", x->name)
				     : arena_printf("removing %s", x->name));
	r = cluster_kubectl(&x->live, DELETE_SECONDS + SLACK_SECONDS, NULL, e, words);
	if (r == 0 || err_interrupted(e) || !x->it->member)
		return r;
	return err_set(e, r, "%s is not gone: K3s holds it until its member of etcd is removed; run this again: %s",
		       x->name, arena_strdup(e->msg));
}

/* One whose K3s still ran may have registered again. */
static int check_gone(const struct removal *x, struct err *e)
{
	const char *const words[] = { "get", "node", x->name, "--ignore-not-found", "-o", "name", NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = cluster_kubectl(&x->live, SLACK_SECONDS, &out, e, words);

	if (r < 0 || !out.n)
		return r;
	return err_set(e, -EBUSY, "%s came back by itself: power it off, and run this again", x->name);
}

/* A member that is down while it is removed still counts: where the others cannot outvote it, it goes first. */
static int take_out(const struct removal *x, struct err *e)
{
	bool later = x->it->member && !members_outvote(cluster_other_members(&x->live, x->name));
	bool stopped = !later && stop_k3s(x);
	int r = delete_node(x, e);

	if (r < 0)
		return r;
	if (later)
		stopped = stop_k3s(x);
	r = check_gone(x, e);
	if (r < 0)
		return r;
	if (stopped)
		log_info("K3s on %s is stopped and stays off; power it off, its containers run until then", x->name);
	else
		log_warning("%s could not be told to stop: power it off; with this card it joins again when it boots",
			    x->name);
	return 0;
}

/* ---- what stays here ---- */

static int forget_cards(const struct removal *x, struct err *e)
{
	if (!has_cards(x))
		return 0;
	return flashed_remove(x->config->dir, x->name, x->config->cluster.name, e);
}

static void tell_file(const struct removal *x)
{
	const struct config *c = x->config;
	unsigned left = config_count_role(c, ROLE_CONTROL_PLANE) - (x->node && x->node->role == ROLE_CONTROL_PLANE);

	if (x->node)
		log_info("%s:%u: %s still stands there: take it out, or the next build makes its card again", c->path,
			 config_node(c, arena_printf("nodes[%zu]", (size_t)(x->node - c->nodes.v)))->line, x->name);
	if (is_server(x) && left && left % 2 == 0)
		log_warning(
			"%u servers are left, and etcd on %u survives no more failures than on %u: add one, or remove one more",
			left, left, left - 1);
}

/* ---- the command ---- */

static int removal_load(struct removal *x, struct err *e)
{
	struct config *c;
	int r = config_require_file(x->o->config, "there is no cluster to take a node from", e);

	if (r < 0)
		return r;
	r = cmd_load_config(x->o, &c, e);
	if (r < 0)
		return r;
	x->config = c;
	r = flashed_load(c->dir, &x->cards, e);
	if (r < 0)
		return r;
	x->node = config_find_node(c, x->name);
	return 0;
}

static int removal_run(struct removal *x, struct err *e)
{
	int r = refuse_last_server(x, e);

	if (r < 0)
		return r;
	r = cluster_find(x->config, x->name, x->cards, &x->live, e);
	if (r < 0)
		return r;
	x->it = cluster_node(&x->live, x->name);
	if (!x->it)
		return x->node || has_cards(x) ? 0 : node_unknown(x, e);
	r = refuse_last_server(x, e);
	if (r < 0)
		return r;
	r = check_quorum(x, e);
	if (r < 0)
		return r;
	r = confirm_removal(x, e);
	if (r < 0)
		return r;
	r = node_drain(x, e);
	return r < 0 ? r : take_out(x, e);
}

static int node_remove(const struct cmd_options *o, struct err *e)
{
	_cleanup_(removal_done) struct removal x = { .o = o, .name = o->args.v[1] };
	int r = removal_load(&x, e);

	if (r < 0)
		return r;
	r = removal_run(&x, e);
	if (r < 0)
		return r;
	if (!x.it)
		log_info("%s knows no %s", x.config->cluster.name, x.name);
	r = forget_cards(&x, e);
	if (r < 0)
		return r;
	printf("%s\tis no node of %s\n", x.name, x.config->cluster.name);
	tell_file(&x);
	return 0;
}

static int cmd_node(const struct cmd_options *o, struct err *e)
{
	static const char usage[] = "node remove NAME";
	int r = o->args.n && !streq(o->args.v[0], "remove")
			? err_class(e, CLASS_USAGE, "node cannot '%s': usage: pibuild %s", o->args.v[0], usage)
			: cmd_args(o, 2, 2, usage, e);

	return r < 0 ? r : node_remove(o, e);
}

const struct command node_command = {
	.name = "node",
	.args = "remove NAME",
	.help = "takes a node out of the cluster that runs",
	.run = cmd_node,
	.options = node_options,
	.n_options = ARRAY_SIZE(node_options),
	.common = "config",
	.words = { "remove", "@node", "" },
	.examples = { "pibuild node remove w-3", "pibuild node remove cp-2 --yes" },
};
