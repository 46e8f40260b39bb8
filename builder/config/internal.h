/* SPDX-License-Identifier: Apache-2.0 */
/* What only the files of this folder share. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/schema.h"

/* Absolute path of TEXT as written in a file of DIR; "~/" is the home folder. */
const char *config_expand_path(const char *dir, const char *text);

/* Adds every key of the public key file PATH, one per line, to KEYS (a VEC(const char *)); NULL or what is wrong. */
struct key_list {
	const char **v;
	size_t n, cap;
};
const char *config_read_keys(const char *path, struct key_list *keys);

void config_schema_of(const struct field *f, json_t *out);

#endif
