/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kubeconfig taken into another, in memory: what is there of other clusters stays as it is, also what pibuild does
 * not know. Format: kubernetes/client-go tools/clientcmd/api/v1/types.go.
 */
#ifndef CMD_KUBECONFIG_H
#define CMD_KUBECONFIG_H

#include "yaml/yaml.h"

/* What became of it: names in the file. */
struct kubeconfig_names {
	const char *cluster, *user, *context;
	bool current; /* CONTEXT is the current one */
};

/* OWN, of one cluster, user and context, into ALL. Entries of the same name are ours, and replaced, when they lead to
 * the same server or have the same CA; names that are another cluster's are left, and ours get the server's behind
 * them. Class REFUSED, NAME being the file's, when ALL is no kubeconfig, or all those names are taken. */
int kubeconfig_merge(struct yaml_node *all, const struct yaml_node *own, const char *name, struct kubeconfig_names *ret,
		     struct err *e);

#endif
