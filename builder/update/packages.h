/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `packages` as a task: made anew, judged. */
#ifndef UPDATE_PACKAGES_H
#define UPDATE_PACKAGES_H

#include "update/update.h"

/* The name under which `lock --update` knows them. */
#define PACKAGES_NAME "packages"

/* A line for each list of packages that a node asks for: KEPT, or MISSING. */
int packages_check_lock(const struct release_set *set, struct lock_report *ret, struct err *e);
/* The same, kept, or, what is not known and with ALL any, asked anew of apt: then BASE, whose digest is known, is
 * brought into the cache and looked into. */
int packages_update_lock(const struct release_set *set, const struct lock_options *o, const struct pin *base, bool all,
			 struct lock_report *ret, struct err *e);

#endif
