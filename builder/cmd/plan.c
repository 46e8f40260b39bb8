/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <time.h>

#include "plan/matrix.h"
#include "plan/plan.h"
#include "cmd/cmd.h"
#include "plan/flashed.h"

static struct {
	const char *matrix; /* "github" or "gitlab" */
	unsigned batch;	    /* 0 = default */
} plan_opt;

static const struct option plan_options[] = {
	CMD_OPTION_NODE,
	CMD_OPTION_ROLE,
	CMD_OPTION_GENERIC,
	CMD_OWN_WORDS("matrix", OPT_TEXT, &plan_opt.matrix, "ENGINE",
		      "the jobs that build it, for a CI engine: github or gitlab", "github gitlab"),
	CMD_OWN("batch", OPT_BATCH, &plan_opt.batch, "N", "nodes per job of --matrix (as few as the engine takes)"),
};

/* Seconds since 1970 of a record's time; 0 = none. */
static int64_t time_of(const json_t *record)
{
	const char *text = json_string_value(json_object_get(record, "time"));
	int64_t t;

	return text && utc_parse(text, &t) ? t : 0;
}

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
			json_object_set_new(j, "older", json_boolean(known && time_of(j) < st.st_mtime));
		if (j || tried)
			json_array_append(list, j ? j : tried);
	}
	return list;
}

static const char *plan_member(const json_t *j, const char *name)
{
	return clean_text(arena_strdup(str_or(json_string_value(json_object_get(j, name)), "?")));
}

static const char *card_note(const json_t *j)
{
	if (streq(plan_member(j, "state"), "begun"))
		return "  not finished: flash it again";
	return json_is_true(json_object_get(j, "older")) ? "  older than cluster.yaml: flash --update" : "";
}

static void print_cards(const struct plan *p)
{
	_cleanup_json_ json_t *cards = cards_json(p);

	if (json_array_size(cards) > 0)
		printf("\ncards\n");
	for (size_t i = 0; i < json_array_size(cards); i++) {
		const json_t *j = json_array_get(cards, i);

		printf("  %-20s %s  %s %s%s\n", plan_member(j, "node"), plan_member(j, "time"),
		       plan_member(j, "serial"), plan_member(j, "model"), card_note(j));
	}
}

static int cmd_plan(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	const struct project_options po = { .config = o->config,
					    .lock = o->lock,
					    .secrets = o->secrets,
					    .policy = o->generic ? SECRETS_UNUSED : SECRETS_IF_ANY };
	const struct plan_options so = cmd_plan_options(o, SECRET_PROBE);
	struct err no_cache = { 0 };
	struct project *project;
	struct plan *plan;
	bool have_cache;
	int r = cmd_args(o, 0, 0, "plan [--node NAME]... [--role ROLE] [--generic]", e);

	if (r == 0 && plan_opt.batch && !plan_opt.matrix)
		r = err_class(e, CLASS_USAGE, "--batch goes with --matrix: plan --matrix github --batch %u",
			      plan_opt.batch);
	if (r < 0)
		return r;
	r = cmd_check_selection(o, e);
	if (r < 0)
		return r;
	r = project_load_valid(&po, &project, e);
	if (r < 0)
		return r;
	r = plan_make(project, &so, &plan, e);
	if (r < 0)
		return r;
	if (plan_opt.matrix)
		return matrix_print(plan, plan_opt.matrix, plan_opt.batch, e);
	/* A plan needs no cache; with one it can tell what is there already. */
	have_cache = cache_peek(o->cache, &cache, &no_cache) == 0;
	if (o->json) {
		json_t *j = plan_json(plan, have_cache ? &cache : NULL);

		json_object_set_new(j, "flashed", cards_json(plan));
		return json_print(j, e);
	}
	plan_print(plan, have_cache ? &cache : NULL);
	print_cards(plan);
	return 0;
}

const struct command plan_command = {
	.name = "plan",
	.args = "",
	.help = "what would be built, downloaded and written",
	.run = cmd_plan,
	.options = plan_options,
	.n_options = ARRAY_SIZE(plan_options),
	.common = "config out lock secrets cache json",
	.examples = { "pibuild plan", "pibuild plan --matrix github --batch 2" },
};
