/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was put on a card, path by path: the list of the manifest, which lies on the card and beside its image. A record
 * is what became of an entry (card/card.h). Everything lives on the arena.
 */
#ifndef CARD_RECORDS_H
#define CARD_RECORDS_H

#include "base/json.h"
#include "card/card.h"

/* Where the manifest lies on the card, and the most that is read of one, wherever it lies. */
#define MANIFEST_PATH	"/etc/pibuild/manifest.json"
#define MANIFEST_SUFFIX ".manifest.json" /* beside the image */
enum { MANIFEST_LIMIT = 64 * 1024 * 1024 };

/* One path as it is on the image. */
struct record {
	const char *path, *origin;
	enum entry_kind kind; /* as the entry's; what was unpacked is files, folders and links */
	unsigned mode, uid, gid;
	uint64_t size;
	char sha256[SHA256_HEX]; /* "" for what has no content or is secret */
	const char *note;	 /* link target, or what an edit did; NULL = none */
};
struct records {
	VEC(struct record) v;
};

json_t *records_json(const struct records *r);
int records_parse(const json_t *j, struct records *ret, struct err *e);
/* Sorts by path; a later record of a path (the stamp's) replaces an earlier one (the layer's). */
void records_merge(struct records *r);
/* RECORDS sorted, as records_merge() leaves them. NULL when none is of PATH. */
const struct record *records_find(const struct records *r, const char *path);
/* One of them is of a path below DIR; sorted as above. */
bool records_have_below(const struct records *r, const char *dir);

/* All but the path. */
bool record_same(const struct record *a, const struct record *b);
/* What is in it nobody but root may know, so that the manifest holds no digest. */
bool record_is_secret(const struct record *x);

#endif
