/* SPDX-License-Identifier: Apache-2.0 */
/* The base, unpacked: decoded while it comes or from the cache, or made of packages; kept for the layers that follow.
 */
#include <errno.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/writer.h"
#include "build/internal.h"
#include "debian/debian.h"

static struct kept kept_base(const struct build *b)
{
	return (struct kept){ .cache = b->cache, .key = b->plan->base.sha256, .fd = -1 };
}

bool base_is_kept(const struct build *b)
{
	const struct kept k = kept_base(b);

	return kept_is_there(&k);
}

static int base_check_layout(const struct outfile *out, const char *name, struct err *e)
{
	_cleanup_(image_close) struct disk_image m = { 0 };
	int r = image_open_direct(out->fd, name, &m, e);

	return r < 0 ? r : image_open_fs(&m, IMAGE_BOOT | IMAGE_ROOT, 1, e);
}

static int base_check_room(const char *path, uint64_t need, const char *what, struct err *e)
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
		.max_size = pin->raw_size,
		.exact_size = pin->raw_size,
		.progress = task_progress,
	};
	int r;

	if (!growing && fstat(in, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", d.name);
	if (!growing)
		size = (uint64_t)st.st_size;
	r = base_check_room(b->cache->dir, (pin->raw_size ? pin->raw_size : size) * MIN(c->n, 2u), "unpacking the base",
			    e);
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

int base_into(const struct build *b, const struct outfile *layer, struct base_copies *c, struct err *e)
{
	const struct records none = { 0 };
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	_cleanup_(kept_close) struct kept k = kept_base(b);
	_cleanup_close_ int lock = -1;
	int r = kept_lock(&k, &lock, e);

	if (r < 0)
		return r;
	if (kept_open(&k, NULL)) {
		struct task *t = task_begin("clone", "base", 0);

		r = kept_copy(&k, c->fds, c->n, "the base", &c->digests, e);
		task_end(t, r < 0 ? "failed" : NULL);
		return r;
	}
	r = outfile_create(&out, kept_path(&k), 0600, e);
	if (r == 0)
		r = new_base(b, out.fd, c, e);
	if (r == 0)
		r = base_check_layout(layer, base_label(&b->plan->base), e);
	if (r == 0)
		r = kept_publish(&k, &out, &none, e);
	if (r < 0 || !c->digests.n)
		return r;
	k.fd = take_fd(&out.fd);
	return kept_add_digests(&k, &c->digests, e);
}

int base_open(const struct build *b, int *ret_fd, struct digests *ret, struct err *e)
{
	const struct pin *pin = &b->plan->base;
	struct base_copies nowhere = { .n = 0 };
	_cleanup_(kept_close) struct kept k = kept_base(b);
	int r;

	*ret = (struct digests){ 0 };
	if (pin->kind == PIN_PACKAGES)
		return 0;
	r = cache_object(b->cache, pin, ret_fd, e);
	if (r < 0 || (kept_open(&k, NULL) && kept_digests(&k, ret)))
		return r;
	r = decode_base(b, &nowhere, e);
	*ret = nowhere.digests;
	return r;
}

int build_check_host(const struct build *b, struct err *e)
{
	_cleanup_(kept_close) struct kept k = kept_base(b);

	return b->plan->base.kind != PIN_PACKAGES || kept_open(&k, NULL) ? 0 : debian_check_host(e);
}
