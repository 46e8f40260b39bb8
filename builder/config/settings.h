/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of keys that belong to other programs (K3s, its kubelet): read by the kind that the program's own source gives
 * them, and handed on as that program is to read them, whichever YAML it knows. What is none is a fault at N.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "schema/schema.h"

typedef struct yaml_node *(*setting_fn)(struct reading *l, const struct yaml_node *n, const char *path);

struct yaml_node *setting_text(struct reading *l, const struct yaml_node *n, const char *path); /* one line */
struct yaml_node *setting_duration(struct reading *l, const struct yaml_node *n, const char *path);
struct yaml_node *setting_count(struct reading *l, const struct yaml_node *n, const char *path); /* 0 or more */
struct yaml_node *setting_bool(struct reading *l, const struct yaml_node *n, const char *path);
struct yaml_node *setting_list(struct reading *l, const struct yaml_node *n,
			       const char *path); /* of texts, not empty */

#endif
