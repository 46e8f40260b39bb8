/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands beside an image and proves it. One table (names.c) says of each companion what it is called and when it
 * is written:
 *
 *	cp-1.img              or cp-1.img.xz, cp-1.img.zst: one of them, the newest
 *	cp-1.manifest.json    every file that was put on it (the same text lies on the card)
 *	cp-1.bmap             block map of the raw image, as private as it: a digest could betray a short secret
 *	cp-1.spdx.json        SBOM, SPDX 2.3
 *	cp-1.provenance.json  SLSA v1, from what it was built
 *	cp-1.img.sha256       sha256sum(1) lines of the image and all the above, when it was hashed as a whole
 *	cp-1.img.sha256.sig   Ed25519 signature of that file, when there is a key
 *
 * The provenance's subjects are the three before it, whose map stands for every byte of the image, and the image when
 * it was hashed as a whole. They are the same bytes wherever and whenever they are made.
 */
#ifndef COMPANION_COMPANION_H
#define COMPANION_COMPANION_H

#include "base/findings.h"
#include "card/records.h"
#include "companion/digests.h"
#include "crypto/sign.h"
#include "image/image.h"
#include "plan/plan.h"

/* In the order they are written: each may speak of those before it. */
enum companion {
	COMPANION_MANIFEST,
	COMPANION_BMAP,
	COMPANION_SBOM,
	COMPANION_PROVENANCE,
	COMPANION_SUMS,
	COMPANION_SIGNATURE,
	COMPANION_COUNT
};

/* The image they speak of. */
struct subject {
	const struct plan *plan;
	const struct node_plan *node;
	const char *image;	/* its path, also when it is not there yet */
	const char *manifest;	/* text */
	struct disk_image *raw; /* its bytes */
	const struct digests *digests;
	const char *sha256;	    /* of the file, NULL = not hashed */
	const char *raw_sha256;	    /* of the raw image; that of the file unless it is compressed */
	const struct sign_key *key; /* NULL = none; needs SHA256 */
};
struct companions {
	const char *image;
	bool open;			  /* the image holds no secret, so nothing beside it is private */
	struct strbuf v[COMPANION_COUNT]; /* .s NULL = not written */
};

/* All texts, nothing written. Freed by companions_done(). */
int companions_make(const struct subject *s, struct companions *ret, struct err *e);
void companions_done(struct companions *c);
/* Removes every companion of the image in any of its forms (raw, .xz, .zst): none speaks for what comes next. */
int companions_remove(const char *image, struct err *e);
/* Removes its other forms, once it is there. */
int image_remove_others(const char *image, struct err *e);
int companions_publish(const struct companions *c, struct err *e);

/* "out/cp-1" of "out/cp-1.img.xz". */
const char *image_stem(const char *image);
/* The image of STEM ("out/cp-1") that is there, raw or compressed; NULL = none. */
const char *image_find(const char *stem);
/* "cp-1.img" and the like. */
bool image_is_named(const char *name);
const char *companion_path(const char *image, enum companion which);

/* Signs an image that stands, after companions_verify() found nothing: its .sha256 anew, and the signature. */
int companions_sign(const char *image, const struct sign_key *key, struct err *e);

/*
 * Holds the image, raw or compressed, and all companions that are there against each other: .sha256 lines; the block
 * map's own checksum, every range, zeros elsewhere; the manifest against the one on the card (raw images); the
 * provenance against the digests of what stands before it, the SBOM against image and manifest. KEY is the path of a
 * public key, NULL = signatures are not looked at; with it a missing or wrong signature, and a companion that is not
 * signed, are findings. What is wrong is in F (checks "image", "sha256", "bmap", "manifest", "sbom", "provenance",
 * "signature"); negative only when it cannot be looked at.
 */
int companions_verify(const char *image, const char *key, struct findings *f, struct err *e);
/* The same for who goes on only when nothing is found: class VERIFY, "IMAGE is not WHAT: ..." ("signed") otherwise. */
int companions_prove(const char *image, const char *key, const char *what, struct err *e);

#endif
