/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by values_check.c, which looks at every key of the user's values file, and values_rules.c, which has the rules
 * on single values that need topology, boards, or what pibuild generated. */
#ifndef NODE_VALUES_JUDGE_H
#define NODE_VALUES_JUDGE_H

#include "node/chart_keys.h"
#include "node/cluster.h"

struct judge {
	const struct node_ctx *x;
	const struct yaml_node *user, *generated, *merged;
	struct faults *faults;
	struct chart_keys keys;
};

/* Rules on keys at one place. What has a fault already gets no second. */
void values_judge_rules(struct judge *j);
/* Rules on keys that stand in many places. */
void values_judge_anywhere(struct judge *j);

#endif
