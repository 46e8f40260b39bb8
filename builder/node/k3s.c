/* SPDX-License-Identifier: Apache-2.0 */
/*
 * K3s of a node: its configuration, its identity, and on the first server the cluster's CA set. Units, kernel modules
 * and containerd's template are the same on every card and lie in overlays/.
 *
 * Sources: docs.k3s.io (cli/server: values that must agree; cli/certificate: custom CA; cli/token: token forms),
 * k3s pkg/agent/config (node password).
 */
#include "node/cluster.h"

static const char origin[] = "generated: k3s";

#define TLS_DIR "/var/lib/rancher/k3s/server/tls"

/* ---- config.yaml ---- */

static void add_once(struct yaml_node *seq, const char *text)
{
	for (size_t i = 0; i < seq->count; i++)
		if (streq(seq->items[i]->text, text))
			return;
	yaml_append(seq, yaml_str(text));
}

/* Names and addresses the API's certificate is good for: K3s adds no others by itself (tls-san-security). */
static struct yaml_node *k3s_server_names(const struct config *c)
{
	struct yaml_node *seq = yaml_seq();
	char ip[IPV4_TEXT];

	if (c->cluster.endpoint)
		add_once(seq, c->cluster.endpoint);
	if (c->cluster.vip)
		add_once(seq, ipv4_text(c->cluster.vip, ip));
	vec_foreach (n, &c->nodes) {
		if (n->role != ROLE_CONTROL_PLANE)
			continue;
		if (n->address.set)
			add_once(seq, ipv4_text(n->address.addr, ip));
		if (n->address.set && c->network.ipv6.enabled)
			add_once(seq, config_address6(c, n));
		add_once(seq, n->name);
	}
	return seq;
}

/* The user's own keys, in their order: one that is a list goes on from what is there. */
static void add_settings(struct yaml_node *doc, const struct k3s_settings *settings)
{
	vec_foreach (s, settings) {
		struct yaml_node *seq = s->value->type == YAML_SEQ ? yaml_get(doc, s->key) : NULL;

		if (!seq && s->value->type == YAML_SEQ)
			seq = yaml_set(doc, s->key, yaml_seq());
		for (size_t i = 0; seq && i < s->value->count; i++)
			add_once(seq, s->value->items[i]->text);
		if (!seq)
			yaml_set(doc, s->key, unconst(s->value));
	}
}

/* "10.42.0.0/16,fd12:3456:789a:4200::/56": IPv4 first, which is then what services have that do not ask for more. */
static const char *both_families(const struct config *c, const char *ipv4, const char *ipv6)
{
	return c->network.ipv6.enabled ? arena_printf("%s,%s", ipv4, ipv6) : ipv4;
}

/* Depends on nothing of the node, so that servers agree: K3s refuses one that does not. */
static void set_shared(struct yaml_node *doc, const struct node_ctx *x)
{
	const struct config *c = x->config;
	struct yaml_node *disable;

	yaml_set(doc, "cluster-cidr",
		 yaml_str(both_families(c, cidr_text(c->cluster.pod_cidr), cidr6_text(&c->network.ipv6.pods))));
	yaml_set(doc, "service-cidr",
		 yaml_str(both_families(c, cidr_text(c->cluster.service_cidr), cidr6_text(&c->network.ipv6.services))));
	/* Cilium is all of these. */
	yaml_set(doc, "flannel-backend", yaml_str("none"));
	yaml_set(doc, "disable-network-policy", yaml_bool(true));
	yaml_set(doc, "disable-kube-proxy", yaml_bool(true));
	disable = yaml_set(doc, "disable", cluster_strings("servicelb", "traefik", NULL));
	vec_foreach (name, &c->k3s.disable)
		add_once(disable, *name);
	if (c->k3s.secrets_encryption)
		yaml_set(doc, "secrets-encryption", yaml_bool(true));
	yaml_set(doc, "tls-san", k3s_server_names(c));
	if (c->registries.share)
		yaml_set(doc, "embedded-registry", yaml_bool(true));
	yaml_set(doc, "token", yaml_str(x->secrets->server_token));
	/* Bare here: a server takes the K10 form of an agent token for the password itself. */
	yaml_set(doc, "agent-token", yaml_str(x->secrets->agent_password));
}

static void set_server(struct yaml_node *doc, const struct node_ctx *x)
{
	set_shared(doc, x);
	yaml_set(doc, "write-kubeconfig-mode", yaml_str("0600"));
}

static struct yaml_node *k3s_texts(struct text_list list)
{
	struct yaml_node *seq = yaml_seq();

	vec_foreach (s, &list)
		yaml_append(seq, yaml_str(*s));
	return seq;
}

