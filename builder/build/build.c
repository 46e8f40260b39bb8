/* SPDX-License-Identifier: Apache-2.0 */
#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/writer.h"

/* Onto an open root filesystem, which is closed in any case, and the FAT beside it. */
static int stamp(const struct build *b, const struct node_plan *n, struct ext4 *root, struct fat boot,
		 struct records *records, const char **ret_manifest, struct err *e)
{
	_cleanup_(ext4_abortp) struct ext4 *fs = root;
	struct target t = { .root = fs, .boot = boot, .cache = b->cache };
	int r;

	t.task = task_begin("stamp", n->name, 0);
	r = apply_layer(&t, &n->tree, LAYER_NODE, NULL, records, e);
	records_merge(records);
	if (r == 0)
		r = manifest_write(b, fs, n->layer, n, records, ret_manifest, e);
	if (r == 0) {
		r = ext4_close(fs, e);
		fs = NULL;
	}
	task_end(t.task, r < 0 ? "failed" : NULL);
	return r;
}

static int stamp_file(const struct build *b, const struct node_plan *n, const char *image, struct records *records,
		      const char **ret_manifest, struct err *e)
{
	int64_t epoch = b->plan->project->epoch;
	const struct partition *root;
	struct ext4 *fs;
	struct disk d;
	int r = disk_read_base(image, &d, e);

	if (r < 0)
		return r;
	root = &d.parts[d.n - 1];
	r = ext4_open(image, root->start, root->size, EXT4_WRITE, epoch, &fs, e);
	return r < 0 ? r : stamp(b, n, fs, (struct fat){ image, d.parts[0].start, epoch }, records, ret_manifest, e);
}

static int stamp_cow(const struct build *b, const struct node_plan *n, struct cow *c, struct records *records,
		     struct err *e)
{
	int64_t epoch = b->plan->project->epoch;
	const struct partition *root, *first;
	const char *boot, *manifest;
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
		r = stamp(b, n, fs, (struct fat){ boot, first->start, epoch }, records, &manifest, e);
	return r < 0 ? r : cow_settle(c, first->start, first->start + first->size, e);
}

/* Takes over LAYER. */
static int stamp_layer(const struct build *b, const struct node_plan *n, int layer, struct records *records,
		       struct cow **ret, struct err *e)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open(layer, n->name, &c, e);

	if (r == 0)
		r = stamp_cow(b, n, c, records, e);
	if (r < 0)
		return err_interrupted(e) ? r : err_wrap(e, "%s", n->name);
	*ret = c;
	c = NULL;
	return 0;
}

int build_node_cow(const struct build *b, const struct node_plan *n, struct cow **ret, struct err *e)
{
	struct records records = { 0 };
	int layer, r = layer_get(b, n->layer, &layer, &records, e);

	return r < 0 ? r : stamp_layer(b, n, layer, &records, ret, e);
}

int build_node_onto(const struct build *b, const struct node_plan *n, const struct generic *g, struct cow **ret,
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

static int check_room(const char *image, int layer, struct err *e)
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

/* ---- what stands beside an image ---- */

static const char *manifest_file(const struct node_plan *n)
{
	return arena_printf("%.*s.manifest.json", (int)(strlen(n->image) - strlen(".img")), n->image);
}

static const char *digest_file(const struct node_plan *n)
{
	return arena_printf("%s.sha256", n->image);
}

/* Those of an earlier image must not speak for this one, whenever the run ends. */
static int remove_companions(const struct node_plan *n, struct err *e)
{
	const char *const files[] = { manifest_file(n), digest_file(n) };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlink(files[i]) < 0 && errno != ENOENT)
			return err_errno(e, -errno, "cannot replace %s", files[i]);
	return 0;
}

static int write_digest(const struct node_plan *n, int fd, struct err *e)
{
	char sha256[SHA256_HEX];
	const char *line;
	int r = sha256_fd(fd, n->image, sha256, e);

	if (r < 0)
		return r;
	line = arena_printf("%s  %s\n", sha256, path_base(n->image));
	return file_publish(digest_file(n), line, strlen(line), 0644, e);
}

/* Clone of the layer (which e2fsck saw), stamped, put in place. It holds secrets, so it is 0600; a generic one has none
 * and is for everybody. */
static int build_node(const struct build *b, const struct node_plan *n, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	_cleanup_close_ int layer = -1;
	struct records records = { 0 };
	const char *manifest = NULL;
	struct task *t;
	int r = layer_get(b, n->layer, &layer, &records, e);

	if (r == 0)
		r = outfile_create(&out, n->image, n->generic ? 0644 : 0600, e);
	if (r == 0)
		r = check_room(n->image, layer, e);
	if (r < 0)
		return r;
	t = task_begin("clone", n->name, 0);
	r = clone_sparse(layer, out.fd, n->image, e);
	task_end(t, r < 0 ? "failed" : NULL);
	if (r == 0)
		r = n->generic ? manifest_read(outfile_tmp_path(&out), &manifest, e)
			       : stamp_file(b, n, outfile_tmp_path(&out), &records, &manifest, e);
	if (r < 0)
		return err_rename(e, outfile_tmp_path(&out), n->image);
	r = remove_companions(n, e);
	if (r == 0)
		r = outfile_publish(&out, e);
	if (r == 0)
		r = file_publish(manifest_file(n), manifest, strlen(manifest), 0644, e);
	if (r == 0 && b->sha256)
		r = write_digest(n, out.fd, e);
	return r;
}

int build_run(const struct build *b, struct err *e)
{
	int r = 0;

	vec_foreach (n, &b->plan->nodes) {
		r = build_node(b, *n, e);
		if (r < 0)
			return err_interrupted(e) ? r : err_wrap(e, "%s", (*n)->name);
	}
	return r;
}
