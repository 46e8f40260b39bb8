/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node changed: staged, drained where K3s restarts, switched, followed, waited for, given its pods back. What a
 * node owes after a cut it says itself (live/).
 */
#include <errno.h>

#include "base/log.h"
#include "base/sig.h"
#include "cmd/apply.h"
#include "remote/cluster.h"

enum { DRAIN_PATIENCE = 300, WAIT_PATIENCE = 900, ASK_PATIENCE = 45, LOOK_EVERY = 2 };

/* ---- without pods ---- */

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

/* CORDONED: it was without pods before, by somebody else's wish unless the node knows better. */
static int apply_drain(struct target *t, const struct live_cluster *l, bool cordoned, struct err *e)
{
	const char *name = t->plan->name;
	struct err ignored = { 0 };
	const char *const back[] = { "uncordon", name, NULL };
	bool ours = t->live.drained || !cordoned;
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
	if (r < 0 || x->no_drain || !it->ready)
		return r;
	if (!has_refuge(&l, t->plan->name)) {
		log_info("%s has no other node to send its pods to: they stay", t->plan->name);
		return 0;
	}
	return apply_drain(t, &l, it->cordoned, e);
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

/* ---- waited for ---- */

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

/* ---- changed ---- */

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

int target_change(const struct rollout *x, struct target *t, struct err *e)
{
	int r = change_and_wait(x, t, e);

	if (r < 0 && err_interrupted(e) && t->drained)
		log_warning("%s takes no pods until `pibuild apply` is run again", t->plan->name);
	return r;
}
