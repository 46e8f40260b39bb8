/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: nodes that run become what cluster.yaml says, without a new card. First all of them are read, at once, and
 * what would change is shown; then one after the other, servers first: staged, drained where K3s restarts, switched,
 * followed, waited for. The first that fails ends it; run again it goes on. What a node owes after a cut it says itself
 * (live/).
 */
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "cmd/apply.h"
#include "plan/flashed.h"
#include "remote/cluster.h"
#include "remote/each.h"

enum { DRAIN_PATIENCE = 300, WAIT_PATIENCE = 900, ASK_PATIENCE = 45, LOOK_EVERY = 2 };

static struct {
	bool dry_run, no_drain;
	unsigned timeout;
} apply_opt;

static const struct option apply_options[] = {
	CMD_OPTION_NODE,
	CMD_OWN("dry-run", OPT_FLAG, &apply_opt.dry_run, NULL, "show what would change, and what that costs; end"),
	CMD_OWN("no-drain", OPT_FLAG, &apply_opt.no_drain, NULL,
		"leave pods where they are; they outlive a restart of K3s"),
	CMD_OWN("timeout", OPT_SECONDS, &apply_opt.timeout, "SECONDS",
		"patience with each node after its change (900)"),
	CMD_OPTION_YES("do not ask"),
};

/* ---- reading ---- */

static int rollout_prepare(struct rollout *x, struct plan *p, json_t *cards, struct err *e)
{
	int r;

	x->plan = p;
	x->config = p->project->config;
	x->cards = cards;
	x->build = (struct build){ .plan = p, .cache = &x->cache };
	r = cache_open(x->o->cache, &x->cache, e);
	return r < 0 ? r : build_check_host(&x->build, e);
}

static int rollout_fetch(struct rollout *x, struct err *e)
{
	const struct plan *p = x->plan;
	const struct fetch_options f = { .config = x->config, .offline = x->o->offline, .jobs = x->o->jobs };

	build_expect(&x->build, 0);
	return fetch_all(&x->cache, p->pins.v, p->pins.n, &p->images, &f, e);
}

int rollout_open(struct rollout *x, struct plan *p, json_t *cards, struct err *e)
{
	int r = rollout_prepare(x, p, cards, e);

	return r < 0 ? r : rollout_fetch(x, e);
}

struct hail {
	struct remote remote;
	int code;
	struct err said;
};

static void hail_node(void *arg, size_t i)
{
	struct hail *h = (struct hail *)arg + i;
	_cleanup_json_ json_t *manifest = NULL;

	h->code = remote_manifest(&h->remote, &manifest, &h->said);
}

/* Nothing is downloaded for nodes none of which is on: reading them takes all that their cards are made of. */
static int check_any_answers(const struct rollout *x, struct err *e)
{
	struct hail *hails = arena_alloc((x->plan->nodes.n + 1) * sizeof(*hails));
	size_t n = 0;

	vec_foreach (node, &x->plan->nodes)
		hails[n++] = (struct hail){ .remote = remote_of(x->config, (*node)->node, x->cards) };
	remote_each(n, hail_node, hails);
	if (sig_check(e) < 0)
		return e->code;
	for (size_t i = 0; i < n; i++)
		if (hails[i].code != -EHOSTUNREACH)
			return 0;
	if (n == 1) {
		*e = hails[0].said;
		return hails[0].code;
	}
	for (size_t i = 0; i < n; i++)
		log_warning("%s", hails[i].said.msg);
	return err_class(e, CLASS_FAILED, "none of the %zu nodes answers, and nothing was downloaded for them", n);
}

