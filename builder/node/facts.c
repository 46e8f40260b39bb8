/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of first boot are told of cluster.yaml: /etc/pibuild/node, servers, eeprom and nodes. Values are
 * names, numbers and addresses that the schema has checked: no blanks but those between them.
 */
#include "config/address_plan.h"
#include "config/registries.h"
#include "node/cluster.h"

static const char origin[] = FIRST_BOOT_ORIGIN;

/* Networks that a node can propose where the one it is in collides: enough that some are clear of any LAN. */
enum { FREE_NETWORKS = 12 };

bool node_sets_eeprom(const struct node_ctx *x)
{
	return x->board->eeprom && config_node_boot(x->config, x->node).eeprom.n;
}

bool node_finds_cluster(const struct node_ctx *x)
{
	return x->node->role == ROLE_WORKER || config_uses_etcd(x->config);
}

/* ---- /etc/pibuild/node: lists, each word with a blank in front ---- */

static bool on_each_node(const struct node_ctx *x)
{
	return true;
}

/* Where images come from: HOST each, or "HOST:PORT,HOST" of mirrors. */
static void list_registries(const struct node_ctx *x, struct strbuf *b)
{
	static const struct {
		const char *name, *host;
		bool (*wanted)(const struct node_ctx *x);
	} registries[] = {
		{ "docker.io", "registry-1.docker.io", on_each_node }, /* K3s */
		{ "quay.io", "quay.io", on_each_node },		       /* Cilium, cert-manager */
		{ "ghcr.io", "ghcr.io", node_has_vip },		       /* kube-vip */
	};

	for (size_t i = 0; i < ARRAY_SIZE(registries); i++) {
		const struct registry_mirror *m = registry_mirror_of(x->config, registries[i].name);

		if (!registries[i].wanted(x))
			continue;
		if (!m)
			strbuf_addf(b, " %s", registries[i].host);
		for (size_t k = 0; m && k < m->to.n; k++)
			strbuf_addf(b, "%s%s", k ? "," : " ", registry_host(m->to.v[k]));
	}
}

static void list_members(const struct node_ctx *x, struct strbuf *b)
{
	vec_foreach (n, &x->config->nodes)
		strbuf_addf(b, " %s=%s", n->name, role_names[n->role]);
}

static void list_time_servers(const struct node_ctx *x, struct strbuf *b)
{
	vec_foreach (server, &x->config->network.ntp)
		strbuf_addf(b, " %s", *server);
}

/* Of those that the router leads to, no node's network has to be. */
static void list_pools(const struct node_ctx *x, struct strbuf *b)
{
	const struct config *c = x->config;
	char first[IPV4_TEXT], last[IPV4_TEXT];

	vec_foreach (p, &c->lb.pools) {
		if (c->lb.bgp.enabled && c->network.subnet.set && !cidr_has(c->network.subnet, p->range.first))
			continue;
		strbuf_addf(b, " %s-%s", ipv4_text(p->range.first, first), ipv4_text(p->range.last, last));
	}
}

static void list_free_networks(const struct node_ctx *x, struct strbuf *b)
{
	struct cidr networks[FREE_NETWORKS];
	size_t n = config_free_networks(x->config, networks, FREE_NETWORKS);

	for (size_t i = 0; i < n; i++)
		strbuf_addf(b, " %s", cidr_text(networks[i]));
}

static void list_texts(const char *const *words, struct strbuf *b)
{
	for (; *words; words++)
		strbuf_addf(b, " %s", *words);
}

static void list_issuers(const struct node_ctx *x, struct strbuf *b)
{
	list_texts(cert_manager_issuers(x->config), b);
}

static void list_certificates(const struct node_ctx *x, struct strbuf *b)
{
	list_texts(cert_manager_certificates(x->config), b);
}

static void list_report_files(const struct node_ctx *x, struct strbuf *b)
{
	for (size_t i = 0; i < REPORT_FILE_COUNT; i++)
		strbuf_addf(b, " %s:%u:%s", report_files[i].json ? "json" : "text", report_files[i].size,
			    report_files[i].name);
}

/* ---- the lines of it ---- */

__attribute__((format(printf, 3, 4))) static void add_fact(struct strbuf *b, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_addf(b, "%s %s\n", key, arena_vprintf(fmt, ap));
	va_end(ap);
}

static void add_list(const struct node_ctx *x, struct strbuf *b, const char *key,
		     void (*list)(const struct node_ctx *x, struct strbuf *b))
{
	strbuf_adds(b, key);
	list(x, b);
	strbuf_adds(b, "\n");
}

static const char *yes_or_no(bool is)
{
	return is ? "yes" : "no";
}

