/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of a cluster, asked from this machine as its admin, with the certificate of secrets.yaml that `pibuild
 * kubeconfig` gives too: what is left of a cluster whose servers let nobody in over SSH. It is read alone.
 */
#ifndef STATUS_API_H
#define STATUS_API_H

#include "remote/cluster.h"
#include "secrets/secrets.h"

/* Nodes, leases and the VIP's holder, without a `server`. The API's common address is asked first, then each server;
 * HOST is who answered, on the arena. -EHOSTUNREACH with what each of them said when nobody did. */
int api_ask(const struct config *c, const struct secrets *s, struct live_cluster *live, const char **host,
	    struct err *e);

#endif
