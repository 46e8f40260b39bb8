/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/oci.h"
#include "plan/plan.h"

#include <sys/stat.h>

#include "base/file.h"
#include "node/node.h"

/* Changes whenever the same inputs would give other bytes in a layer. */
static const char layer_format[] = "pibuild layer 4 " PIBUILD_VERSION;

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
	const char **names = arena_alloc(c->nodes.n * sizeof(*names) + 1);
	size_t n = 0;

	vec_foreach (node, &c->nodes)
		names[n++] = node->name;
	for (size_t i = 0; i < o->n_nodes; i++) {
		size_t j = 0;

		while (j < n && !streq(names[j], o->nodes[i]))
			j++;
		if (j < n && config_is_external(&c->nodes.v[j]))
			return err_class(
				e, CLASS_USAGE,
				"%s is external, a machine without a card or an image: `pibuild join %s` prints the script that makes it a node",
				names[j], names[j]);
		if (j < n)
			continue;
		return err_class(e, CLASS_USAGE, "%s has no node '%s'; %s", c->path, o->nodes[i],
				 config_node_meant(o->nodes[i], names, n));
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
	hash_text(s, t->edit_what);
	hash_text(s, t->edit_from);
}

/* All of it, since the manifest of the layer tells it. */
static void hash_pin(struct sha256 *s, const struct pin *pin)
{
	hash_text(s, pin->name);
	hash_text(s, pin->version);
	hash_text(s, pin->url);
	hash_text(s, pin->sha256);
}

static void hash_images(struct sha256 *s, const struct images *images)
{
	vec_foreach (i, &images->v) {
		hash_text(s, image_ref(i));
		hash_text(s, i->sha256);
	}
}

/* All that decides what an entry of a layer becomes on the card. */
static void hash_entry(struct sha256 *s, const struct entry *t)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_addf(&b, "%d %o %u %u", t->kind, t->mode, t->uid, t->gid);
	hash_text(s, b.s);
	hash_text(s, t->path);
	hash_text(s, t->kind == ENTRY_SYMLINK ? t->bytes : t->sha256);
	if (t->kind == ENTRY_EDIT) {
		hash_edit(s, t);
	} else if (t->source == SOURCE_ARTIFACT) {
		hash_pin(s, &t->pin);
		hash_text(s, t->pin.artifact->install.member);
	} else if (t->source == SOURCE_IMAGES) {
		hash_images(s, t->images);
	}
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	char x[SHA256_HEX], y[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	hash_entry(&s, a);
	sha256_final(&s, x);
	sha256_init(&s);
	hash_entry(&s, b);
	sha256_final(&s, y);
	return streq(x, y);
}

void plan_layer_key(const struct plan *p, const struct node_plan *n, uint64_t reserve, char key[SHA256_HEX])
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct sha256 s;

	sha256_init(&s);
	hash_text(&s, layer_format);
	hash_text(&s, role_names[n->node->role]);
	hash_pin(&s, &p->base);
	strbuf_addf(&b, "%lld %llu", (long long)p->project->epoch, (unsigned long long)reserve);
	hash_text(&s, b.s);
	vec_foreach (t, &n->tree.entries)
		if (t->layer == LAYER_ROLE)
			hash_entry(&s, t);
	sha256_final(&s, key);
}

void plan_node_key(const struct plan *p, const struct node_plan *n, char key[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	hash_pin(&s, &p->base);
	vec_foreach (t, &n->tree.entries)
		if (t->secret)
			hash_text(&s, t->path);
		else
			hash_entry(&s, t);
	sha256_final(&s, key);
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
		if (t->kind != ENTRY_REMOVE && t->source == SOURCE_ARTIFACT)
			add_pin(p, &t->pin);
		if (t->kind != ENTRY_REMOVE && t->source == SOURCE_IMAGES)
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

		if (t->layer == LAYER_ROLE && (!other || other->layer != LAYER_ROLE || !same_entry(t, other)))
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

void plan_cache_key(const struct plan *p, char key[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	vec_foreach (pin, &p->pins) {
		hash_text(&s, pin->name);
		hash_text(&s, pin->version);
		hash_text(&s, pin->sha256);
	}
	hash_images(&s, &p->images);
	sha256_final(&s, key);
}

static const char *pin_state(const struct pin *pin, const struct cache *cache)
{
	if (!pin->sha256)
		return "not in the lock";
	if (pin->kind == PIN_FILE)
		return "local file";
	if (pin->kind == PIN_PACKAGES)
		return "made here";
	return cache && cache_has(cache, pin) ? "in the cache" : "to download";
}

/* Bytes of PIN: as the lock says, else of the copy that is there; 0 = nobody knows. */
static uint64_t known_size(const struct pin *pin, const struct cache *cache)
{
	_cleanup_close_ int fd = -1;
	struct err ignored = { 0 };
	struct stat st;

	if (pin->size || !cache || !cache_has(cache, pin) || cache_object(cache, pin, &fd, &ignored) < 0 ||
	    fstat(fd, &st) < 0)
		return pin->size;
	return (uint64_t)st.st_size;
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
		json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:s}", "name", i->name, "tag", i->tag,
						      "sha256", i->sha256, "state", image_state(i, cache)));
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

/* NULL: a generic image is for all of them. */
static const char *plan_board_of(const struct node_plan *n)
{
	return n->generic ? NULL : n->board->name;
}

json_t *plan_json(const struct plan *p, const struct cache *cache)
{
	json_t *artifacts = json_array(), *nodes = json_array();
	char cache_key[SHA256_HEX];

	vec_foreach (pin, &p->pins) {
		json_t *j = json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "name", pin->name, "version", pin->version, "url",
				      pin->url, "sha256", pin->sha256, "state", pin_state(pin, cache));

		if (known_size(pin, cache))
			json_object_set_new(j, "size", json_integer((json_int_t)known_size(pin, cache)));
		else if (pin->max_size)
			json_object_set_new(j, "maxSize", json_integer((json_int_t)pin->max_size));
		json_array_append_new(artifacts, j);
	}
	vec_foreach (n, &p->nodes)
		json_array_append_new(nodes, json_pack("{s:s, s:s, s:s*, s:b, s:s, s:s, s:o}", "name", (*n)->name,
						       "role", role_names[(*n)->node->role], "board", plan_board_of(*n),
						       "generic", (*n)->generic, "image", (*n)->image, "layer",
						       (*n)->layer->key, "entries", entries_json(&(*n)->tree)));
	plan_cache_key(p, cache_key);
	return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o}", "cluster", p->project->config->cluster.name, "lock",
			 str_or(p->project->set.lock->path, ""), "time", (json_int_t)p->project->epoch, "cacheKey",
			 cache_key, "artifacts", artifacts, "images", images_json(&p->images, cache), "nodes", nodes);
}

