/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy of network.proxy, for all that has to be told of it. */
#ifndef NODE_PROXY_H
#define NODE_PROXY_H

#include "node/node.h"

struct proxy {
	const char *http, *https, *none; /* as in HTTP_PROXY, HTTPS_PROXY and NO_PROXY */
};

bool proxy_is_given(const struct config *c);
/* Its address comes from a secret, so what holds it is one. */
bool proxy_is_secret(const struct config *c);
/* Of a config that gives one. Class CONFIG when a secret cannot be had; masked unless X reads secrets. */
int node_proxy(const struct node_ctx *x, struct proxy *ret, struct err *e);

#endif
