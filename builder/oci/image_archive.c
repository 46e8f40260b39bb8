/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as one tar in the OCI layout. It is never held anywhere: a list of pieces (headers, small documents, blobs of
 * the cache, padding) is made up front, and reading walks along it.
 *
 * index.json names the index of each image as its registry has it, so that containerd knows the image by tag and by the
 * digest upstream states. That index also lists platforms whose blobs are not here, which K3s skips when it imports.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/sig.h"
#include "crypto/digest.h"
#include "oci/image_archive.h"
#include "oci/oci.h"

enum { TAR_BLOCK = 512 };

/* SIZE bytes: from memory, of a blob, or zeros when it has neither. */
struct archive_piece {
	const char *bytes;
	const char *sha256;
	uint64_t size;
};

struct image_archive {
	const struct cache *cache;
	VEC(struct archive_piece) pieces;
	uint64_t size;

	size_t at; /* the piece being read */
	uint64_t done;
	int fd; /* of its blob */
	struct sha256 sum;
};

/* ---- tar ---- */

static void add_piece(struct image_archive *a, struct archive_piece p)
{
	if (p.size)
		*vec_push(&a->pieces) = p;
	a->size += p.size;
}

static char *tar_header(const char *name, uint64_t size)
{
	char *h = arena_alloc(TAR_BLOCK);
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8); /* uid */
	memcpy(h + 116, "0000000", 8);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
	memcpy(h + 136, "00000000000", 12); /* mtime */
	h[156] = '0';
	memcpy(h + 257, "ustar", 6);
	memcpy(h + 263, "00", 2);
	memset(h + 148, ' ', 8);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 7, "%06o", sum);
	return h;
}

static void add_member(struct image_archive *a, const char *name, struct archive_piece content)
{
	add_piece(a, (struct archive_piece){ .bytes = tar_header(name, content.size), .size = TAR_BLOCK });
	add_piece(a, content);
	add_piece(a, (struct archive_piece){ .size = (TAR_BLOCK - content.size % TAR_BLOCK) % TAR_BLOCK });
}

static void add_text(struct image_archive *a, const char *name, const char *text)
{
	add_member(a, name, (struct archive_piece){ .bytes = text, .size = strlen(text) });
}

/* ---- layout ---- */

struct contents {
	VEC(struct oci_blob) blobs;
	json_t *manifests;
};

static int by_digest(const void *a, const void *b)
{
	return strcmp(((const struct oci_blob *)a)->sha256, ((const struct oci_blob *)b)->sha256);
}

static json_t *top_descriptor(const struct image_pin *p, const struct oci_blob *index)
{
	const char *ref = image_ref(p);

	return json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", index->media_type, "digest",
			 arena_printf("sha256:%s", index->sha256), "size", (json_int_t)index->size, "annotations",
			 "io.containerd.image.name", ref, "org.opencontainers.image.ref.name", ref);
}

static int image_archive_add_image(const struct cache *c, const struct image_pin *p, struct contents *all,
				   struct err *e)
{
	struct oci_image image;
	enum oci_known known;
	int r = oci_look(c, p, &image, &known, e);

	if (r < 0)
		return r;
	if (known != OCI_MANIFEST)
		return err_set(e, -ENOENT, "the image %s is not in the cache: run `pibuild fetch`", image_ref(p));
	json_array_append_new(all->manifests, top_descriptor(p, &image.index));
	*vec_push(&all->blobs) = image.index;
	*vec_push(&all->blobs) = image.manifest;
	vec_foreach (b, &image.blobs)
		*vec_push(&all->blobs) = *b;
	return 0;
}

static int image_archive_lay_out(struct image_archive *a, struct contents *all, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
						 "application/vnd.oci.image.index.v1+json", "manifests",
						 all->manifests);

	text = index ? json_dumps(index, JSON_COMPACT) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "cannot write the list of container images");
	add_text(a, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	add_text(a, "index.json", arena_strdup(text));
	vec_sort(&all->blobs, by_digest);
	for (size_t i = 0; i < all->blobs.n; i++) {
		const struct oci_blob *b = &all->blobs.v[i];

		/* Images share layers. */
		if (i && streq(b->sha256, b[-1].sha256))
			continue;
		add_member(a, arena_printf("blobs/sha256/%s", b->sha256),
			   (struct archive_piece){ .sha256 = b->sha256, .size = b->size });
	}
	add_piece(a, (struct archive_piece){ .size = 2 * TAR_BLOCK });
	return 0;
}