int rollout_load(struct rollout *x, const char *only, struct err *e)
{
	struct plan *plan;
	const struct cmd_options *o = x->o;
	const struct project_options po = {
		.config = o->config, .lock = o->lock, .secrets = o->secrets, .policy = SECRETS_NEEDED, .out = o->out
	};
	struct plan_options so = cmd_plan_options(o, SECRET_READ);
	const struct config *c = cmd_glimpse_config(o->config);
	int r = config_require_file(o->config, "there is no cluster to change", e);

	if (r < 0)
		return r;
	/* A build makes secrets that are missing; with new ones no node could be asked anything. */
	if (c && file_is_missing(cmd_secrets_path(o, c)))
		return err_class(
			e, CLASS_CONFIG,
			"there is no %s: nodes are changed with the secrets that their cards were made with; put the file back from your backup",
			cmd_secrets_path(o, c));
	if (only) {
		so.nodes = &only;
		so.n_nodes = 1;
	}
	r = cmd_load_plan(&po, &so, &plan, e);
	if (r == 0)
		r = flashed_load(plan->project->config->dir, &x->cards, e);
	if (r == 0)
		r = rollout_prepare(x, plan, x->cards, e);
	if (r == 0 && plan_wants_download(plan, &x->cache))
		r = check_any_answers(x, e);
	return r < 0 ? r : rollout_fetch(x, e);
}

void rollout_done(struct rollout *x)
{
	vec_foreach (t, &x->targets) {
		wanted_done(&t->wanted);
		live_done(&t->live);
	}
	json_decref(x->cards);
	cache_close(&x->cache);
}

static int target_ask(const struct rollout *x, struct target *t, struct err *e)
{
	const char *password = secrets_node_password(x->plan->project->secrets, t->plan->name);

	live_done(&t->live);
	t->live = (struct live){ 0 };
	return live_read(&t->remote, &t->wanted, str_or(password, ""), x->flags, &t->live, e);
}

/* A change that was cut off is taken up first, so that it is known what is there. */
static int target_resume(struct rollout *x, struct target *t, struct err *e)
{
	int r;

	if (!t->live.staged || apply_opt.dry_run)
		return 0;
	log_info("%s: an earlier change was cut off and is taken up", t->plan->name);
	r = live_switch(&t->remote, e);
	if (r == 0)
		r = target_ask(x, t, e);
	return r < 0 ? r : live_delta(x->config, &t->wanted, &t->live, &t->delta, e);
}

static void ask_target(void *arg, size_t i)
{
	struct rollout *x = arg;
	struct target *t = &x->targets.v[i];

	t->asked = target_ask(x, t, &t->said);
}

int rollout_read(struct rollout *x, unsigned flags, struct err *e)
{
	int r = 0;

	x->flags = flags;
	for (int role = ROLE_CONTROL_PLANE; role < ROLE_COUNT; role++)
		vec_foreach (n, &x->plan->nodes) {
			struct target *t;

			if ((int)(*n)->node->role != role)
				continue;
			t = vec_push(&x->targets);
			*t = (struct target){ .plan = *n, .remote = remote_of(x->config, (*n)->node, x->cards) };
			r = wanted_make(&x->build, *n, &t->wanted, e);
			if (r < 0)
				return r;
		}
	remote_each(x->targets.n, ask_target, x);
	r = sig_check(e);
	for (size_t i = 0; r == 0 && i < x->targets.n; i++) {
		struct target *t = &x->targets.v[i];

		t->off = t->asked == -EHOSTUNREACH;
		if (t->asked == 0)
			r = live_delta(x->config, &t->wanted, &t->live, &t->delta, e);
		else if (!t->off) {
			*e = t->said;
			r = t->asked;
		}
	}
	return r;
}

/* The cluster hears of it, and not where cluster.yaml has it. */
static int check_moved(const struct target *t, const struct live_cluster *l, struct err *e)
{
	const struct live_node *it = cluster_node(l, t->plan->name);

	if (!it || !it->ready || !*it->address || streq(it->address, t->remote.host))
		return 0;
	return err_class(
		e, CLASS_REFUSED,
		"%s runs at %s, and cluster.yaml has it at %s: the address of a node that runs cannot change: write %s again, or give it a new card, `sudo pibuild flash --node %s DISK`; nothing was changed",
		t->plan->name, it->address, t->remote.host, it->address, shell_word(t->plan->name));
}

