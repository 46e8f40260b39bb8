/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what would be built, for people, for CI, for a router, and against the cards that were flashed. */
#include <sys/stat.h>

#include "base/sig.h"
#include "cmd/cmd.h"
#include "companion/leftover.h"
#include "plan/flashed.h"
#include "plan/router.h"
#include "plan/matrix.h"
#include "plan/standing.h"
#include "remote/each.h"
#include "remote/told.h"

static struct {
	const char *matrix; /* "github" or "gitlab" */
	const char *router; /* what router_print() knows */
	unsigned batch;	    /* 0 = default */
	bool live;
} plan_opt;

static const struct option plan_options[] = {
	CMD_OPTION_NODE,
	CMD_OPTION_ROLE,
	CMD_OPTION_GENERIC,
	CMD_OWN_WORDS("matrix", OPT_TEXT, &plan_opt.matrix, "ENGINE",
		      "the jobs that build it, for a CI engine: github or gitlab", "github gitlab"),
	CMD_OWN_WORDS("router", OPT_TEXT, &plan_opt.router, "KIND",
		      "what your router needs for BGP: frr, unifi, mikrotik or opnsense",
		      "frr unifi mikrotik opnsense"),
	CMD_OWN_NUMBER("batch", &plan_opt.batch, 1, 1000, "N",
		       "nodes per job of --matrix (as few as the engine takes)"),
	CMD_OWN("live", OPT_FLAG, &plan_opt.live, NULL, "ask the nodes, which run, what is on them"),
};

/* The card of each node that has one, by the record of flashing, and the last try where that was all. "older" is true
 * of a card that cluster.yaml was changed after. */
static json_t *cards_json(const struct plan *p)
{
	_cleanup_json_ json_t *all = flashed_read(p->project->config->dir);
	json_t *list = json_array();
	struct stat st;
	bool known = stat(p->project->config->path, &st) == 0;

	vec_foreach (n, &p->nodes) {
		json_t *j = flashed_card(all, (*n)->name), *tried = flashed_unfinished(all, (*n)->name);

		if (j)
			json_object_set_new(j, "older", json_boolean(known && flashed_time(j) < st.st_mtime));
		if (j || tried)
			json_array_append(list, j ? j : tried);
	}
	return list;
}

/* ---- where the nodes stand ---- */

enum { PATHS_SHOWN = 12, LIVE_SECONDS = 30 };

struct stand {
	const struct node_plan *node;
	struct remote remote;
	struct told told;
	struct standing_of image, card, live;
	bool asked; /* LIVE is set */
};
struct stands {
	const struct plan *plan;
	VEC(struct stand) v;
};

static void stands_done(struct stands *s)
{
	vec_foreach (x, &s->v)
		told_done(&x->told);
}

static void ask_live(void *arg, size_t i)
{
	struct stands *s = arg;
	struct stand *x = &s->v.v[i];

	told_ask(&x->remote, LIVE_SECONDS, &x->told);
	x->asked = true;
	x->live = x->told.answered ? standing_node(s->plan, x->node, x->told.manifest)
				   : (struct standing_of){ .is = STANDING_UNKNOWN, .words = x->told.why };
}

static struct standing_of card_of(const struct plan *p, const struct node_plan *n, json_t *cards)
{
	if (n->generic)
		return (struct standing_of){ .words = "" };
	return standing_card(p, n, cards);
}

static void find_stands(const struct plan *p, json_t *cards, struct stands *ret)
{
	ret->plan = p;
	vec_foreach (n, &p->nodes)
		*vec_push(&ret->v) = (struct stand){
			.node = *n,
			.image = standing_image(p, *n),
			.card = card_of(p, *n, cards),
			.remote = remote_of(p->project->config, (*n)->node, cards),
		};
	if (plan_opt.live)
		remote_each(ret->v.n, ask_live, ret);
}

static json_t *stands_json(const struct stands *s)
{
	json_t *all = json_array();

	vec_foreach (x, &s->v) {
		json_t *j = json_pack("{s:s, s:o, s:o}", "name", x->node->name, "image", standing_json(&x->image),
				      "card", standing_json(&x->card));

		if (x->asked)
			json_object_set_new(j, "live", standing_json(&x->live));
		json_array_append_new(all, j);
	}
	return all;
}

