/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers ARP for service addresses, and on which interface: decided here for the L2 policies, for what the nodes'
 * cards need to answer, and for the checks. A node that a policy selects without having one of its interfaces wins
 * leases all the same, and nobody answers (cilium pkg/l2announcer, 1.18 to 1.20); so nodes and interfaces stay
 * together.
 */
#ifndef BOARD_ANNOUNCE_H
#define BOARD_ANNOUNCE_H

#include "board/board.h"

struct announcer {
	const struct node_config *node;
	const char *interface; /* where it has its address */
};
struct announcers {
	VEC(struct announcer) list; /* in the order of the file */
};

/* BOARDS of c->nodes, same order. Of the nodes that loadBalancer.announce allows (auto: workers before servers), wired
 * ones before those on Wi-Fi; with interfaces asked for, those that have one of them. Empty when nobody can, and
 * without pools. */
struct announcers board_announcers(const struct config *c, const struct board *const *boards);

/* The interface that NODE announces on, or NULL. */
const char *announcers_interface(const struct announcers *a, const struct node_config *node);

#endif
