/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node tells of itself in one connection, by what its card has anyway: pibuild-status, K3s, /etc/os-release and
 * the card's manifest. It needs no root.
 */
#ifndef REMOTE_TOLD_H
#define REMOTE_TOLD_H

#include "remote/remote.h"

/* Texts are never NULL, "" = not told, and on the arena. */
struct told {
	bool answered;
	const char *why; /* it did not: the sentence */
	const char *report;
	const char *k3s, *os, *kernel; /* "v1.36.4+k3s1", "Debian GNU/Linux 13 (trixie)", "6.12.47+rpt-rpi-2712" */
	const char *manifest;
	struct strbuf heard; /* all of it, owned */
};

/* Asks R for up to SECONDS, and fills T, which starts zeroed. */
void told_ask(const struct remote *r, unsigned seconds, struct told *t);
/* Takes apart what was heard. */
void told_read(struct told *t);
void told_done(struct told *t);

#endif
