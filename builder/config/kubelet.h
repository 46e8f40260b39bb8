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

/* Why the kubelet's FLAG ("max-pods") cannot have VALUE, as the field of the same meaning could not; NULL = it can. */
const char *kubelet_flag_fault(const struct config *c, const char *flag, const char *value);

#endif
