/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a node stands: what a build would make of it now, held against the image in the output folder, the card that
 * was written last, and, where somebody asked it, the node that runs (plan/drift.h).
 *
 * Of a card that is in a Pi nobody here can read a manifest: flashed.jsonl keeps a digest of what was planned for it.
 */
#ifndef PLAN_STANDING_H
#define PLAN_STANDING_H

#include "plan/drift.h"

enum standing { STANDING_NONE, STANDING_SAME, STANDING_DIFFERS, STANDING_UNKNOWN, STANDING_COUNT };

struct standing_of {
	enum standing is;
	const char *words;    /* why it is not known, when it was written; "" = nothing to add */
	struct drifts drifts; /* DIFFERS: what, where that is known */
};

/* Of an image of N, by the manifest beside it. */
struct standing_of standing_image(const struct plan *p, const struct node_plan *n);
/* Of N's latest card. CARDS as flashed_read() gives them; "older" of a card without a digest: cluster.yaml was changed
 * after it. */
struct standing_of standing_card(const struct plan *p, const struct node_plan *n, json_t *cards);
/* By the MANIFEST that a node that runs has. */
struct standing_of standing_node(const struct plan *p, const struct node_plan *n, const char *manifest);

/* {"state": "differs", "words": ..., "paths": [{"change", "path", "origin"}, ...]}; the caller's. */
json_t *standing_json(const struct standing_of *s);

#endif
