/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block maps, version 2.0, as bmaptool reads them: which blocks of the raw image must be written, with the SHA-256 of
 * each range; all else is zeros in space that the image's own filesystems call free. One range per piece of
 * companion/digests.h. The map has a digest of its own, taken while that digest reads as zeros.
 */
#ifndef COMPANION_BMAP_H
#define COMPANION_BMAP_H

#include "base/findings.h"
#include "companion/digests.h"
#include "image/image.h"

/* The most that is read of one. */
enum { BMAP_LIMIT = 64 * 1024 * 1024 };

/* The text for an image of these digests, of which FREE matters to nobody. */
void bmap_write(const struct digests *d, const struct ranges *free, struct strbuf *out);

struct bmap_range {
	uint64_t start, end; /* bytes */
	char sha256[SHA256_HEX];
};
struct bmap {
	uint64_t size;
	VEC(struct bmap_range) v; /* in order, apart */
};
/* Only what bmap_write() writes, byte for byte; -EINVAL with the reason. */
int bmap_read(const char *text, size_t n, struct bmap *ret, struct err *e);

/* Holds the raw image against its map while it passes by, in order, whole. */
struct bmap_check {
	const struct bmap *map;
	const char *where; /* the image, for findings */
	struct findings *findings;
	size_t range;	   /* the first that is not done */
	uint64_t at;	   /* all before was seen */
	struct sha256 sha; /* of the open range */
	bool open, stray;  /* stray: the gap before RANGE holds something, which was said */
};
void bmap_check_feed(struct bmap_check *c, const void *buf, size_t n);
void bmap_check_end(struct bmap_check *c);

#endif
