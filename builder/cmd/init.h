/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `pibuild init` share: the answers as text, the LAN this machine is on, the files written. */
#ifndef CMD_INIT_H
#define CMD_INIT_H

#include "base/err.h"
#include "config/config.h"

/* As given by an option or typed at the terminal; NULL = not given yet, "" = none. */
struct init_answers {
	const char *name, *user, *key, *board, *servers, *workers;
	const char *subnet, *gateway, *nameservers, *dhcp, *pool,
		*address; /* nameservers: separated by commas or blanks */
};

/* The same as values. */
struct init_cluster {
	const char *name, *user, *board;
	VEC(const char *) keys; /* whole lines */
	unsigned servers, workers;
	struct cidr subnet;
	uint32_t gateway, address; /* of the first node; the others follow */
	VEC(uint32_t) nameservers;
	struct ip_range dhcp, pool;
};

/* The network of the default route in TABLE (NULL: /proc/net/route), and its gateway. False when there is none. */
bool init_guess_lan(const char *table, struct cidr *ret_subnet, uint32_t *ret_gateway);

/* The first address from FROM on that nothing else of C has; 0 when the subnet ends before. */
uint32_t init_free_address(const struct init_cluster *c, uint32_t from);

/* "192.168.1.11 to 192.168.1.14": what the nodes get; NULL when there are too few addresses. */
const char *init_nodes_range(const struct init_cluster *c);
/* What several servers may want besides. */
extern const char init_vip_hint[];

/* The text of cluster.yaml. -ENOSPC, class USAGE, when the subnet is too small for the nodes. */
int init_config_text(const struct init_cluster *c, struct strbuf *out, struct err *e);

/* Adds to the .gitignore beside CONFIG what must not get into git and is not listed yet. */
int init_gitignore(const char *config, struct err *e);

#endif
