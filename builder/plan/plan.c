/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes get an image, which of them share a layer, and what has to be there for that. */
#include "plan/plan.h"

#include "base/file.h"
#include "node/node.h"
#include "oci/oci.h"

/* What stays free for stamps, logs and the time until the root has grown to the card. */
static const uint64_t reserve_base = 96 * MIB, reserve_step = 32 * MIB;

static bool selected(const struct plan_options *o, const struct node_config *n)
{
	if (config_is_external(n))
		return false;
	if (o->role && !streq(o->role, role_names[n->role]))
		return false;
	for (size_t i = 0; i < o->n_nodes; i++)
		if (streq(o->nodes[i], n->name))
			return true;
	return o->n_nodes == 0;
}

int plan_check_selection(const struct config *c, const void *options, struct err *e)
{
	const struct plan_options *o = options;

	for (size_t i = 0; i < o->n_nodes; i++) {
		const struct node_config *n = config_find_node(c, o->nodes[i]);

		if (n && config_is_external(n))
			return err_class(
				e, CLASS_USAGE,
				"%s is external, a machine without a card or an image: `pibuild join %s` prints the script that makes it a node",
				n->name, n->name);
		if (!n)
			return err_class(e, CLASS_USAGE, "%s has no node '%s'; %s", c->path, o->nodes[i],
					 config_node_meant(c, o->nodes[i]));
	}
	return 0;
}

/* Room for the stamp goes by the user's files: all else fits into the base of it, and what is generated may differ in
 * size where secrets are masked. */
static uint64_t reserve_of(const struct node_plan *n)
{
	uint64_t size = 0;

	vec_foreach (t, &n->tree.entries)
		if (t->layer == LAYER_NODE && t->source == SOURCE_HOST_FILE)
			size += t->size;
	return reserve_base + (size + reserve_step - 1) / reserve_step * reserve_step;
}

static struct layer_plan *find_layer(struct plan *p, struct node_plan *n)
{
	uint64_t reserve = reserve_of(n);
	struct layer_plan *l = arena_new(struct layer_plan);

	plan_layer_key(p, n, reserve, l->key);
	vec_foreach (have, &p->layers)
		if (streq((*have)->key, l->key))
			return *have;
	l->label = role_names[n->node->role];
	l->for_node = n;
	l->reserve = reserve;
	*vec_push(&p->layers) = l;
	return l;
}

static void add_pin(struct plan *p, const struct pin *pin)
{
	vec_foreach (have, &p->pins)
		if (streq(have->name, pin->name) && streq(have->version, pin->version))
			return;
	*vec_push(&p->pins) = *pin;
}

/* All nodes have the same. */
static void plan_add_images(struct plan *p, const struct images *images)
{
	vec_foreach (i, &images->v) {
		bool there = false;

		vec_foreach (have, &p->images.v)
			there |= streq(image_ref(i), image_ref(have));
		if (!there)
			*vec_push(&p->images.v) = *i;
	}
}

static int plan_node(struct plan *p, const struct plan_options *o, size_t i, struct err *e)
{
	struct node_plan *n = arena_new(struct node_plan);
	struct node_ctx x = project_node(p->project, i);
	int r;

	x.secret_use = o->secret_use;
	x.restore = o->restore;
	r = node_render(&x, &n->tree, e);

	if (r < 0)
		return r;
	n->node = x.node;
	n->board = x.board;
	n->name = x.node->name;
	n->image = path_join(o->out, arena_printf("%s.img", n->name));
	vec_foreach (t, &n->tree.entries) {
		if (t->layer == LAYER_NODE)
			n->stamp_size += t->size;
		if (t->source == SOURCE_ARTIFACT)
			add_pin(p, &t->pin);
		if (t->source == SOURCE_IMAGES)
			plan_add_images(p, t->images);
	}
	n->layer = find_layer(p, n);
	*vec_push(&p->nodes) = n;
	return 0;
}

/* ---- generic images: one per role ---- */

