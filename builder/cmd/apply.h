/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that run, read and compared: what `apply` changes and `diff --live` shows. */
#ifndef CMD_APPLY_H
#define CMD_APPLY_H

#include "cmd/cmd.h"
#include "live/live.h"

struct target {
	const struct node_plan *plan;
	struct remote remote;
	struct wanted wanted;
	struct live live;
	struct delta delta;
	bool off;     /* does not answer */
	bool drained; /* by this run or one before it: it is to have pods again */
};
struct rollout {
	const struct cmd_options *o;
	const struct config *config;
	struct plan *plan;
	struct cache cache;
	struct build build;
	json_t *cards;
	VEC(struct target) targets; /* servers first */
};

/* The nodes that O selects or, when it is given, ONLY; all that their cards are made of is in the cache then. */
int rollout_load(struct rollout *x, const char *only, struct err *e);
/* Adds the target of N; FLAGS as of live_read(). */
int rollout_read(struct rollout *x, const struct node_plan *n, unsigned flags, struct err *e);
void rollout_done(struct rollout *x);

#endif
