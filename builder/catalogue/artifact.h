/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from elsewhere: the catalogue (configs/catalogue.yaml: what exists, where, how it is checked and
 * installed), the lock (pibuild.lock: url, size, sha256 of each version) and the cache of verified downloads.
 *
 *	catalogue_load(); lock_load(path);
 *	artifact_pin(cat, lock, config, "k3s", &pin);	// which version, by which digest
 *	fetch_all(pins, n, opts);			// those that the cache lacks, many at once
 *	cache_open(pin, &fd);				// to be re-hashed while it is used
 *
 * Nothing enters the cache under its final name (objects/ab/<sha256>) before its digest was seen to match.
 */
#ifndef CATALOGUE_ARTIFACT_H
#define CATALOGUE_ARTIFACT_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "crypto/digest.h"

enum install_as { INSTALL_NONE, INSTALL_FILE, INSTALL_MEMBER, INSTALL_UNPACK };
enum channel_form {
	CHANNEL_K3S,
	CHANNEL_TEXT,
	CHANNEL_GITHUB,
	CHANNEL_HELM_INDEX,
	CHANNEL_RASPIOS_LIST,
	CHANNEL_FORM_COUNT
};
enum checksum_form { CHECKSUM_SHA256SUM, CHECKSUM_HELM_INDEX, CHECKSUM_GITHUB, CHECKSUM_FORM_COUNT };

/* Who gets it, as bits. */
enum {
	FOR_CONTROL_PLANE = 1 << 0,
	FOR_WORKER = 1 << 1,
	FOR_AIRGAP = 1 << 2, /* only when airgap is on */
};

struct artifact {
	const char *name;	 /* "k3s" */
	const char *version_key; /* "k3s" of versions: */
	const char *url;	 /* with {version} */
	const char *purl;	 /* package URL, with {version}; NULL = there is no type for it */
	bool base;
	struct {
		enum checksum_form form;
		const char *url, *entry; /* entry: line, chart or asset; both with {version} */
	} checksum;
	uint64_t max_size; /* bytes */
	struct {
		enum install_as as;
		const char *path, *member;
		unsigned mode;
	} install;
	unsigned for_whom;
};

/* A container image that goes on the cards with airgap: true. */
struct image {
	const char *name;	    /* "quay.io/cilium/cilium" */
	const char *version_key;    /* "cilium" of versions: */
	const char *tag;	    /* with {version}; or: */
	const char *chart, *values; /* name of an artifact, and where its values have repository and tag */
	const char *when;	    /* key of Cilium's values that must not be false; NULL = always */
};

/* Where upstream says which releases there are. */
struct release_source {
	enum channel_form form;
	const char *url;  /* NULL: none */
	const char *name; /* channel or chart; NULL for the other forms */
};
/* The stable channel of a version. */
struct channel {
	const char *key; /* of versions: */
	struct release_source newest, others;
	const char *follows; /* key of the version that decides this one; NULL = none */
};

struct catalogue {
	const char *path;
	VEC(struct version_pin) versions; /* the tested set */
	VEC(struct channel) channels;	  /* in the order in which they are decided */
	VEC(struct artifact) artifacts;
	VEC(struct image) images;
};
/* From the data folder (PIBUILD_DATA, or where pibuild was installed or built). */
int catalogue_load(struct catalogue **ret, struct err *e);
const struct artifact *catalogue_find(const struct catalogue *c, const char *name);
/* The tested version of KEY; NULL when there is no such key. */
const char *catalogue_version(const struct catalogue *c, const char *key);

struct lock_entry {
	const char *name, *version, *url, *sha256, *source;
	uint64_t size;		/* 0 = not known */
	uint64_t raw_size;	/* of a compressed base; 0 = not known */
	const char *raw_sha256; /* or NULL */
	const struct yaml_node *where;
};
struct lock_image {
	const char *name, *tag, *sha256, *source; /* sha256: of the index */
	const struct yaml_node *for_versions;	  /* list: those of a chart that ask for this tag; NULL = not said */
	const struct yaml_node *where;
};
struct lock {
	bool built;			  /* what one image was built by: every entry is in force */
	const char *path;		  /* NULL: an empty lock */
	int64_t time;			  /* of the lock: the time of builds without SOURCE_DATE_EPOCH */
	VEC(struct version_pin) versions; /* chosen by `lock`; may be none, as in the shipped lock */
	VEC(struct lock_entry) entries;
	VEC(struct lock_image) images;
	const struct debian_lock *debian; /* NULL: no packages for os.base: debian (lock/lock_debian.h) */
};
/* FILE from --lock, else $PIBUILD_LOCK, else pibuild.lock beside the config when there, else the shipped one. C may be
 * NULL with a FILE. */
int lock_load(const char *file, const struct config *c, struct lock **ret, struct err *e);
/* DIR/pibuild.lock of the config: where `lock` writes without --lock. */
const char *lock_path_beside(const struct config *c);
const struct lock_entry *lock_find(const struct lock *l, const char *name, const char *version);
const struct lock_image *lock_find_image(const struct lock *l, const char *name, const char *tag);

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
/* "pkg:github/k3s-io/k3s@v1.36.4%2Bk3s1"; NULL = none. */
const char *artifact_purl(const struct artifact *a, const char *version);
int artifact_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, const char *name,
		 struct pin *ret, struct err *e);
int artifact_pin_base(const struct catalogue *cat, const struct lock *l, const struct config *c, struct pin *ret,
		      struct err *e);

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

