/* SPDX-License-Identifier: Apache-2.0 */
/* Images of cluster.yaml for QEMU: as a first start of their cluster has them, in a folder that goes. */
#include "base/file.h"
#include "base/log.h"
#include "build/build.h"
#include "cmd/boot.h"
#include "plan/birth.h"

/* As of a cluster of which there is no card yet: its first server starts it, the others join. */
static void mark_births(const struct plan *p)
{
	_cleanup_json_ json_t *no_cards = json_array();

	vec_foreach (n, &p->nodes)
		birth_mark(*n, birth_right(no_cards, p->project->config, (*n)->node));
}

static void tell_lone_node(const struct plan *p)
{
	const struct node_config *first = config_first_server(p->project->config);

	if (p->nodes.n == 1 && p->nodes.v[0]->node != first)
		log_warning("%s waits for %s, which is not there: --all has the whole cluster", p->nodes.v[0]->name,
			    first->name);
}

static int build_images(const struct cmd_options *o, const struct plan *p, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	const struct fetch_options f = { .config = p->project->config, .offline = o->offline, .jobs = o->jobs };
	const struct build b = { .plan = p, .cache = &cache };
	int r = cache_open(o->cache, &cache, e);

	if (r == 0)
		r = build_check_host(&b, e);
	if (r < 0)
		return r;
	build_expect(&b, EXPECT_IMAGES);
	return build_run(&b, &f, e);
}

int rehearsal_plan(const struct cmd_options *o, const struct rehearsal_want *want, const char *out, struct plan **ret,
		   struct err *e)
{
	struct project_options po = cmd_project_options(o, SECRETS_NEEDED);
	struct plan_options so = cmd_plan_options(o, SECRET_READ);
	int r;

	po.lock = str_or(want->lock, o->lock);
	po.out = NULL;
	po.new_cluster = true;
	po.rehearse = true;
	po.base = want->base;
	po.lock_first = want->lock;
	so.out = out;
	r = cmd_load_plan(&po, &so, ret, e);
	if (r < 0 && e->class == CLASS_VERIFY)
		return err_class(
			e, CLASS_VERIFY,
			"%s. Where this is about Debian, which a trial runs on in the place of Raspberry Pi OS: copy cluster.yaml, write os.base: debian into the copy, lock that with --lock FILE, and give the same --lock here",
			arena_strdup(e->msg));
	return r;
}

int rehearsal_load(const struct cmd_options *o, const struct rehearsal_want *want, struct rehearsal *ret, struct err *e)
{
	struct plan *plan;
	int r = temp_dir("rehearsal", &ret->dir, e);

	if (r == 0)
		r = rehearsal_plan(o, want, ret->dir, &plan, e);
	if (r < 0)
		return r;
	ret->plan = plan;
	mark_births(plan);
	tell_lone_node(plan);
	return 0;
}

int rehearsal_build(const struct cmd_options *o, const struct rehearsal *r, struct err *e)
{
	return build_images(o, r->plan, e);
}

void rehearsal_done(struct rehearsal *r)
{
	struct err ignored = { 0 };

	if (r->dir)
		remove_tree(r->dir, &ignored);
	r->dir = NULL;
}
