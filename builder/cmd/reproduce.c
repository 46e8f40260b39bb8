/* SPDX-License-Identifier: Apache-2.0 */
/* build --reproduce MANIFEST: does the same config, with what the manifest pins, still give the same image? */
#include "build/build.h"
#include "cmd/cmd.h"

static int check_node(const struct cmd_options *o, const char *manifest, const char *node, struct err *e)
{
	for (size_t i = 0; i < o->nodes.n; i++)
		if (!streq(o->nodes.v[i], node))
			return err_class(e, CLASS_USAGE, "%s is of the node %s, not of %s", manifest, node,
					 o->nodes.v[i]);
	return 0;
}

static int reproduce_load(const struct cmd_options *o, const char *manifest, struct plan **ret, struct err *e)
{
	struct project_options po = { .config = o->config, .secrets = o->secrets, .policy = SECRETS_IF_ANY };
	struct plan_options so = { .n_nodes = 1, .out = o->out, .secret_use = SECRET_READ };
	struct project *project;
	const char *node;
	int r = reproduce_lock(manifest, &po.built, &node, e);

	if (r < 0)
		return r;
	r = check_node(o, manifest, node, e);
	if (r < 0)
		return r;
	r = project_load_valid(&po, &project, e);
	if (r < 0)
		return r;
	if (!project->secrets_real)
		return err_class(
			e, CLASS_CONFIG,
			"there are no secrets beside %s: the image can only be built again with those it was built with; name them with --secrets",
			project->config->path);
	so.nodes = &node;
	r = plan_make(project, &so, ret, e);
	return r < 0 ? r : cmd_check_locked(*ret, e);
}

static int reproduce_print(const struct cmd_options *o, const struct plan *p, const char *what,
			   const struct findings *f, struct err *e)
{
	const char *node = p->nodes.v[0]->name;

	if (o->json)
		return json_print(json_pack("{s:s, s:b, s:s, s:o}", "node", node, "identical", f->v.n == 0, "compared",
					    what, "differences", findings_json(f)),
				  e);
	findings_print(f);
	if (!f->v.n)
		printf("%s: identical (compared %s)\n", node, what);
	return 0;
}

int cmd_reproduce(const struct cmd_options *o, const char *manifest, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	struct build b = { .cache = &cache };
	struct findings f = { 0 };
	const char *what = NULL;
	struct plan *plan = NULL;
	int r = reproduce_load(o, manifest, &plan, e);

	if (r < 0)
		return r;
	r = cache_open(o->cache, &cache, e);
	if (r < 0)
		return r;
	const struct fetch_options fetch = { .config = plan->project->config, .offline = o->offline, .jobs = o->jobs };

	b.plan = plan;
	r = fetch_all(&cache, plan->pins.v, plan->pins.n, &plan->images, &fetch, e);
	if (r == 0)
		r = reproduce_compare(&b, manifest, &what, &f, e);
	if (r == 0)
		r = reproduce_print(o, plan, what, &f, e);
	if (r < 0 || !f.v.n)
		return r;
	return err_class(e, CLASS_VERIFY, "%s: built again, it differs in %zu places (compared %s)", manifest, f.v.n,
			 what);
}
