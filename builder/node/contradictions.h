/* SPDX-License-Identifier: Apache-2.0 */
/* Values of Cilium's chart that do not go together: a table, and the user's values held against it. */
#ifndef NODE_CONTRADICTIONS_H
#define NODE_CONTRADICTIONS_H

#include "config/config.h"
#include "yaml/yaml.h"

struct contradiction_part {
	const char *key;
	/* "a|b": one of these words; "" among them for a key that is not set, null or empty. "!a|b": none of them.
	 * "*": set and not empty. "<N", ">N": a number. */
	const char *is;
};

#define CONTRADICTION_POD_CIDR	"@podCIDR"  /* as a value: cluster.podCIDR */
#define CONTRADICTION_POD_CIDR6 "@podCIDR6" /* the same: network.ipv6.podCIDR */

struct contradiction {
	struct contradiction_part all[6]; /* that hold at once; the first is what the user most likely wrote */
	const char *why;
	const char *words;	    /* in place of WHY: "a|b", those that are taken */
	const char *key, *value;    /* the cure; VALUE NULL: remove KEY */
	unsigned since, until;	    /* minor versions of Cilium 1.x; 0 = all */
	bool several_nodes, airgap; /* only with more than one node, with airgap: true */
	bool note;		    /* harmless */
};
const struct contradiction *contradictions(size_t *ret_n);

struct contradictory {
	const struct config *config;
	unsigned minor; /* of Cilium 1.x */
	const struct yaml_node *user, *merged;
};
bool contradiction_applies(const struct contradictory *x, const struct contradiction *c);
/* A fault or note at the user's value for each row that holds in the merged values and has a part in the user's. Where
 * something was said already, nothing is. */
void contradictions_check(const struct contradictory *x, struct faults *f);

#endif
