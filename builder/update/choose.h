/* SPDX-License-Identifier: Apache-2.0 */
/* Which version to go to. */
#ifndef UPDATE_CHOOSE_H
#define UPDATE_CHOOSE_H

#include "update/update.h"
#include "update/upstream.h"

/* Of "NAME" or "NAME=VERSION". */
struct version_request {
	const char *name, *version; /* VERSION may be NULL */
};
struct version_request version_request_of(const char *word);

/* A chosen release whose digest its channel states. */
struct channel_release {
	const char *key, *source;
	struct release release;
};
struct choice {
	struct lock lock; /* OLD with the version of every key in use */
	VEC(struct channel_release) releases;
};
/* What the channels say is fetched into TEXTS; what is decided goes to REPORT too. */
int choose_versions(const struct release_set *old, const struct lock_options *o, struct texts *texts,
		    struct lock_report *report, struct choice *ret, struct err *e);

#endif
