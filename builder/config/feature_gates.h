/* SPDX-License-Identifier: Apache-2.0 */
/* Feature gates of Kubernetes: those at which its programs, and K3s with them, do not start. */
#ifndef CONFIG_FEATURE_GATES_H
#define CONFIG_FEATURE_GATES_H

#include "schema/faults.h"

/* Why the Kubernetes of the K3s of that version ("v1.36.4+k3s1", or NULL) does not start with GATE set to VALUE
 * ("true", "false"); NULL = it does. *RET_NOTE is what is worth a word of a GATE that nobody here knows, else NULL. F
 * hears of a list of gates that could not be read. */
const char *feature_gate_fault(const char *k3s, const char *gate, const char *value, struct faults *f,
			       const char **ret_note);

#endif
