/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of K3s's configuration file, for whoever brings them past cluster.yaml. */
#ifndef CONFIG_K3S_KEYS_H
#define CONFIG_K3S_KEYS_H

#include "config/config.h"

/* Why a file of config.yaml.d must not set KEY, which may end in '+', to VALUE on a node that runs `k3s COMMAND`
 * ("server", "agent"); NULL = it may. F hears of a list of keys that could not be read. */
const char *k3s_drop_in_fault(const char *key, const struct yaml_node *value, const char *command, struct faults *f);

/* Why a program in K3s, or K3s itself, would not take ARG ("feature-gates=A=true"; dashes before it may be there) of
 * the list KEY ("kubelet-arg") with the K3s of that version (NULL = not known), or the rest of the card does not go
 * with it; NULL = all do. *RET_NOTE is what is worth a word, and no fault. */
const char *k3s_arg_fault(const struct config *c, const char *k3s, const char *key, const char *arg, struct faults *f,
			  const char **ret_note);

#endif
