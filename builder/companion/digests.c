/* SPDX-License-Identifier: Apache-2.0 */
#include "companion/digests.h"

#include <errno.h>

#include "base/file.h"
#include "base/sig.h"

static uint64_t pieces(uint64_t size)
{
	return (size + DIGEST_PIECE - 1) / DIGEST_PIECE;
}

void digests_init(struct digests *d, uint64_t size)
{
	d->size = size;
	d->n = (size_t)pieces(size);
	d->v = arena_alloc(d->n * sizeof(*d->v) + 1);
}

static void take_piece(struct digest_text *piece, const void *buf, size_t n)
{
	piece->hex[0] = '\0';
	if (!is_zero(buf, n))
		sha256_bytes(buf, n, piece->hex);
}

/* ---- as data passes by ---- */

/* Pieces up to the one with number I. */
static struct digest_text *digester_piece(struct digester *d, uint64_t i)
{
	while (d->pieces.n <= i)
		*vec_push(&d->pieces) = (struct digest_text){ "" };
	return &d->pieces.v[i];
}

/* It has N bytes; what was not seen of them is zeros. */
static void close_piece(struct digester *d, size_t n)
{
	if (!d->open)
		return;
	take_piece(digester_piece(d, d->at), d->piece, n);
	memset(d->piece, 0, DIGEST_PIECE);
	d->open = false;
}

static void digester_see(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct digester *d = arg;
	const char *p = buf;

	while (n) {
		uint64_t i = offset / DIGEST_PIECE;
		size_t in = (size_t)(offset % DIGEST_PIECE), part = MIN(n, (size_t)DIGEST_PIECE - in);

		if (i != d->at)
			close_piece(d, DIGEST_PIECE);
		d->at = i;
		if (part == DIGEST_PIECE) {
			take_piece(digester_piece(d, i), p, part);
		} else {
			memcpy(d->piece + in, p, part);
			d->open = true;
		}
		p += part;
		offset += part;
		n -= part;
	}
}

void digester_start(struct digester *d, struct digests *into)
{
	*d = (struct digester){ .watch = { digester_see, d }, .into = into, .piece = xcalloc(1, DIGEST_PIECE) };
}

void digester_end(struct digester *d, uint64_t size)
{
	if (d->open)
		close_piece(d, (size_t)MIN(size - d->at * DIGEST_PIECE, (uint64_t)DIGEST_PIECE));
	digests_init(d->into, size);
	if (d->pieces.n)
		memcpy(d->into->v, d->pieces.v, MIN(d->pieces.n, d->into->n) * sizeof(*d->into->v));
	free(d->piece);
	d->piece = NULL;
}

/* ---- pieces in any order ---- */

void digests_see(struct digests *d, size_t i, const void *piece)
{
	sha256_bytes(piece, DIGEST_PIECE, d->v[i].hex);
}

void digests_take(struct digests *d, const struct digests *have)
{
	for (size_t i = 0; i < MIN(d->n, have->n); i++)
		if (*have->v[i].hex)
			d->v[i] = have->v[i];
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
		size_t n = (size_t)MIN(u->d->size - i * DIGEST_PIECE, (uint64_t)DIGEST_PIECE);

		r = cow_read(u->cow, u->piece, n, i * DIGEST_PIECE);
		if (r < 0)
			return err_errno(u->e, r, "cannot read %s", cow_name(u->cow));
		take_piece(&u->d->v[i], u->piece, n);
		u->next = i + 1;
	}
	return r;
}

int digests_update(const struct digests *d, const struct cow *c, struct digests *ret, struct err *e)
{
	_cleanup_free_ char *piece = xmalloc(DIGEST_PIECE);
	struct digest_update u = { .cow = c, .d = ret, .piece = piece, .e = e };
	int r;

	digests_init(ret, cow_size(c));
	if (d->n)
		memcpy(ret->v, d->v, d->n * sizeof(*d->v));
	r = cow_changes(c, read_again, &u);
	u.next = 0;
	return r < 0 || ret->size == d->size || d->size % DIGEST_PIECE == 0 ? r : read_again(&u, d->size - 1, d->size);
}

bool digests_same(const struct digests *a, const struct digests *b, uint64_t start, uint64_t end)
{
	if (end > MIN(a->size, b->size) || start % DIGEST_PIECE || end % DIGEST_PIECE)
		return false;
	for (uint64_t i = start / DIGEST_PIECE; i < end / DIGEST_PIECE; i++)
		if (!streq(a->v[i].hex, b->v[i].hex))
			return false;
	return true;
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
