/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: nodes that run become what cluster.yaml says, without a new card. First all of them are read, and what would
 * change is shown; then one after the other is changed, servers first. The first that fails ends it; run again it goes
 * on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/log.h"
#include "cmd/apply.h"
#include "remote/cluster.h"

static struct {
	bool dry_run, no_drain;
	unsigned timeout;
} apply_opt;

static const struct option apply_options[] = {
	CMD_OPTION_NODE,
	CMD_OWN("dry-run", OPT_FLAG, &apply_opt.dry_run, NULL, "show what would change, and what that costs; end"),
	CMD_OWN("no-drain", OPT_FLAG, &apply_opt.no_drain, NULL,
		"leave pods where they are; they outlive a restart of K3s"),
	CMD_OWN_SECONDS("timeout", &apply_opt.timeout, "patience with each node after its change (900)"),
	CMD_OPTION_YES("do not ask"),
};

/* ---- reading ---- */

/* A change that was cut off is taken up first, so that it is known what is there. */
static int target_resume(struct rollout *x, struct target *t, struct err *e)
{
	int r;

	if (!t->live.staged || x->dry_run)
		return 0;
	log_info("%s: an earlier change was cut off and is taken up", t->plan->name);
	r = live_switch(&t->remote, e);
	if (r == 0)
		r = target_ask(x, t, e);
	return r < 0 ? r : live_delta(x->config, &t->wanted, &t->live, &t->delta, e);
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
	int r;

	vec_foreach (t, &x->targets) {
		const struct node_config *n = t->plan->node;

		if (!t->off || !n->address.set || n->ssh_port)
			continue;
		if (!asked)
			cluster_find(x->config, t->plan->name, x->cards, &l, &why);
		asked = true;
		if (err_interrupted(&why)) {
			*e = why;
			return why.code;
		}
		r = check_moved(t, &l, e);
		if (r < 0)
			return r;
	}
	return 0;
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

/* `k3s token rotate` tells one server (pkg/server/handlers/token.go); the others learn it at their next start. */
static int check_server_token(const struct rollout *x, struct err *e)
{
	const char *password = x->plan->project->secrets->server_password;
	const struct target *other = NULL;

	vec_foreach (t, &x->targets) {
		if (t->off || t->plan->node->role != ROLE_CONTROL_PLANE)
			continue;
		if (!live_has_other_token(&t->live, password))
			return 0;
		other = other ? other : t;
	}
	if (!other)
		return 0;
	return err_class(
		e, CLASS_REFUSED,
		"%s runs with another server token than that of %s, and K3s does not start with one that its datastore does not know: tell it first, `pibuild ssh %s` and there `sudo k3s token rotate --new-token NEW`, NEW being the part behind the last colon of what `pibuild secrets show --show-secrets` has; nothing was changed",
		other->plan->name, x->plan->project->secrets->path, shell_word(other->plan->name));
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

/* ---- the command ---- */

static int left_for_later(const struct rollout *x, struct err *e)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };

	vec_foreach (t, &x->targets)
		if (t->off)
			strbuf_item(&names, ", ", t->plan->name);
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
	r = check_server_token(x, e);
	if (r < 0)
		return r;
	if (x->dry_run || !changes)
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
		r = target_change(x, t, e);
		if (r == 0)
			log_info("%s is as cluster.yaml says", t->plan->name);
	}
	return r < 0 ? r : left_for_later(x, e);
}

/* Two at once would take each other's changes for such that were cut off. Between machines nothing keeps them apart,
 * nor where a filesystem has no locks. */
static int apply_lock(const char *config, int *ret_fd, struct err *e)
{
	*ret_fd = open(config, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	return err_class(e, CLASS_REFUSED,
			 "another pibuild on this machine changes the cluster of %s: wait for its end", config);
}

static int cmd_apply(const struct cmd_options *o, struct err *e)
{
	_cleanup_close_ int lock = -1;
	_cleanup_(rollout_done) struct rollout x = {
		.o = o,
		.cache.fd = -1,
		.dry_run = apply_opt.dry_run,
		.no_drain = apply_opt.no_drain,
		.patience = apply_opt.timeout,
	};
	int r = cmd_args(o, 0, 0, "apply [--node NAME]... [--dry-run]", e);

	if (r == 0)
		r = rollout_load(&x, NULL, e);
	if (r == 0 && !x.dry_run)
		r = apply_lock(x.config->path, &lock, e);
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
