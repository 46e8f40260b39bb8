/* SPDX-License-Identifier: Apache-2.0 */
#include "status/overview.h"

#include <errno.h>
#include <time.h>

#include "base/proc.h"
#include "base/sig.h"
#include "remote/each.h"
#include "schema/schema.h"
#include "status/api.h"
#include "status/internal.h"

/* A Pi that is busy takes seconds to let one in; one that is off takes all of it. A kubelet renews its lease every ten
 * seconds, and the API calls a node away after 40 to 50. */
enum { ASK_SECONDS = 30, LEASE_SECONDS = 60 };

/* ---- rows ---- */

static const char *const heard_names[NODE_HEARD_COUNT] = { "ssh", "api", "no" };
static const char *const ready_names[NODE_READY_COUNT] = { "yes", "no", "unknown" };
static const char *const card_names[NODE_CARD_COUNT] = { "same", "differs", "unknown" };
static const char *const versions[] = { "pibuild/v1" };
static const char *const kinds[] = { "ClusterStatus" };

#define AT(member) offsetof(struct overview_node, member)
/* clang-format off */
#define ROW(name, of, member, ...) { .key = name, .kind = &kind_##of, .offset = AT(member), .flags = REQUIRED, .help = __VA_ARGS__ }
/* clang-format on */
static const struct field overview_node_fields[] = {
	ROW("name", text, name, "Its host name"),
	ROW("role", word, role, "control-plane or worker", NAMES(role_names)),
	ROW("address", any_text, address, "As cluster.yaml has it; empty: it is found by its name"),
	ROW("heard", choice, heard, "How: over SSH, by the API of a server, or not at all", NAMES(heard_names)),
	ROW("state", choice, state, "absent: nothing is heard of it", NAMES(node_state_names)),
	ROW("cause", any_text, cause, "Why it is not done"),
	ROW("cure", any_text, cure, "What a person can do about it"),
	ROW("step", any_text, step, "The step of first boot that it is at; empty: none, or not known"),
	ROW("stepsDone", unsigned, steps_done, "Of its steps those that are done"),
	ROW("steps", unsigned, steps, "How many it has; 0: not known"),
	ROW("ready", choice, ready, "Its condition Ready in the API", NAMES(ready_names)),
	ROW("cordoned", bool, cordoned, "The API says that it is given no new pods"),
	ROW("seen", time_or_none, seen, "When it was last heard of; empty: never"),
	ROW("k3s", any_text, k3s, "Version of K3s"),
	ROW("os", any_text, os, "Operating system"),
	ROW("kernel", any_text, kernel, "Version of the kernel"),
	ROW("certificatesUntil", time_or_none, certificates_until,
	    "When the first of K3s's own certificates runs out; the node has them renewed before"),
	ROW("backup", time_or_none, backup, "When its last complete backup was begun"),
	ROW("holdsVIP", bool, holds_vip, "It has cluster.vip now"),
	ROW("card", choice, card, "What is on it, by its manifest, against a card made now from cluster.yaml",
	    NAMES(card_names)),
	ROW("differs", unsigned, differs, "How many paths a card made now would have otherwise"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct overview_url, member)
static const struct field overview_url_fields[] = {
	ROW("name", text, name, "What is there"),
	ROW("url", text, url, "Its address"),
	ROW("how", any_text, how, "A command that has to run meanwhile; empty: none"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct overview, member)
static const struct field overview_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(versions)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(kinds)),
	ROW("cluster", text, cluster, "Name of the cluster"),
	ROW("time", time, time, "When it was asked, by the clock here"),
	ROW("done", bool, done, "All nodes are"),
	ROW("api", any_text, asked, "The server whose API answered, or the address of it that did; empty: none"),
	ROW("nodes", list, nodes, "In the order of cluster.yaml", ITEMS(overview_node_fields, overview_node)),
	ROW("urls", list, urls, "Where to go next", ITEMS(overview_url_fields, overview_url)),
	{ 0 },
};
#undef AT
#undef ROW

