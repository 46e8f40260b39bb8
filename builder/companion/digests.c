/* SPDX-License-Identifier: Apache-2.0 */
#include "companion/digests.h"

#include <errno.h>

#include "base/file.h"
#include "base/sig.h"

static void digests_init(struct digests *d, uint64_t size)
{
	d->size = size;
	d->n = (size_t)((size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	d->v = arena_alloc(d->n * sizeof(*d->v) + 1);
}

static size_t piece_size(const struct digests *d, uint64_t i)
{
	return (size_t)MIN(d->size - i * DIGEST_PIECE, (uint64_t)DIGEST_PIECE);
}

static void take_piece(struct digests *d, uint64_t i, const void *buf)
{
	size_t n = piece_size(d, i);

	d->v[i].hex[0] = '\0';
	if (!is_zero(buf, n))
		sha256_bytes(buf, n, d->v[i].hex);
}

/* ---- as data passes by ---- */

static void close_piece(struct digester *d)
{
	if (!d->open)
		return;
	take_piece(d->into, d->at, d->piece);
	memset(d->piece, 0, DIGEST_PIECE);
	d->open = false;
}

static void digester_see(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct digester *d = arg;
	const char *p = buf;

	while (n) {
		uint64_t i = offset / DIGEST_PIECE;
		size_t in = (size_t)(offset % DIGEST_PIECE), whole = piece_size(d->into, i), part = MIN(n, whole - in);

		if (i != d->at)
			close_piece(d);
		d->at = i;
		if (part == whole) {
			take_piece(d->into, i, p);
		} else {
			memcpy(d->piece + in, p, part);
			d->open = true;
		}
		p += part;
		offset += part;
		n -= part;
	}
}

void digester_start(struct digester *d, uint64_t size, struct digests *into)
{
	digests_init(into, size);
	*d = (struct digester){ .watch = { digester_see, d }, .into = into, .piece = xcalloc(1, DIGEST_PIECE) };
}

void digester_end(struct digester *d)
{
	close_piece(d);
	free(d->piece);
	d->piece = NULL;
}

/* ---- an image with changes ---- */

struct digest_update {
	const struct cow *cow;
	struct digests *d;
	char *piece;
	uint64_t next; /* first piece that was not read yet */
	struct err *e;
};

static int read_again(void *arg, uint64_t start, uint64_t end)
{
	struct digest_update *u = arg;
	int r = sig_check(u->e);

	for (uint64_t i = MAX(start / DIGEST_PIECE, u->next); i * DIGEST_PIECE < end && r == 0; i++) {
		r = cow_read(u->cow, u->piece, piece_size(u->d, i), i * DIGEST_PIECE);
		if (r < 0)
			return err_errno(u->e, r, "cannot read %s", cow_name(u->cow));
		take_piece(u->d, i, u->piece);
		u->next = i + 1;
	}
	return r;
}

int digests_update(const struct digests *d, const struct cow *c, struct digests *ret, struct err *e)
{
	_cleanup_free_ char *piece = xmalloc(DIGEST_PIECE);
	struct digest_update u = { .cow = c, .d = ret, .piece = piece, .e = e };

	digests_init(ret, d->size);
	if (d->n)
		memcpy(ret->v, d->v, d->n * sizeof(*d->v));
	return cow_changes(c, read_again, &u);
}

/* ---- kept ---- */

json_t *digests_json(const struct digests *d)
{
	json_t *a = json_array();

	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(a, *d->v[i].hex ? json_string(d->v[i].hex) : json_null());
	return a;
}

int digests_parse(const json_t *j, uint64_t size, struct digests *ret)
{
	digests_init(ret, size);
	if (json_array_size(j) != ret->n)
		return -EINVAL;
	for (size_t i = 0; i < ret->n; i++) {
		const json_t *one = json_array_get(j, i);
		const char *hex = json_string_value(one);

		if (json_is_null(one))
			continue;
		if (!hex || !sha256_valid(hex))
			return -EINVAL;
		memcpy(ret->v[i].hex, hex, SHA256_HEX);
	}
	return 0;
}
