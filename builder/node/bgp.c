/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loadBalancer.announce.bgp: what Cilium's BGP control plane reads. Its objects are of the version that pools are of:
 * v2 since 1.18 (cilium/cilium pkg/k8s/apis/cilium.io/client/crds/v2/ciliumbgp*.yaml). The password is in a Secret of
 * kube-system under the key `password` (bgpControlPlane.secretsNamespace of the chart).
 */
#include "config/compat.h"
#include "node/cluster.h"

static const char origin[] = "generated: bgp";

#define BGP_NAME "router"

static bool speaks_bgp(const struct config *c, const struct node_config *n, const void *arg)
{
	return config_speaks_bgp(c, n);
}

static struct yaml_node *bgp_cluster(const struct config *c, const char *api)
{
	struct yaml_node *doc = cluster_object(api, "CiliumBGPClusterConfig", BGP_NAME, NULL), *instance, *peer;
	char ip[IPV4_TEXT];

	cluster_select_nodes(yaml_set(doc, "spec", yaml_map()), c, speaks_bgp, NULL);
	instance = yaml_append(yaml_set_path(doc, "spec.bgpInstances", yaml_seq()), yaml_map());
	yaml_set(instance, "name", yaml_str("cluster"));
	yaml_set(instance, "localASN", yaml_int(c->lb.bgp.asn));
	peer = yaml_append(yaml_set(instance, "peers", yaml_seq()), yaml_map());
	yaml_set(peer, "name", yaml_str(BGP_NAME));
	yaml_set(peer, "peerASN", yaml_int(c->lb.bgp.router_asn));
	yaml_set(peer, "peerAddress", yaml_str(ipv4_text(c->lb.bgp.router, ip)));
	yaml_set_path(peer, "peerConfigRef.name", yaml_str(BGP_NAME));
	return doc;
}

/* An agent that starts anew keeps its routes: packets go on through the kernel meanwhile. */
static struct yaml_node *bgp_peer(const struct config *c, const char *api)
{
	struct yaml_node *doc = cluster_object(api, "CiliumBGPPeerConfig", BGP_NAME, NULL), *family;

	if (config_signs_bgp(c))
		yaml_set_path(doc, "spec.authSecretRef", yaml_str("bgp"));
	yaml_set_path(doc, "spec.gracefulRestart.enabled", yaml_bool(true));
	family = yaml_append(yaml_set_path(doc, "spec.families", yaml_seq()), yaml_map());
	yaml_set(family, "afi", yaml_str("ipv4"));
	yaml_set(family, "safi", yaml_str("unicast"));
	yaml_set_path(yaml_set(family, "advertisements", yaml_map()), "matchLabels.advertise", yaml_str("services"));
	return doc;
}

/* Without a selector no Service is announced; this one is true of all. */
static struct yaml_node *bgp_advertisement(const char *api)
{
	struct yaml_node *doc = cluster_object(api, "CiliumBGPAdvertisement", "services", NULL), *one, *all;

	yaml_set_path(doc, "metadata.labels.advertise", yaml_str("services"));
	one = yaml_append(yaml_set_path(doc, "spec.advertisements", yaml_seq()), yaml_map());
	yaml_set(one, "advertisementType", yaml_str("Service"));
	yaml_set_path(one, "service.addresses", cluster_strings("LoadBalancerIP", NULL));
	all = yaml_append(yaml_set_path(one, "selector.matchExpressions", yaml_seq()), yaml_map());
	yaml_set(all, "key", yaml_str("pibuild/never"));
	yaml_set(all, "operator", yaml_str("DoesNotExist"));
	return doc;
}

static int add_bgp_secret(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct yaml_node *doc = cluster_object("v1", "Secret", "bgp", GATEWAY_NAMESPACE);
	const char *text;
	size_t n;
	int r = secret_resolve(&x->config->lb.bgp.password, x->secret_use, &text, &n, e);

	if (r < 0)
		return err_wrap(e, "loadBalancer.announce.bgp.password");
	yaml_set(doc, "type", yaml_str("Opaque"));
	yaml_set(yaml_set(doc, "stringData", yaml_map()), "password", yaml_strn(text, n));
	tree_add_dir(t, "/etc/pibuild/secrets", 0700, origin);
	cluster_add_yaml(t, "/etc/pibuild/secrets/bgp.yaml", 0600, origin, &doc, 1)->secret = true;
	return 0;
}

int node_add_bgp(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct cilium_compat *compat = compat_cilium(cluster_version(x, "cilium"));
	const char *api = compat ? compat->pool_api : "cilium.io/v2";
	const struct config *c = x->config;
	struct yaml_node *docs[3];

	if (!c->lb.bgp.enabled || !node_is_first_server(x))
		return 0;
	docs[0] = bgp_cluster(c, api);
	docs[1] = bgp_peer(c, api);
	docs[2] = bgp_advertisement(api);
	cluster_add_yaml(t, "/etc/pibuild/manifests/bgp.yaml", 0644, origin, docs, ARRAY_SIZE(docs));
	return config_signs_bgp(c) ? add_bgp_secret(x, t, e) : 0;
}
