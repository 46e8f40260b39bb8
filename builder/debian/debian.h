/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.base: debian. Nobody publishes that image: it is made here, of packages that the lock pins. Which ones is resolved
 * by Debian's own apt, in a folder of its own, from archives whose signatures apt checks. mmdebstrap then gives a
 * folder in which arm64 programs run, the two programs of configs/debian unpack and configure the packages there, and
 * what comes out, a tar, is laid into an image in the layout of Raspberry Pi OS. No root: mmdebstrap works in a user
 * namespace then.
 */
#ifndef DEBIAN_DEBIAN_H
#define DEBIAN_DEBIAN_H

#include "base/cow.h"
#include "cache/cache.h"
#include "fs/fs.h"
#include "lock/lock_report.h"
#include "lock/pin.h"
#include "schema/schema.h"
#include "yaml/yaml.h"

/* configs/debian/base.yaml. Lists are sequences of texts. */
struct debian_recipe {
	const char *mirror, *snapshot, *keyring;
	const struct yaml_node *archives; /* a map from folder to list of suites */
	const struct yaml_node *components, *packages;
};
extern const struct field debian_recipe_fields[];
int debian_recipe_load(struct debian_recipe **ret, struct err *e);

/* A line of `lock --check`: MISSING when the lock has no packages for this version, or not all that are wanted now. */
int debian_check_lock(const struct release_set *set, struct lock_line *ret, struct err *e);
/* A line of `lock`: what the lock has is kept unless it is stale or FORCED, else apt is asked. NOW is the time of the
 * base.
 */
int debian_update_lock(const struct release_set *set, int64_t now, bool offline, bool forced, struct lock_line *ret,
		       struct err *e);

/* Asks apt; needs the network, apt-get and the keyring. */
int debian_resolve(const struct debian_recipe *recipe, const struct config *c, const char *version, int64_t now,
		   struct debian_lock **ret, struct err *e);

/* Asks apt, with what is installed below ROOT, a base's, and its own archives and keys, for each of N lists WANTED, and
 * fills the list of SETS; needs the network and apt-get. */
int debian_resolve_sets(struct ext4 *root, const struct config *c, struct package_set *sets,
			const struct text_list *wanted, size_t n, struct err *e);

/* ---- the base, made ---- */

/* Natively or through binfmt. False, too, without arch-test(1), which tells. */
bool debian_runs_arm64(void);
/* Everything that making the base needs is on this machine: programs, and arm64 ones run. Class HOST, naming all that
 * is missing and the command that installs it. */
int debian_check_host(struct err *e);

/* Writes the base of PIN to IMAGE, an empty file opened direct. Every package is in the cache; it is hashed again as it
 * is used. The bytes depend on the pin's digest alone. Takes minutes, many where arm64 is emulated. */
int debian_make(const struct cache *c, const struct pin *pin, struct cow *image, struct err *e);

/* ---- debian/image.c ---- */

/* Lays the tar ROOT (open, whole) into IMAGE. All ids come from the 64 hexadecimal digits KEY, all times are EPOCH. */
int debian_image(int root, struct cow *image, const char *key, int64_t epoch, struct err *e);
/* The disk id that debian_image() gives. */
uint32_t debian_disk_id(const char *key);

#endif
