/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cached layers, CACHE/layers/<name>.img with <name>.json beside it (size, mtime and what was put in). The name holds
 * the layer's key and the program's own source: another pibuild makes its own. A layer counts only while its file is
 * the very one the json speaks of; anything else is made again. One maker at a time, by flock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/sig.h"
#include "base/writer.h"
#include "build/build.h"
#include "debian/debian.h"
#include "source-id.h" /* made by the Makefile: a digest of builder/ */

enum { GROW_STEP = 4 * 1024 * 1024 };

static const char *layer_file(const struct build *b, const char *key, const char *suffix)
{
	char name[SHA256_HEX];
	const char *both = arena_printf("%s %s", key, PIBUILD_SOURCE_ID);

	sha256_bytes(both, strlen(both), name);
	return path_join(b->cache->dir, arena_printf("layers/%s%s", name, suffix));
}

bool layer_is_kept(const struct build *b, const char *key)
{
	return access(layer_file(b, key, ".img"), R_OK) == 0 && access(layer_file(b, key, ".json"), R_OK) == 0;
}

static int layer_lock(const struct build *b, const char *key, int *ret, struct err *e)
{
	const char *path = layer_file(b, key, ".lock");
	_cleanup_close_ int fd = -1;
	int r = make_dirs(path_dir(path), 0700, e);

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "cannot create %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			log_info("another pibuild makes the same layer; waiting for it");
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR || sig_check(e) < 0)
				return e->code ? e->code : err_errno(e, -errno, "cannot lock %s", path);
	}
	*ret = take_fd(&fd);
	return 0;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* 0 and an open layer, or -ENOENT when there is none that can be trusted. */