int image_archive_open(const struct cache *c, const struct images *images, struct image_archive **ret, struct err *e)
{
	struct image_archive *a = arena_new(struct image_archive);
	_cleanup_json_ json_t *manifests = json_array();
	struct contents all = { .manifests = manifests };
	int r = 0;

	*a = (struct image_archive){ .cache = c, .fd = -1 };
	for (size_t i = 0; r == 0 && i < images->v.n; i++)
		r = image_archive_add_image(c, &images->v.v[i], &all, e);
	if (r < 0)
		return r;
	r = image_archive_lay_out(a, &all, e);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

uint64_t image_archive_size(const struct image_archive *a)
{
	return a->size;
}

void image_archive_close(struct image_archive *a)
{
	closep(&a->fd);
	a->fd = -1;
	sha256_done(&a->sum);
}

/* ---- reading ---- */

static int damaged(const struct image_archive *a, const char *sha256, const char *why, struct err *e)
{
	cache_evict(a->cache, &(struct pin){ .sha256 = sha256 });
	return err_class(
		e, CLASS_VERIFY,
		"a part of a container image in the cache is damaged (%s, expected sha256 %s): it was thrown away; run the same command again to download it anew",
		why, sha256);
}

static int open_blob(struct image_archive *a, const struct archive_piece *p, struct err *e)
{
	struct stat st;
	int r = cache_object(a->cache, &(struct pin){ .sha256 = p->sha256 }, &a->fd, e);

	if (r == -ENOENT)
		return err_set(e, r, "a part of a container image (sha256 %s) is not in the cache: run `pibuild fetch`",
			       p->sha256);
	if (r < 0)
		return r;
	if (fstat(a->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s from the cache", p->sha256);
	if ((uint64_t)st.st_size != p->size)
		return damaged(a, p->sha256, arena_printf("%lld bytes", (long long)st.st_size), e);
	sha256_init(&a->sum);
	return 0;
}

static int close_blob(struct image_archive *a, const struct archive_piece *p, struct err *e)
{
	char sha256[SHA256_HEX];

	sha256_final(&a->sum, sha256);
	closep(&a->fd);
	a->fd = -1;
	return streq(sha256, p->sha256) ? 0 : damaged(a, p->sha256, arena_printf("sha256 %s", sha256), e);
}

static ssize_t read_blob(struct image_archive *a, const struct archive_piece *p, void *buf, size_t n, struct err *e)
{
	int r = a->fd < 0 ? open_blob(a, p, e) : 0;

	if (r < 0)
		return r;
	r = pread_all(a->fd, buf, n, a->done);
	if (r == -ENODATA)
		return damaged(a, p->sha256, "it became shorter", e);
	if (r < 0)
		return err_errno(e, r, "cannot read %s from the cache", p->sha256);
	sha256_update(&a->sum, buf, n);
	if (a->done + n == p->size)
		r = close_blob(a, p, e);
	return r < 0 ? r : (ssize_t)n;
}

ssize_t image_archive_read(void *arg, void *buf, size_t n, struct err *e)
{
	struct image_archive *a = arg;
	const struct archive_piece *p = &a->pieces.v[a->at];
	ssize_t r;

	if (a->at == a->pieces.n || n == 0)
		return 0;
	r = sig_check(e);
	n = MIN(n, p->size - a->done);
	if (r < 0)
		return r;
	if (p->sha256) {
		r = read_blob(a, p, buf, n, e);
		if (r < 0)
			return r;
	} else if (p->bytes) {
		memcpy(buf, p->bytes + a->done, n);
	} else {
		memset(buf, 0, n);
	}
	a->done += n;
	if (a->done == p->size) {
		a->at++;
		a->done = 0;
	}
	return (ssize_t)n;
}