static void add_facts(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	const struct node_config *n = x->node;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char address[IPV4_TEXT] = "";

	if (n->address.set)
		ipv4_text(n->address.addr, address);
	add_fact(&b, "cluster", "%s", c->cluster.name);
	add_fact(&b, "node", "%s", n->name);
	add_fact(&b, "role", "%s", role_names[n->role]);
	add_fact(&b, "first", "%s", yes_or_no(node_is_first_server(x)));
	add_fact(&b, "interface", "%s", board_lan_interface(x->board, c, n));
	add_fact(&b, "envoy", "%s", yes_or_no(cilium_ingress_on(x) || cilium_gateway_on(x)));
	add_fact(&b, "airgap", "%s", yes_or_no(c->airgap));
	add_list(x, &b, "registries", list_registries);
	add_fact(&b, "mirrors", "%s", yes_or_no(registries_given(c)));
	add_list(x, &b, "members", list_members);
	if (config_signs_bgp(c) && config_speaks_bgp(c, n))
		add_fact(&b, "signs", "yes");
	if (c->network.mtu)
		add_fact(&b, "mtu", "%u", c->network.mtu);
	if (c->network.ntp.n)
		add_list(x, &b, "ntp", list_time_servers);
	add_fact(&b, "address", "%s", address);
	if (c->network.ipv6.enabled && n->address.set)
		add_fact(&b, "address6", "%s", config_address6(c, n));
	add_list(x, &b, "pools", list_pools);
	add_fact(&b, "podcidr", "%s", cidr_text(c->cluster.pod_cidr));
	add_fact(&b, "servicecidr", "%s", cidr_text(c->cluster.service_cidr));
	add_list(x, &b, "free", list_free_networks);
	add_list(x, &b, "issuers", list_issuers);
	if (cert_manager_certificates(c)[0])
		add_list(x, &b, "certificates", list_certificates);
	add_list(x, &b, "report", list_report_files);
	tree_add_text(t, "/etc/pibuild/node", 0644, origin, b.s);
}

/* ---- what single steps read ---- */

/* "NAME HOST" of each server, then "- HOST" for endpoint and VIP where they are none of them: steps/find-cluster.sh. A
 * server that starts the cluster gets no answer there, since nobody has the VIP yet. */
static void add_servers(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	bool endpoint = c->cluster.endpoint != NULL;
	char ip[IPV4_TEXT];

	if (!node_finds_cluster(x))
		return;
	vec_foreach (n, &c->nodes) {
		const char *host = n->address.set ? ipv4_text(n->address.addr, ip) : n->name;

		if (n->role != ROLE_CONTROL_PLANE)
			continue;
		strbuf_addf(&b, "%s %s\n", n->name, host);
		endpoint &= !streq(host, str_or(c->cluster.endpoint, ""));
	}
	if (endpoint)
		strbuf_addf(&b, "- %s\n", c->cluster.endpoint);
	if (c->cluster.vip && !streq(ipv4_text(c->cluster.vip, ip), str_or(c->cluster.endpoint, "")))
		strbuf_addf(&b, "- %s\n", ip);
	tree_add_text(t, "/etc/pibuild/servers", 0644, origin, b.s);
}

/* "KEY=VALUE" of each setting: steps/eeprom.sh. */
static void add_eeprom(const struct node_ctx *x, struct tree *t)
{
	const struct boot_config boot = config_node_boot(x->config, x->node);
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (!node_sets_eeprom(x))
		return;
	vec_foreach (s, &boot.eeprom)
		strbuf_addf(&b, "%s=%s\n", s->key, s->value);
	tree_add_text(t, "/etc/pibuild/eeprom", 0644, origin, b.s);
}

/* "NODE label KEY=VALUE" or "NODE taint KEY=VALUE:EFFECT", of all nodes: steps/nodes.sh. */
static void add_nodes(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (!node_is_first_server(x))
		return;
	vec_foreach (n, &c->nodes) {
		const struct text_list labels = cluster_labels(n, x->boards[n - c->nodes.v], false);
		const struct text_list taints = cluster_taints(c, n);

		vec_foreach (l, &labels)
			strbuf_addf(&b, "%s label %s\n", n->name, *l);
		vec_foreach (l, &taints)
			strbuf_addf(&b, "%s taint %s\n", n->name, *l);
	}
	tree_add_text(t, "/etc/pibuild/nodes", 0644, origin, b.s);
}

int node_add_facts(const struct node_ctx *x, struct tree *t, struct err *e)
{
	add_facts(x, t);
	add_servers(x, t);
	add_eeprom(x, t);
	add_nodes(x, t);
	return 0;
}