static const char *stand_cell(const struct standing_of *s)
{
	static const char *const cells[STANDING_COUNT] = { "none", "as cluster.yaml", "other", "not known" };

	if (s->is != STANDING_DIFFERS || !s->drifts.v.n)
		return cells[s->is];
	return arena_printf("%zu path%s differ%s", s->drifts.v.n, s->drifts.v.n == 1 ? "" : "s",
			    s->drifts.v.n == 1 ? "s" : "");
}

/* WHAT of a node, path by path. */
static void print_paths(const char *node, const char *what, const struct standing_of *s)
{
	if (s->is == STANDING_UNKNOWN)
		printf("\n%s, %s: not known: %s\n", node, what, s->words);
	if (!s->drifts.v.n)
		return;
	printf("\n%s, %s: a card made now has otherwise\n", node, what);
	for (size_t i = 0; i < s->drifts.v.n && i < PATHS_SHOWN; i++) {
		const struct drift *d = &s->drifts.v.v[i];

		printf("  %-7s  %s  (%s)\n", drift_kind_names[d->kind], d->path, d->origin);
	}
	if (s->drifts.v.n > PATHS_SHOWN)
		printf("  and %zu more: --json has all\n", s->drifts.v.n - PATHS_SHOWN);
}

/* Nothing of a project of which there is nothing yet. */
static bool stands_say_something(const struct stands *s)
{
	vec_foreach (x, &s->v)
		if (x->image.is != STANDING_NONE || x->card.is != STANDING_NONE || x->asked)
			return true;
	return false;
}

/* What would bring whom here. */
static void print_next(const struct stands *s)
{
	static const struct {
		size_t at;
		unsigned states; /* bits of enum standing */
		const char *command, *words;
	} rows[] = {
		{ offsetof(struct stand, image), 1 << STANDING_NONE | 1 << STANDING_DIFFERS, "build", "makes" },
		{ offsetof(struct stand, card), 1 << STANDING_NONE, "flash", "writes" },
		{ offsetof(struct stand, card), 1 << STANDING_DIFFERS, "flash", "--update writes" },
		{ offsetof(struct stand, live), 1 << STANDING_DIFFERS, "apply", "changes" },
	};

	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *begin = arena_printf("%s %s", rows[i].command, rows[i].words);
		unsigned found = 0;

		vec_foreach (x, &s->v) {
			const struct standing_of *of = (const void *)((const char *)x + rows[i].at);

			if (rows[i].states & 1u << of->is && (x->asked || rows[i].at != offsetof(struct stand, live)))
				printf("%s %s", found++ ? "" : begin, x->node->name);
		}
		printf("%s", found ? "\n" : "");
	}
}

static void print_stands(const struct stands *s)
{
	if (!stands_say_something(s))
		return;
	printf("\n%-22s %-18s %s\n", "nodes", "image", plan_opt.live ? "card               node that runs" : "card");
	vec_foreach (x, &s->v)
		printf("  %-20s %-18s %s\n", x->node->name, stand_cell(&x->image),
		       x->asked ? arena_printf("%-18s %s", stand_cell(&x->card), stand_cell(&x->live))
				: stand_cell(&x->card));
	vec_foreach (x, &s->v) {
		print_paths(x->node->name, "image", &x->image);
		if (x->asked)
			print_paths(x->node->name, "node that runs", &x->live);
	}
	print_next(s);
}

/* ---- the cards ---- */

static const struct standing_of *stand_of_card(const struct stands *s, const char *node)
{
	vec_foreach (x, &s->v)
		if (streq(x->node->name, node))
			return &x->card;
	return NULL;
}

static const char *card_note(const json_t *j, const struct standing_of *s)
{
	if (streq(json_clean(j, "state"), "begun"))
		return "  not finished: flash it again";
	if (s && s->is == STANDING_SAME)
		return "  as cluster.yaml";
	if (s && s->is == STANDING_DIFFERS)
		return "  other than cluster.yaml: flash --update";
	return json_is_true(json_object_get(j, "older")) ? "  older than cluster.yaml: flash --update" : "";
}

