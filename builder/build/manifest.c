/* SPDX-License-Identifier: Apache-2.0 */
/* What was put on an image, as JSON: written onto it, beside it (companion/), and read again. */

#include "build/internal.h"

static json_t *manifest_pin_json(const struct pin *p)
{
	return json_pack("{s:s, s:s, s:s, s:s?}", "name", p->name, "version", p->version, "sha256", p->sha256, "url",
			 p->url);
}

static json_t *artifacts_json(const struct tree *tree)
{
	json_t *list = json_array();

	vec_foreach (t, &tree->entries)
		if (t->source == SOURCE_ARTIFACT)
			json_array_append_new(list, manifest_pin_json(&t->pin));
	return list;
}

static void manifest_add_image(json_t *list, const struct image_pin *i)
{
	json_array_append_new(list, json_pack("{s:s, s:s*, s:s}", "name", i->name, "tag", i->tag, "sha256", i->sha256));
}

/* What is on it, and what a pod that is on a server names by digest. */
static json_t *manifest_images_json(const struct plan *p, const struct node_plan *n)
{
	json_t *list = json_array();

	vec_foreach (i, &p->images.v)
		manifest_add_image(list, i);
	vec_foreach (i, &p->pulled.v)
		if (i->by_digest && n && n->node->role == ROLE_CONTROL_PLANE)
			manifest_add_image(list, i);
	return list;
}

static void manifest_add_text(json_t *j, const char *key, const char *text)
{
	json_object_set_new(j, key, json_string(text));
}

/* A layer knows of no cluster, node or board. */
static json_t *manifest_json(const struct build *b, const struct layer_plan *l, const struct node_plan *n,
			     const struct records *records)
{
	const struct node_plan *one = n ? n : l->for_node;
	json_t *j = json_object();

	manifest_add_text(j, "apiVersion", "pibuild/v1");
	manifest_add_text(j, "kind", "Manifest");
	manifest_add_text(j, "pibuild", PIBUILD_VERSION);
	if (n) {
		manifest_add_text(j, "cluster", b->plan->project->config->cluster.name);
		manifest_add_text(j, "node", n->name);
	}
	manifest_add_text(j, "role", role_names[one->node->role]);
	if (n)
		manifest_add_text(j, "board", n->board->name);
	manifest_add_text(j, "layer", l->key);
	json_object_set_new(j, "time", json_integer((json_int_t)b->plan->project->epoch));
	json_object_set_new(j, "base", manifest_pin_json(&b->plan->base));
	json_object_set_new(j, "artifacts", artifacts_json(&one->tree));
	json_object_set_new(j, "images", manifest_images_json(b->plan, n));
	json_object_set_new(j, "files", records_json(records));
	return j;
}

int manifest_write(const struct build *b, struct ext4 *root, const struct layer_plan *l, const struct node_plan *n,
		   const struct records *records, const char **ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	const struct fs_meta m = { .mode = 0644 };
	struct fs_bytes state;
	struct fs_source src;
	int r = json_add(manifest_json(b, l, n, records), &text, e);

	if (r < 0)
		return r;
	*ret = arena_strdup(text.s);
	src = fs_source_bytes(&state, *ret, strlen(*ret));
	return ext4_write(root, MANIFEST_PATH, &m, &src, e);
}

int manifest_read(struct disk_image *m, const char **ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = image_open_fs(m, IMAGE_ROOT, 1, e);

	if (r < 0)
		return r;
	r = ext4_read(m->root, MANIFEST_PATH, MANIFEST_LIMIT, &text, e);
	if (r < 0)
		return r;
	*ret = arena_strndup(text.s, text.n);
	return 0;
}
