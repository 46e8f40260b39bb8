/* SPDX-License-Identifier: Apache-2.0 */
/* What a chart says to an app's values, and which container images an app asks for. */
#ifndef UPDATE_APP_JUDGE_H
#define UPDATE_APP_JUDGE_H

#include "lock/pin.h"

/* One chart or manifest, as fetched; outside data. */
struct app_text {
	const char *label;
	const void *bytes;
	size_t n;
};
struct app_found {
	VEC(const char *) images;  /* references as containerd reads them, sorted, each once */
	bool rendered;		   /* by Helm; else a chart's are those of its values */
	const char *always_pulled; /* the first that a pod asks its registry for at every start; NULL = none is seen */
};
/* TEXTS: A's chart, or its manifests, those of the user's own too. Keys of the values that the chart does not have are
 * told (log), and class CONFIG when its schema or its templates refuse them: by Helm where that is installed here,
 * which renders it for the cluster of SET, else by the first level of its schema. */
int app_judge(const struct app *a, const struct app_text *texts, size_t n, const struct release_set *set,
	      struct app_found *ret, struct err *e);

#endif
