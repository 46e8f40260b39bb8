/* SPDX-License-Identifier: Apache-2.0 */
/* What push and pull share. */
#ifndef CMD_REGISTRY_H
#define CMD_REGISTRY_H

#include "config/image_ref.h"
#include "download/registry.h"

/* TEXT as a place in a registry; class USAGE. */
int cmd_registry_ref(const char *text, struct image_ref *ret, struct err *e);
/* For downloads and registries: CA (NULL = the system's) is that of all hosts that are asked. */
int cmd_registry_config(const char *ca, const struct config **ret, struct err *e);
/* The tag under which an index lists what refers to the manifest SHA256, where the registry has no such list. */
const char *cmd_registry_referrers_tag(const char *sha256);

#define CMD_OPTION_CA(at)                                                                                              \
	CMD_OWN_WORDS("ca", OPT_TEXT, at, "FILE", "CA of the registry, when it is none of this machine's", "@file")

#endif
