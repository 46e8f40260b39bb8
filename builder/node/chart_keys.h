/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of Cilium's chart, from configs/cilium-values-keys.txt: which there are and what they take. */
#ifndef NODE_CHART_KEYS_H
#define NODE_CHART_KEYS_H

#include "base/err.h"
#include "yaml/yaml.h"

struct chart_key {
	const char *path;
	const char *types; /* letters of the list; '*' = not told */
	bool open;	   /* anything may stand below */
};

struct chart_keys {
	VEC(struct chart_key) keys;
	bool covered; /* false: the list ends before this minor version, the nearest one stands in */
};

/* VERSION is "1.20.0". */
int chart_keys_load(const char *version, struct chart_keys *ret, struct err *e);
/* NULL when the chart has no such key. */
const struct chart_key *chart_keys_find(const struct chart_keys *k, const char *path);
/* The path that was probably meant by KEY below PARENT ("" at the top): a sibling of a similar name, or the one place
 * in the chart that has KEY. NULL when there is none. */
const char *chart_keys_near(const struct chart_keys *k, const char *parent, const char *key);
/* NULL when the chart's schema takes N there, else what it asks for ("a map of keys"). */
const char *chart_key_fault(const struct chart_key *k, const struct yaml_node *n);

#endif