static void print_node(const struct node_plan *n, int width)
{
	size_t generated = 0;
	char size[SIZE_TEXT_MAX];

	vec_foreach (t, &n->tree.entries)
		generated += t->layer == LAYER_NODE;
	printf("  %-*s  %-13s  %-6s  layer %.8s + %zu entries, %s\n", width, n->image, role_names[n->node->role],
	       str_or(plan_board_of(n), "any"), n->layer->key, generated, size_text(n->stamp_size, size));
}

/* Hundreds of packages are one line. */
static void print_parts(const struct pin *base, const struct cache *cache)
{
	char size[SIZE_TEXT_MAX];
	uint64_t total = 0;
	size_t missing = 0;

	for (size_t i = 0; i < base->packages.n; i++) {
		total += base->packages.v[i].size;
		missing += !cache || !cache_has(cache, &base->packages.v[i]);
	}
	printf("    of %4zu packages  %-18s %12s  %-12s  %s\n", base->packages.n, "", size_text(total, size), "",
	       missing ? arena_printf("%zu to download", missing) : "in the cache");
}

static const char *size_column(const struct pin *pin, const struct cache *cache)
{
	char size[SIZE_TEXT_MAX];
	uint64_t known = known_size(pin, cache);

	if (known)
		return arena_strdup(size_text(known, size));
	return pin->kind == PIN_PACKAGES ? "-"
	       : pin->max_size		 ? arena_printf("<= %s", size_text(pin->max_size, size))
					 : "?";
}

/* Neither a file of the user's nor what a build makes itself, and not in the cache. */
static bool pin_to_download(const struct pin *pin, const struct cache *cache)
{
	return pin->kind != PIN_FILE && pin->kind != PIN_PACKAGES && (!cache || !cache_has(cache, pin));
}

bool plan_wants_download(const struct plan *p, const struct cache *cache)
{
	vec_foreach (pin, &p->pins)
		if (pin_to_download(pin, cache))
			return true;
	vec_foreach (i, &p->images.v)
		if (!cache_has_image(cache, i))
			return true;
	return false;
}

/* What is known, and the limit of what is not: no source states the size of some releases. */
static void print_download(const struct plan *p, const struct cache *cache)
{
	uint64_t known = 0, most = 0;
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
	size_t images = 0;

	vec_foreach (pin, &p->pins) {
		if (!pin_to_download(pin, cache))
			continue;
		known += pin->size;
		most += pin->size ? pin->size : pin->max_size;
	}
	vec_foreach (i, &p->images.v)
		images += !cache || !cache_has_image(cache, i);
	if (!most && !images) {
		printf("  nothing to download\n");
		return;
	}
	printf("  to download: ");
	if (most > known)
		printf("%s to %s", size_text(known, size), size_text(most, limit));
	else if (known)
		printf("%s", size_text(known, size));
	if (images)
		printf("%s%zu container images", most ? ", and " : "", images);
	printf("\n");
}

void plan_print(const struct plan *p, const struct cache *cache)
{
	int width = 0;

	printf("cluster %s, %zu of %zu nodes, lock %s\n\nartifacts\n", p->project->config->cluster.name, p->nodes.n,
	       p->project->config->nodes.n, str_or(p->project->set.lock->path, "none"));
	vec_foreach (pin, &p->pins)
		if (pin->kind != PIN_PACKAGE)
			printf("  %-20s %-16s %12s  %-12.12s  %s\n", pin->name, pin->version, size_column(pin, cache),
			       str_or(pin->sha256, "-"), pin_state(pin, cache));
	if (p->base.kind == PIN_PACKAGES && p->base.packages.n)
		print_parts(&p->base, cache);
	vec_foreach (i, &p->images.v)
		printf("  %-53s  %-12.12s  %s\n", image_ref(i), str_or(i->sha256, "-"), image_state(i, cache));
	print_download(p, cache);
	printf("\nimages\n");
	vec_foreach (n, &p->nodes)
		width = MAX(width, (int)strlen((*n)->image));
	vec_foreach (n, &p->nodes)
		print_node(*n, width);
}
