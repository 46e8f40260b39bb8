/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as `pibuild plan` shows it. */
#include <sys/stat.h>

#include "oci/oci.h"
#include "plan/plan.h"

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

uint64_t plan_pin_size(const struct pin *pin, const struct cache *cache)
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

/* ---- for programs ---- */

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

		if (plan_pin_size(pin, cache))
			json_object_set_new(j, "size", json_integer((json_int_t)plan_pin_size(pin, cache)));
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

/* ---- for people ---- */

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
	uint64_t known = plan_pin_size(pin, cache);

	if (known)
		return arena_strdup(size_text(known, size));
	return pin->kind == PIN_PACKAGES ? "-"
	       : pin->max_size		 ? arena_printf("<= %s", size_text(pin->max_size, size))
					 : "?";
}

/* What is known, and the limit of what is not: no source states the size of some releases. */
static void print_download(const struct plan *p, const struct cache *cache)
{
	uint64_t known = 0, most = 0;
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
	size_t images = 0;

	vec_foreach (pin, &p->pins) {
		if (!plan_downloads(pin, cache))
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
