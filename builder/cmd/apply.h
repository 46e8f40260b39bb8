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
	int asked; /* what reading it came to, and the words for that */
	struct err said;
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
	bool yes;		    /* nobody is asked, whatever O says */
	bool dry_run;		    /* show what would change, and end */
	bool no_drain;		    /* pods stay where they are */
	unsigned patience;	    /* seconds with each node after its change; 0 = 900 */
	VEC(struct target) targets; /* servers first */
	unsigned flags;		    /* as of live_read() */
};

/* ---- apply_read.c ---- */

/* The nodes that O selects or, when it is given, ONLY; all that their cards are made of is in the cache then. */
int rollout_load(struct rollout *x, const char *only, struct err *e);
/* The nodes of P. CARDS, which is the rollout's then, as flashed_read() gives them. */
int rollout_open(struct rollout *x, struct plan *p, json_t *cards, struct err *e);
/* Adds the targets of all nodes, and asks them at the same time; FLAGS as of live_read(). One that does not answer is
 * off, with what its SAID says. */
int rollout_read(struct rollout *x, unsigned flags, struct err *e);
void rollout_done(struct rollout *x);
/* T's state anew. */
int target_ask(const struct rollout *x, struct target *t, struct err *e);

/* ---- apply.c ---- */

/* Reads them, shows what would change, and changes it, one after the other; the first that fails ends it. */
int rollout_run(struct rollout *x, struct err *e);

/* ---- apply_node.c ---- */

/* T, which was read and may change, becomes what it would get, and is well when this returns. */
int target_change(const struct rollout *x, struct target *t, struct err *e);

#endif
