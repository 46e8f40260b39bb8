/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet of every node: a drop-in beside K3s's own (k3s-io/k3s pkg/daemons/agent/agent.go writes
 * 00-k3s-defaults.conf into the folder that the kubelet reads all *.conf of, in the order of names), and what the
 * system has to have for it. cluster.yaml goes over what stands here.
 */
#include "config/kubelet.h"
#include "node/cluster.h"

static const char origin[] = "generated: kubelet";

#define KUBELET_DIR "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d"

/*
 * What K3s itself needs is not for pods (docs.k3s.io reference/resource-profiling: an agent 275 MB, a server with its
 * workload 1.6 GB): the kernel then ends a pod that takes too much, not K3s. Less where the whole board has little.
 */
static const struct {
	enum role role;
	uint64_t memory; /* of boards with so much, or less */
	const char *reserved;
} reserves[] = {
	{ ROLE_CONTROL_PLANE, 2 * GIB, "512Mi" },  { ROLE_CONTROL_PLANE, 4 * GIB, "768Mi" },
	{ ROLE_CONTROL_PLANE, UINT64_MAX, "1Gi" }, { ROLE_WORKER, 512 * MIB, "64Mi" },
	{ ROLE_WORKER, 1 * GIB, "160Mi" },	   { ROLE_WORKER, UINT64_MAX, "256Mi" },
};

/* Where nobody says how much the board has, it is the least that is sold of it: too little reserved only helps less. */
static uint64_t least_memory(const struct node_ctx *x)
{
	uint64_t least = x->node->role == ROLE_CONTROL_PLANE ? 2 * GIB : 0;

	if (x->node->memory)
		return x->node->memory;
	vec_foreach (m, &x->board->memory)
		if (*m >= least)
			return *m;
	return board_max_memory(x->board);
}

static const char *reserved_memory(const struct node_ctx *x)
{
	uint64_t memory = least_memory(x);

	for (size_t i = 0; i < ARRAY_SIZE(reserves); i++)
		if (reserves[i].role == x->node->role && memory <= reserves[i].memory)
			return reserves[i].reserved;
	return "256Mi";
}

static struct yaml_node *go_duration(uint64_t ms)
{
	return yaml_strf("%llus", (unsigned long long)ms / 1000);
}

/* The kubelet takes a period for all pods, or one by their priority. */
static bool has_period(const struct config *c)
{
	return !c->k3s.kubelet || !yaml_get(c->k3s.kubelet, "shutdownGracePeriodByPodPriority");
}

static struct yaml_node *kubelet_config(const struct node_ctx *x)
{
	const struct kubelet_grace grace = kubelet_grace(x->config);
	const struct yaml_node *user = x->config->k3s.kubelet;
	struct yaml_node *doc = yaml_map();

	yaml_set(doc, "apiVersion", yaml_str("kubelet.config.k8s.io/v1beta1"));
	yaml_set(doc, "kind", yaml_str("KubeletConfiguration"));
	if (has_period(x->config)) {
		yaml_set(doc, "shutdownGracePeriod", go_duration(grace.all));
		yaml_set(doc, "shutdownGracePeriodCriticalPods", go_duration(grace.critical));
	}
	yaml_set_path(doc, "systemReserved.memory", yaml_str(reserved_memory(x)));
	if (user)
		yaml_merge(doc, user);
	return doc;
}

/* The kubelet holds a shutdown back no longer than logind lets it. */
static void add_shutdown(const struct config *c, struct tree *t)
{
	const struct kubelet_grace grace = kubelet_grace(c);

	if (!has_period(c) || !grace.all)
		return;
	tree_add_dir(t, "/etc/systemd/logind.conf.d", 0755, origin);
	tree_add_text(t, "/etc/systemd/logind.conf.d/50-pibuild.conf", 0644, origin,
		      arena_printf("# The kubelet ends pods in this time before the machine goes down.\n[Login]\n"
				   "InhibitDelayMaxSec=%llu\n",
				   (unsigned long long)(grace.all + 999) / 1000));
}

/* With protect-kernel-defaults the kubelet ends unless the kernel is set as it wants (kubernetes/kubernetes
 * pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables). */
static void add_kernel_defaults(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	const struct k3s_settings *settings = x->node->role == ROLE_WORKER ? &c->k3s.agent : &c->k3s.server;

	vec_foreach (s, settings)
		if (streq(s->key, "protect-kernel-defaults") && yaml_is(s->value, "true"))
			tree_add_text(t, "/etc/sysctl.d/90-kubelet.conf", 0644, origin,
				      "vm.overcommit_memory = 1\nvm.panic_on_oom = 0\nkernel.panic = 10\n"
				      "kernel.panic_on_oops = 1\n");
}

int node_add_kubelet(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct yaml_node *doc = kubelet_config(x);

	tree_add_dir(t, KUBELET_DIR, 0700, origin);
	cluster_add_yaml(t, KUBELET_DIR "/10-pibuild.conf", 0600, origin, &doc, 1);
	add_shutdown(x->config, t);
	add_kernel_defaults(x, t);
	return 0;
}