json_t *overview_schema(void)
{
	return schema_json_file(overview_fields, "cluster-status", "A cluster of pibuild as it runs",
				"pibuild status --json");
}

json_t *overview_json(const struct overview *o)
{
	return schema_write(overview_fields, o);
}

/* ---- to begin with ---- */

static void overview_add_url(struct overview *o, const char *name, const char *url, const char *how)
{
	*vec_push(&o->urls) = (struct overview_url){ name, url, how };
}

/* Port and name of the service: cilium/cilium install/kubernetes/cilium/templates/hubble-ui/service.yaml. */
static void add_urls(struct overview *o, const struct config *c)
{
	overview_add_url(o, "API", arena_printf("https://%s:%d", config_api_host(c), K3S_API_PORT), "");
	vec_foreach (zone, &c->gateway.zones)
		overview_add_url(o, "Gateway", arena_printf("https://*.%s", *zone), "");
	if (c->gateway.hubble)
		overview_add_url(o, "Hubble UI", arena_printf("https://%s", c->gateway.hubble), "");
	else if (c->cilium.hubble_ui)
		overview_add_url(o, "Hubble UI", "http://localhost:12000",
				 "kubectl -n kube-system port-forward service/hubble-ui 12000:80");
}

void overview_begin(struct overview *o, const struct config *c, json_t *cards, const struct secrets *secrets,
		    const struct plan *plan, const char *why)
{
	char ip[IPV4_TEXT];

	*o = (struct overview){
		.config = c, .plan = plan, .no_plan = why, .secrets = secrets, .cluster = c->cluster.name
	};
	vec_foreach (n, &c->nodes)
		*vec_push(&o->nodes) = (struct overview_node){
			.name = n->name,
			.role = role_names[n->role],
			.address = n->address.set ? arena_strdup(ipv4_text(n->address.addr, ip)) : "",
			.config = n,
			.remote = remote_of(c, n, cards),
		};
	add_urls(o, c);
}

void overview_done(struct overview *o)
{
	vec_foreach (n, &o->nodes) {
		told_done(&n->told);
		report_done(&n->report);
	}
}

void overview_forget(struct overview *o)
{
	overview_done(o);
	o->asked = o->no_api = "";
	vec_foreach (n, &o->nodes) {
		n->report = (struct report){ 0 };
		n->cause = n->cure = n->step = n->k3s = n->os = n->kernel = n->doubt = "";
	}
}

/* ---- what a node says ---- */

static const struct node_plan *plan_of(const struct plan *p, const char *name)
{
	vec_foreach (n, &p->nodes)
		if (streq((*n)->name, name))
			return *n;
	return NULL;
}

static void compare_card(const struct overview *o, struct overview_node *n)
{
	const struct node_plan *p = o->plan ? plan_of(o->plan, n->name) : NULL;
	struct drifts d = { 0 };
	struct err e = { 0 };

	n->card = CARD_UNKNOWN;
	n->differs = 0;
	if (!p || !*n->told.manifest) {
		n->doubt = p ? "it has no manifest: this is no card of pibuild's" : o->no_plan;
		return;
	}
	if (drift_of_manifest(p, n->told.manifest, strlen(n->told.manifest), MANIFEST_PATH, &d, &e) < 0) {
		n->doubt = arena_strdup(e.msg);
		return;
	}
	n->card = d.v.n ? CARD_DIFFERS : CARD_SAME;
	n->differs = (unsigned)d.v.n;
}

static void read_report(struct overview_node *n)
{
	struct err e = { 0 };

	if (*n->told.report && report_parse(n->told.report, strlen(n->told.report), n->name, &n->report, &e) < 0)
		n->report = (struct report){ 0 };
}

static void ask_node(void *arg, size_t i)
{
	struct overview *o = arg;
	struct overview_node *n = &o->nodes.v[i];

	if (config_is_external(n->config)) {
		n->told.why = "it is external, so the API is asked alone";
		return;
	}
	told_ask(&n->remote, ASK_SECONDS, &n->told);
	read_report(n);
	if (n->told.answered)
		compare_card(o, n);
}

