/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include "base/file.h"
#include "node/node.h"

/* Changes whenever the same inputs would give other bytes in a layer. */
static const char layer_format[] = "pibuild layer 2";

/* What stays free for stamps, logs and the time until the root has grown to the card. */
static const uint64_t reserve_base = 96 * MIB, reserve_step = 32 * MIB;

static bool selected(const struct plan_options *o, const struct node_config *n)
{
	if (o->role && !streq(o->role, role_names[n->role]))
		return false;
	for (size_t i = 0; i < o->n_nodes; i++)
		if (streq(o->nodes[i], n->name))
			return true;
	return o->n_nodes == 0;
}

static int check_selection(const struct config *c, const struct plan_options *o, struct err *e)
{
	const char **names = arena_alloc(c->nodes.n * sizeof(*names) + 1);
	const char *near;
	size_t n = 0;

	vec_foreach (node, &c->nodes)
		names[n++] = node->name;
	for (size_t i = 0; i < o->n_nodes; i++) {
		size_t j = 0;

		while (j < n && !streq(names[j], o->nodes[i]))
			j++;
		if (j < n)
			continue;
		near = nearest_word(o->nodes[i], names, n);
		return err_class(e, CLASS_USAGE, "%s has no node '%s'%s%s%s", c->path, o->nodes[i],
				 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}

static void hash_text(struct sha256 *s, const char *text)
{
	sha256_update(s, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* What an edit adds to an empty file stands for what it does. */
static void hash_edit(struct sha256 *s, const struct entry *t)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct err ignored = { 0 };

	t->edit(t->edit_arg, NULL, 0, &out, &ignored);
	hash_text(s, out.s);
}

static void hash_images(struct sha256 *s, const struct images *images)
{
	vec_foreach (i, &images->v) {
		hash_text(s, image_ref(i));
		hash_text(s, i->sha256);
	}
}

static void layer_key(const struct plan *p, const struct node_plan *n, uint64_t reserve, char key[SHA256_HEX])
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct sha256 s;

	sha256_init(&s);
	hash_text(&s, layer_format);
	hash_text(&s, p->base.sha256);
	strbuf_addf(&b, "%lld %llu", (long long)p->project->epoch, (unsigned long long)reserve);
	hash_text(&s, b.s);
	vec_foreach (t, &n->tree.entries) {
		if (t->layer != LAYER_ROLE)
			continue;
		b.n = 0;
		strbuf_addf(&b, "%d %o %u %u", t->kind, t->mode, t->uid, t->gid);
		hash_text(&s, b.s);
		hash_text(&s, t->path);
		hash_text(&s, t->kind == ENTRY_SYMLINK ? t->bytes : t->sha256);
		if (t->kind == ENTRY_EDIT) {
			hash_edit(&s, t);
		} else if (t->source == SOURCE_ARTIFACT) {
			hash_text(&s, t->pin.sha256);
			hash_text(&s, t->pin.artifact->install.member);
		} else if (t->source == SOURCE_IMAGES) {
			hash_images(&s, t->images);
		}
	}
	sha256_final(&s, key);
}

static struct layer_plan *find_layer(struct plan *p, struct node_plan *n)
{
	uint64_t reserve = reserve_base + (n->stamp_size + reserve_step - 1) / reserve_step * reserve_step;
	struct layer_plan *l = arena_new(struct layer_plan);

	layer_key(p, n, reserve, l->key);
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

static int plan_node(struct plan *p, const struct plan_options *o, size_t i, struct err *e)
{
	struct node_plan *n = arena_new(struct node_plan);
	struct node_ctx x = project_node(p->project, i);
	int r;

	x.secret_use = o->secret_use;
	r = node_render(&x, &n->tree, e);

	if (r < 0)
		return r;
	n->node = x.node;
	n->board = x.board;
	n->image = path_join(o->out, arena_printf("%s.img", x.node->name));
	vec_foreach (t, &n->tree.entries) {
		if (t->layer == LAYER_NODE)
			n->stamp_size += t->size;
		if (t->kind != ENTRY_REMOVE && t->source == SOURCE_ARTIFACT)
			add_pin(p, &t->pin);
		if (t->kind != ENTRY_REMOVE && t->source == SOURCE_IMAGES)
			p->images = *t->images;
	}
	n->layer = find_layer(p, n);
	*vec_push(&p->nodes) = n;
	return 0;
}

int plan_make(const struct project *project, const struct plan_options *o, struct plan **ret, struct err *e)
{
	struct plan *p = arena_new(struct plan);
	int r = check_selection(project->config, o, e);

	if (r < 0)
		return r;
	p->project = project;
	r = artifact_pin_base(project->catalogue, project->lock, project->config, &p->base, e);
	if (r < 0)
		return r;
	add_pin(p, &p->base);
	for (size_t i = 0; i < p->base.n_parts; i++)
		add_pin(p, &p->base.parts[i]);
	for (size_t i = 0; i < project->config->nodes.n && r == 0; i++)
		if (selected(o, &project->config->nodes.v[i]))
			r = plan_node(p, o, i, e);
	if (r < 0)
		return r;
	if (!p->nodes.n)
		return err_class(e, CLASS_USAGE, "%s has no node with the role %s", project->config->path,
				 str_or(o->role, "asked for"));
	*ret = p;
	return 0;
}

static const char *pin_state(const struct pin *pin, const struct cache *cache)
{
	if (!pin->sha256)
		return "not in the lock";
	if (pin->file)
		return "local file";
	if (pin->n_parts)
		return "made here";
	return cache && cache_has(cache, pin) ? "in the cache" : "to download";
}

static const char *image_state(const struct image_pin *p, const struct cache *cache)
{
	if (!p->sha256)
		return "not in the lock";
	return cache && cache_has_image(cache, p) ? "in the cache" : "to download";
}

static json_t *images_json(const struct images *images, const struct cache *cache)
{
	json_t *list = json_array();

	vec_foreach (i, &images->v)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s}", "name", i->name, "tag", i->tag, "sha256",
						      i->sha256, "state", image_state(i, cache)));
	return list;
}