/* The path that the layers of X and Y do not have in common, "" when it is none. */
static const char *layer_difference(const struct tree *x, const struct tree *y)
{
	vec_foreach (t, &x->entries) {
		const struct entry *other = tree_find(y, t->path);

		if (t->layer == LAYER_ROLE && (!other || other->layer != LAYER_ROLE || !plan_same_entry(t, other)))
			return t->path;
	}
	return "";
}

static int same_layer(const struct node_plan *a, const struct node_plan *b, struct err *e)
{
	const char *path = layer_difference(&a->tree, &b->tree);

	if (a->layer == b->layer)
		return 0;
	if (!*path)
		path = layer_difference(&b->tree, &a->tree);
	return err_class(e, CLASS_CONFIG,
			 "%s and %s cannot share a generic image: %s%s; build their own images, without --generic",
			 a->name, b->name, *path ? path : "your overlays for one of them are larger by 32 MiB or more",
			 *path ? " differs (is it in the overlays of one of them?)" : "");
}

/* What of N is the same for every node of its role. */
static struct node_plan *make_generic(const struct plan_options *o, const struct node_plan *n)
{
	struct node_plan *g = arena_new(struct node_plan);

	*g = (struct node_plan){
		.name = role_names[n->node->role],
		.generic = true,
		.node = n->node,
		.board = n->board,
		.layer = n->layer,
		.image = path_join(o->out, arena_printf("%s.img", role_names[n->node->role])),
	};
	vec_foreach (t, &n->tree.entries)
		if (t->layer == LAYER_ROLE)
			*vec_push(&g->tree.entries) = *t;
	return g;
}

/* The nodes of the plan become their roles. */
static int plan_generic(struct plan *p, const struct plan_options *o, struct err *e)
{
	const struct node_plan *first[ROLE_COUNT] = { 0 };
	int r = 0;

	vec_foreach (n, &p->nodes) {
		enum role role = (*n)->node->role;

		if (!first[role])
			first[role] = *n;
		r = same_layer(first[role], *n, e);
		if (r < 0)
			return r;
	}
	p->nodes.n = 0;
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (first[i])
			*vec_push(&p->nodes) = make_generic(o, first[i]);
	return 0;
}

/* ---- the plan ---- */

int plan_make(const struct project *project, const struct plan_options *o, struct plan **ret, struct err *e)
{
	struct plan *p = arena_new(struct plan);
	int r = plan_check_selection(project->config, o, e);

	if (r < 0)
		return r;
	p->project = project;
	r = artifact_pin_base(&project->set, &p->base, e);
	if (r < 0)
		return r;
	add_pin(p, &p->base);
	for (size_t i = 0; p->base.kind == PIN_PACKAGES && i < p->base.packages.n; i++)
		add_pin(p, &p->base.packages.v[i]);
	for (size_t i = 0; i < project->config->nodes.n && r == 0; i++)
		if (selected(o, &project->config->nodes.v[i]))
			r = plan_node(p, o, i, e);
	if (r < 0)
		return r;
	if (p->nodes.n && !project->config->airgap) {
		struct node_ctx x = project_node(project, 0);

		r = node_images(&x, &p->pulled, e);
		if (r < 0)
			return r;
	}
	if (!p->nodes.n)
		return err_class(e, CLASS_USAGE, "%s has no node with the role %s%s", project->config->path,
				 str_or(o->role, "asked for"), o->n_nodes ? " among those that --node names" : "");
	r = o->generic ? plan_generic(p, o, e) : 0;
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

bool plan_downloads(const struct pin *pin, const struct cache *cache)
{
	return pin->kind != PIN_FILE && pin->kind != PIN_PACKAGES && (!cache || !cache_has(cache, pin));
}

bool plan_wants_download(const struct plan *p, const struct cache *cache)
{
	vec_foreach (pin, &p->pins)
		if (plan_downloads(pin, cache))
			return true;
	vec_foreach (i, &p->images.v)
		if (!cache || !cache_has_image(cache, i))
			return true;
	return false;
}
