/* SPDX-License-Identifier: Apache-2.0 */
#include "companion/bmap.h"

#include <errno.h>
#include <inttypes.h>

#include "archive/archive.h"
#include "base/file.h"

enum { BLOCK = 4096 };
static const char zero_digest[] = "0000000000000000000000000000000000000000000000000000000000000000";

static uint64_t blocks(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK;
}

/* ---- writing ---- */

/* MAP as XML: digits and hex digits are all that varies, so nothing needs escaping. */
static void encode(const struct bmap *map, struct strbuf *out)
{
	uint64_t mapped = 0;
	char sha256[SHA256_HEX];
	size_t start = out->n, at;

	vec_foreach (r, &map->v)
		mapped += blocks(r->end) - r->start / BLOCK;
	strbuf_addf(out,
		    "<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n"
		    "    <ImageSize> %" PRIu64 " </ImageSize>\n    <BlockSize> %d </BlockSize>\n"
		    "    <BlocksCount> %" PRIu64 " </BlocksCount>\n    <MappedBlocksCount> %" PRIu64
		    " </MappedBlocksCount>\n    <ChecksumType> sha256 </ChecksumType>\n    <BmapFileChecksum> ",
		    map->size, BLOCK, blocks(map->size), mapped);
	at = out->n;
	strbuf_addf(out, "%s </BmapFileChecksum>\n    <BlockMap>\n", zero_digest);
	vec_foreach (r, &map->v)
		strbuf_addf(out, "        <Range chksum=\"%s\"> %" PRIu64 "-%" PRIu64 " </Range>\n", r->sha256,
			    r->start / BLOCK, blocks(r->end) - 1);
	strbuf_adds(out, "    </BlockMap>\n</bmap>\n");
	sha256_bytes(out->s + start, out->n - start, sha256);
	memcpy(out->s + at, sha256, SHA256_HEX - 1);
}

/* Ranges are in order; AT is where the search goes on. Neighbours count as one. */
static bool all_free(const struct ranges *free, size_t *at, uint64_t start, uint64_t end)
{
	while (*at < free->v.n && free->v.v[*at].end <= start)
		(*at)++;
	for (size_t i = *at; i < free->v.n && free->v.v[i].start <= start; i++) {
		start = MAX(start, free->v.v[i].end);
		if (start >= end)
			return true;
	}
	return false;
}

void bmap_write(const struct digests *d, const struct ranges *free, struct strbuf *out)
{
	static const char zeros[DIGEST_PIECE];
	struct bmap map = { .size = d->size };
	char zero_piece[SHA256_HEX];
	size_t at = 0;

	sha256_bytes(zeros, sizeof(zeros), zero_piece);
	for (size_t i = 0; i < d->n; i++) {
		uint64_t start = (uint64_t)i * DIGEST_PIECE, end = MIN(start + DIGEST_PIECE, d->size);
		struct bmap_range r = { start, end, "" };

		if (*d->v[i].hex)
			memcpy(r.sha256, d->v[i].hex, SHA256_HEX);
		else if (all_free(free, &at, start, end))
			continue;
		else if (end - start == DIGEST_PIECE)
			memcpy(r.sha256, zero_piece, SHA256_HEX);
		else
			sha256_bytes(zeros, (size_t)(end - start), r.sha256);
		*vec_push(&map.v) = r;
	}
	encode(&map, out);
}

/* ---- reading ---- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, -EINVAL, "%s", what);
}

/* " 123 " after TAG; the next position. */
static const char *number_after(const char *p, const char *tag, uint64_t *ret)
{
	char *end;

	p = p ? strstr(p, tag) : NULL;
	if (!p)
		return NULL;
	*ret = strtoull(p + strlen(tag), &end, 10);
	return end;
}

/* One range at P, which begins after "<Range chksum=\""; the next position, or NULL. */
static const char *bmap_read_range(const char *p, struct bmap *m)
{
	struct bmap_range r = { 0 };
	uint64_t first, last;
	char *end;

	if (strnlen(p, SHA256_HEX) < SHA256_HEX)
		return NULL;
	memcpy(r.sha256, p, SHA256_HEX - 1);
	p += SHA256_HEX - 1;
	if (!sha256_valid(r.sha256) || !starts_with(p, "\"> "))
		return NULL;
	first = strtoull(p + 3, &end, 10);
	if (*end != '-')
		return NULL;
	last = strtoull(end + 1, &end, 10);
	if (last < first || last >= blocks(m->size) || (m->v.n && first * BLOCK < m->v.v[m->v.n - 1].end))
		return NULL;
	r.start = first * BLOCK;
	r.end = MIN((last + 1) * BLOCK, m->size);
	*vec_push(&m->v) = r;
	return end;
}

int bmap_read(const char *text, size_t n, struct bmap *ret, struct err *e)
{
	static const char range[] = "<Range chksum=\"";
	_cleanup_strbuf_ struct strbuf again = { 0 };
	const char *p = number_after(text, "<ImageSize> ", &ret->size);

	if (!p || !ret->size || ret->size > LARGEST_IMAGE)
		return bad(e, "it is no block map of pibuild's: it states no size");
	while ((p = strstr(p, range))) {
		p = bmap_read_range(p + strlen(range), ret);
		if (!p)
			return bad(e, "it is damaged: a range cannot be read");
	}
	/* What says the same in another way was not written by us, or not left as it was. */
	encode(ret, &again);
	if (again.n != n || memcmp(again.s, text, n) != 0)
		return bad(e, "it is damaged: its own checksum does not match");
	return 0;
}

/* ---- an image against it ---- */

static void bmap_end_range(struct bmap_check *c)
{
	const struct bmap_range *r = &c->map->v.v[c->range];
	char sha256[SHA256_HEX];

	sha256_final(&c->sha, sha256);
	c->open = false;
	c->stray = false;
	c->range++;
	if (!streq(sha256, r->sha256))
		finding_add(c->findings, "bmap", c->where,
			    "bytes %" PRIu64 " to %" PRIu64 " are not what the block map states", r->start, r->end - 1);
}

static void see_gap(struct bmap_check *c, const char *p, size_t n)
{
	size_t i = 0;

	if (c->stray || is_zero(p, n))
		return;
	while (!p[i])
		i++;
	c->stray = true;
	finding_add(c->findings, "bmap", c->where,
		    "byte %" PRIu64 " is not zero, though the block map calls its range empty", c->at + i);
}

void bmap_check_feed(struct bmap_check *c, const void *buf, size_t n)
{
	const char *p = buf;

	while (n) {
		const struct bmap_range *r = c->range < c->map->v.n ? &c->map->v.v[c->range] : NULL;
		bool inside = r && c->at >= r->start;
		uint64_t stop = inside ? r->end : r ? r->start : UINT64_MAX;
		size_t part = (size_t)MIN((uint64_t)n, stop - c->at);

		if (inside && !c->open) {
			sha256_init(&c->sha);
			c->open = true;
		}
		if (inside)
			sha256_update(&c->sha, p, part);
		else
			see_gap(c, p, part);
		c->at += part;
		p += part;
		n -= part;
		if (inside && c->at == r->end)
			bmap_end_range(c);
	}
}

void bmap_check_end(struct bmap_check *c)
{
	if (c->open)
		sha256_done(&c->sha);
	if (c->at != c->map->size)
		finding_add(c->findings, "bmap", c->where, "it has %" PRIu64 " bytes, the block map states %" PRIu64,
			    c->at, c->map->size);
}
