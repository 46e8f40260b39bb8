/* SPDX-License-Identifier: Apache-2.0 */
#include "build/build.h"

#include <errno.h>

#include "base/progress.h"

static json_t *pin_json(const struct pin *p)
{
	return json_pack("{s:s, s:s, s:s, s:s?}", "name", p->name, "version", p->version, "sha256", p->sha256, "url",
			 p->url);
}

static json_t *images_json(const struct plan *p)
{
	json_t *list = json_array();

	vec_foreach (i, &p->images.v)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s}", "name", i->name, "tag", i->tag, "sha256", i->sha256));
	return list;
}

static json_t *manifest_json(const struct build *b, const struct node_plan *n, const struct records *records)
{
	json_t *artifacts = json_array();

	vec_foreach (t, &n->tree.entries)
		if (t->kind != ENTRY_REMOVE && t->source == SOURCE_ARTIFACT)
			json_array_append_new(artifacts, pin_json(&t->pin));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "apiVersion", "pibuild/v1",
			 "kind", "Manifest", "pibuild", PIBUILD_VERSION, "cluster",
			 b->plan->project->config->cluster.name, "node", n->node->name, "role",
			 role_names[n->node->role], "board", n->board->name, "time",
			 (json_int_t)b->plan->project->epoch, "base", pin_json(&b->plan->base), "artifacts", artifacts,
			 "images", images_json(b->plan), "files", records_json(records));
}

/* The manifest lists all but itself; it holds no secret and no digest of one. RET is its text. */
static int write_manifest(const struct build *b, const struct target *t, const struct node_plan *n,
			  const struct records *records, const char **ret, struct err *e)
{
	_cleanup_json_ json_t *j = manifest_json(b, n, records);
	_cleanup_free_ char *text = json_dumps(j, JSON_INDENT(1));
	const char *line;
	struct fs_meta m = { .mode = 0644 };
	struct fs_bytes state;
	struct fs_source src;
	int r;

	if (!text)
		return err_set(e, -ENOMEM, "cannot write the manifest");
	line = arena_printf("%s\n", text);
	src = fs_source_bytes(&state, line, strlen(line));
	r = ext4_write(t->root, MANIFEST_PATH, &m, &src, e);
	if (r == 0)
		*ret = line;
	return r;
}

/* Onto an open root filesystem, which is closed in any case, and the FAT beside it. */
static int stamp(const struct build *b, const struct node_plan *n, struct ext4 *root, struct fat boot,
		 struct records *records, const char **ret_manifest, struct err *e)
{
	_cleanup_(ext4_abortp) struct ext4 *fs = root;
	struct target t = { .root = fs, .boot = boot, .cache = b->cache };
	int r;

	t.task = task_begin("stamp", n->node->name, 0);
	r = apply_layer(&t, &n->tree, LAYER_NODE, NULL, records, e);
	records_merge(records);
	if (r == 0)
		r = write_manifest(b, &t, n, records, ret_manifest, e);
	if (r == 0) {
		r = ext4_close(fs, e);
		fs = NULL;
	}
	task_end(t.task, r < 0 ? "failed" : NULL);
	return r;
}

static int stamp_cow(const struct build *b, const struct node_plan *n, struct cow *c, struct records *records,
		     const char **ret_manifest, struct err *e)
{
	int64_t epoch = b->plan->project->epoch;
	const struct partition *root, *first;
	const char *boot;
	struct ext4 *fs;
	struct disk d;
	int r = disk_read_base(arena_printf("/proc/self/fd/%d", cow_file(c)), &d, e);

	if (r < 0)
		return r;
	first = &d.parts[0];
	root = &d.parts[d.n - 1];
	r = cow_lend(c, first->start, first->start + first->size, &boot, e);
	if (r == 0)
		r = ext4_open_cow(c, root->start, root->size, EXT4_WRITE, epoch, &fs, e);
	if (r == 0)
		r = stamp(b, n, fs, (struct fat){ boot, first->start, epoch }, records, ret_manifest, e);
	return r < 0 ? r : cow_settle(c, first->start, first->start + first->size, e);
}

int build_node_cow(const struct build *b, const struct node_plan *n, struct built *ret, struct err *e)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	struct records records = { 0 };
	const char *manifest = NULL;
	int layer, r = layer_get(b, n->layer, &layer, &records, e);

	if (r == 0)
		r = cow_open(layer, n->node->name, &c, e);
	if (r == 0)
		r = stamp_cow(b, n, c, &records, &manifest, e);
	if (r < 0)
		return r;
	*ret = (struct built){ c, manifest };
	c = NULL;
	return 0;
}

int build_run(const struct build *b, struct err *e)
{
	int r = 0;

	vec_foreach (n, &b->plan->nodes) {
		r = output_node(b, *n, e);
		if (r < 0)
			return err_interrupted(e) ? r : err_wrap(e, "%s", (*n)->node->name);
	}
	return r;
}