static int check_those_off(const struct rollout *x, struct err *e)
{
	struct live_cluster l = { 0 };
	struct err why = { 0 };
	bool asked = false;
	int r = 0;

	vec_foreach (t, &x->targets) {
		const struct node_config *n = t->plan->node;

		if (r < 0 || !t->off || !n->address.set || n->ssh_port)
			continue;
		if (!asked)
			cluster_find(x->config, t->plan->name, x->cards, &l, &why);
		asked = true;
		r = err_interrupted(&why) ? (*e = why, why.code) : check_moved(t, &l, e);
	}
	return r;
}

/* One that is off is left for later; whatever else is wrong, nothing has changed yet. */
static int apply_read_all(struct rollout *x, struct err *e)
{
	int r = rollout_read(x, 0, e);

	if (r == 0)
		r = check_those_off(x, e);
	for (size_t i = 0; r == 0 && i < x->targets.n; i++) {
		struct target *t = &x->targets.v[i];

		if (!t->off)
			r = target_resume(x, t, &t->said);
		if (r == -EHOSTUNREACH) {
			t->off = true;
			r = 0;
		}
		if (t->off)
			log_warning("%s is left for later: %s", t->plan->name, t->said.msg);
		if (r < 0)
			*e = t->said;
	}
	return r;
}

/* ---- showing ---- */

static bool target_changes(const struct target *t)
{
	return !t->off && (!delta_empty(&t->delta) || t->live.drained);
}

static void apply_show(const struct target *t)
{
	if (t->off)
		printf("%s\tdoes not answer\n", t->plan->name);
	else if (!target_changes(t))
		printf("%s\tis as cluster.yaml says\n", t->plan->name);
	else
		printf("%s\n", t->plan->name);
	if (!t->off)
		delta_print(&t->delta);
}

static int show_all(const struct rollout *x, struct err *e)
{
	json_t *list;

	if (!x->o->json) {
		vec_foreach (t, &x->targets)
			apply_show(t);
		fflush(stdout);
		return 0;
	}
	list = json_array();
	vec_foreach (t, &x->targets) {
		json_t *one = t->off ? json_object() : delta_json(&t->delta);

		json_object_set_new(one, "node", json_string(t->plan->name));
		json_object_set_new(one, "off", json_boolean(t->off));
		json_array_append_new(list, one);
	}
	return json_print(list, e);
}

/* ---- what is refused ---- */

/* A kubelet may not be newer than the servers it talks to (kubernetes.io, version skew policy). */
static int check_servers_first(const struct rollout *x, const struct target *t, struct err *e)
{
	const char *to = manifest_version(t->wanted.manifest, "k3s"), *from = manifest_version(t->live.manifest, "k3s");

	if (t->plan->node->role != ROLE_WORKER || !to || !from || streq(to, from))
		return 0;
	vec_foreach (n, &x->config->nodes) {
		struct remote r = remote_of(x->config, n, x->cards);
		_cleanup_json_ json_t *manifest = NULL;
		const struct target *server = NULL;
		struct err silent = { 0 };
		const char *has;

		if (n->role != ROLE_CONTROL_PLANE)
			continue;
		vec_foreach (s, &x->targets)
			if (s->plan->node == n && !s->off)
				server = s;
		if (!server && remote_manifest(&r, &manifest, &silent) < 0)
			manifest = NULL;
		has = server ? manifest_version(server->wanted.manifest, "k3s") : manifest_version(manifest, "k3s");
		if (!has || !streq(has, to))
			return err_class(
				e, CLASS_REFUSED,
				"%s would get K3s %s, and the server %s %s: servers go first, `pibuild apply --node %s`",
				t->plan->name, to, n->name, has ? arena_printf("has %s", has) : "does not answer",
				n->name);
	}
	return 0;
}

static int check_target(const struct rollout *x, const struct target *t, struct err *e)
{
	if (t->off)
		return 0;
	vec_foreach (i, &t->delta.items)
		if (i->effect.kind == EFFECT_CANNOT)
			return err_class(e, CLASS_REFUSED,
					 "%s: %s cannot change on a node that runs: %s; nothing was changed",
					 t->plan->name, i->path, i->effect.why);
	if (t->delta.skew)
		return err_class(e, CLASS_REFUSED, "%s: %s; nothing was changed", t->plan->name, t->delta.skew);
	return check_servers_first(x, t, e);
}

/* ---- one node ---- */

