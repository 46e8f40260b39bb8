/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.vip: kube-vip on every server, as a static pod of the kubelet. No DaemonSet: before Cilium runs nothing leads
 * to the API's Service, and the API is what this pod leads to.
 *
 * The server that holds the lease plndr-cp-lock puts the address on its interface and announces it by ARP. It asks the
 * API of its own machine, as admin.conf and the host name "kubernetes" say to it (kube-vip/kube-vip v1.2.3
 * pkg/manager/manager.go, New()), which K3s's certificate is good for. Services are Cilium's: svc_enable stays off.
 *
 * Sources: kube-vip/kube-vip v1.2.3 pkg/kubevip/config_envvar.go (names), config_generator.go (pod, capabilities,
 * mounts), cmd/kube-vip.go (defaults; metrics would listen on every address).
 */
#include "node/cluster.h"

static const char origin[] = "generated: kube-vip";

#define MANIFESTS_DIR "/var/lib/rancher/k3s/agent/pod-manifests"

bool node_has_vip(const struct node_ctx *x)
{
	return x->config->cluster.vip && x->node->role == ROLE_CONTROL_PLANE;
}

static void add_env(struct yaml_node *list, const char *name, const char *value)
{
	struct yaml_node *one = yaml_append(list, yaml_map());

	yaml_set(one, "name", yaml_str(name));
	yaml_set(one, "value", yaml_str(value));
}

/* A lease of 15 seconds is client-go's own default: shorter ones change hands when an SD card is slow. */
static struct yaml_node *environment(const struct node_ctx *x)
{
	struct yaml_node *list = yaml_seq(), *node;
	char ip[IPV4_TEXT];

	add_env(list, "address", ipv4_text(x->config->cluster.vip, ip));
	add_env(list, "port", arena_printf("%d", K3S_API_PORT));
	add_env(list, "vip_interface", board_lan_interface(x->board, x->config, x->node));
	node = yaml_append(list, yaml_map());
	yaml_set(node, "name", yaml_str("vip_nodename"));
	yaml_set_path(node, "valueFrom.fieldRef.fieldPath", yaml_str("spec.nodeName"));
	add_env(list, "vip_arp", "true");
	add_env(list, "cp_enable", "true");
	add_env(list, "cp_namespace", "kube-system");
	add_env(list, "svc_enable", "false");
	add_env(list, "vip_leaderelection", "true");
	add_env(list, "vip_leasename", "plndr-cp-lock");
	add_env(list, "vip_leaseduration", "15");
	add_env(list, "vip_renewdeadline", "10");
	add_env(list, "vip_retryperiod", "2");
	add_env(list, "prometheus_server", "127.0.0.1:2112");
	return list;
}

/* An image from an archive is known by tag only: a reference with a digest would be pulled. */
static const char *image_text(const struct node_ctx *x, const struct image_pin *p)
{
	return p->sha256 && !x->config->airgap ? arena_printf("%s@sha256:%s", image_ref(p), p->sha256) : image_ref(p);
}

static struct yaml_node *container(const struct node_ctx *x, const struct image_pin *p)
{
	struct yaml_node *one = yaml_map(), *mount;

	yaml_set(one, "name", yaml_str("kube-vip"));
	yaml_set(one, "image", yaml_str(image_text(x, p)));
	yaml_set(one, "imagePullPolicy", yaml_str("IfNotPresent"));
	yaml_set(one, "args", cluster_strings("manager", NULL));
	yaml_set(one, "env", environment(x));
	yaml_set_path(one, "securityContext.capabilities.add", cluster_strings("NET_ADMIN", "NET_RAW", NULL));
	yaml_set_path(one, "securityContext.capabilities.drop", cluster_strings("ALL", NULL));
	yaml_set_path(one, "resources.requests.cpu", yaml_str("10m"));
	yaml_set_path(one, "resources.requests.memory", yaml_str("32Mi"));
	mount = yaml_append(yaml_set(one, "volumeMounts", yaml_seq()), yaml_map());
	yaml_set(mount, "name", yaml_str("kubeconfig"));
	yaml_set(mount, "mountPath", yaml_str("/etc/kubernetes/admin.conf"));
	yaml_set(mount, "readOnly", yaml_bool(true));
	return one;
}

static struct yaml_node *pod(const struct node_ctx *x, const struct image_pin *p)
{
	struct yaml_node *doc = cluster_object("v1", "Pod", "kube-vip", "kube-system"), *one;

	yaml_set_path(doc, "metadata.labels", yaml_map());
	yaml_set(yaml_find(doc, "metadata.labels"), "app.kubernetes.io/name", yaml_str("kube-vip"));
	yaml_set_path(doc, "spec.hostNetwork", yaml_bool(true));
	one = yaml_append(yaml_set_path(doc, "spec.hostAliases", yaml_seq()), yaml_map());
	yaml_set(one, "ip", yaml_str("127.0.0.1"));
	yaml_set(one, "hostnames", cluster_strings("kubernetes", NULL));
	yaml_append(yaml_set_path(doc, "spec.containers", yaml_seq()), container(x, p));
	one = yaml_append(yaml_set_path(doc, "spec.volumes", yaml_seq()), yaml_map());
	yaml_set(one, "name", yaml_str("kubeconfig"));
	yaml_set_path(one, "hostPath.path", yaml_str("/etc/rancher/k3s/k3s.yaml"));
	/* Until K3s has written it the pod waits; without a type the runtime would make a folder of that name. */
	yaml_set_path(one, "hostPath.type", yaml_str("File"));
	return doc;
}

int node_add_kube_vip(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct image *image = NULL;
	struct yaml_node *doc;
	struct image_pin p;
	int r;

	if (!node_has_vip(x))
		return 0;
	vec_foreach (i, &x->set.catalogue->images)
		if (i->for_whom & FOR_VIP)
			image = i;
	if (!image)
		return err_class(e, CLASS_CONFIG, "%s names no image for cluster.vip", x->set.catalogue->path);
	r = image_pin(&x->set, image, &p, e);
	if (r < 0)
		return r;
	doc = pod(x, &p);
	tree_add_dir(t, MANIFESTS_DIR, 0700, origin);
	cluster_add_yaml(t, MANIFESTS_DIR "/kube-vip.yaml", 0600, origin, &doc, 1);
	return 0;
}
