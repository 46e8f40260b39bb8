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
/* Why K3s would not take TEXT as its registries.yaml, or pass over a part of it, as words that go on behind the name of
 * the file, NAME; NULL = it does, or it is YAML that this parser does not read. */
const char *registries_file_fault(const char *name, const char *text);

#endif
