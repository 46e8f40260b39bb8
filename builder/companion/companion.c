/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>

#include "archive/archive.h"
#include "base/codec.h"
#include "base/file.h"
#include "companion/internal.h"

static int manifest_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	strbuf_adds(out, s->manifest);
	return 0;
}

static void manifest_check(struct look *l)
{
	const struct strbuf *text = &l->files.v[COMPANION_MANIFEST];

	if (l->card.s && (l->card.n != text->n || memcmp(l->card.s, text->s, text->n) != 0))
		complain(l, COMPANION_MANIFEST, "it is not the manifest that lies on the card as " MANIFEST_PATH);
}

static int map_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	struct ranges free = { 0 };

	image_free_ranges(s->raw->cow, &free);
	bmap_write(s->digests, &free, out);
	return 0;
}

/* Ranges are looked at while the image is read; here it is only whether there was a map to read it by. */
static void map_check(struct look *l)
{
	struct err why = { 0 };
	struct bmap again = { 0 };

	if (!l->have_map && bmap_read(l->files.v[COMPANION_BMAP].s, l->files.v[COMPANION_BMAP].n, &again, &why) < 0)
		complain(l, COMPANION_BMAP, "%s", why.msg);
}

static int seal_make(const struct companions *c, const struct sign_key *key, struct strbuf *out, struct err *e)
{
	const struct strbuf *sums = &c->v[COMPANION_SUMS];
	unsigned char sig[SIGNATURE_SIZE];
	int r = sign_make(key, sums->s, sums->n, sig, e);

	if (r == 0)
		strbuf_add(out, sig, sizeof(sig));
	return r;
}

int seal_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	return seal_make(c, s->key, out, e);
}

const struct companion_row companion_rows[COMPANION_COUNT] = {
	[COMPANION_MANIFEST] = { "manifest", ".manifest.json", false, true, WHEN_ALWAYS, 0644, manifest_write,
				 manifest_check },
	[COMPANION_BMAP] = { "bmap", ".bmap", false, false, WHEN_ALWAYS, 0600, map_write, map_check },
	[COMPANION_SBOM] = { "sbom", ".spdx.json", false, true, WHEN_ALWAYS, 0644, sbom_write, sbom_check },
	[COMPANION_PROVENANCE] = { "provenance", ".provenance.json", false, true, WHEN_ALWAYS, 0644, provenance_write,
				   provenance_check },
	[COMPANION_SUMS] = { "sha256", ".sha256", true, false, WHEN_HASHED, 0644, sums_write, sums_check },
	[COMPANION_SIGNATURE] = { "signature", ".sha256.sig", true, false, WHEN_SIGNED, 0644, seal_write, seal_check },
};

/* ---- names ---- */

const char *image_stem(const char *image)
{
	enum codec codec = codec_of_name(image);
	size_t n = strlen(image) - (codec == CODEC_COUNT ? 0 : strlen(codecs[codec].suffix));

	image = arena_strndup(image, n);
	return ends_with(image, ".img") ? arena_strndup(image, n - strlen(".img")) : image;
}

const char *companion_path(const char *image, enum companion which)
{
	const struct companion_row *row = &companion_rows[which];

	return arena_printf("%s%s", row->of_image ? image : image_stem(image), row->suffix);
}

/* ---- writing ---- */

void text_sha256(const struct strbuf *text, char hex[SHA256_HEX])
{
	sha256_bytes(text->s, text->n, hex);
}

int add_json(json_t *value, struct strbuf *out, struct err *e)
{
	char *text = value ? json_dumps(value, JSON_INDENT(1)) : NULL;

	json_decref(value);
	if (!text)
		return err_set(e, -ENOMEM, "cannot write JSON");
	strbuf_adds(out, text);
	strbuf_adds(out, "\n");
	free(text);
	return 0;
}

static bool wanted(const struct companion_row *row, const struct subject *s)
{
	return row->when == WHEN_ALWAYS || (row->when == WHEN_HASHED && s->sha256) ||
	       (row->when == WHEN_SIGNED && s->key);
}

int companions_make(const struct subject *s, struct companions *ret, struct err *e)
{
	int r = 0;

	*ret = (struct companions){ .image = s->image, .open = s->node->generic };
	for (size_t i = 0; i < COMPANION_COUNT && r == 0; i++)
		if (wanted(&companion_rows[i], s))
			r = companion_rows[i].write(s, ret, &ret->v[i], e);
	return r < 0 ? err_wrap(e, "what stands beside %s", s->image) : 0;
}

void companions_done(struct companions *c)
{
	for (size_t i = 0; i < COMPANION_COUNT; i++)
		strbuf_done(&c->v[i]);
}

static int remove_file(const char *path, struct err *e)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "cannot replace %s", path);
	return 0;
}

/* Every form an image can have. */
static const char *form_of(const char *image, size_t i)
{
	const char *raw = arena_printf("%s.img", image_stem(image));

	return i ? arena_printf("%s.%s", raw, encode_name((enum encode_kind)(i - 1))) : raw;
}

const char *image_find(const char *stem)
{
	for (size_t i = 0; i <= ENCODE_KIND_COUNT; i++)
		if (access(form_of(stem, i), F_OK) == 0)
			return form_of(stem, i);
	return NULL;
}

bool image_is_named(const char *name)
{
	for (size_t i = 0; i <= ENCODE_KIND_COUNT; i++)
		if (streq(name, form_of(name, i)))
			return true;
	return false;
}

int companions_remove(const char *image, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i <= ENCODE_KIND_COUNT; i++)
		for (size_t k = 0; k < COMPANION_COUNT && r == 0; k++)
			r = remove_file(companion_path(form_of(image, i), (enum companion)k), e);
	return r;
}

int image_remove_others(const char *image, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i <= ENCODE_KIND_COUNT && r == 0; i++)
		if (!streq(form_of(image, i), image))
			r = remove_file(form_of(image, i), e);
	return r;
}

int companions_publish(const struct companions *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < COMPANION_COUNT && r == 0; i++)
		if (c->v[i].s)
			r = file_publish(companion_path(c->image, (enum companion)i), c->v[i].s, c->v[i].n,
					 c->open ? 0644 : companion_rows[i].mode, e);
	return r;
}

void complain(struct look *l, enum companion c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finding_add(l->f, companion_rows[c].check, companion_path(l->image, c), "%s", text);
}
