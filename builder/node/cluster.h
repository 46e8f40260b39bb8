/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What K3s, Cilium and cert-manager have to agree on, decided once from topology, boards and versions, and what their
 * files share. Which versions fit together: config/compat.h.
 */
#ifndef NODE_CLUSTER_H
#define NODE_CLUSTER_H

#include "node/node.h"

/* Ports that K3s 1.x has taken on every node; a values file may not take them again. */
#define K3S_LOCAL_PORT 6444 /* 127.0.0.1 of every node, server or worker: the way to the API without kube-proxy */

/* K3s gives it to servers, with the value "true". */
#define ROLE_LABEL "node-role.kubernetes.io/control-plane"

/* Where the gateway, its certificates and its routes are. Not `default`: the key of a wildcard is not for every
 * workload there. */
#define GATEWAY_NAMESPACE "kube-system"
#define GATEWAY_NAME	  "lan"
/* The Service that Cilium makes of it (cilium/cilium operator/pkg/model/translation/gateway-api/translator.go,
 * CiliumGatewayPrefix). */
#define GATEWAY_SERVICE "cilium-gateway-" GATEWAY_NAME
/* The Certificate of ZONE and all names right below it, and its Secret. */
const char *cert_manager_wildcard(const char *zone);

/* catalogue_wanted(), and with what the boards decide. */
bool cluster_wants(const struct node_ctx *x, unsigned for_whom);

/* The version in force of a key of `versions`. */
const char *cluster_version(const struct node_ctx *x, const char *key);

/* Every node boots a kernel on which Envoy runs. One that cannot is enough to keep it off: agents there would still
 * redirect traffic to it. */
bool cluster_runs_envoy(const struct node_ctx *x);

/* What cluster.yaml and pibuild give node N, which is a BOARD: "KEY=VALUE", "KEY=VALUE:EFFECT". REGISTERED leaves out
 * labels that a kubelet may not give itself. */
struct text_list cluster_labels(const struct node_config *n, const struct board *board, bool registered);
struct text_list cluster_taints(const struct config *c, const struct node_config *n);

/* Addresses in all pools. */
uint64_t cluster_pool_size(const struct config *c);

/* Adds the documents as a YAML file of this node. */
struct entry *cluster_add_yaml(struct tree *t, const char *path, unsigned mode, const char *origin,
			       struct yaml_node *const *docs, size_t n);

/* ["a", "b"]; ends at NULL. */
struct yaml_node *cluster_strings(const char *first, ...) __attribute__((sentinel));
/* {apiVersion, kind, metadata: {name, namespace}}; NAMESPACE may be NULL. */
struct yaml_node *cluster_object(const char *api_version, const char *kind, const char *name, const char *namespace);

/* Into SPEC a nodeSelector of just the nodes that CHOSEN says; none when it says all. By role where that does it: a
 * worker that is added later is chosen then too. */
void cluster_select_nodes(struct yaml_node *spec, const struct config *c,
			  bool (*chosen)(const struct config *c, const struct node_config *n, const void *arg),
			  const void *arg);

/* What is wrong with USER, the file behind cilium.valuesFile, and what it overrides: keys the chart does not know,
 * wrong types, values that break this cluster. GENERATED is what it goes over, MERGED the result. */
void values_check(const struct node_ctx *x, const struct yaml_node *user, const struct yaml_node *generated,
		  const struct yaml_node *merged, struct faults *f);

#endif
