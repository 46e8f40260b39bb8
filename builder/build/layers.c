/* SPDX-License-Identifier: Apache-2.0 */
/* A role's layer, which the cache keeps: the base, grown, with all that is the same on every card of the role. */
#include <errno.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/writer.h"
#include "build/internal.h"

enum { GROW_STEP = 4 * 1024 * 1024 };

static struct kept kept_layer(const struct build *b, const struct layer_plan *l)
{
	return (struct kept){ .cache = b->cache, .key = l->key, .fd = -1 };
}

bool layer_is_kept(const struct build *b, const struct layer_plan *l)
{
	const struct kept k = kept_layer(b, l);

	return kept_is_there(&k);
}

/* A layer that is made. */
struct making {
	const struct build *b;
	const struct layer_plan *plan;
	const struct outfile *out;
	struct twin *twin;	 /* written along; NULL = there is none */
	struct records *records; /* get what is put on it */
	struct disk_image image; /* OUT, open */
	struct digests base;	 /* before its changes; none when the base has none */
	struct digests digests;	 /* result: none where those of the base are not known */
};

/* Grows the root once, to what the payload takes and the reserve. */
static int make_room(struct making *x, const struct prepared *p, struct err *e)
{
	struct disk_image *m = &x->image;
	const struct partition *root = image_root_part(m);
	int64_t epoch = x->b->plan->project->epoch;
	const struct fs_place at = image_place(m, root, epoch);
	struct ext4_info info;
	uint64_t need, have, size;
	struct task *t;
	int r = image_open_fs(m, IMAGE_ROOT, epoch, e);

	if (r < 0)
		return r;
	ext4_info(m->root, &info);
	ext4_abort(m->root);
	m->root = NULL;
	need = prepared_cost(&x->plan->for_node->tree, p, LAYER_ROLE, info.block_size) + x->plan->reserve;
	have = info.free_blocks * info.block_size;
	if (have >= need) {
		progress_skip("grow", 1);
		return 0;
	}
	/* A grown filesystem spends about 2 % of the gain on its own tables. */
	size = root->size + (need - have) + (need - have) / 50;
	size = MAX(size, m->disk.size); /* ext4_grow() */
	size = (size + GROW_STEP - 1) / GROW_STEP * GROW_STEP;
	t = task_begin("grow", x->plan->label, 0);
	r = ext4_grow(&at, size, e);
	if (r == 0)
		r = disk_grow_last(m->cow, &m->disk, size, e);
	task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

static int write_payload(const struct making *x, const struct card_writer *w, struct err *e)
{
	const char *manifest;
	int r = apply_layer(w, &x->plan->for_node->tree, LAYER_ROLE, e);

	if (r < 0)
		return r;
	r = manifest_write(x->b, w->image->root, x->plan, NULL, w->records, &manifest, e);
	return r < 0 ? r : image_write_fs(w->image, e);
}

static int fill_layer(struct making *x, struct digests *pieces, struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *p = NULL;
	const struct fill_into into = { .layer = x->image.cow, .twin = x->twin, .pieces = pieces };
	struct card_writer w = { .image = &x->image, .cache = x->b->cache, .records = x->records, .fill = &into };
	int r = prepare_artifacts(&x->plan->for_node->tree, x->b->cache, &p, e);

	if (r < 0)
		return r;
	r = make_room(x, p, e);
	if (r < 0)
		return r;
	r = image_open_fs(&x->image, IMAGE_ROOT | IMAGE_BOOT | IMAGE_WRITE, x->b->plan->project->epoch, e);
	if (r < 0)
		return r;
	w.prepared = p;
	w.task = task_begin("payload", x->plan->label, 0);
	r = write_payload(x, &w, e);
	task_end(w.task, r < 0 ? "failed" : NULL);
	return r;
}

/* e2fsck of the finished layer, beside what only reads it. */
struct layer_check {
	struct fs_place root;
	pthread_t thread;
	int r;
	struct err e;
};

static void *run_check(void *arg)
{
	struct layer_check *c = arg;

	c->r = ext4_check(&c->root, &c->e);
	return NULL;
}

/* What the layer has other than the base, into its twin. */
static int update_twin(const struct cow *layer, struct twin *twin, struct err *e)
{
	int r = cow_give_changes(layer, twin->fd, twin->path, e);

	if (r == 0 && ftruncate(twin->fd, (off_t)cow_size(layer)) < 0)
		r = err_errno(e, -errno, "cannot size %s", twin->path);
	twin->written = r == 0;
	return r;
}

/* PIECES are known already. */
static int finish_layer(struct making *x, const struct digests *pieces, struct err *e)
{
	const struct disk_image *m = &x->image;
	struct layer_check check = { .root = image_place(m, image_root_part(m), x->b->plan->project->epoch) };
	int r = thread_start(&check.thread, run_check, &check, e);

	if (r < 0)
		return r;
	if (x->twin)
		r = update_twin(m->cow, x->twin, e);
	if (r == 0 && x->base.n)
		r = digests_update(&x->base, m->cow, &x->digests, e);
	digests_take(&x->digests, pieces);
	pthread_join(check.thread, NULL);
	if (check.r < 0 && !err_interrupted(e))
		*e = check.e;
	return check.r < 0 ? e->code : r;
}

/* Whether TWIN is to be written along with the layer OUT: not where the last bytes of room would be at stake. */
static bool use_twin(const struct build *b, const struct outfile *out, const struct twin *twin)
{
	struct err ignored = { 0 };
	uint64_t room;

	return twin && !clone_shares(out->fd, twin->fd) && free_space(path_dir(twin->path), &room, &ignored) == 0 &&
	       room / 4 > (b->plan->base.raw_size ? b->plan->base.raw_size : 4 * GIB);
}

/* Base, room, payload. */
static int make_layer(struct making *x, struct err *e)
{
	struct base_copies c = { .fds = { x->out->fd }, .n = 1 };
	struct digests pieces = { 0 };
	int r;

	if (x->twin)
		c.fds[c.n++] = x->twin->fd;
	r = base_into(x->b, x->out, &c, e);
	x->base = c.digests;
	if (r == 0)
		r = fetch_wait(x->b->fetching, e);
	if (r == 0)
		r = image_open_direct(x->out->fd, arena_printf("the %s layer", x->plan->label), &x->image, e);
	if (r == 0)
		r = fill_layer(x, &pieces, e);
	if (r == 0)
		r = finish_layer(x, &pieces, e);
	image_close(&x->image);
	return r;
}

/* What a failed look may have left in RECORDS goes. */
static bool layer_open(struct kept *k, int *ret_fd, struct records *records)
{
	if (!kept_open(k, records)) {
		records->v.n = 0;
		return false;
	}
	*ret_fd = take_fd(&k->fd);
	return true;
}

int layer_get(const struct build *b, const struct layer_plan *l, struct twin *twin, int *ret_fd,
	      struct records *records, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	_cleanup_(kept_close) struct kept k = kept_layer(b, l);
	struct making x = { .b = b, .plan = l, .out = &out, .records = records };
	_cleanup_close_ int lock = -1;
	int r;

	/* A layer whose key has moved on is never made again, and nobody else would come by its leftovers. */
	outfile_sweep(path_dir(kept_path(&k)));
	if (layer_open(&k, ret_fd, records))
		return fetch_wait(b->fetching, e);
	r = kept_lock(&k, &lock, e);
	if (r < 0)
		return r;
	/* Another run may have made it since. */
	if (layer_open(&k, ret_fd, records))
		return fetch_wait(b->fetching, e);
	r = outfile_create(&out, kept_path(&k), 0600, e);
	if (r == 0) {
		x.twin = use_twin(b, &out, twin) ? twin : NULL;
		r = make_layer(&x, e);
	}
	if (r == 0)
		r = kept_publish(&k, &out, records, e);
	if (r < 0)
		return r;
	k.fd = take_fd(&out.fd);
	r = x.digests.n ? kept_add_digests(&k, &x.digests, e) : 0;
	if (r < 0)
		return r;
	*ret_fd = take_fd(&k.fd);
	return 0;
}
