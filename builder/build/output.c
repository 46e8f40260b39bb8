/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as a file, with what stands beside it. Raw: a clone of the layer (which e2fsck saw) that gets the
 * changed blocks. Compressed: read from layer and changes, no raw file in between. Everything is known before anything
 * gets its final name; then what spoke of an earlier image goes, the image comes, and its companions after it.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "base/writer.h"
#include "build/build.h"

struct output {
	const struct build *b;
	const struct node_plan *n;
	const char *path;
	struct built built;
	struct outfile file;
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

/* ---- digests of the layer: kept, or taken while it passes by ---- */

/* Copies the layer to DST (-1 = nowhere) and has its digests afterwards. */
static int pass_layer(struct output *o, int dst, struct digests *ret, struct err *e)
{
	int layer = cow_file(o->built.image.cow), r;
	bool kept = layer_digests(o->b, o->n->layer, layer, ret) == 0;
	struct digester d;

	if (kept)
		return dst < 0 ? 0 : clone_sparse(layer, dst, o->path, NULL, e);
	digester_start(&d, cow_size(o->built.image.cow), ret);
	r = clone_sparse(layer, dst, o->path, &d.watch, e);
	digester_end(&d);
	return r < 0 ? r : layer_keep_digests(o->b, o->n->layer, layer, ret, e);
}

/* ---- raw ---- */

struct patch {
	struct output *o;
	char *buf; /* MIB bytes */
	struct err *e;
};

static int write_change(void *arg, uint64_t start, uint64_t end)
{
	struct patch *p = arg;
	int r = sig_check(p->e);

	while (start < end && r == 0) {
		size_t n = (size_t)MIN(end - start, MIB);

		r = cow_read(p->o->built.image.cow, p->buf, n, start);
		if (r == 0)
			r = pwrite_all(p->o->file.fd, p->buf, n, start);
		if (r < 0)
			return err_errno(p->e, r, "cannot write %s", p->o->path);
		start += n;
	}
	return r;
}

static int write_raw(struct output *o, struct digests *layer, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(MIB);
	struct patch patch = { o, buf, e };
	struct task *t = task_begin("clone", o->n->name, 0);
	int r = pass_layer(o, o->file.fd, layer, e);

	if (r == 0)
		r = cow_changes(o->built.image.cow, write_change, &patch);
	task_end(t, r < 0 ? "failed" : NULL);
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

static int write_compressed(struct output *o, struct digests *layer, struct err *e)
{
	struct encode x = { .kind = o->b->compress_as,
			    .out = o->file.fd,
			    .name = o->path,
			    .size = cow_size(o->built.image.cow),
			    .read = read_built,
			    .read_arg = o->built.image.cow,
			    .progress = task_progress };
	int r = pass_layer(o, -1, layer, e);

	if (r < 0)
		return r;
	x.progress_arg = task_begin("compress", o->n->name, x.size);
	r = encode_image(&x, e);
	task_end(x.progress_arg, r < 0 ? "failed" : NULL);
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

/* A node's image holds secrets, so it is 0600; a generic one has none and is for everybody. */
static int write_image(struct output *o, struct err *e)
{
	struct digests layer;
	int r = outfile_create(&o->file, o->path, o->n->generic ? 0644 : 0600, e);

	if (r == 0 && !o->b->compress) /* how much a compressed one takes nobody knows */
		r = output_check_room(o->path, cow_file(o->built.image.cow), e);
	if (r < 0)
		return r;
	r = o->b->compress ? write_compressed(o, &layer, e) : write_raw(o, &layer, e);
	if (r == 0)
		r = digests_update(&layer, o->built.image.cow, &o->digests, e);
	return r < 0 ? err_rename(e, outfile_tmp_path(&o->file), o->path) : publish(o, e);
}

static int output_node(const struct build *b, const struct node_plan *n, struct err *e)
{
	_cleanup_(
		output_done) struct output o = { .b = b, .n = n, .path = build_image_path(b, n), .file = OUTFILE_INIT };
	int r = build_node(b, n, &o.built, e);

	return r < 0 ? r : write_image(&o, e);
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