static void set_node(struct yaml_node *doc, const struct node_ctx *x)
{
	const struct text_list taints = cluster_taints(x->config, x->node);
	char ip[IPV4_TEXT];

	yaml_set(doc, "node-name", yaml_str(x->node->name));
	if (x->node->address.set)
		yaml_set(doc, "node-ip",
			 yaml_str(both_families(x->config, ipv4_text(x->node->address.addr, ip),
						config_address6(x->config, x->node))));
	yaml_set(doc, "resolv-conf", yaml_str(node_pod_resolv_conf(x->config)));
	/* Those of its first registration; what it may not give itself, and what changes, comes by steps/nodes.sh. */
	yaml_set(doc, "node-label", k3s_texts(cluster_labels(x->node, x->board, true)));
	if (taints.n)
		yaml_set(doc, "node-taint", k3s_texts(taints));
}

/* Neither server nor cluster-init: which of them holds is found on the card (steps/find-cluster.sh), beside this file.
 */
static void add_config(const struct node_ctx *x, struct tree *t)
{
	struct yaml_node *doc = yaml_map();
	struct entry *n;

	set_node(doc, x);
	if (x->node->role == ROLE_WORKER) {
		yaml_set(doc, "token", yaml_str(x->secrets->agent_token));
		add_settings(doc, &x->config->k3s.agent);
	} else {
		set_server(doc, x);
		add_settings(doc, &x->config->k3s.server);
	}
	tree_add_dir(t, "/etc/rancher", 0755, origin);
	tree_add_dir(t, "/etc/rancher/k3s", 0755, origin);
	n = cluster_add_yaml(t, "/etc/rancher/k3s/config.yaml", 0600, origin, &doc, 1);
	n->secret = true;
}

/* ---- identity ---- */

/* A node that comes back under its name is let in only with the password it first came with. */
static int add_node_password(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const char *password = secrets_node_password(x->secrets, x->node->name);
	struct entry *n;

	if (!password && x->secret_use == SECRET_PROBE)
		password = SECRETS_MASK;
	if (!password)
		return err_class(e, CLASS_CONFIG, "%s has no password for %s yet: `pibuild build` makes it",
				 str_or(x->secrets->path, "the secrets file"), x->node->name);
	tree_add_dir(t, "/etc/rancher/node", 0700, origin);
	n = tree_add_text(t, "/etc/rancher/node/password", 0600, origin, arena_printf("%s\n", password));
	n->secret = true;
	return 0;
}

static void add_pem(struct tree *t, const char *path, const char *pem, bool secret)
{
	struct entry *n = tree_add_text(t, path, secret ? 0600 : 0644, origin, pem);

	n->secret = secret;
}

static void add_ca_set(const struct node_ctx *x, struct tree *t)
{
	const struct secrets *s = x->secrets;
	const struct {
		const char *name;
		const struct key_pair *pair;
	} pairs[] = {
		{ "server-ca", &s->server_ca },
		{ "client-ca", &s->client_ca },
		{ "request-header-ca", &s->request_header_ca },
		{ "etcd/server-ca", &s->etcd_server_ca },
		{ "etcd/peer-ca", &s->etcd_peer_ca },
	};

	tree_add_dir(t, "/var/lib/rancher/k3s/server", 0700, origin);
	tree_add_dir(t, TLS_DIR, 0700, origin);
	tree_add_dir(t, TLS_DIR "/etcd", 0700, origin);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		add_pem(t, arena_printf(TLS_DIR "/%s.crt", pairs[i].name), pairs[i].pair->cert, false);
		add_pem(t, arena_printf(TLS_DIR "/%s.key", pairs[i].name), pairs[i].pair->key, true);
	}
	add_pem(t, TLS_DIR "/service.key", s->service_key, true);
}

/* What a server needs to remove itself, as it was before, from the cluster it comes back to. Nothing that its token
 * would not give it: K3s hands the keys of the CAs to whoever has that. */
static void add_admin(const struct node_ctx *x, struct tree *t)
{
	tree_add_dir(t, "/etc/pibuild/secrets", 0700, origin);
	add_pem(t, "/etc/pibuild/secrets/server-ca.crt", x->secrets->server_ca.cert, false);
	add_pem(t, "/etc/pibuild/secrets/admin.crt", x->secrets->admin.cert, false);
	add_pem(t, "/etc/pibuild/secrets/admin.key", x->secrets->admin.key, true);
}

static void add_links(struct tree *t)
{
	static const char *const names[] = { "kubectl", "crictl", "ctr" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		tree_add_symlink(t, arena_printf("/usr/local/bin/%s", names[i]), origin, "k3s")->layer = LAYER_ROLE;
}

int node_add_k3s(const struct node_ctx *x, struct tree *t, struct err *e)
{
	int r;

	add_links(t);
	add_config(x, t);
	r = add_node_password(x, t, e);
	if (r < 0)
		return r;
	if (node_is_first_server(x))
		add_ca_set(x, t);
	if (x->node->role == ROLE_CONTROL_PLANE && config_uses_etcd(x->config))
		add_admin(x, t);
	return 0;
}
