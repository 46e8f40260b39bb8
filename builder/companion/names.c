/* SPDX-License-Identifier: Apache-2.0 */
/* What companions are called and when they are written, and what all that write or check one share. */
#include "companion/internal.h"

#include <stdarg.h>

#include "archive/archive.h"
#include "base/codec.h"
#include "base/file.h"

const struct companion_row companion_rows[COMPANION_COUNT] = {
	[COMPANION_MANIFEST] = { "manifest", MANIFEST_SUFFIX, false, true, WHEN_ALWAYS, 0644 },
	[COMPANION_BMAP] = { "bmap", ".bmap", false, false, WHEN_ALWAYS, 0600 },
	[COMPANION_SBOM] = { "sbom", ".spdx.json", false, true, WHEN_ALWAYS, 0644 },
	[COMPANION_PROVENANCE] = { "provenance", ".provenance.json", false, true, WHEN_ALWAYS, 0644 },
	[COMPANION_SUMS] = { "sha256", ".sha256", true, false, WHEN_HASHED, 0644 },
	[COMPANION_SIGNATURE] = { "signature", ".sha256.sig", true, false, WHEN_SIGNED, 0644 },
};

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

const char *image_form(const char *image, size_t i)
{
	const char *raw = arena_printf("%s.img", image_stem(image));

	if (i == 0)
		return raw;
	return i > ENCODE_KIND_COUNT ? NULL : arena_printf("%s.%s", raw, encode_name((enum encode_kind)(i - 1)));
}

const char *image_find(const char *stem)
{
	const char *form;

	for (size_t i = 0; (form = image_form(stem, i)); i++)
		if (!file_is_missing(form))
			return form;
	return NULL;
}

bool image_is_named(const char *name)
{
	const char *form;

	for (size_t i = 0; (form = image_form(name, i)); i++)
		if (streq(name, form))
			return true;
	return false;
}

/* ---- for writers and checks ---- */

void text_sha256(const struct strbuf *text, char hex[SHA256_HEX])
{
	sha256_bytes(text->s, text->n, hex);
}

void companion_complain(struct look *l, enum companion c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finding_add(l->f, companion_rows[c].check, companion_path(l->image, c), "%s", text);
}
