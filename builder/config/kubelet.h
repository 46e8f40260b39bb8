/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from k3s.kubelet. */
#ifndef CONFIG_KUBELET_H
#define CONFIG_KUBELET_H

#include "config/config.h"

/* How long a node that goes down waits for its pods, and how much of it for critical ones, in milliseconds: as
 * cluster.yaml says, else 60 s and a third of what there is, 20 s at most. */
struct kubelet_grace {
	uint64_t all, critical;
};
struct kubelet_grace kubelet_grace(const struct config *c);

/* Why the kubelet's FLAG ("max-pods") cannot have VALUE, as the field of the same meaning could not; NULL = it can. F
 * hears of a list of fields that could not be read. */
const char *kubelet_flag_fault(const struct config *c, const char *flag, const char *value, struct faults *f);

/* Why the kubelet ends at the value N of FIELD ("logging.format"), whose kind is right; NULL = it does not, or FIELD is
 * none of those that it looks at. */
const char *kubelet_value_fault(const char *field, const struct yaml_node *n);

/* The same of a flag's text ("memory=1Gi,cpu=0.5", "memory.available<5%"), for fields that are maps of amounts. */
const char *kubelet_amounts_fault(const char *field, const char *text);

/* Why the kubelet would end at TEXT, a file of its drop-in folder beside what C has for it, or the rest of the card
 * does not go with it, as words that go on behind the name of the file, NAME; NULL = it does neither, or it is YAML
 * that this parser does not read. */
const char *kubelet_drop_in_fault(const struct config *c, const struct cluster_versions *versions, const char *name,
				  const char *text);

#endif
