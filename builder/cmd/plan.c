/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"
#include "cmd/cmd.h"
#include "flash/record.h"

/* The latest card of each node, from the record of flashing. */
static json_t *cards_json(const struct plan *p)
{
	_cleanup_json_ json_t *all = flash_record_read(p->project->config->dir);
	json_t *list = json_array(), *j;

	vec_foreach (n, &p->nodes) {
		j = flash_record_last(all, (*n)->name);
		if (j)
			json_array_append(list, j);
	}
	return list;
}

static const char *member(const json_t *j, const char *name)
{
	return clean_text(arena_strdup(str_or(json_string_value(json_object_get(j, name)), "?")));
}

static void print_cards(const struct plan *p)
{
	_cleanup_json_ json_t *cards = cards_json(p);

	if (json_array_size(cards) > 0)
		printf("\ncards\n");
	for (size_t i = 0; i < json_array_size(cards); i++) {
		const json_t *j = json_array_get(cards, i);

		printf("  %-20s %s  %s %s\n", member(j, "node"), member(j, "time"), member(j, "serial"),
		       member(j, "model"));
	}
}

int cmd_plan(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	const struct project_options po = { o->config, o->lock, o->secrets,
					    o->generic ? SECRETS_UNUSED : SECRETS_IF_ANY };
	const struct plan_options so = cmd_plan_options(o, SECRET_PROBE);
	struct err no_cache = { 0 };
	struct project *project;
	struct plan *plan;
	bool have_cache;
	int r = cmd_args(o, 0, 0, "plan [--node NAME]... [--role ROLE] [--generic]", e);

	if (r == 0)
		r = cmd_check_selection(o, e);
	if (r == 0)
		r = project_load_valid(&po, &project, e);
	if (r == 0)
		r = plan_make(project, &so, &plan, e);
	if (r < 0)
		return r;
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
