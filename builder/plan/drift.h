/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a card, an image or a node that runs is from cluster.yaml, by the manifest that lies on it: path by path what
 * a build would put there now. Nothing is fetched or made for it, so what is known of artifacts is their version, of
 * edits of the base's files their words, and of secrets that they are there.
 */
#ifndef PLAN_DRIFT_H
#define PLAN_DRIFT_H

#include "card/records.h"
#include "plan/plan.h"

enum drift_kind { DRIFT_ADDED, DRIFT_CHANGED, DRIFT_GONE, DRIFT_KIND_COUNT };
extern const char *const drift_kind_names[DRIFT_KIND_COUNT]; /* "added", "changed", "gone" */

/* What a new card would have otherwise. */
struct drift {
	enum drift_kind kind;
	const char *path;
	const char *origin; /* of the entry; GONE: of the record */
};
struct drifts {
	VEC(struct drift) v;
};

/* TEXT is a manifest, NAME for messages: class VERIFY when it is none, or that of another node or role. */
int drift_of_manifest(const struct node_plan *n, const char *text, size_t size, const char *name, struct drifts *ret,
		      struct err *e);

#endif
