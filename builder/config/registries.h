/* SPDX-License-Identifier: Apache-2.0 */
/* Where containerd gets images from, as the registries section says. */
#ifndef CONFIG_REGISTRIES_H
#define CONFIG_REGISTRIES_H

#include "config/config.h"

/* There is something for /etc/rancher/k3s/registries.yaml. */
bool registries_given(const struct config *c);
/* The mirrors of REGISTRY ("docker.io"), its own or those of '*'; NULL = none. */
const struct registry_mirror *registry_mirror_of(const struct config *c, const char *registry);
/* "zot.lan:5000" of "https://zot.lan:5000/v2/hub". */
const char *registry_host(const char *url);

#endif
