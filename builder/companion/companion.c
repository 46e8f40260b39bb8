/* SPDX-License-Identifier: Apache-2.0 */
/* Companions made, written, and taken away. */
#include <errno.h>

#include "base/file.h"
#include "companion/internal.h"

static int copy_manifest(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	strbuf_adds(out, s->manifest);
	return 0;
}

static int map_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	struct ranges free = { 0 };
	int r = image_free_ranges(s->raw->cow, &free, e); /* all of it is our own */

	if (r == 0)
		bmap_write(s->digests, &free, out);
	return r;
}

/* In the order they are written: each may speak of those before it. */
static int (*const writers[COMPANION_COUNT])(const struct subject *s, struct companions *c, struct strbuf *out,
					     struct err *e) = {
	[COMPANION_MANIFEST] = copy_manifest,	   [COMPANION_BMAP] = map_write,  [COMPANION_SBOM] = sbom_write,
	[COMPANION_PROVENANCE] = provenance_write, [COMPANION_SUMS] = sums_write, [COMPANION_SIGNATURE] = sums_sign,
};

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
			r = writers[i](s, ret, &ret->v[i], e);
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

int companions_remove(const char *image, struct err *e)
{
	const char *form;
	int r = 0;

	for (size_t i = 0; (form = image_form(image, i)); i++)
		for (size_t k = 0; k < COMPANION_COUNT && r == 0; k++)
			r = remove_file(companion_path(form, (enum companion)k), e);
	return r;
}

int image_remove_others(const char *image, struct err *e)
{
	const char *form;
	int r = 0;

	for (size_t i = 0; r == 0 && (form = image_form(image, i)); i++)
		r = streq(form, image) ? 0 : remove_file(form, e);
	return r;
}

int companions_publish(const struct companions *c, struct err *e)
{
	size_t last = 0;
	int r = 0;

	for (size_t i = 0; i < COMPANION_COUNT; i++)
		if (c->v[i].s)
			last = i;
	for (size_t i = 0; i < COMPANION_COUNT && r == 0; i++)
		if (c->v[i].s)
			r = (i == last ? file_publish : file_publish_early)(companion_path(c->image, (enum companion)i),
									    c->v[i].s, c->v[i].n,
									    c->open ? 0644 : companion_rows[i].mode, e);
	return r;
}