static void settle_by_report(struct overview_node *n)
{
	const struct report *r = &n->report;
	const struct report_step *s = report_step_in_the_way(r);

	if (!r->steps.n) {
		n->state = NODE_WORKING;
		n->cause = "it has no report yet, or none that can be read";
		n->cure = "A node that is powered on writes one within a minute: systemctl status pibuild-report";
		return;
	}
	n->state = r->state;
	n->steps = (unsigned)r->steps.n;
	vec_foreach (step, &r->steps)
		n->steps_done += step->state == STEP_DONE;
	if (s && r->state != NODE_DONE) {
		n->step = s->name;
		n->cause = s->cause;
		n->cure = s->cure;
	}
	n->certificates_until = r->certificates_until;
	n->backup = r->backup.name ? r->backup.time : 0;
}

/* ---- what the API says ---- */

/* "done", "working", "failed|CAUSE" of the step `report` */
static void settle_by_annotation(struct overview_node *n, const char *report)
{
	const char *cause = strchr(report, '|');

	n->state = starts_with(report, "failed") ? NODE_FAILED : streq(report, "done") ? NODE_DONE : NODE_WORKING;
	if (cause)
		n->cause = cause + 1;
	else if (n->state == NODE_WORKING)
		n->cause = *report ? "its steps are not done" : "it has joined, and has not reported yet";
}

static const char *absent_cause(const struct overview *o, const struct overview_node *n, const struct live_node *live)
{
	if (!*o->asked)
		return n->told.why;
	return arena_printf("%s, and %s", live ? "the cluster does not hear of it" : "it has not joined", n->told.why);
}

/* A node whose steps are done runs no pods all the same. */
static void judge_ready(struct overview_node *n)
{
	if (n->state != NODE_DONE || n->ready != READY_NO)
		return;
	n->state = NODE_FAILED;
	n->cause = "its steps are done, and the API says that it is not Ready";
	n->cure = arena_printf("See why: kubectl describe node %s", n->name);
}

/* Of external nodes, which have no steps. */
static void settle_external(struct overview_node *n, const struct live_node *live)
{
	n->state = live->ready ? NODE_DONE : NODE_FAILED;
	n->cause = live->ready ? "" : "the API says that it is not Ready";
	n->cure = live->ready ? "" : arena_printf("See why: kubectl describe node %s", n->name);
}

static void settle_by_api(struct overview *o, struct overview_node *n, const struct live_node *live)
{
	if (live) {
		n->ready = live->ready ? READY_YES : READY_NO;
		n->cordoned = live->cordoned;
		n->seen = MAX(n->seen, live->heard);
		n->k3s = *n->k3s ? n->k3s : live->kubelet;
		n->os = *n->os ? n->os : live->os;
		n->kernel = *n->kernel ? n->kernel : live->kernel;
	}
	if (n->heard == HEARD_SSH) {
		judge_ready(n);
		return;
	}
	/* Who is heard of by the API runs, whatever keeps SSH away. */
	if (live && (live->ready || (live->heard && o->time - live->heard < LEASE_SECONDS))) {
		n->heard = HEARD_API;
		if (config_is_external(n->config)) {
			settle_external(n, live);
			return;
		}
		settle_by_annotation(n, live->report);
		n->cure = n->state == NODE_DONE ? "" : arena_printf("SSH would say more: %s", n->told.why);
		judge_ready(n);
		return;
	}
	n->state = NODE_ABSENT;
	n->cause = absent_cause(o, n, live);
}

/* The first server that answered over SSH and whose API does; else from here, as kubectl would. That none answers is
 * no error; an interruption is. */
