/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `packages` as a task: made anew, judged. */
#ifndef UPDATE_PACKAGES_H
#define UPDATE_PACKAGES_H

#include "download/fetch.h"
#include "lock/lock_report.h"
#include "lock/pin.h"

/* The name under which `lock --update` knows them. */
#define PACKAGES_NAME "packages"

/* A line for each list of packages that a node asks for: KEPT, or MISSING. */
int packages_check_lock(const struct release_set *set, struct lock_report *ret, struct err *e);
/* The same, kept or asked anew of apt: then BASE, whose digest is known, is brought into the cache CACHE_DIR and looked
 * into. */
int packages_update_lock(const struct release_set *set, const struct pin *base, const char *cache_dir,
			 const struct fetch_options *o, bool forced, struct lock_report *ret, struct err *e);

#endif
