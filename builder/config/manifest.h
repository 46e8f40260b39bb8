/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are to be manifests of Kubernetes, looked into as far as no cluster is needed for it. */
#ifndef CONFIG_MANIFEST_H
#define CONFIG_MANIFEST_H

#include "config/config.h"

/* NULL, or why kubectl and K3s take nothing of TEXT, the N bytes of a file NAME, as words that go on behind its name:
 * "is a chart's template, ...". NAMESPACE: the one that kubectl is told, or NULL. What this parser does not read, and
 * they might, is left to them. */
const char *manifest_fault(const char *name, const char *namespace, const char *text, size_t n);

/* The same of the KIND of an object of API ("apps/v1"): NULL, or why the cluster knows none. */
const char *manifest_kind_fault(const char *api, const char *kind);

/* The same of pools of addresses in TEXT, against what C says of the LAN. */
const char *manifest_pools_fault(const struct config *c, const char *name, const char *text, size_t n);

/* What to do instead of installing CHART ("cilium"), which pibuild does itself; NULL: it does not. */
const char *chart_of_pibuild(const char *chart);

#endif
