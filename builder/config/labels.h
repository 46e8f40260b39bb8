/* SPDX-License-Identifier: Apache-2.0 */
/* Names of labels and taints that more than one place goes by. */
#ifndef CONFIG_LABELS_H
#define CONFIG_LABELS_H

#include "config/config.h"

/* The role that `kubectl get nodes` shows of a worker. A kubelet may not give itself a role. */
#define LABEL_WORKER "node-role.kubernetes.io/worker"
/* Kubeadm's taint of servers. What K3s brings tolerates it (manifests/coredns.yaml and its neighbours), with Cilium. */
#define TAINT_SERVER "node-role.kubernetes.io/control-plane"

/* A kubelet that is given others at its start ends at once (kubernetes/kubernetes cmd/kubelet/app/options/options.go,
 * ValidateKubeletFlags), and the API lets it set no others (plugin/pkg/admission/noderestriction). */
bool label_kubelet_may_set(const char *key);

#endif
