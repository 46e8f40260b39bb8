/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a cluster came to be, told by the cards that were written for it (flashed.jsonl): which of them may start it,
 * and with what it was started, which K3s does not change afterwards. A card that was started is the cluster; one that
 * is written later joins it. What the card makes of it: overlays/common/usr/lib/pibuild/steps/find-cluster.sh.
 */
#ifndef PLAN_BIRTH_H
#define PLAN_BIRTH_H

#include "base/json.h"
#include "plan/plan.h"

enum birth_right {
	BIRTH_NONE, /* nothing to decide: a worker, or the only server, which always starts its cluster */
	BIRTH_JOINS,
	BIRTH_STARTS,
};

/* CARDS are all lines of flashed.jsonl, see plan/flashed.h. */
enum birth_right birth_right(const json_t *cards, const struct config *c, const struct node_config *n);
/* Writes it onto the card as /etc/pibuild/birth; nothing for NONE. */
void birth_mark(struct node_plan *n, enum birth_right right);

/* The latest card that may have started the cluster C; NULL = none. Borrowed. */
const json_t *birth_card(const json_t *cards, const struct config *c);
/* What C does not say is as the cluster was born, if there is one. */
void birth_settle(const json_t *cards, struct config *c);
/* A fault for each of them that is not as the cluster's cards have it, a note when another node is the only server. */
void birth_check(json_t *cards, const struct config *c, struct faults *f);

/* What was made with secrets that are gone: a card of the cluster, else a manifest in OUT (NULL = not looked at). *RET
 * is a text for people ("the card of cp-1, written 2026-11-28T14:02:11Z"); NULL = nothing. What cannot be read is an
 * error: nobody knows whether it is such a trace. */
int birth_traces(const struct config *c, const char *out, const char **ret, struct err *e);

#endif
