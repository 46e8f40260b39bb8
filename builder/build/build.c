/* SPDX-License-Identifier: Apache-2.0 */
#include "build/internal.h"

#include <errno.h>
#include <fcntl.h>

#include "base/progress.h"

/* Bytes 440 to 443 of an MBR: "unique disk signature", UEFI specification 2.10, table 5.1. */
static int stamp_disk_id(struct cow *c, uint32_t id, struct err *e)
{
	const unsigned char bytes[] = { (unsigned char)id, (unsigned char)(id >> 8), (unsigned char)(id >> 16),
					(unsigned char)(id >> 24) };
	int r = id ? cow_write(c, bytes, sizeof(bytes), 440) : 0;

	return r < 0 ? err_errno(e, r, "cannot write the disk id") : 0;
}

static int stamp_entries(const struct card_writer *w, const struct build *b, const struct node_plan *n,
			 const char **ret_manifest, struct err *e)
{
	int r = apply_layer(w, &n->tree, LAYER_NODE, e);

	if (r < 0)
		return r;
	r = look_needs(w->image, &n->tree, e);
	if (r < 0)
		return r;
	r = look_links(w->image->root, w->records, e);
	if (r < 0)
		return r;
	r = manifest_write(b, w->image->root, n->layer, n, w->records, ret_manifest, e);
	return r < 0 ? r : image_write_fs(w->image, e);
}

/* The node's own files onto LAYER, in memory. Takes over LAYER. */
static int stamp(const struct build *b, const struct node_plan *n, int layer, struct records *records,
		 struct built *ret, struct err *e)
{
	struct card_writer w = { .image = &ret->image, .cache = b->cache, .records = records };
	struct cow *c;
	int r = cow_open(layer, n->name, &c, e);

	*ret = (struct built){ 0 };
	if (r == 0)
		r = image_open_cow(c, &ret->image, e);
	if (r == 0 && n->generic)
		return manifest_read(&ret->image, &ret->manifest, e);
	if (r < 0)
		return r;
	r = stamp_disk_id(c, n->tree.disk_id, e);
	if (r < 0)
		return r;
	r = image_open_fs(&ret->image, IMAGE_ROOT | IMAGE_BOOT | IMAGE_WRITE, b->plan->project->epoch, e);
	if (r < 0)
		return r;
	w.task = task_begin("stamp", n->name, 0);
	r = stamp_entries(&w, b, n, &ret->manifest, e);
	task_end(w.task, r < 0 ? "failed" : NULL);
	return r;
}

int build_node(const struct build *b, const struct node_plan *n, struct twin *twin, struct built *ret, struct err *e)
{
	struct records records = { 0 };
	int layer, r;

	*ret = (struct built){ 0 };
	r = layer_get(b, n->layer, twin, &layer, &records, e);
	return r < 0 ? r : stamp(b, n, layer, &records, ret, e);
}

int build_node_onto(const struct build *b, const struct node_plan *n, const struct generic *g, struct built *ret,
		    struct err *e)
{
	struct records records = { 0 };
	int fd = fcntl(cow_file(g->image.cow), F_DUPFD_CLOEXEC, 0);

	*ret = (struct built){ 0 };
	if (fd < 0)
		return err_errno(e, -errno, "cannot keep %s open", cow_name(g->image.cow));
	vec_foreach (x, &g->records.v)
		*vec_push(&records.v) = *x;
	return stamp(b, n, fd, &records, ret, e);
}

int build_fetch(struct build *b, const struct fetch_options *o, struct fetching *f, struct err *e)
{
	*f = (struct fetching){ .cache = b->cache,
				.pins = b->plan->pins.v,
				.n = b->plan->pins.n,
				.images = &b->plan->images,
				.options = o };
	b->fetching = f;
	return fetch_begin(f, e);
}

void build_expect(const struct build *b, unsigned flags)
{
	unsigned nodes = 0, layers = 0;
	bool base = base_is_kept(b);

	vec_foreach (n, &b->plan->nodes)
		nodes += !(*n)->generic;
	vec_foreach (l, &b->plan->layers)
		layers += !layer_is_kept(b, *l);
	if (layers) {
		progress_expect(b->plan->base.kind == PIN_PACKAGES ? "make" : "decode", !base);
		progress_expect("clone", layers - !base);
		progress_expect("grow", layers);
		progress_expect("payload", layers);
	}
	progress_expect("stamp", nodes);
	if (flags & EXPECT_IMAGES) {
		progress_expect(b->compress ? "compress" : "clone", (unsigned)b->plan->nodes.n);
		progress_expect("hash", !b->compress && (b->sha256 || b->key) ? (unsigned)b->plan->nodes.n : 0);
	}
}
