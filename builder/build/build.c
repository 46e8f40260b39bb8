/* SPDX-License-Identifier: Apache-2.0 */
#include "build/build.h"

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

static int stamp(const struct build *b, const struct node_plan *n, struct cow *c, const struct disk *d,
		 struct records *records, const char **ret_manifest, struct err *e)
{
	_cleanup_(card_writer_done) struct card_writer t = { .cache = b->cache };
	const struct partition *boot = &d->parts[0], *root = &d->parts[d->n - 1];
	int64_t epoch = b->plan->project->epoch;
	int r = ext4_open_cow(c, root->start, root->size, EXT4_WRITE, epoch, &t.root, e);

	if (r == 0)
		r = fat_open(c, boot->start, boot->size, FAT_WRITE, epoch, &t.boot, e);
	if (r < 0)
		return r;
	t.task = task_begin("stamp", n->name, 0);
	r = apply_layer(&t, &n->tree, LAYER_NODE, NULL, records, e);
	records_merge(records);
	if (r == 0)
		r = look_needs(t.root, &n->tree, e);
	if (r == 0)
		r = look_links(t.root, records, e);
	if (r == 0)
		r = manifest_write(b, t.root, n->layer, n, records, ret_manifest, e);
	if (r == 0)
		r = card_writer_close(&t, e);
	task_end(t.task, r < 0 ? "failed" : NULL);
	return r;
}

static int stamp_cow(const struct build *b, const struct node_plan *n, struct cow *c, struct records *records,
		     const char **ret_manifest, struct err *e)
{
	struct disk d;
	int r = disk_read_base(arena_printf("/proc/self/fd/%d", cow_file(c)), &d, e);

	if (r == 0)
		r = stamp_disk_id(c, n->tree.disk_id, e);
	return r < 0 ? r : stamp(b, n, c, &d, records, ret_manifest, e);
}

/* Takes over LAYER. */
static int stamp_layer(const struct build *b, const struct node_plan *n, int layer, struct records *records,
		       struct built *ret, struct err *e)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	const char *manifest = NULL;
	int r = cow_open(layer, n->name, &c, e);

	if (r == 0)
		r = n->generic ? manifest_read(arena_printf("/proc/self/fd/%d", layer), &manifest, e)
			       : stamp_cow(b, n, c, records, &manifest, e);
	if (r < 0)
		return r;
	*ret = (struct built){ c, manifest };
	c = NULL;
	return 0;
}

int build_node_cow(const struct build *b, const struct node_plan *n, struct built *ret, struct err *e)
{
	struct records records = { 0 };
	int layer, r = layer_get(b, n->layer, &layer, &records, e);

	return r < 0 ? r : stamp_layer(b, n, layer, &records, ret, e);
}

int build_node_onto(const struct build *b, const struct node_plan *n, const struct generic *g, struct built *ret,
		    struct err *e)
{
	struct records records = { 0 };
	int fd = fcntl(g->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, -errno, "cannot keep %s open", g->name);
	vec_foreach (x, &g->records.v)
		*vec_push(&records.v) = *x;
	return stamp_layer(b, n, fd, &records, ret, e);
}

void build_expect(const struct build *b, unsigned flags)
{
	unsigned nodes = 0, layers = 0;
	bool base = layer_is_kept(b, b->plan->base.sha256);

	vec_foreach (n, &b->plan->nodes)
		nodes += !(*n)->generic;
	vec_foreach (l, &b->plan->layers)
		layers += !layer_is_kept(b, (*l)->key);
	if (layers) {
		progress_expect(b->plan->base.n_parts ? "make" : "decode", !base);
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

int build_run(const struct build *b, struct err *e)
{
	int r = 0;

	vec_foreach (n, &b->plan->nodes) {
		r = output_node(b, *n, e);
		if (r < 0)
			return err_interrupted(e) ? r : err_wrap(e, "%s", (*n)->name);
	}
	return r;
}
