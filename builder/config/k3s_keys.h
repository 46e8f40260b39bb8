/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of K3s's configuration file, for whoever brings them past cluster.yaml. */
#ifndef CONFIG_K3S_KEYS_H
#define CONFIG_K3S_KEYS_H

#include "schema/faults.h"
#include "yaml/yaml.h"

/* Why a file of config.yaml.d must not set KEY, which may end in '+', to VALUE on a node that runs `k3s COMMAND`
 * ("server", "agent"); NULL = it may. F hears of a list of keys that could not be read. */
const char *k3s_drop_in_fault(const char *key, const struct yaml_node *value, const char *command, struct faults *f);

#endif
