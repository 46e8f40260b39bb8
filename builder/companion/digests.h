/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as digests of pieces of 1 MiB: what a .bmap is made of. They depend on the bytes alone, so those of a cached
 * layer are kept, and a node's image needs only the pieces anew that its stamp touched.
 */
#ifndef COMPANION_DIGESTS_H
#define COMPANION_DIGESTS_H

#include "base/cow.h"
#include "base/json.h"
#include "base/writer.h"
#include "crypto/digest.h"

enum { DIGEST_PIECE = 1024 * 1024 };

struct digest_text {
	char hex[SHA256_HEX]; /* "" = nothing but zeros */
};
struct digests {
	uint64_t size; /* of the image, bytes; the last piece may be shorter */
	size_t n;
	struct digest_text *v; /* on the arena */
};

/* Collects them from an image's data as it passes by, in order; what was not seen is zeros.
 *
 *	digester_start(&d, &digests);
 *	clone_sparse(from, &to, 1, name, &d.watch, e);
 *	digester_end(&d, size);
 */
struct digester {
	struct image_watch watch;
	struct digests *into;
	VEC(struct digest_text) pieces;
	char *piece; /* DIGEST_PIECE bytes: one that comes in parts */
	uint64_t at; /* its number */
	bool open;   /* PIECE holds something */
};
void digester_start(struct digester *d, struct digests *into);
/* SIZE is that of the image, which may be known only now. */
void digester_end(struct digester *d, uint64_t size);

/* Pieces in any order: of an image of SIZE none yet; the one with number I, whole and not all zeros, also from several
 * threads; and into D what HAVE knows of it. */
void digests_init(struct digests *d, uint64_t size);
void digests_see(struct digests *d, size_t i, const void *piece);
void digests_take(struct digests *d, const struct digests *have);

/* Those of the image in C, from D of what it was before its changes: what was changed is read again. D itself stays,
 * and may be shorter than the image. */
int digests_update(const struct digests *d, const struct cow *c, struct digests *ret, struct err *e);

/* Whether images with these digests have the same bytes from START to END; false where only an end of a piece tells. */
bool digests_same(const struct digests *a, const struct digests *b, uint64_t start, uint64_t end);

/* As kept in the cache: an array, null for zeros. Parse is -EINVAL when it is not one of an image of SIZE. */
json_t *digests_json(const struct digests *d);
int digests_parse(const json_t *j, uint64_t size, struct digests *ret);

#endif
