/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Ethernet switch for machines of QEMU: each plugs in with `-netdev stream,server=off` to a Unix socket, over which
 * frames go with their length, four bytes big endian, in front (QEMU net/stream.c, net/net.c net_fill_rstate).
 *
 * It has to be a switch and no hub: QEMU's own network, which leads to the world, takes every TCP packet that it sees
 * for its own, whosever address it bears, and refuses it (libslirp src/slirp.c, slirp_input).
 */
#ifndef QEMU_LAN_H
#define QEMU_LAN_H

#include "base/err.h"

struct lan;

/* Listens in DIR, which nobody else may enter, and carries frames in a thread of its own until lan_close(). */
int lan_open(const char *dir, struct lan **ret, struct err *e);
/* Where to plug in, as long as the switch is there. */
const char *lan_socket(const char *dir);
/* NULL is fine. */
void lan_close(struct lan *l);

#endif
