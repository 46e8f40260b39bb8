/* SPDX-License-Identifier: Apache-2.0 */
/* Machines beside the cluster whose answer nodes or pods wait for, as cluster.yaml names them. */
#ifndef CONFIG_ASKED_H
#define CONFIG_ASKED_H

#include "config/config.h"

enum asker {
	ASKED_FOR_TIME,	   /* by systemd-timesyncd, which K3s waits for */
	ASKED_AS_PROXY,	   /* by K3s, for every image */
	ASKED_FOR_IMAGES,  /* by K3s, before the registry itself */
	ASKED_FOR_BACKUPS, /* by servers, once a night */
	ASKED_BY_PODS,
	ASKER_COUNT
};
struct asked {
	const char *key;  /* "network.ntp[0]" */
	const char *host; /* a name or an address, nothing else */
	uint32_t addr;	  /* of it, as the one who asks finds it without a name server; 0 = it does not */
	enum asker by;
};
struct asked_list {
	VEC(struct asked) v;
};
/* Those that are given in clear: an address behind a secret is not looked at. */
struct asked_list config_asked(const struct config *c);

#endif
