/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.base: debian. Nobody publishes that image: it is made here, of packages that the lock pins. Which ones is
 * resolved by Debian's own apt, in a folder of its own, from archives whose signatures apt checks; what they are made
 * into is the business of builder/debian.
 */
#ifndef LOCK_LOCK_DEBIAN_H
#define LOCK_LOCK_DEBIAN_H

#include "catalogue/artifact.h"
#include "yaml/yaml.h"

#define DEBIAN_BASE "debian"

struct debian_package {
	const char *name, *version;
	const char *path; /* below the mirror, as its URL has it */
	const char *sha256;
	uint64_t size;
};
/* The section `debian` of a lock. */
struct debian_lock {
	const char *version; /* "trixie", "trixie-20261001T000000Z" */
	const char *mirror;  /* ends with a slash */
	int64_t time;	     /* when apt resolved it: the time of the base */
	VEC(struct debian_package) packages;
	const struct yaml_node *where;
};

/* configs/debian/base.yaml. Lists are sequences of texts. */
struct debian_recipe {
	const char *api_version, *kind;
	const char *mirror, *snapshot, *keyring;
	const struct yaml_node *archives; /* a map from folder to list of suites */
	const struct yaml_node *components, *packages;
};
int debian_recipe_load(struct debian_recipe **ret, struct err *e);
/* Files of configs/debian that decide the base, besides root/; NULL terminated. */
extern const char *const debian_files[];

int debian_read_lock(const struct yaml_node *map, const struct debian_lock **ret, struct err *e);
struct yaml_node *debian_lock_yaml(const struct debian_lock *l);

/* The base as a pin with its packages; without any, and without a digest, when L has none for the version in force. */
int debian_pin(const struct catalogue *cat, const struct lock *l, const struct config *c, struct pin *ret,
	       struct err *e);

/* A line of `lock --check`: MISSING when the lock has no packages for this version, or not all that are wanted now. */
int debian_check_lock(const struct catalogue *cat, const struct lock *l, const struct config *c, struct lock_line *ret,
		      struct err *e);
/* A line of `lock`: what OLD has is kept unless it is stale or FORCED, else apt is asked. */
int debian_update_lock(const struct catalogue *cat, const struct lock *old, const struct config *c,
		       const struct lock_options *o, bool forced, struct lock_line *ret, struct err *e);

/* Asks apt (debian/apt.c); needs the network, apt-get and the keyring. */
int debian_resolve(const struct debian_recipe *recipe, const struct config *c, const char *version, int64_t now,
		   struct debian_lock **ret, struct err *e);

#endif
