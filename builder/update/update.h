/* SPDX-License-Identifier: Apache-2.0 */
/* The lock as a task: made anew, moved to newer versions, judged. */
#ifndef UPDATE_UPDATE_H
#define UPDATE_UPDATE_H

#include "download/fetch.h"
#include "lock/lock_report.h"
#include "lock/pin.h"

struct lock_options {
	const char *file; /* written here */
	struct fetch_options fetch;
	const char *cache;	  /* --cache; the base lies there, which packages are chosen for */
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
int lock_update(const struct release_set *old, const struct lock_options *o, struct lock_report *ret, struct err *e);
/* What an update takes as NAME: versions, then what goes with them, artifacts and images. */
struct text_list lock_update_names(const struct catalogue *cat);

/* ---- check.c ---- */

/* What is MISSING or EDITED in the lock; KEPT otherwise. Class VERIFY, naming them, when there is any. */
int lock_check(const struct release_set *set, struct lock_report *ret, struct err *e);
/* Why entry X cannot be one that pibuild made, or NULL. What was SHIPPED is right even where upstream's folder does not
 * follow the rule. */
const char *lock_entry_fault(const struct artifact *a, const struct lock_entry *x, const struct lock *shipped);

/* ---- write.c ---- */

/* The versions of L and the lines of REPORT that are not REMOVED, to the file of O. The section `debian` is L's unless
 * a line has another. */
int lock_write(const struct lock *l, const struct lock_report *report, const struct lock_options *o, struct err *e);
/* ---- keys.c: access.sshKeys: {github: USER} ---- */

struct lock_line keys_line(const struct lock_keys *k, enum lock_change change);
/* Lines of the config's users, of which those are looked up that OLD does not have; with ALL every one. */
int keys_update(const struct release_set *old, const struct lock_options *o, bool all, struct lock_report *ret,
		struct err *e);
void keys_check(const struct release_set *set, struct lock_report *ret);

#endif
