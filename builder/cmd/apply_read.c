/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that run, read at the same time and held against the cards they would get now; nothing is changed. */
#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "cmd/apply.h"
#include "plan/flashed.h"
#include "remote/each.h"

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
	int r = cmd_check_values(p, &x->cache, &f, e);

	if (r < 0)
		return r;
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
	const struct project_options po = cmd_project_options(o, SECRETS_NEEDED);
	struct plan_options so = cmd_plan_options(o, SECRET_READ);
	const struct config *c = cmd_glimpse_config(o->config);
	const struct node_config *found;
	int r = config_require_file(o->config, "there is no cluster to change", e);

	for (size_t i = 0; c && i < o->nodes.n && r == 0; i++)
		r = cmd_find_node(c, o->nodes.v[i], &found, e);
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

int target_ask(const struct rollout *x, struct target *t, struct err *e)
{
	const char *password = secrets_node_password(x->plan->project->secrets, t->plan->name);

	live_done(&t->live);
	t->live = (struct live){ 0 };
	return live_read(&t->remote, &t->wanted, str_or(password, ""), x->flags, &t->live, e);
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
