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

int layer_digests(const struct build *b, const struct layer_plan *l, int fd, struct digests *ret)
{
	_cleanup_json_ json_t *j = json_load_file(layer_file(b, l->key, ".digests.json"), 0, NULL);
	struct stat st;

	if (!j || fstat(fd, &st) < 0 || json_integer_value(json_object_get(j, "mtime")) != (json_int_t)mtime_ns(&st) ||
	    digests_parse(json_object_get(j, "sha256"), (uint64_t)st.st_size, ret) < 0)
		return -ENOENT;
	return 0;
}

int layer_keep_digests(const struct build *b, const struct layer_plan *l, int fd, const struct digests *d,
		       struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the %s layer", l->label);
	j = json_pack("{s:I, s:o}", "mtime", (json_int_t)mtime_ns(&st), "sha256", digests_json(d));
	text = json_dumps(j, JSON_COMPACT);
	return file_publish(layer_file(b, l->key, ".digests.json"), text, strlen(text), 0600, e);
}

/* ---- base ---- */

static int check_base(const char *path, int64_t epoch, struct disk *d, struct err *e)
{
	_cleanup_(cow_closep) struct cow *image = NULL;
	_cleanup_(fat_abortp) struct fat *boot = NULL;
	_cleanup_(ext4_abortp) struct ext4 *fs = NULL;
	int r = disk_read_base(path, d, e);

	if (r == 0)
		r = cow_open_path(path, false, &image, e);
	if (r == 0)
		r = fat_open(image, d->parts[0].start, d->parts[0].size, FAT_READ, epoch, &boot, e);
	if (r == 0)
		r = ext4_open(path, d->parts[1].start, d->parts[1].size, EXT4_READ, epoch, &fs, e);
	return r;
}

static int layer_check_room(const struct build *b, const char *path, uint64_t need, const char *what, struct err *e)
{
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	uint64_t room;
	int r = free_space(path, &room, e);

	if (r < 0 || room >= need)
		return r;
	return err_set(e, -ENOSPC, "%s needs %s in %s, which has %s free; make room or choose another folder", what,
		       size_text(need, want), path, size_text(room, have));
}

static const char *base_name(const struct pin *pin)
{
	return pin->file ? pin->file : arena_printf("%s %s", pin->name, pin->version);
}

static int check_base_digest(const struct build *b, const struct pin *pin, const char *actual, struct err *e)
{
	if (streq(actual, pin->sha256))
		return 0;
	cache_evict(b->cache, pin);
	return err_class(e, CLASS_VERIFY, "%s: its sha256 is %s, expected %s; %s", base_name(pin), actual, pin->sha256,
			 pin->file ? "is it the file that os.sha256 speaks of?"
				   : "the damaged copy was thrown away, run the same command again");
}