static void print_cards(const struct plan *p, const struct stands *s)
{
	_cleanup_json_ json_t *cards = cards_json(p);

	if (json_array_size(cards) > 0)
		printf("\ncards\n");
	for (size_t i = 0; i < json_array_size(cards); i++) {
		const json_t *j = json_array_get(cards, i);

		printf("  %-20s %s  %s %s%s\n", json_clean(j, "node"), json_clean(j, "time"), json_clean(j, "serial"),
		       json_clean(j, "model"), card_note(j, stand_of_card(s, json_clean(j, "node"))));
	}
}

/* What a name server has to say for people to find the gateway. */
static json_t *dns_json(const struct config *c)
{
	json_t *list = json_array();
	char ip[IPV4_TEXT];

	vec_foreach (zone, &c->gateway.zones)
		for (int wildcard = 0; c->gateway.enabled && wildcard < 2; wildcard++)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name",
							      arena_printf("%s%s", wildcard ? "*." : "", *zone), "type",
							      "A", "value", ipv4_text(c->gateway.address, ip)));
	return list;
}

static void print_dns(const struct config *c)
{
	_cleanup_json_ json_t *records = dns_json(c);

	if (json_array_size(records) > 0)
		printf("\nrecords for your name server\n");
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *j = json_array_get(records, i);

		printf("  %-32s %s  %s\n", json_clean(j, "name"), json_clean(j, "type"), json_clean(j, "value"));
	}
}

static int plan_show(const struct cmd_options *o, const struct plan *plan, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	_cleanup_(stands_done) struct stands stands = { 0 };
	const struct config *c = plan->project->config;
	_cleanup_json_ json_t *cards = NULL;
	struct leftovers left = { 0 };
	struct err no_cache = { 0 };
	/* A plan needs no cache; with one it can tell what is there already. */
	bool have_cache = cache_peek(o->cache, &cache, &no_cache) == 0;
	int r = flashed_load(c->dir, &cards, e);

	if (r < 0)
		return r;
	find_stands(plan, cards, &stands);
	leftovers_find(c, o->out, &left);
	r = sig_check(e);
	if (r < 0)
		return r;
	if (o->json) {
		json_t *j = plan_json(plan, have_cache ? &cache : NULL);

		json_object_set_new(j, "flashed", cards_json(plan));
		json_object_set_new(j, "standing", stands_json(&stands));
		json_object_set_new(j, "leftovers", leftovers_json(&left));
		json_object_set_new(j, "dns", dns_json(c));
		return json_print(j, e);
	}
	plan_print(plan, have_cache ? &cache : NULL);
	print_stands(&stands);
	print_cards(plan, &stands);
	print_dns(c);
	leftovers_tell(c, &left);
	return 0;
}

static int cmd_plan(const struct cmd_options *o, struct err *e)
{
	const struct project_options po = cmd_project_options(o, o->generic ? SECRETS_UNUSED : SECRETS_IF_ANY);
	const struct plan_options so = cmd_plan_options(o, SECRET_PROBE);
	struct plan *plan;
	int r = cmd_args(o, 0, 0, "plan [--node NAME]... [--role ROLE] [--generic]", e);

	if (r == 0 && plan_opt.batch && !plan_opt.matrix)
		r = err_class(e, CLASS_USAGE, "--batch goes with --matrix: plan --matrix github --batch %u",
			      plan_opt.batch);
	if (r < 0)
		return r;
	if (plan_opt.live && (o->generic || plan_opt.matrix))
		return err_class(e, CLASS_USAGE, "--live asks nodes; leave --generic and --matrix away");
	r = cmd_check_selection(o, e);
	if (r < 0)
		return r;
	r = cmd_make_plan(&po, &so, &plan, e);
	if (r < 0)
		return r;
	if (plan_opt.router)
		return router_print(plan->project->config, plan_opt.router, e);
	if (plan_opt.matrix)
		return matrix_print(plan, plan_opt.matrix, plan_opt.batch, e);
	return plan_show(o, plan, e);
}

const struct command plan_command = {
	.name = "plan",
	.args = "",
	.help = "what would be built, and where image, card and node stand",
	.run = cmd_plan,
	.options = plan_options,
	.n_options = ARRAY_SIZE(plan_options),
	.common = "config out lock secrets cache json",
	.examples = { "pibuild plan --live", "pibuild plan --matrix github --batch 2" },
};