static json_t *entries_json(const struct tree *t)
{
	json_t *a = json_array();

	vec_foreach (n, &t->entries) {
		json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "path", n->path, "kind", entry_kind_names[n->kind],
				      "origin", n->origin, "layer", n->layer == LAYER_ROLE ? "role" : "node");

		if (n->kind != ENTRY_REMOVE && n->kind != ENTRY_SYMLINK)
			json_object_set_new(j, "mode", json_sprintf("%04o", n->mode));
		if (n->size)
			json_object_set_new(j, "size", json_integer((json_int_t)n->size));
		json_array_append_new(a, j);
	}
	return a;
}

json_t *plan_json(const struct plan *p, const struct cache *cache)
{
	json_t *artifacts = json_array(), *nodes = json_array();

	vec_foreach (pin, &p->pins) {
		json_t *j = json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "name", pin->name, "version", pin->version, "url",
				      pin->url, "sha256", pin->sha256, "state", pin_state(pin, cache));

		if (pin->size)
			json_object_set_new(j, "size", json_integer((json_int_t)pin->size));
		json_array_append_new(artifacts, j);
	}
	vec_foreach (n, &p->nodes)
		json_array_append_new(nodes, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "name", (*n)->node->name,
						       "role", role_names[(*n)->node->role], "board", (*n)->board->name,
						       "image", (*n)->image, "layer", (*n)->layer->key, "entries",
						       entries_json(&(*n)->tree)));
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "cluster", p->project->config->cluster.name, "lock",
			 str_or(p->project->lock->path, ""), "time", (json_int_t)p->project->epoch, "artifacts",
			 artifacts, "images", images_json(&p->images, cache), "nodes", nodes);
}

static void print_node(const struct node_plan *n)
{
	size_t generated = 0;
	char size[SIZE_TEXT_MAX];

	vec_foreach (t, &n->tree.entries)
		generated += t->layer == LAYER_NODE;
	printf("  %-20s %-14s %-8s %-24s layer %.12s + %zu entries (%s)\n", n->node->name, role_names[n->node->role],
	       n->board->name, n->image, n->layer->key, generated, size_text(n->stamp_size, size));
}

/* Hundreds of packages are one line. */
static void print_parts(const struct pin *base, const struct cache *cache)
{
	char size[SIZE_TEXT_MAX];
	uint64_t total = 0;
	size_t missing = 0;

	for (size_t i = 0; i < base->n_parts; i++) {
		total += base->parts[i].size;
		missing += !cache || !cache_has(cache, &base->parts[i]);
	}
	printf("    of %4zu packages  %-18s %10s  %-12s  %s\n", base->n_parts, "", size_text(total, size), "",
	       missing ? arena_printf("%zu to download", missing) : "in the cache");
}

void plan_print(const struct plan *p, const struct cache *cache)
{
	char size[SIZE_TEXT_MAX];
	uint64_t to_download = 0;

	printf("cluster %s, %zu of %zu nodes, lock %s\n\nartifacts\n", p->project->config->cluster.name, p->nodes.n,
	       p->project->config->nodes.n, str_or(p->project->lock->path, "none"));
	vec_foreach (pin, &p->pins) {
		bool cached = pin->file || (cache && cache_has(cache, pin));

		to_download += cached ? 0 : pin->size;
		if (pin->is_part)
			continue;
		printf("  %-20s %-18s %10s  %-12.12s  %s\n", pin->name, pin->version,
		       pin->size ? size_text(pin->size, size) : "?", str_or(pin->sha256, "-"), pin_state(pin, cache));
	}
	if (p->base.n_parts)
		print_parts(&p->base, cache);
	vec_foreach (i, &p->images.v)
		printf("  %-51s  %-12.12s  %s\n", image_ref(i), str_or(i->sha256, "-"), image_state(i, cache));
	printf("  to download: at least %s\n\nimages\n", size_text(to_download, size));
	vec_foreach (n, &p->nodes)
		print_node(*n);
}