struct cache {
	const char *dir;
	int fd;
};
/* --cache DIR, else $PIBUILD_CACHE, else $XDG_CACHE_HOME/pibuild, else ~/.cache/pibuild; 0700. Temporary files that
 * no run has touched for a week are removed; younger ones are downloads that go on where they stopped. */
int cache_open(const char *dir, struct cache *ret, struct err *e);
/* As above for looking only: writes nothing; -ENOENT when there is no cache yet. */
int cache_peek(const char *dir, struct cache *ret, struct err *e);
void cache_close(struct cache *c);
/* Opens the verified object (or the file of a base by path) read-only. -ENOENT when it is not there.
 * The caller hashes what it reads; on a mismatch it calls cache_evict() and fails with class VERIFY. */
int cache_object(const struct cache *c, const struct pin *pin, int *ret_fd, struct err *e);
bool cache_has(const struct cache *c, const struct pin *pin);
void cache_evict(const struct cache *c, const struct pin *pin);

struct fetch_options {
	const struct config *config; /* mirrors */
	bool offline;
	unsigned jobs; /* downloads at once; 0 = 4 */
};
/* Brings every pin and every image into the cache, many at once. Offline: one message that lists all that is missing.
 * Class VERIFY when digests differ, a pin has none or a signature is asked for and not good; every failed artifact is
 * named. What could be had stays in the
 * cache. */
int fetch_all(const struct cache *c, const struct pin *pins, size_t n, const struct images *images,
	      const struct fetch_options *o, struct err *e);
/* All that the arm64 image consists of is in the cache. */
bool cache_has_image(const struct cache *c, const struct image_pin *p);

/* ---- container images as one file: an OCI layout in a tar, as containerd imports it ---- */

struct image_archive;

/* Reads the index and the manifest of each image; the blobs are opened when their turn comes. The bytes depend on the
 * digests and names of IMAGES alone. */
int image_archive_open(const struct cache *c, const struct images *images, struct image_archive **ret, struct err *e);
/* Known before any blob is read. */
uint64_t image_archive_size(const struct image_archive *a);
/* The next bytes; ARG is the archive. Every blob is hashed on its way: one that is damaged is evicted, class VERIFY. */
ssize_t image_archive_read(void *arg, void *buf, size_t n, struct err *e);
void image_archive_close(struct image_archive *a);
static inline void image_archive_closep(struct image_archive **a)
{
	if (*a)
		image_archive_close(*a);
}

/* ---- the lock as a task ---- */

enum version_state {
	VERSION_KEPT,	 /* not asked about */
	VERSION_PINNED,	 /* by the config, whatever upstream has */
	VERSION_CURRENT, /* upstream has nothing newer for us */
	VERSION_UPDATED,
	VERSION_HELD, /* something newer does not fit the rest */
	VERSION_STATE_COUNT
};
extern const char *const version_state_names[VERSION_STATE_COUNT];

struct version_line {
	const char *key; /* of versions: */
	enum version_state state;
	const char *from, *to; /* in force before, and now */
	const char *newest;    /* of the stable channel; NULL = not asked */
	const char *held;      /* why NEWEST is not TO; else NULL */
	const char *source;    /* URL of the channel; NULL = not asked */
};

enum lock_change {
	LOCK_KEPT,
	LOCK_ADDED,	/* was in no lock */
	LOCK_CHANGED,	/* upstream states another digest than the lock did */
	LOCK_CONFIRMED, /* looked up again: the same */
	LOCK_UPDATED,	/* another version than before */
	LOCK_REMOVED,	/* no longer asked for */
	LOCK_MISSING,	/* check: asked for and not there */
	LOCK_EDITED,	/* check: not what the catalogue says */
	LOCK_CHANGE_COUNT
};
extern const char *const lock_change_names[LOCK_CHANGE_COUNT];

struct lock_line {
	enum lock_change change;
	bool image; /* a container image: version is its tag, sha256 the digest of its index */
	struct lock_entry entry;
	const char *from;		  /* the version in force before */
	const char *for_version;	  /* of the chart that asks for this image; NULL = the tag is the version */
	const struct debian_lock *debian; /* the base of packages: sha256 stands for them all; else NULL */
	const char *why;		  /* MISSING, EDITED; CHANGED: the digest before. Else NULL */
};
struct lock_report {
	VEC(struct version_line) versions; /* lock_update() alone */
	VEC(struct lock_line) lines;
	const char *file; /* the lock concerned */
	bool changed;	  /* there is something to write */
	bool written;
};

struct lock_options {
	const char *file; /* written here */
	struct fetch_options fetch;
	int64_t time;		  /* of the lock */
	bool dry_run;		  /* write nothing */
	bool update;		  /* follow the stable channels and look up again, not only what OLD lacks: */
	const char *const *names; /* these versions, artifacts or images, or NAME=VERSION; none = all */
	size_t n_names;
};
/* A lock for every artifact of the catalogue at the version in force: entries that OLD has are kept, others come from
 * upstream's checksum files; container images, with airgap: true, from their registries. An update first moves
 * versions that the config does not pin to the newest of their stable channel that fits the others: never to another
 * major version, and back only when what is in force does not fit. Class CONFIG when the set does not fit. Written
 * only when something changed or FILE is not there. */
int lock_update(const struct catalogue *cat, const struct lock *old, const struct config *c,
		const struct lock_options *o, struct lock_report *ret, struct err *e);
/* What is MISSING or EDITED in L; KEPT otherwise. Class VERIFY, naming them, when there is any. */
int lock_check(const struct catalogue *cat, const struct lock *l, const struct config *c, struct lock_report *ret,
	       struct err *e);

#endif
