/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as a file, with what stands beside it. Raw: a clone of the layer (which e2fsck saw) that gets the
 * changed blocks. Compressed: read from layer and changes, no raw file in between. Everything is known before anything
 * gets its final name; then what spoke of an earlier image goes, the image comes, and its companions after it.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/progress.h"
#include "build/internal.h"

struct output {
	const struct build *b;
	const struct node_plan *n;
	const char *path;
	struct built built;
	struct outfile file;
	struct twin twin;
	struct digests digests;
	char sha256[SHA256_HEX], raw_sha256[SHA256_HEX]; /* "" = not hashed */
};

static void output_done(struct output *o)
{
	image_close(&o->built.image);
	outfile_release(&o->file);
}

const char *build_image_path(const struct build *b, const struct node_plan *n)
{
	return b->compress ? arena_printf("%s.%s", n->image, encode_name(b->compress_as)) : n->image;
}

static int output_check_room(const char *image, int layer, struct err *e)
{
	char need[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	struct stat st;
	uint64_t room;
	int r = free_space(path_dir(image), &room, e);

	if (r < 0)
		return r;
	if (fstat(layer, &st) == 0 && room < (uint64_t)st.st_blocks * 512)
		return err_set(e, -ENOSPC,
			       "%s needs %s, and its folder has %s free; make room or choose another with -o", image,
			       size_text((uint64_t)st.st_blocks * 512, need), size_text(room, have));
	return 0;
}

/* ---- raw ---- */

static int write_raw(struct output *o, struct err *e)
{
	struct task *t;
	int r = cow_give_changes(o->built.image.cow, o->file.fd, o->path, e);

	if (r < 0 || !(o->b->sha256 || o->b->key))
		return r;
	t = task_begin("hash", o->n->name, 0);
	r = sha256_fd(o->file.fd, o->path, o->raw_sha256, e);
	task_end(t, r < 0 ? "failed" : NULL);
	memcpy(o->sha256, o->raw_sha256, SHA256_HEX);
	return r;
}

/* ---- compressed ---- */

static int read_built(void *arg, void *buf, size_t n, uint64_t offset)
{
	return cow_read(arg, buf, n, offset);
}

/* The image and its base, as digests. */
struct likeness {
	struct digests base;
	const struct digests *image;
};

static bool is_same(void *arg, uint64_t start, uint64_t end)
{
	const struct likeness *l = arg;

	return digests_same(&l->base, l->image, start, end);
}

static int write_compressed(struct output *o, struct err *e)
{
	struct likeness like = { .image = &o->digests };
	struct encode_base base = { .fd = -1, .same = is_same, .arg = &like };
	struct encode x = { .kind = o->b->compress_as,
			    .base = &base,
			    .out = o->file.fd,
			    .name = o->path,
			    .size = cow_size(o->built.image.cow),
			    .read = read_built,
			    .read_arg = o->built.image.cow,
			    .progress = task_progress };
	_cleanup_close_ int fd = -1;
	int r = o->b->compress_as == ENCODE_XZ ? base_open(o->b, &fd, &like.base, e) : 0;

	if (r < 0)
		return r;
	base.fd = fd;
	x.progress_arg = task_begin("compress", o->n->name, x.size);
	r = encode_image(&x, e);
	task_end(x.progress_arg, r < 0 ? "failed" : NULL);
	if (r == 0 && *base.sha256)
		r = base_check(o->b, base.sha256, e);
	memcpy(o->sha256, x.sha256, SHA256_HEX);
	memcpy(o->raw_sha256, x.raw_sha256, SHA256_HEX);
	return r;
}

/* ---- all of it ---- */

static int publish(struct output *o, struct err *e)
{
	const struct subject s = { .plan = o->b->plan,
				   .node = o->n,
				   .image = o->path,
				   .manifest = o->built.manifest,
				   .raw = &o->built.image,
				   .digests = &o->digests,
				   .sha256 = *o->sha256 ? o->sha256 : NULL,
				   .raw_sha256 = *o->raw_sha256 ? o->raw_sha256 : NULL,
				   .key = o->b->key };
	_cleanup_(companions_done) struct companions c;
	int r = companions_make(&s, &c, e);

	if (r < 0)
		return r;
	r = companions_remove(o->path, e);
	if (r < 0)
		return r;
	r = outfile_publish(&o->file, e);
	if (r < 0)
		return r;
	r = image_remove_others(o->path, e);
	return r < 0 ? r : companions_publish(&c, e);
}

/* The layer's bytes into a raw image, if they are not there yet, and the digests of the image. */
static int copy_layer(struct output *o, struct err *e)
{
	const struct kept layer = { .cache = o->b->cache, .key = o->n->layer->key, .fd = cow_file(o->built.image.cow) };
	struct task *t = o->b->compress ? NULL : task_begin("clone", o->n->name, 0);
	struct digests digests;
	int r = kept_copy(&layer, &o->file.fd, !o->b->compress && !o->twin.written, o->path, &digests, e);

	if (r == 0)
		r = digests_update(&digests, o->built.image.cow, &o->digests, e);
	if (t)
		task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

/* Of how much room a compressed one takes nobody knows. */
static int write_image(struct output *o, struct err *e)
{
	bool known = !o->b->compress && !o->twin.written;
	int r = known ? output_check_room(o->path, cow_file(o->built.image.cow), e) : 0;

	if (r < 0)
		return r;
	r = copy_layer(o, e);
	if (r == 0)
		r = o->b->compress ? write_compressed(o, e) : write_raw(o, e);
	return r < 0 ? err_rename(e, outfile_tmp_path(&o->file), o->path) : publish(o, e);
}

/* A node's image holds secrets, so it is 0600; a generic one has none and is for everybody. */
static int output_node(const struct build *b, const struct node_plan *n, struct err *e)
{
	_cleanup_(
		output_done) struct output o = { .b = b, .n = n, .path = build_image_path(b, n), .file = OUTFILE_INIT };
	int r = outfile_create(&o.file, o.path, n->generic ? 0644 : 0600, e);

	if (r < 0)
		return r;
	o.twin = (struct twin){ .fd = o.file.fd, .path = o.path };
	r = build_node(b, n, b->compress ? NULL : &o.twin, &o.built, e);
	return r < 0 ? r : write_image(&o, e);
}

/* The failure's words name the node, unless it is the downloads'. */
static int output_named(const struct build *b, const struct node_plan *n, struct err *e)
{
	int r = output_node(b, n, e);

	if (r < 0)
		return err_interrupted(e) || fetching_failed(b->fetching) ? r : err_wrap(e, "%s", n->name);
	return 0;
}

/* Nodes are made some at once, but for the first of a layer, which makes it and may wait for another run that does, and
 * for compressed ones, each of which takes all processors and their memory. */
static bool output_alone(const struct build *b, size_t i)
{
	bool first = true;

	for (size_t k = 0; k < i; k++)
		first = first && b->plan->nodes.v[k]->layer != b->plan->nodes.v[i]->layer;
	return first || b->compress;
}

static int output_in_turn(const struct build *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->nodes.n && r == 0; i++)
		if (output_alone(b, i))
			r = output_named(b, b->plan->nodes.v[i], e);
	return r;
}

static int output_item(void *arg, char *unused, const struct pool_item *x, struct err *e)
{
	const struct build *b = arg;

	return output_named(b, b->plan->nodes.v[x->offset], e);
}

/* What they take is waiting, for the disk to have one file and the next: more of them at once than there are processors
 * wait together. */
static int output_together(const struct build *b, struct err *e)
{
	const struct pool_kind kind = { .workers = MIN(2 * MAX((unsigned)get_nprocs(), 1u), (unsigned)POOL_WORKERS_MAX),
					.slots = POOL_SLOTS_MAX,
					.size = 1,
					.work = output_item };
	struct worker_pool *p;
	int r = pool_start(&p, &kind, unconst(b), e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < b->plan->nodes.n; i++) {
		if (output_alone(b, i))
			continue;
		if (!pool_take(p))
			break;
		pool_give(p, (struct pool_item){ .offset = i });
	}
	return pool_finish(p, e);
}

int build_run(const struct build *b, const struct fetch_options *o, struct err *e)
{
	_cleanup_(fetch_end) struct fetching f;
	struct build with = *b;
	int r = build_fetch(&with, o, &f, e);

	if (r == 0)
		r = output_in_turn(&with, e);
	return r < 0 ? r : output_together(&with, e);
}