static int layer_open(const struct build *b, const char *key, int *ret_fd, struct records *records)
{
	_cleanup_close_ int fd = open(layer_file(b, key, ".img"), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_json_ json_t *meta = json_load_file(layer_file(b, key, ".json"), 0, NULL);
	struct err ignored = { 0 };
	struct stat st;

	if (fd < 0 || !meta || fstat(fd, &st) < 0 ||
	    json_integer_value(json_object_get(meta, "size")) != (json_int_t)st.st_size ||
	    json_integer_value(json_object_get(meta, "mtime")) != (json_int_t)mtime_ns(&st) ||
	    records_parse(json_object_get(meta, "files"), records, &ignored) < 0)
		return -ENOENT;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The image first, then the json that vouches for it. */
static int layer_publish(const struct build *b, const char *key, struct outfile *out, const struct records *records,
			 struct err *e)
{
	_cleanup_json_ json_t *meta = NULL;
	char *text;
	struct stat st;
	int r = outfile_publish(out, e);

	if (r < 0)
		return r;
	if (fstat(out->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the layer %s", out->path);
	meta = json_pack("{s:I, s:I, s:o}", "size", (json_int_t)st.st_size, "mtime", (json_int_t)mtime_ns(&st), "files",
			 records_json(records));
	text = json_dumps(meta, JSON_COMPACT);
	r = file_publish(layer_file(b, key, ".json"), text, strlen(text), 0600, e);
	free(text);
	return r;
}

/* ---- digests of a layer, CACHE/layers/<key>.digests.json: bound to the very file, as its json is ---- */

static int read_digests(const struct build *b, const char *key, int fd, struct digests *ret)
{
	_cleanup_json_ json_t *j = json_load_file(layer_file(b, key, ".digests.json"), 0, NULL);
	struct stat st;

	if (!j || fstat(fd, &st) < 0 || json_integer_value(json_object_get(j, "mtime")) != (json_int_t)mtime_ns(&st) ||
	    digests_parse(json_object_get(j, "sha256"), (uint64_t)st.st_size, ret) < 0)
		return -ENOENT;
	return 0;
}

static int keep_digests(const struct build *b, const char *key, int fd, const struct digests *d, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the layer %s", layer_file(b, key, ".img"));
	j = json_pack("{s:I, s:o}", "mtime", (json_int_t)mtime_ns(&st), "sha256", digests_json(d));
	text = json_dumps(j, JSON_COMPACT);
	return file_publish(layer_file(b, key, ".digests.json"), text, strlen(text), 0600, e);
}

int layer_copy(const struct build *b, const char *key, int fd, const int *dsts, unsigned n, const char *name,
	       struct digests *ret, struct err *e)
{
	struct digester d;
	struct stat st;
	int r;

	if (read_digests(b, key, fd, ret) == 0)
		return clone_sparse(fd, dsts, n, name, NULL, e);
	digester_start(&d, ret);
	r = clone_sparse(fd, dsts, n, name, &d.watch, e);
	if (r == 0 && fstat(fd, &st) < 0)
		r = err_errno(e, -errno, "cannot read %s", name);
	digester_end(&d, r == 0 ? (uint64_t)st.st_size : 0);
	return r < 0 ? r : keep_digests(b, key, fd, ret, e);
}

/* ---- base ---- */

/* The file of OUT as an image that is changed in place; OUT must outlive it. */
static int layer_image(const struct outfile *out, const char *name, struct disk_image *ret, struct err *e)
{
	struct cow *c;
	int r = cow_open_direct(out->fd, name, &c, e);

	return r < 0 ? r : image_open_cow(c, ret, e);
}

static int layer_check_base(const struct outfile *out, const char *name, struct err *e)
{
	_cleanup_(image_close) struct disk_image m = { 0 };
	int r = layer_image(out, name, &m, e);

	return r < 0 ? r : image_open_fs(&m, IMAGE_BOOT | IMAGE_ROOT, 1, e);
}

static int layer_check_room(const char *path, uint64_t need, const char *what, struct err *e)
{
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	uint64_t room;
	int r = free_space(path, &room, e);

	if (r < 0 || room >= need)
		return r;
	return err_set(e, -ENOSPC, "%s needs %s in %s, which has %s free; make room or choose another folder", what,
		       size_text(need, want), path, size_text(room, have));
}

static const char *base_label(const struct pin *pin)
{
	return pin->kind == PIN_FILE ? pin->file : arena_printf("%s %s", pin->name, pin->version);
}

int base_check(const struct build *b, const char *actual, struct err *e)
{
	const struct pin *pin = &b->plan->base;

	if (streq(actual, pin->sha256))
		return 0;
	cache_evict(b->cache, pin);
	return err_class(e, CLASS_VERIFY, "%s: its sha256 is %s, expected %s; %s", base_label(pin), actual, pin->sha256,
			 pin->kind == PIN_FILE ? "is it the file that os.sha256 speaks of?"
					       : "the damaged copy was thrown away, run the same command again");
}

/* What the base goes into, and what is learnt of it on the way. */
struct base_copies {
	int fds[WRITER_MAX_FILES]; /* the layer, and perhaps its twin and what is kept */
	unsigned n;
	struct digests digests;
};

/* IN, which may still grow (else NULL); SHA256 is of its bytes. The bytes pass by only once. */
static int decode_file(const struct build *b, int in, struct growing *growing, struct base_copies *c,
		       char sha256[SHA256_HEX], struct err *e)
{
	const struct pin *pin = &b->plan->base;
	struct digester digester;
	uint64_t size = pin->size;
	struct stat st;
	struct decode d = {
		.in = in,
		.growing = growing,
		.name = base_label(pin),
		.outs = c->fds,
		.n_outs = c->n,
		.watch = &digester.watch,
		.max_size = pin->raw_size ? pin->raw_size : 64 * GIB,
		.exact_size = pin->raw_size,
		.progress = task_progress,
	};
	int r;

	if (!growing && fstat(in, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", d.name);
	if (!growing)
		size = (uint64_t)st.st_size;
	r = layer_check_room(b->cache->dir, (pin->raw_size ? pin->raw_size : size) * MIN(c->n, 2u),
			     "unpacking the base", e);
	if (r < 0)
		return r;
	d.progress_arg = task_begin("decode", pin->name, size);
	digester_start(&digester, &c->digests);
	r = decode_image(&d, e);
	digester_end(&digester, d.size);
	task_end(d.progress_arg, r == 0 ? NULL : growing ? "given up" : "failed");
	memcpy(sha256, d.sha256, SHA256_HEX);
	return r;
}

/* While it is downloaded. -EAGAIN: it was not, or what came was not the base after all, or not to be decoded: now it is
 * in the cache, where all that can be wrong with it has its words. */
static int decode_coming(const struct build *b, struct base_copies *c, struct err *e)
{
	struct growing *g = fetching_growing(b->fetching);
	struct err ignored = { 0 };
	char sha256[SHA256_HEX];
	bool good = g && decode_file(b, g->fd, g, c, sha256, &ignored) == 0 && streq(sha256, b->plan->base.sha256);
	int r = fetch_wait(b->fetching, e);

	if (r < 0 || good)
		return r;
	for (unsigned i = 0; i < c->n; i++)
		if (ftruncate(c->fds[i], 0) < 0)
			return err_errno(e, -errno, "cannot unpack the base");
	return -EAGAIN;
}

static int decode_base(const struct build *b, struct base_copies *c, struct err *e)
{
	const struct pin *pin = &b->plan->base;
	_cleanup_close_ int in = -1;
	struct err ignored = { 0 };
	char sha256[SHA256_HEX];
	int r = decode_coming(b, c, e);

	if (r != -EAGAIN)
		return r;
	r = cache_object(b->cache, pin, &in, e);
	if (r < 0)
		return r;
	r = decode_file(b, in, NULL, c, sha256, e);
	if (r == 0)
		return base_check(b, sha256, e);
	/* Bytes that are not the pinned ones are the better explanation of what the decoder met. */
	if (!err_interrupted(e) && sha256_fd(in, base_label(pin), sha256, &ignored) == 0 && !streq(sha256, pin->sha256))
		return base_check(b, sha256, e);
	return r;
}

static int make_base(const struct build *b, int kept, struct err *e)
{
	_cleanup_(cow_closep) struct cow *image = NULL;
	int r = cow_open_direct(kept, base_label(&b->plan->base), &image, e);

	return r < 0 ? r : debian_make(b->cache, &b->plan->base, image, e);
}

/* The base into KEPT and C's files, in one pass where blocks cannot be shared. */
static int new_base(const struct build *b, int kept, struct base_copies *c, struct err *e)
{
	const struct pin *pin = &b->plan->base;
	bool made = pin->kind == PIN_PACKAGES, shares = clone_shares(c->fds[0], kept);
	struct base_copies all = *c;
	int r;

	if (made) {
		r = make_base(b, kept, e);
		return r < 0 ? r : clone_sparse(kept, c->fds, c->n, base_label(pin), NULL, e);
	}
	if (!shares)
		all.fds[all.n++] = kept;
	r = decode_base(b, &all, e);
	c->digests = all.digests;
	return r < 0 || !shares ? r : clone_sparse(c->fds[0], &kept, 1, base_label(pin), NULL, e);
}

/* An unpacked base in C's files, from the cache, or decoded or made (and kept). */
static int base_into(const struct build *b, const struct outfile *layer, struct base_copies *c, struct err *e)
{
	const struct records none = { 0 };
	struct records ignored = { 0 };
	_cleanup_(outfile_release) struct outfile kept = OUTFILE_INIT;
	_cleanup_close_ int lock = -1, fd = -1;
	const char *key = b->plan->base.sha256, *label = base_label(&b->plan->base);
	int r = layer_lock(b, key, &lock, e);

	if (r < 0)
		return r;
	if (layer_open(b, key, &fd, &ignored) == 0) {
		struct task *t = task_begin("clone", "base", 0);

		r = layer_copy(b, key, fd, c->fds, c->n, "the base", &c->digests, e);
		task_end(t, r < 0 ? "failed" : NULL);
		return r;
	}
	r = outfile_create(&kept, layer_file(b, key, ".img"), 0600, e);
	if (r == 0)
		r = new_base(b, kept.fd, c, e);
	if (r == 0)
		r = layer_check_base(layer, label, e);
	if (r == 0)
		r = layer_publish(b, key, &kept, &none, e);
	return r < 0 || !c->digests.n ? r : keep_digests(b, key, kept.fd, &c->digests, e);
}

int base_open(const struct build *b, int *ret_fd, struct digests *ret, struct err *e)
{
	const struct pin *pin = &b->plan->base;
	struct base_copies nowhere = { .n = 0 };
	struct records ignored = { 0 };
	_cleanup_close_ int fd = -1;
	int r;

	*ret = (struct digests){ 0 };
	if (pin->kind == PIN_PACKAGES)
		return 0;
	r = cache_object(b->cache, pin, ret_fd, e);
	if (r < 0 || (layer_open(b, pin->sha256, &fd, &ignored) == 0 && read_digests(b, pin->sha256, fd, ret) == 0))
		return r;
	r = decode_base(b, &nowhere, e);
	*ret = nowhere.digests;
	return r;
}

int build_check_host(const struct build *b, struct err *e)
{
	const struct pin *base = &b->plan->base;
	struct records ignored = { 0 };
	_cleanup_close_ int fd = -1;

	return base->kind != PIN_PACKAGES || layer_open(b, base->sha256, &fd, &ignored) == 0 ? 0 : debian_check_host(e);
}

/* ---- role layer ---- */

/* Grows the root once, to what the payload takes and the reserve. */
static int make_room(const struct build *b, const struct layer_plan *l, struct disk_image *m, const struct prepared *p,
		     struct err *e)
{
	const struct partition *root = image_root_part(m);
	int64_t epoch = b->plan->project->epoch;
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
	need = prepared_cost(&l->for_node->tree, p, LAYER_ROLE, info.block_size) + l->reserve;
	have = info.free_blocks * info.block_size;
	if (have >= need) {
		progress_skip("grow", 1);
		return 0;
	}
	/* A grown filesystem spends about 2 % of the gain on its own tables. */
	size = root->size + (need - have) + (need - have) / 50;
	size = MAX(size, m->disk.size); /* ext4_grow() */
	size = (size + GROW_STEP - 1) / GROW_STEP * GROW_STEP;
	t = task_begin("grow", l->label, 0);
	r = ext4_grow(&at, size, e);
	if (r == 0)
		r = disk_grow_last(m->cow, &m->disk, size, e);
	task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

static int write_payload(const struct card_writer *w, const struct build *b, const struct layer_plan *l,
			 struct prepared *p, struct records *records, struct err *e)
{
	const char *manifest;
	int r = apply_layer(w, &l->for_node->tree, LAYER_ROLE, p, records, e);

	records_merge(records);
	if (r < 0)
		return r;
	r = manifest_write(b, w->image->root, l, NULL, records, &manifest, e);
	if (r < 0)
		return r;
	return r < 0 ? r : image_write_fs(w->image, e);
}

static int fill_layer(const struct build *b, const struct layer_plan *l, struct disk_image *m,
		      const struct fill_into *into, struct records *records, struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *p = NULL;
	struct card_writer w = { .image = m, .cache = b->cache, .fill = into };
	int r = prepare_artifacts(&l->for_node->tree, b->cache, &p, e);

	if (r < 0)
		return r;
	r = make_room(b, l, m, p, e);
	if (r < 0)
		return r;
	r = image_open_fs(m, IMAGE_ROOT | IMAGE_BOOT | IMAGE_WRITE, b->plan->project->epoch, e);
	if (r < 0)
		return r;
	w.task = task_begin("payload", l->label, 0);
	r = write_payload(&w, b, l, p, records, e);
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

/* BASE are the digests that the layer had before its changes; PIECES are known. */
static int finish_layer(const struct build *b, const struct disk_image *m, struct twin *twin,
			const struct digests *base, const struct digests *pieces, struct digests *digests,
			struct err *e)
{
	struct layer_check check = { .root = image_place(m, image_root_part(m), b->plan->project->epoch) };
	int r = thread_start(&check.thread, run_check, &check, e);

	if (r < 0)
		return r;
	if (twin)
		r = update_twin(m->cow, twin, e);
	if (r == 0 && base->n)
		r = digests_update(base, m->cow, digests, e);
	digests_take(digests, pieces);
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

/* Base, room, payload into OUT; its DIGESTS, where those of the base are known. */
static int make_layer(const struct build *b, const struct layer_plan *l, const struct outfile *out, struct twin *twin,
		      struct records *records, struct digests *digests, struct err *e)
{
	_cleanup_(image_close) struct disk_image m = { 0 };
	struct base_copies c = { .fds = { out->fd }, .n = 1 };
	struct digests pieces = { 0 };
	struct fill_into into = { .twin = twin, .pieces = &pieces };
	int r;

	if (twin)
		c.fds[c.n++] = twin->fd;
	r = base_into(b, out, &c, e);
	if (r == 0)
		r = fetch_wait(b->fetching, e);
	if (r == 0)
		r = layer_image(out, arena_printf("the %s layer", l->label), &m, e);
	into.layer = m.cow;
	if (r == 0)
		r = fill_layer(b, l, &m, &into, records, e);
	return r < 0 ? r : finish_layer(b, &m, twin, &c.digests, &pieces, digests, e);
}

int layer_get(const struct build *b, const struct layer_plan *l, struct twin *twin, int *ret_fd,
	      struct records *records, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	_cleanup_close_ int lock = -1;
	struct digests digests = { 0 };
	int r;

	/* A layer whose key has moved on is never made again, and nobody else would come by its leftovers. */
	outfile_sweep(path_dir(layer_file(b, l->key, ".img")));
	if (layer_open(b, l->key, ret_fd, records) == 0)
		return fetch_wait(b->fetching, e);
	records->v.n = 0;
	r = layer_lock(b, l->key, &lock, e);
	if (r < 0)
		return r;
	/* Another run may have made it since. */
	if (layer_open(b, l->key, ret_fd, records) == 0)
		return fetch_wait(b->fetching, e);
	records->v.n = 0;
	r = outfile_create(&out, layer_file(b, l->key, ".img"), 0600, e);
	if (r == 0)
		r = make_layer(b, l, &out, use_twin(b, &out, twin) ? twin : NULL, records, &digests, e);
	if (r == 0)
		r = layer_publish(b, l->key, &out, records, e);
	if (r == 0 && digests.n)
		r = keep_digests(b, l->key, out.fd, &digests, e);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&out.fd);
	return 0;
}