/* Decodes the base into every file of OUTS at once: the bytes pass by only once. */
static int decode_base(const struct build *b, int *outs, unsigned n, struct err *e)
{
	const struct pin *pin = &b->plan->base;
	_cleanup_close_ int in = -1;
	struct err ignored = { 0 };
	struct stat st;
	struct decode d = {
		.name = base_name(pin),
		.outs = outs,
		.n_outs = n,
		.max_size = pin->raw_size ? pin->raw_size : 64 * GIB,
		.exact_size = pin->raw_size,
		.progress = task_progress,
	};
	int r = cache_object(b->cache, pin, &in, e);

	if (r < 0)
		return r;
	if (fstat(in, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", d.name);
	r = layer_check_room(b, b->cache->dir, (pin->raw_size ? pin->raw_size : (uint64_t)st.st_size) * n,
			     "unpacking the base", e);
	if (r < 0)
		return r;
	d.in = in;
	d.progress_arg = task_begin("decode", pin->name, (uint64_t)st.st_size);
	r = decode_image(&d, e);
	task_end(d.progress_arg, r < 0 ? "failed" : NULL);
	if (r == 0)
		return check_base_digest(b, pin, d.sha256, e);
	/* Bytes that are not the pinned ones are the better explanation of what the decoder met. */
	if (!err_interrupted(e) && sha256_fd(in, d.name, d.sha256, &ignored) == 0 && !streq(d.sha256, pin->sha256))
		return check_base_digest(b, pin, d.sha256, e);
	return r;
}

static int make_base(const struct build *b, struct outfile *kept, struct outfile *out, struct err *e)
{
	int r = debian_make(b->cache, &b->plan->base, outfile_tmp_path(kept), e);

	return r < 0 ? r : clone_sparse(kept->fd, out->fd, "the base", NULL, e);
}

/* An unpacked base in OUT, from the cache, or decoded or made (and kept). */
static int base_into(const struct build *b, struct outfile *out, struct err *e)
{
	const struct records none = { 0 };
	struct records ignored = { 0 };
	_cleanup_(outfile_release) struct outfile kept = OUTFILE_INIT;
	_cleanup_close_ int lock = -1, fd = -1;
	const char *key = b->plan->base.sha256;
	struct disk d;
	int r = layer_lock(b, key, &lock, e);

	if (r < 0)
		return r;
	if (layer_open(b, key, &fd, &ignored) == 0) {
		struct task *t = task_begin("clone", "base", 0);

		r = clone_sparse(fd, out->fd, "the base", NULL, e);
		task_end(t, r < 0 ? "failed" : NULL);
		return r;
	}
	r = outfile_create(&kept, layer_file(b, key, ".img"), 0600, e);
	if (r == 0 && b->plan->base.n_parts)
		r = make_base(b, &kept, out, e);
	else if (r == 0)
		r = decode_base(b, (int[]){ out->fd, kept.fd }, 2, e);
	if (r == 0)
		r = check_base(outfile_tmp_path(out), b->plan->project->epoch, &d, e);
	if (r < 0)
		return err_rename(e, outfile_tmp_path(out), base_name(&b->plan->base));
	return layer_publish(b, key, &kept, &none, e);
}

int build_check_host(const struct build *b, struct err *e)
{
	const struct pin *base = &b->plan->base;
	struct records ignored = { 0 };
	_cleanup_close_ int fd = -1;

	return !base->n_parts || layer_open(b, base->sha256, &fd, &ignored) == 0 ? 0 : debian_check_host(e);
}

/* ---- role layer ---- */

/* Grows the root once, to what the payload takes and the reserve. */
static int make_room(const struct build *b, const struct layer_plan *l, const char *image, struct disk *d,
		     const struct prepared *p, struct err *e)
{
	_cleanup_(ext4_abortp) struct ext4 *fs = NULL;
	const struct partition *root = &d->parts[d->n - 1];
	int64_t epoch = b->plan->project->epoch;
	struct ext4_info info;
	uint64_t need, have, size;
	struct task *t;
	int r = ext4_open(image, root->start, root->size, EXT4_READ, epoch, &fs, e);

	if (r < 0)
		return r;
	ext4_info(fs, &info);
	need = prepared_cost(&l->for_node->tree, p, LAYER_ROLE, info.block_size) + l->reserve;
	have = info.free_blocks * info.block_size;
	if (have >= need) {
		progress_skip("grow", 1);
		return 0;
	}
	/* A grown filesystem spends about 2 % of the gain on its own tables. */
	size = root->size + (need - have) + (need - have) / 50;
	size = MAX(size, d->size); /* ext4_grow() */
	size = (size + GROW_STEP - 1) / GROW_STEP * GROW_STEP;
	t = task_begin("grow", l->label, 0);
	r = ext4_grow(image, root->start, size, epoch, e);
	if (r == 0)
		r = disk_grow_last(image, d, size, e);
	task_end(t, r < 0 ? "failed" : NULL);
	return r;
}

static int fill_layer(const struct build *b, const struct layer_plan *l, const char *image, struct records *records,
		      struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *p = NULL;
	_cleanup_(cow_closep) struct cow *file = NULL;
	_cleanup_(card_writer_done) struct card_writer t = { .cache = b->cache };
	int64_t epoch = b->plan->project->epoch;
	const struct partition *root;
	const char *manifest;
	struct disk d;
	int r = disk_read_base(image, &d, e);

	if (r == 0)
		r = prepare_artifacts(&l->for_node->tree, b->cache, &p, e);
	if (r == 0)
		r = make_room(b, l, image, &d, p, e);
	if (r < 0)
		return r;
	root = &d.parts[d.n - 1];
	r = ext4_open(image, root->start, root->size, EXT4_WRITE, epoch, &t.root, e);
	if (r == 0)
		r = cow_open_path(image, true, &file, e);
	if (r == 0)
		r = fat_open(file, d.parts[0].start, d.parts[0].size, FAT_WRITE, epoch, &t.boot, e);
	if (r < 0)
		return r;
	t.task = task_begin("payload", l->label, 0);
	r = apply_layer(&t, &l->for_node->tree, LAYER_ROLE, p, records, e);
	records_merge(records);
	if (r == 0)
		r = manifest_write(b, t.root, l, NULL, records, &manifest, e);
	if (r == 0)
		r = card_writer_close(&t, e);
	if (r == 0)
		r = ext4_check(image, root->start, root->size, epoch, e);
	task_end(t.task, r < 0 ? "failed" : NULL);
	return r;
}

int layer_get(const struct build *b, const struct layer_plan *l, int *ret_fd, struct records *records, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	_cleanup_close_ int lock = -1;
	int r = layer_lock(b, l->key, &lock, e);

	if (r < 0)
		return r;
	if (layer_open(b, l->key, ret_fd, records) == 0)
		return 0;
	records->v.n = 0;
	r = outfile_create(&out, layer_file(b, l->key, ".img"), 0600, e);
	if (r < 0)
		return r;
	r = base_into(b, &out, e);
	if (r == 0)
		r = fill_layer(b, l, outfile_tmp_path(&out), records, e);
	if (r < 0)
		return err_rename(e, outfile_tmp_path(&out), arena_printf("the %s layer", l->label));
	r = layer_publish(b, l->key, &out, records, e);
	if (r == 0)
		*ret_fd = take_fd(&out.fd);
	return r;
}