/* It was without pods before, by somebody else's wish. */
static bool is_cordoned(const struct live_cluster *l, const char *node)
{
	const char *const words[] = { "get", "node", node, "-o", "jsonpath={.spec.unschedulable}", NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct err ignored = { 0 };

	return cluster_kubectl(l, ASK_PATIENCE, &out, &ignored, words) == 0 && out.n && streq(out.s, "true");
}

/* While it restarts, etcd counts without it. */
static int check_others(const struct live_cluster *l, const struct live_node *it, struct err *e)
{
	struct members rest = cluster_other_members(l, it->name);

	if (!it->member || rest.ready == rest.others)
		return 0;
	return err_class(
		e, CLASS_REFUSED,
		"%s is a member of etcd and would restart while %u of the other %u members %s not ready, and nothing on it was changed: mend that first, and run `pibuild apply` again",
		it->name, rest.others - rest.ready, rest.others, rest.others - rest.ready == 1 ? "is" : "are");
}

static bool has_refuge(const struct live_cluster *l, const char *node)
{
	vec_foreach (n, &l->nodes)
		if (n->ready && !streq(n->name, node))
			return true;
	return false;
}

static int apply_drain(struct target *t, const struct live_cluster *l, struct err *e)
{
	const char *name = t->plan->name;
	struct err ignored = { 0 };
	const char *const back[] = { "uncordon", name, NULL };
	bool ours = t->live.drained || !is_cordoned(l, name);
	int r = ours ? live_drained(&t->remote, true, e) : 0;

	if (r < 0)
		return r;
	t->drained = ours;
	log_info("draining %s: its pods have %d seconds to go elsewhere%s", name, DRAIN_PATIENCE,
		 ours ? "" : "; it takes no new ones already, and is left so");
	r = cluster_drain(l, name, DRAIN_PATIENCE, false, e);
	if (r == 0 || err_interrupted(e))
		return r;
	if (ours && cluster_kubectl(l, ASK_PATIENCE, NULL, &ignored, back) == 0)
		live_drained(&t->remote, false, &ignored);
	return err_set(
		e, r,
		"%s cannot be drained, and nothing on it was changed: %s. Mend that, or run `pibuild apply --no-drain`",
		name, arena_strdup(e->msg));
}

static int apply_make_room(const struct rollout *x, struct target *t, struct err *e)
{
	const struct live_node *it;
	struct live_cluster l;
	int r;

	if (!t->delta.restarts)
		return 0;
	r = cluster_find(x->config, NULL, x->cards, &l, e);
	if (r < 0 && !err_interrupted(e) && t->plan->node->role == ROLE_CONTROL_PLANE) {
		log_warning("%s restarts without being drained: %s", t->plan->name, e->msg);
		*e = (struct err){ 0 };
		return 0;
	}
	if (r < 0)
		return err_interrupted(e) ? r : err_wrap(e, "nothing on %s was changed", t->plan->name);
	it = cluster_node(&l, t->plan->name);
	if (!it)
		return 0; /* it has not joined yet */
	r = check_others(&l, it, e);
	if (r < 0 || apply_opt.no_drain || !it->ready)
		return r;
	if (!has_refuge(&l, t->plan->name)) {
		log_info("%s has no other node to send its pods to: they stay", t->plan->name);
		return 0;
	}
	return apply_drain(t, &l, e);
}

/* What its report says: "" as long as there is none. CAUSE is set with "failed". */
static const char *report_state(const struct target *t, const char **cause)
{
	static const char *const argv[] = { "pibuild-status", "--json", NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	_cleanup_json_ json_t *report = NULL;
	struct err ignored = { 0 };
	const json_t *step;
	size_t i;

	remote_run(&t->remote, &(struct remote_call){ .argv = argv, .output = &out, .timeout = ASK_PATIENCE },
		   &ignored);
	report = out.n ? json_loadb(out.s, out.n, 0, NULL) : NULL;
	json_array_foreach (json_object_get(report, "steps"), i, step) {
		const char *state = json_get_text(step, "state");

		if (!streq(state, "done"))
			*cause = clean_text(arena_printf("%s is %s%s%s", json_get_text(step, "name"), state,
							 *json_get_text(step, "cause") ? ": " : "",
							 json_get_text(step, "cause")));
		if (streq(state, "failed"))
			break;
	}
	return arena_strdup(json_get_text(report, "state"));
}

/* Id of its running system; NULL = it does not say. */
static const char *running_boot(const struct target *t)
{
	static const char *const argv[] = { "cat", "/proc/sys/kernel/random/boot_id", NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct err ignored = { 0 };
	int r = remote_run(&t->remote, &(struct remote_call){ .argv = argv, .output = &out, .timeout = ASK_PATIENCE },
			   &ignored);

	return r == 0 && out.n ? arena_strndup(out.s, strcspn(out.s, "\n")) : NULL;
}

static bool has_restarted(const struct target *t)
{
	const char *boot = running_boot(t);

	return boot && !streq(boot, str_or(t->live.boot, ""));
}

static bool is_ready(const struct rollout *x, const struct target *t)
{
	const struct live_node *it;
	struct err ignored = { 0 };
	struct live_cluster l;

	if (cluster_find(x->config, NULL, x->cards, &l, &ignored) < 0)
		return false;
	it = cluster_node(&l, t->plan->name);
	return it && it->ready;
}

static int apply_wait_for(const struct rollout *x, const struct target *t, struct err *e)
{
	unsigned patience = x->patience ? x->patience : WAIT_PATIENCE;
	const char *cause = "it does not answer", *state = "";
	double end = now_seconds() + patience;
	bool started = !delta_reboots(&t->delta);
	int r = 0;

	while (r == 0 && now_seconds() < end) {
		if (!started)
			started = has_restarted(t);
		state = started ? report_state(t, &cause) : "";
		if (streq(state, "done") && (!t->delta.restarts || is_ready(x, t)))
			return 0;
		if (streq(state, "done"))
			cause = "the cluster does not call it Ready";
		if (streq(state, "failed"))
			return err_set(e, -EIO, "its report says that %s", cause);
		r = sig_pause(LOOK_EVERY, e);
	}
	return r < 0 ? r : err_set(e, -ETIMEDOUT, "after %u seconds %s", patience, cause);
}

static int give_room_back(const struct rollout *x, const struct target *t, struct err *e)
{
	const char *const words[] = { "uncordon", t->plan->name, NULL };
	struct live_cluster l;
	int r = cluster_find(x->config, NULL, x->cards, &l, e);

	if (r == 0)
		r = cluster_kubectl(&l, ASK_PATIENCE, NULL, e, words);
	if (r < 0 && !err_interrupted(e))
		err_wrap(e, "%s is changed and well, and takes no pods until `pibuild apply` is run again",
			 t->plan->name);
	return r < 0 ? r : live_drained(&t->remote, false, e);
}

/* It may not restart: what was sent there goes too, or its next start would take it up. */
static int leave_as_it_was(const struct target *t, struct err *e)
{
	struct err why = { 0 };

	if (live_unstage(&t->remote, &why) < 0)
		log_warning(
			"what was sent to %s is still there, and its next start takes it up, as does the next `pibuild apply`: %s",
			t->plan->name, why.msg);
	return e->code;
}

static int change_files(const struct rollout *x, struct target *t, struct err *e)
{
	bool files = t->delta.items.n || t->delta.manifest_only;
	int r = files ? live_send(&t->remote, &t->wanted, &t->delta, e) : 0;

	if (r < 0)
		return err_wrap(e, "%s is as it was", t->plan->name);
	r = apply_make_room(x, t, e);
	if (r < 0 && files && !err_interrupted(e))
		return leave_as_it_was(t, e);
	if (r == 0 && files)
		r = live_switch(&t->remote, e);
	/* It may have restarted since it was read. */
	if (r == 0 && delta_reboots(&t->delta))
		t->live.boot = str_or(running_boot(t), t->live.boot);
	if (r == 0 && t->delta.effects.n)
		r = live_act(&t->remote, &t->delta, e);
	return r;
}

/* "put versions.k3s back to v1.36.3+k3s1": what upstream lets go back, by the same checks as the way there. */
static const char *way_back(const struct target *t)
{
	const char *from = manifest_version(t->live.manifest, "k3s"), *to = manifest_version(t->wanted.manifest, "k3s");
	const char *name = shell_word(t->plan->name);

	if (skew_k3s(to, from))
		return arena_printf(
			"K3s does not go back to %s: mend it and run `pibuild apply --node %s` again, or start from a backup with `pibuild flash --restore`",
			from, name);
	return arena_printf(
		"to go on, mend it and run `pibuild apply` again; to go back, put cluster.yaml%s as it was and run `pibuild apply --node %s`",
		t->delta.versions.n ? " and pibuild.lock" : "", name);
}

/* What says that it is to have pods again lies on its card. */
static const char *without_pods(const struct target *t)
{
	if (!t->drained)
		return "";
	return arena_printf("; it takes no pods until then, nor with a new card before `kubectl uncordon %s`",
			    shell_word(t->plan->name));
}

static int change_and_wait(const struct rollout *x, struct target *t, struct err *e)
{
	int r;

	t->drained = t->live.drained;
	r = change_files(x, t, e);
	if (r < 0)
		return r;
	r = apply_wait_for(x, t, e);
	if (r < 0)
		return err_interrupted(e)
			       ? r
			       : err_set(e, r,
					 "%s is changed and not well: %s. The nodes behind it are as they were; %s%s",
					 t->plan->name, arena_strdup(e->msg), way_back(t), without_pods(t));
	return t->drained ? give_room_back(x, t, e) : 0;
}

static int change(const struct rollout *x, struct target *t, struct err *e)
{
	int r = change_and_wait(x, t, e);

	if (r < 0 && err_interrupted(e) && t->drained)
		log_warning("%s takes no pods until `pibuild apply` is run again", t->plan->name);
	return r;
}

/* ---- the command ---- */

static int left_for_later(const struct rollout *x, struct err *e)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };

	vec_foreach (t, &x->targets)
		if (t->off)
			strbuf_addf(&names, "%s%s", names.n ? ", " : "", t->plan->name);
	if (!names.n)
		return 0;
	return err_class(e, CLASS_FAILED, "%s did not answer: once they are on, run `pibuild apply` again", names.s);
}

int rollout_run(struct rollout *x, struct err *e)
{
	size_t changes = 0;
	int r = apply_read_all(x, e);

	if (r == 0)
		r = show_all(x, e);
	if (r < 0)
		return r;
	vec_foreach (t, &x->targets) {
		changes += target_changes(t);
		r = check_target(x, t, e);
		if (r < 0)
			return r;
	}
	if (apply_opt.dry_run || !changes)
		return left_for_later(x, e);
	if (!x->yes)
		r = cmd_confirm(
			x->o,
			arena_printf("%zu %s will change, servers first", changes, changes == 1 ? "node" : "nodes"),
			"what is shown above is done", "nothing was changed", e);
	for (size_t i = 0; i < x->targets.n && r == 0; i++) {
		struct target *t = &x->targets.v[i];

		if (!target_changes(t))
			continue;
		r = change(x, t, e);
		if (r == 0)
			log_info("%s is as cluster.yaml says", t->plan->name);
	}
	return r < 0 ? r : left_for_later(x, e);
}

static int cmd_apply(const struct cmd_options *o, struct err *e)
{
	_cleanup_(rollout_done) struct rollout x = { .o = o, .cache.fd = -1, .patience = apply_opt.timeout };
	int r = cmd_args(o, 0, 0, "apply [--node NAME]... [--dry-run]", e);

	if (r == 0)
		r = rollout_load(&x, NULL, e);
	return r < 0 ? r : rollout_run(&x, e);
}

const struct command apply_command = {
	.name = "apply",
	.args = "",
	.help = "brings nodes that run to what cluster.yaml says, without a new card",
	.run = cmd_apply,
	.options = apply_options,
	.n_options = ARRAY_SIZE(apply_options),
	.common = "config lock secrets cache offline jobs json progress",
	.examples = { "pibuild apply --dry-run", "pibuild apply --node w-1 --yes" },
};
