/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in the output folder that no build renews any more: of nodes that were taken out of cluster.yaml, or renamed.
 * They hold the cluster's keys, and a card of one joins as if nothing had been. Told, never removed.
 */
#ifndef COMPANION_LEFTOVER_H
#define COMPANION_LEFTOVER_H

#include "base/json.h"
#include "config/config.h"

struct leftover {
	const char *node;
	struct text_list files; /* the image in its forms and what stands beside it, as far as they are there */
};
struct leftovers {
	VEC(struct leftover) v;
};

/* Those of C's cluster in the folder OUT, by the manifests there. What cannot be read is none. */
void leftovers_find(const struct config *c, const char *out, struct leftovers *ret);
/* The node that IMAGE is of, by the manifest beside it, when it is one of these; else NULL. */
const char *leftover_node(const struct config *c, const char *image);

/* A warning for each, with the command that removes it. */
void leftovers_tell(const struct config *c, const struct leftovers *all);
/* [{"node": "w-1", "files": [...]}]; the caller's. */
json_t *leftovers_json(const struct leftovers *all);

#endif
