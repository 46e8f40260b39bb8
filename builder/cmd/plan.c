/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"
#include "cmd/cmd.h"

int cmd_plan(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	const struct project_options po = { o->config, o->lock, o->secrets, SECRETS_IF_ANY };
	struct plan_options so = { o->nodes.v, o->nodes.n, o->role, o->out, SECRET_PROBE };
	struct err no_cache = { 0 };
	struct project *project;
	struct plan *plan;
	bool have_cache;
	int r = cmd_args(o, 0, 0, "plan [--node NAME]... [--role ROLE]", e);

	if (r == 0)
		r = project_load_valid(&po, &project, e);
	if (r == 0)
		r = plan_make(project, &so, &plan, e);
	if (r < 0)
		return r;
	/* A plan needs no cache; with one it can tell what is there already. */
	have_cache = cache_peek(o->cache, &cache, &no_cache) == 0;
	if (o->json)
		return json_print(plan_json(plan, have_cache ? &cache : NULL), e);
	plan_print(plan, have_cache ? &cache : NULL);
	return 0;
}
