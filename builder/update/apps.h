/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's section `apps` as a task: made anew, judged. */
#ifndef UPDATE_APPS_H
#define UPDATE_APPS_H

#include "update/update.h"

/* The name under which `lock --update` knows them all. */
#define APPS_NAME "apps"

/* A line for each chart and manifest that the config's apps take from elsewhere: KEPT, or MISSING. */
void apps_check_lock(const struct release_set *set, struct lock_report *ret);
/* A line for each app: KEPT, or MISSING when the lock has not looked at it as it is. */
int apps_check_judged(const struct release_set *set, struct lock_report *ret, struct err *e);
/* The same, kept or looked up: a chart in its repository's index or at its registry, and brought here once, as
 * manifests are, of which nobody states a digest. With ALL every one is looked up. Then a line for each app, judged
 * anew when anything of it changed: its values by its chart, and which images it asks for. */
int apps_update_lock(const struct release_set *set, const struct lock_options *o, bool all, struct lock_report *ret,
		     struct err *e);
/* What the charts of apps say to their values, where those changed since the lock was made: class CONFIG when one
 * refuses them. Charts that the cache lacks are brought there. */
int apps_check_values(const struct release_set *set, const struct cache *c, const struct fetch_options *o,
		      struct err *e);
/* A line for X, REMOVED. */
struct lock_line apps_removed_line(const struct lock_app *x);

#endif
