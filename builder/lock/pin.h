/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of what is used and by which digest it is trusted: config over lock over catalogue, looked up in the
 * lock. For artifacts, bases and container images.
 */
#ifndef LOCK_PIN_H
#define LOCK_PIN_H

#include "catalogue/catalogue.h"
#include "lock/lock.h"

/* One artifact decided: what it is and by which digest it is trusted. A base given by path or URL is a pin too
 * (name "base"). */
struct pin {
	const struct artifact *artifact; /* NULL for a base by path or URL */
	const char *name, *version;
	const char *url;    /* NULL for a base by path */
	const char *file;   /* base by path: used in place, never copied into the cache */
	const char *sha256; /* NULL: not in the lock; a build needs `pibuild lock` first */
	uint64_t size, max_size, raw_size;
	const char *raw_sha256;
	/* A base that is made here: the packages it consists of. SHA256 is the digest of all that decides its bytes;
	 * there is nothing to download under it. */
	const struct pin *parts;
	size_t n_parts;
	int64_t time; /* of everything in it */
	bool is_part; /* one of those */
};
/* The version in force: config's pin, else the lock's choice, else the catalogue's. */
const char *artifact_version(const struct catalogue *cat, const struct lock *l, const struct config *c,
			     const char *version_key);
struct cluster_versions versions_in_force(const struct catalogue *cat, const struct lock *l, const struct config *c);
int artifact_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, const char *name,
		 struct pin *ret, struct err *e);
int artifact_pin_base(const struct catalogue *cat, const struct lock *l, const struct config *c, struct pin *ret,
		      struct err *e);
/* The base that is made of packages, with those of D, the lock's section for VERSION; without any, and without a
 * digest, when that is NULL. */
int debian_pin(const struct debian_lock *d, const char *version, struct pin *ret, struct err *e);

/* Class VERIFY (a stale lock), naming every pin without a digest and the command that finds it. */
int pins_check_locked(const struct pin *pins, size_t n, struct err *e);

/* A container image decided: by tag for whoever runs it, by digest for us. */
struct image_pin {
	const char *name;
	const char *tag;    /* NULL: the lock does not say which goes with the version in force */
	const char *sha256; /* of the OCI index; NULL: not in the lock */
};
struct images {
	VEC(struct image_pin) v;
};
/* "quay.io/cilium/cilium:v1.20.0"; without a tag the name. */
const char *image_ref(const struct image_pin *p);
/* Class CONFIG when the version in force can be no tag. */
int image_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, const struct image *i,
	      struct image_pin *ret, struct err *e);
/* "pkg:docker/cilium/cilium@v1.20.0?repository_url=quay.io", by digest when there is one. */
const char *image_purl(const struct image_pin *p);
/* Where its registry has it. */
const char *image_location(const struct image_pin *p);
/* As pins_check_locked(). IMAGES may be NULL here and below: none. */
int images_check_locked(const struct images *images, struct err *e);

/* ---- image_pin.c ---- */

/* The tag of I that goes with VERSION; NULL when L does not say. */
const char *image_tag(const struct lock *l, const struct image *i, const char *version);
/* "cilium/cilium" of "quay.io/cilium/cilium" */
const char *image_repository(const char *name);
/* KIND is "manifests" or "blobs", REFERENCE a tag or a digest. */
const char *image_url(const char *name, const char *kind, const char *reference);

#endif
