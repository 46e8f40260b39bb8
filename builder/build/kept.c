/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that the cache keeps, CACHE/layers/<name>.img with <name>.json beside it (size, mtime and what was put in).
 * The name holds the key and the program's own source: another pibuild makes its own. One counts only while its file is
 * the very one the json speaks of; anything else is made again. One maker at a time, by flock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "base/writer.h"
#include "build/internal.h"
#include "source-id.h" /* made by the Makefile: a digest of builder/ */

static const char *kept_file(const struct kept *k, const char *suffix)
{
	char name[SHA256_HEX];
	const char *both = arena_printf("%s %s", k->key, PIBUILD_SOURCE_ID);

	sha256_bytes(both, strlen(both), name);
	return path_join(k->cache->dir, arena_printf("layers/%s%s", name, suffix));
}

const char *kept_path(const struct kept *k)
{
	return kept_file(k, ".img");
}

bool kept_is_there(const struct kept *k)
{
	return access(kept_path(k), R_OK) == 0 && access(kept_file(k, ".json"), R_OK) == 0;
}

int kept_lock(const struct kept *k, int *ret_fd, struct err *e)
{
	const char *path = kept_file(k, ".lock");
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
		while (flock(fd, LOCK_EX) < 0) {
			if (errno != EINTR)
				return err_errno(e, -errno, "cannot lock %s", path);
			r = sig_check(e);
			if (r < 0)
				return r;
		}
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool kept_open(struct kept *k, struct records *records)
{
	_cleanup_close_ int fd = open(kept_path(k), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_json_ json_t *meta = json_load_file(kept_file(k, ".json"), 0, NULL);
	struct records nowhere = { 0 };
	struct err ignored = { 0 };
	struct stat st;

	if (fd < 0 || !meta || fstat(fd, &st) < 0 ||
	    json_integer_value(json_object_get(meta, "size")) != (json_int_t)st.st_size ||
	    json_integer_value(json_object_get(meta, "mtime")) != (json_int_t)mtime_ns(&st) ||
	    records_parse(json_object_get(meta, "files"), records ? records : &nowhere, &ignored) < 0)
		return false;
	k->fd = take_fd(&fd);
	return true;
}

/* The image first, then the json that vouches for it. */
int kept_publish(const struct kept *k, struct outfile *out, const struct records *records, struct err *e)
{
	_cleanup_json_ json_t *meta = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	int r = outfile_publish(out, e);

	if (r < 0)
		return r;
	if (fstat(out->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the layer %s", out->path);
	meta = json_pack("{s:I, s:I, s:o}", "size", (json_int_t)st.st_size, "mtime", (json_int_t)mtime_ns(&st), "files",
			 records_json(records));
	text = json_dumps(meta, JSON_COMPACT);
	return file_publish(kept_file(k, ".json"), text, strlen(text), 0600, e);
}

/* ---- digests, <name>.digests.json: bound to the very file, as its json is ---- */

bool kept_digests(const struct kept *k, struct digests *ret)
{
	_cleanup_json_ json_t *j = json_load_file(kept_file(k, ".digests.json"), 0, NULL);
	struct stat st;

	return j && fstat(k->fd, &st) == 0 &&
	       json_integer_value(json_object_get(j, "mtime")) == (json_int_t)mtime_ns(&st) &&
	       digests_parse(json_object_get(j, "sha256"), (uint64_t)st.st_size, ret) == 0;
}

int kept_add_digests(const struct kept *k, const struct digests *d, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fstat(k->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the layer %s", kept_path(k));
	j = json_pack("{s:I, s:o}", "mtime", (json_int_t)mtime_ns(&st), "sha256", digests_json(d));
	text = json_dumps(j, JSON_COMPACT);
	return file_publish(kept_file(k, ".digests.json"), text, strlen(text), 0600, e);
}

int kept_copy(const struct kept *k, const int *dsts, unsigned n, const char *name, struct digests *ret, struct err *e)
{
	struct digester d;
	struct stat st;
	int r;

	if (kept_digests(k, ret))
		return clone_sparse(k->fd, dsts, n, name, NULL, e);
	digester_start(&d, ret);
	r = clone_sparse(k->fd, dsts, n, name, &d.watch, e);
	if (r == 0 && fstat(k->fd, &st) < 0)
		r = err_errno(e, -errno, "cannot read %s", name);
	digester_end(&d, r == 0 ? (uint64_t)st.st_size : 0);
	return r < 0 ? r : kept_add_digests(k, ret, e);
}
