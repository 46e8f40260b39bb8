/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container images as registries keep them: an index names one manifest per platform, a manifest names a config and
 * layers, everything by digest. Only the digest of the index is pinned; each document vouches for the next.
 */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include "base/json.h"
#include "cache/cache.h"

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

/* ---- for artefact.c ---- */

extern const char *const oci_index_types[], *const oci_manifest_types[]; /* end with NULL */
/* The text as an object of schema 2 that is of one of TYPES; an OCI document need not say its type. */
int oci_document(const char *name, const char *text, size_t n, const char *const *types, json_t **ret, struct err *e);
/* Something named by type, digest and size. */
int oci_descriptor(const char *name, const json_t *j, const char *const *types, struct oci_blob *ret, struct err *e);
int oci_fault(struct err *e, const char *name, const char *why);

/* The Accept header for "manifests"; NULL for "blobs". */
const char *oci_accept(const char *kind);

/* How far the cache knows an image: what is missing is what KNOWN names next. */
enum oci_known { OCI_NOTHING, OCI_INDEX, OCI_MANIFEST };
int oci_look(const struct cache *c, const struct image_pin *p, struct oci_image *ret, enum oci_known *known,
	     struct err *e);
/* All that the arm64 image consists of is in the cache. */
bool cache_has_image(const struct cache *c, const struct image_pin *p);

#endif
