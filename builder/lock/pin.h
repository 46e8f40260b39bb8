/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of what is used and by which digest it is trusted: config over lock over catalogue, looked up in the
 * lock. For artifacts, bases and container images.
 */
#ifndef LOCK_PIN_H
#define LOCK_PIN_H

#include "catalogue/catalogue.h"
#include "lock/lock.h"

/* All that decides which version of what is used. */
struct release_set {
	const struct catalogue *catalogue;
	const struct lock *lock;
	const struct config *config;
};

enum pin_kind {
	PIN_OBJECT,   /* an object of the cache, known by its digest alone */
	PIN_ARTIFACT, /* of the catalogue; a base may be one */
	PIN_FILE,     /* a base by path: used in place, never copied into the cache */
	PIN_URL,      /* a base by URL */
	PIN_PACKAGES, /* a base that is made here: sha256 stands for all that decides its bytes, nothing is downloaded
			 under it */
	PIN_PACKAGE,  /* one of those it is made of */
};
/* One thing decided: what it is and by which digest it is trusted. */
struct pin {
	enum pin_kind kind;
	const char *name, *version; /* "base" is the name of one by path or URL */
	const char *url;	    /* NULL: PIN_FILE, PIN_PACKAGES */
	const char *sha256;	    /* NULL: not in the lock; a build needs `pibuild lock` first */
	uint64_t size, max_size;
	uint64_t raw_size;	/* of a compressed base; 0 = not known */
	const char *raw_sha256; /* or NULL */
	const char *repository; /* of a registry, which may want a token for it; else NULL */
	union {
		const struct artifact *artifact; /* PIN_ARTIFACT */
		const char *file;		 /* PIN_FILE */
		struct {
			const struct pin *v;
			size_t n;		       /* 0: the lock has none for this version */
			int64_t time;		       /* of everything in it */
			const struct yaml_node *extra; /* as in the lock */
		} packages;			       /* PIN_PACKAGES */
	};
};
/* The version in force: config's pin, else the lock's choice, else the catalogue's. */
const char *artifact_version(const struct release_set *set, const char *version_key);
struct cluster_versions versions_in_force(const struct release_set *set);
int artifact_pin(const struct release_set *set, const char *name, struct pin *ret, struct err *e);
int artifact_pin_base(const struct release_set *set, struct pin *ret, struct err *e);
/* The base that is made of packages, with those of D, the lock's section for VERSION; without any, and without a
 * digest, when that is NULL. */
int debian_pin(const struct debian_lock *d, const char *version, struct pin *ret, struct err *e);

/* What packages are chosen for, as the lock names it: "raspios 2026-09-15". */
const char *package_base(const struct pin *base);
/* The packages on N's card, artifacts that are files below PACKAGES_DIR, each ending in ".deb"; one without a digest
 * for each name when the lock does not have them for this base. None with os.base: debian, whose base has them. */
#define PACKAGES_DIR "/usr/share/pibuild/packages"
struct pins {
	VEC(struct pin) v;
};
int package_pins(const struct release_set *set, const struct node_config *n, struct pins *ret, struct err *e);

/* Charts and manifests by address of apps, on the cards of all servers; without a digest where the lock has none. */
struct app_pin {
	const struct app *app;
	const char *from, *version; /* as in the lock; VERSION NULL = a manifest */
	struct pin pin;
};
struct app_pins {
	VEC(struct app_pin) v;
};
#define APP_CHART_LIMIT	   (16 * MIB)
#define APP_MANIFEST_LIMIT (8 * MIB)
struct app_pins app_pins(const struct release_set *set);
/* Where the card has A's manifest I, when that is fetched. */
const char *app_manifest_path(const struct app *a, size_t i);

/* Class VERIFY (a stale lock), naming every pin without a digest and the command that finds it. */
int pins_check_locked(const struct pin *pins, size_t n, struct err *e);

/* A container image decided: by tag for whoever runs it, by digest for us. */
struct image_pin {
	const char *name;
	const char *tag;    /* NULL: the lock does not say which goes with the version in force */
	const char *sha256; /* of the OCI index; NULL: not in the lock */
	bool by_digest;	    /* nothing can be built without that */
};
struct images {
	VEC(struct image_pin) v;
};
/* "quay.io/cilium/cilium:v1.20.0"; without a tag by digest, without either the name. */
const char *image_ref(const struct image_pin *p);
/* Class CONFIG when the version in force can be no tag. */
int image_pin(const struct release_set *set, const struct image *i, struct image_pin *ret, struct err *e);
/* "pkg:docker/cilium/cilium@v1.20.0?repository_url=quay.io", by digest when there is one. */
const char *image_purl(const struct image_pin *p);
/* Where its registry has it. */
const char *image_location(const struct image_pin *p);
/* Of all that A is made of and given, but for its secrets: what `pibuild lock` has judged once. */
int app_digest(const struct release_set *set, const struct app *a, const char **ret, struct err *e);
/* The container images that A asks for, added to RET: those the lock has found and those of the file. One without name
 * and digest stands for them all when the lock has not looked at A as it is. */
int app_images(const struct release_set *set, const struct app *a, struct images *ret, struct err *e);
/* As pins_check_locked(), of those that are by digest. IMAGES may be NULL here and below: none. */
int images_check_locked(const struct images *images, struct err *e);

/* ---- image_pin.c ---- */

/* The tag of I that goes with VERSION; NULL when L does not say. */
const char *image_tag(const struct lock *l, const struct image *i, const char *version);
/* "cilium/cilium" of "quay.io/cilium/cilium" */
const char *image_repository(const char *name);
/* KIND is "manifests" or "blobs", REFERENCE a tag or a digest. */
const char *image_url(const char *name, const char *kind, const char *reference);

#endif