static int ask_api(struct overview *o, struct live_cluster *live, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };

	vec_foreach (n, &o->nodes) {
		if (!n->told.answered || n->config->role != ROLE_CONTROL_PLANE)
			continue;
		*live = (struct live_cluster){ .server = n->remote };
		if (cluster_ask(live, e) == 0) {
			o->asked = n->name;
			cluster_ask_leases(live, e);
			if (err_interrupted(e))
				return e->code;
			*e = (struct err){ 0 };
			return 0;
		}
		if (err_interrupted(e))
			return e->code;
		strbuf_addf(&said, "%s%s", said.n ? "; " : "", e->msg);
		*e = (struct err){ 0 };
	}
	if (o->secrets) {
		if (api_ask(o->config, o->secrets, live, &o->asked, e) == 0)
			return 0;
		if (err_interrupted(e))
			return e->code;
		strbuf_addf(&said, "%s%s", said.n ? "; " : "no server answers on SSH, and from here ", e->msg);
		*e = (struct err){ 0 };
	}
	*live = (struct live_cluster){ 0 };
	o->asked = "";
	o->no_api = said.n ? arena_strdup(said.s) : "no server answers on SSH";
	return 0;
}

/* ---- a look ---- */

static void settle_begin(struct overview *o, struct overview_node *n)
{
	n->cause = n->cure = n->step = n->k3s = n->os = n->kernel = "";
	n->doubt = str_or(n->doubt, "");
	n->steps = n->steps_done = 0;
	n->certificates_until = n->backup = n->seen = 0;
	n->ready = READY_UNKNOWN;
	n->holds_vip = n->cordoned = false;
	n->heard = n->told.answered ? HEARD_SSH : HEARD_NOT;
	if (!n->told.answered) {
		n->card = CARD_UNKNOWN;
		n->doubt = "";
		return;
	}
	n->seen = o->time;
	n->k3s = n->told.k3s;
	n->os = n->told.os;
	n->kernel = n->told.kernel;
	settle_by_report(n);
}

/* Leases have the time of the nodes, whose clocks agree, and this machine's may be hours beside it. The newest one of a
 * server, of which the API was heard just now, tells. */
static void tell_by_our_clock(const struct overview *o, struct live_cluster *live)
{
	int64_t now = 0;

	vec_foreach (n, &live->nodes)
		now = n->server ? MAX(now, n->heard) : now;
	if (!now || llabs(o->time - now) < LEASE_SECONDS)
		return;
	vec_foreach (n, &live->nodes)
		n->heard = n->heard ? o->time - MAX(now - n->heard, 0) : 0;
}

int overview_ask(struct overview *o, struct err *e)
{
	struct live_cluster live = { 0 };
	int r;

	if (!proc_find("ssh"))
		return err_class(e, CLASS_HOST, "ssh is not installed (it asks the nodes); install the package %s",
				 proc_tool("ssh")->package);
	remote_each(o->nodes.n, ask_node, o);
	r = sig_check(e);
	if (r < 0)
		return r;
	o->time = time(NULL);
	o->asked = o->no_api = "";
	r = ask_api(o, &live, e);
	if (r < 0)
		return r;
	tell_by_our_clock(o, &live);
	o->done = true;
	vec_foreach (n, &o->nodes) {
		settle_begin(o, n);
		settle_by_api(o, n, cluster_node(&live, n->name));
		n->holds_vip = live.vip_holder && streq(live.vip_holder, n->name);
		o->done = o->done && n->state == NODE_DONE;
	}
	return 0;
}

const char *overview_line(const struct overview_node *n)
{
	const char *at = *n->step ? arena_printf(": %s (%u of %u)", n->step, n->steps_done, n->steps) : "";

	return arena_printf("%s %s%s%s%s", n->name, node_state_names[n->state], at, *n->cause ? ": " : "", n->cause);
}

int overview_verdict(const struct overview *o, struct err *e)
{
	_cleanup_strbuf_ struct strbuf left = { 0 };
	size_t done = 0;

	vec_foreach (n, &o->nodes) {
		done += n->state == NODE_DONE;
		if (n->state != NODE_DONE)
			strbuf_addf(&left, "%s%s (%s)", left.n ? ", " : "", n->name, node_state_names[n->state]);
	}
	if (!left.n)
		return 0;
	return err_set(e, -EAGAIN, "%zu of %zu nodes of %s are done; not %s", done, o->nodes.n, o->cluster, left.s);
}
