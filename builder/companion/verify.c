/* SPDX-License-Identifier: Apache-2.0 */
/* An image and what stands beside it, held against each other: the image is read once, for all checks together. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "companion/internal.h"

static const size_t companion_limit = 256 * MIB;

static void look_done(struct look *l)
{
	for (size_t i = 0; i < COMPANION_COUNT; i++)
		json_decref(l->json[i]);
	companions_done(&l->files);
	strbuf_done(&l->card);
}

/* ---- the companions ---- */

/* Whatever was not written by us byte by byte is damaged, however it reads. */
static void parse_json(struct look *l, enum companion c)
{
	const struct strbuf *text = &l->files.v[c];
	json_t *j = json_loadb(text->s, text->n, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_strbuf_ struct strbuf again = { 0 };
	struct err ignored;

	l->json[c] = j;
	if (json_is_object(j) && json_add(json_incref(j), &again, &ignored) == 0 && again.n == text->n &&
	    memcmp(again.s, text->s, text->n) == 0)
		return;
	companion_complain(l, c, "it is damaged: it is not as pibuild writes it");
	json_decref(j);
	l->json[c] = NULL;
}

static int read_companion(struct look *l, enum companion c, struct err *e)
{
	const char *path = companion_path(l->image, c);
	struct strbuf *text = &l->files.v[c];
	int r = file_read(path, companion_limit, &text->s, &text->n, e);

	if (r == -ENOENT) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (r < 0)
		return r;
	text->cap = text->n + 1;
	if (companion_rows[c].json)
		parse_json(l, c);
	return 0;
}

static int read_companions(struct look *l, struct err *e)
{
	const struct strbuf *map = &l->files.v[COMPANION_BMAP];
	struct err ignored;
	int r = 0;

	for (size_t i = 0; i < COMPANION_COUNT && r == 0; i++)
		r = read_companion(l, (enum companion)i, e);
	l->have_map = r == 0 && map->s && bmap_read(map->s, map->n, &l->map, &ignored) == 0;
	return r;
}

/* ---- the image ---- */

struct range_reader {
	struct look *look;
	struct bmap_check map;
	struct sha256 raw;
	bool hash; /* the raw bytes, as a whole */
};

static int reader_see(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct range_reader *r = arg;
	struct err interrupted;

	if (r->hash)
		sha256_update(&r->raw, buf, n);
	if (r->look->have_map)
		bmap_check_feed(&r->map, buf, n);
	return sig_check(&interrupted);
}

static int read_packed(struct look *l, struct range_reader *reader, int fd, struct task *t, struct err *e)
{
	struct decode d = { .in = fd,
			    .name = l->image,
			    .write = reader_see,
			    .write_arg = reader,
			    .progress = task_progress,
			    .progress_arg = t };
	int r = decode_image(&d, e);

	memcpy(l->sha256, d.sha256, SHA256_HEX);
	if (r < 0 && (err_interrupted(e) || err_is_machines(e)))
		return r;
	if (r < 0)
		finding_add(l->f, "image", l->image, "%s", e->msg);
	return 0;
}

static int read_raw(struct look *l, struct range_reader *reader, int fd, uint64_t size, struct task *t, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(MIB);
	int r = 0;

	for (uint64_t at = 0; at < size && r == 0; at += MIB) {
		size_t n = (size_t)MIN(size - at, MIB);

		r = pread_all(fd, buf, n, at);
		if (r < 0)
			return err_errno(e, r, "cannot read %s", l->image);
		r = reader_see(reader, buf, n, at);
		task_set(t, at + n);
	}
	return r < 0 ? sig_check(e) : 0;
}

/* A card that cannot be read shows in the block map; here it only means that there is nothing to compare. */
static void read_card(struct look *l, int fd)
{
	_cleanup_(image_close) struct disk_image m = { 0 };
	struct err ignored = { 0 };

	if (!l->files.v[COMPANION_MANIFEST].s || image_open_direct(fd, l->image, &m, &ignored) < 0 ||
	    image_open_fs(&m, IMAGE_ROOT, 1, &ignored) < 0)
		return;
	if (ext4_exists(m.root, MANIFEST_PATH))
		ext4_read(m.root, MANIFEST_PATH, MANIFEST_LIMIT, &l->card, &ignored);
	if (!l->card.s)
		strbuf_adds(&l->card, "");
}

static int pass_image(struct look *l, struct err *e)
{
	_cleanup_close_ int fd = open(l->image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct range_reader reader = { .look = l,
				       .map = { .map = &l->map, .where = l->image, .findings = l->f },
				       .hash = l->always_hash || l->files.v[COMPANION_SUMS].s };
	const struct decode d = { .in = fd, .name = l->image };
	struct stat st;
	struct task *t;
	bool raw;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return file_cannot_open(l->image, e);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_USAGE, "%s is no file", l->image);
	r = decode_is_raw(&d, &raw, e);
	if (r < 0)
		return r;
	if (!reader.hash && !l->have_map && raw) {
		read_card(l, fd);
		return 0;
	}
	sha256_init(&reader.raw);
	t = task_begin("verify", path_base(l->image), (uint64_t)st.st_size);
	r = raw ? read_raw(l, &reader, fd, (uint64_t)st.st_size, t, e) : read_packed(l, &reader, fd, t, e);
	task_end(t, r < 0 ? "failed" : NULL);
	sha256_final(&reader.raw, l->raw_sha256);
	if (!reader.hash)
		l->raw_sha256[0] = '\0';
	if (raw)
		memcpy(l->sha256, l->raw_sha256, SHA256_HEX);
	if (l->have_map)
		bmap_check_end(&reader.map);
	if (raw && r == 0)
		read_card(l, fd);
	return r;
}

static void manifest_check(struct look *l)
{
	const struct strbuf *text = &l->files.v[COMPANION_MANIFEST];

	if (l->card.s && (l->card.n != text->n || memcmp(l->card.s, text->s, text->n) != 0))
		companion_complain(l, COMPANION_MANIFEST,
				   "it is not the manifest that lies on the card as " MANIFEST_PATH);
}

/* Ranges are looked at while the image is read; here it is only whether there was a map to read it by. */
static void map_check(struct look *l)
{
	struct err why = { 0 };
	struct bmap again = { 0 };

	if (!l->have_map && bmap_read(l->files.v[COMPANION_BMAP].s, l->files.v[COMPANION_BMAP].n, &again, &why) < 0)
		companion_complain(l, COMPANION_BMAP, "%s", why.msg);
}

static void (*const checks[COMPANION_COUNT])(struct look *l) = {
	[COMPANION_MANIFEST] = manifest_check, [COMPANION_BMAP] = map_check,
	[COMPANION_SBOM] = sbom_check,	       [COMPANION_PROVENANCE] = provenance_check,
	[COMPANION_SUMS] = sums_check,	       [COMPANION_SIGNATURE] = sums_check_signature,
};

static int look_at_image(struct look *l, struct err *e)
{
	int r = read_companions(l, e);

	if (r == 0)
		r = pass_image(l, e);
	for (size_t i = 0; i < COMPANION_COUNT && r == 0; i++)
		if (l->files.v[i].s || i == COMPANION_SIGNATURE)
			checks[i](l);
	return r;
}

int companions_verify(const char *image, const char *key, struct findings *f, struct err *e)
{
	_cleanup_(sign_key_freep) struct sign_key *pub = NULL;
	_cleanup_(look_done) struct look l = { .image = image, .files = { .image = image }, .f = f };
	int r = key ? sign_pub_open(key, &pub, e) : 0;

	l.key = pub;
	return r < 0 ? r : look_at_image(&l, e);
}

static int no_findings(const char *image, const char *what, const struct findings *f, struct err *e)
{
	if (!f->v.n)
		return 0;
	return err_class(e, CLASS_VERIFY, "%s is not %s: %s: %s%s", image, what, f->v.v[0].where, f->v.v[0].text,
			 f->v.n > 1 ? arena_printf(" (and %zu more)", f->v.n - 1) : "");
}

int companions_prove(const char *image, const char *key, const char *what, struct err *e)
{
	struct findings found = { 0 };
	int r = companions_verify(image, key, &found, e);

	return r < 0 ? r : no_findings(image, what, &found, e);
}

/* ---- signing what stands ---- */

static int publish_signature(struct look *l, const struct sign_key *key, struct err *e)
{
	struct companions out = { .image = l->image };
	const struct subject s = { .key = key };
	int r;

	/* All but these two stays as it is. */
	sums_of(&l->files, l->sha256, &out.v[COMPANION_SUMS]);
	r = sums_sign(&s, &out, &out.v[COMPANION_SIGNATURE], e);
	if (r == 0)
		r = companions_publish(&out, e);
	companions_done(&out);
	return r;
}

int companions_sign(const char *image, const struct sign_key *key, struct err *e)
{
	struct findings found = { 0 };
	_cleanup_(look_done) struct look l = {
		.image = image, .files = { .image = image }, .f = &found, .always_hash = true
	};
	int r = look_at_image(&l, e);

	if (r == 0)
		r = no_findings(image, "signed", &found, e);
	return r < 0 ? r : publish_signature(&l, key, e);
}
