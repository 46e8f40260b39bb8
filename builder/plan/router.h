/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of loadBalancer.announce.bgp: what has to be said to the router. */
#ifndef PLAN_ROUTER_H
#define PLAN_ROUTER_H

#include "config/config.h"

/* For the router NAME (frr, unifi, mikrotik, opnsense) on stdout. Class USAGE when there is no such one, class CONFIG
 * without BGP in C. The password stays where it is; the text says where it goes. */
int router_print(const struct config *c, const char *name, struct err *e);

#endif
