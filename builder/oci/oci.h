/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container images as registries keep them: an index names one manifest per platform, a manifest names a config and
 * layers, everything by digest. Only the digest of the index is pinned; each document vouches for the next.
 */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include "catalogue/artifact.h"

/* Of an index or a manifest; layers of one image. */
#define OCI_MAX_DOCUMENT (4 * MIB)
enum { OCI_MAX_LAYERS = 100 };

struct oci_blob {
	const char *sha256, *media_type;
	uint64_t size; /* 0 = not known (an index before it was read) */
};

struct oci_image {
	struct oci_blob index, manifest;
	VEC(struct oci_blob) blobs; /* config, then layers */
};

/* Outside data, whose digest was checked. NAME is for messages; class VERIFY for what is none of ours to put on a card.
 * The index gives the manifest for linux/arm64. */
int oci_parse_index(const char *name, const char *text, size_t n, struct oci_image *ret, struct err *e);
int oci_parse_manifest(const char *name, const char *text, size_t n, struct oci_image *ret, struct err *e);

/* The Accept header for "manifests"; NULL for "blobs". */
const char *oci_accept(const char *kind);

/* How far the cache knows an image: what is missing is what KNOWN names next. */
enum oci_known { OCI_NOTHING, OCI_INDEX, OCI_MANIFEST };
int oci_look(const struct cache *c, const struct image_pin *p, struct oci_image *ret, enum oci_known *known,
	     struct err *e);

/* ---- images.c ---- */

bool image_name_valid(const char *name);
bool image_tag_valid(const char *tag);
/* The tag of I that goes with VERSION; NULL when L does not say. */
const char *image_tag(const struct lock *l, const struct image *i, const char *version);
/* "cilium/cilium" of "quay.io/cilium/cilium" */
const char *image_repository(const char *name);
/* KIND is "manifests" or "blobs", REFERENCE a tag or a digest. */
const char *image_url(const char *name, const char *kind, const char *reference);

/* ---- registry.c: the token a registry wants even from those who have no account ---- */

struct http;
struct source;

struct token {
	const char *for_whom; /* host and repository */
	const char *text;
};
struct tokens {
	const struct config *config; /* mirrors */
	VEC(struct token) v;
};
/* NULL when none was needed so far. */
const char *token_find(const struct tokens *t, const struct source *from, const char *repository);
/* Answers CHALLENGE (a Bearer one) of FROM: asks its realm for a token, without any credentials. DONE gets NULL, or why
 * there is none; it is called from http_run(). */
int token_ask(struct tokens *t, struct http *http, const struct source *from, const char *repository,
	      const char *challenge, void (*done)(void *arg, const char *why), void *arg, struct err *e);

#endif
