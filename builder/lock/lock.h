/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock (pibuild.lock): versions that were chosen, and url, size and digest of everything that is fetched. Entries
 * for versions that are not in force may be there too.
 */
#ifndef LOCK_LOCK_H
#define LOCK_LOCK_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "schema/schema.h"

/* The value of os.base, the key of the lock's section and of its version. */
#define DEBIAN_BASE "debian"

struct debian_package {
	const char *name, *version;
	const char *path; /* below the mirror, as its URL has it */
	const char *sha256;
	uint64_t size;
	const struct yaml_node *where;
};
/* The section `debian` of a lock. */
struct debian_lock {
	const char *version;	       /* "trixie", "trixie-20261001T000000Z" */
	const char *mirror;	       /* ends with a slash */
	int64_t time;		       /* when apt resolved it: the time of the base */
	const struct yaml_node *extra; /* texts: what cluster.yaml asks for beside the recipe; NULL = nothing */
	VEC(struct debian_package) packages;
	const struct yaml_node *where;
};

/* What a list of packages comes to on one base. */
struct locked_package {
	const char *name, *version, *url, *sha256;
	uint64_t size;
	const struct yaml_node *where;
};
struct package_set {
	const char *base; /* "raspios 2026-09-15", see package_base() */
	const struct yaml_node *wanted;
	VEC(struct locked_package) list; /* none: the base has them all */
	const struct yaml_node *where;
};

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
/* Public keys of a user of GitHub, as they were when they were fetched. */
struct lock_keys {
	const char *user;
	VEC(const char *) keys; /* whole lines of authorized_keys, validated */
	const char *source;
	const struct yaml_node *where;
};
enum { LOCK_KEYS_MOST = 64 };
/* A chart or a manifest of an app. */
struct lock_app {
	const char *from;    /* "https://charts.longhorn.io/longhorn", "oci://ghcr.io/a/chart", "https://host/x.yaml" */
	const char *version; /* of a chart; NULL = a manifest */
	const char *url, *sha256, *source;
	uint64_t size;
	const struct yaml_node *where;
};
/* An app that was looked at: its values are none that its chart refuses. */
struct lock_judged {
	const char *app, *of;		/* OF: app_digest() */
	bool guessed;			/* a chart that no Helm rendered: its images are those of its values */
	const struct yaml_node *images; /* texts: references that it asks for; NULL = none */
	const struct yaml_node *where;
};
struct lock {
	bool built;			  /* what one image was built by: every entry is in force */
	const char *path;		  /* NULL: an empty lock */
	int64_t time;			  /* of the lock: the time of builds without SOURCE_DATE_EPOCH */
	VEC(struct version_pin) versions; /* chosen by `lock`; may be none, as in the shipped lock */
	VEC(struct lock_entry) entries;
	VEC(struct lock_image) images;
	VEC(struct lock_keys) keys;
	const struct debian_lock *debian; /* NULL: no packages for os.base: debian */
	VEC(struct package_set) packages;
	VEC(struct lock_app) apps;
	VEC(struct lock_judged) judged;
};
/* FILE from --lock, else $PIBUILD_LOCK, else pibuild.lock beside the config when there, else the shipped one. C may be
 * NULL with a FILE. */
int lock_load(const char *file, const struct config *c, struct lock **ret, struct err *e);
/* DIR/pibuild.lock of the config: where `lock` writes without --lock. */
const char *lock_path_beside(const struct config *c);
const struct lock_entry *lock_find(const struct lock *l, const char *name, const char *version);
const struct lock_image *lock_find_image(const struct lock *l, const char *name, const char *tag);

const struct lock_keys *lock_find_keys(const struct lock *l, const char *user);
/* Class VERIFY (a stale lock), naming every user of C whose keys L does not have. */
int lock_check_keys(const struct lock *l, const struct config *c, struct err *e);

int lock_load_file(const char *path, struct lock **ret, struct err *e);
int lock_load_shipped(struct lock **ret, struct err *e);

extern const struct field lock_fields[];

/* ---- lock_packages.c: the section `packages` ---- */

extern const struct field lock_package_fields[];
/* Those of WANTED, as config_packages() gives them, on BASE; NULL = the lock has none. */
const struct package_set *lock_package_set(const struct lock *l, const char *base, const struct text_list *wanted);
void lock_check_packages(const struct package_set *s, struct faults *f);
struct yaml_node *lock_packages_yaml(const struct package_set *s);

/* ---- lock_apps.c: the section `apps` ---- */

extern const struct field lock_app_fields[];
/* VERSION NULL = a manifest's. */
const struct lock_app *lock_find_app(const struct lock *l, const char *from, const char *version);
void lock_check_apps(const struct lock *l, struct faults *f);
struct yaml_node *lock_app_yaml(const struct lock_app *x);
extern const struct field lock_judged_fields[];
const struct lock_judged *lock_find_judged(const struct lock *l, const char *app);
struct yaml_node *lock_judged_yaml(const struct lock_judged *x);

/* ---- lock_debian.c: the section `debian` ---- */

extern const struct field lock_debian_fields[];
extern const struct kind kind_lock_debian; /* const struct debian_lock * */
/* A name or version that can be a part of a file's name. */
bool package_name_valid(const char *s);
void lock_check_debian(const struct debian_lock *l, struct faults *f);
struct yaml_node *lock_debian_yaml(const struct debian_lock *l);
/* L's section if it is of VERSION, else NULL. */
const struct debian_lock *lock_debian_of(const struct lock *l, const char *version);

#endif
