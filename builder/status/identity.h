/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a card is, as it says itself: /etc/pibuild/release.json of its root filesystem, also of one that was pulled out
 * of a running node, or the line that a card has while it is being written.
 */
#ifndef STATUS_IDENTITY_H
#define STATUS_IDENTITY_H

#include <stdbool.h>

enum card_state {
	CARD_OTHER,	 /* nothing of pibuild's */
	CARD_UNFINISHED, /* its writing was begun and not ended */
	CARD_NODE,
	CARD_CLOSED, /* we may not read it */
};

struct card_identity {
	enum card_state state;
	const char *node;	    /* of NODE and UNFINISHED; else "". On the arena, safe to print */
	const char *cluster, *role; /* of NODE; else "" */
	bool booted;		    /* of NODE */
	bool may_start;		    /* of NODE: it may start its cluster (/etc/pibuild/birth) */
	bool only_server;	    /* of NODE: the cluster is on this card and nowhere else */
	const char *born;	    /* of a server: what its cluster is born with, JSON; NULL = not said */
};

/* Whether FD is a disk or an image whose writing did not end; then RET is set. */
bool card_is_unfinished(int fd, struct card_identity *ret);

/* PATH is a disk or an image. Never fails: what cannot be read is OTHER. */
void card_identify(const char *path, struct card_identity *ret);

#endif
