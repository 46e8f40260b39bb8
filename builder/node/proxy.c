/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy of network.proxy. K3s hands its environment to containerd, which pulls what pods run (docs.k3s.io,
 * advanced: configuring an HTTP proxy); preflight asks for registries the same way, from the same file.
 */
#include "node/proxy.h"

static const char origin[] = "generated: proxy";

bool proxy_is_given(const struct config *c)
{
	return c->network.proxy.http.text || c->network.proxy.http.secret.kind;
}

bool proxy_is_secret(const struct config *c)
{
	return c->network.proxy.http.secret.kind || c->network.proxy.https.secret.kind;
}

static int proxy_address(const struct node_ctx *x, const struct proxy_address *p, const char *key, const char **ret,
			 struct err *e)
{
	size_t n;
	int r;

	*ret = p->text;
	if (p->text)
		return 0;
	r = secret_resolve(&p->secret, x->secret_use, ret, &n, e);
	return r < 0 ? err_wrap(e, "network.proxy.%s", key) : 0;
}

static void no_proxy_add(struct strbuf *b, const char *text)
{
	strbuf_item(b, ",", text);
}

/* What is the cluster's own or on the LAN; K3s adds its networks itself, cert-manager's pods do not. */
static const char *no_proxy(const struct config *c)
{
	static const char *const always[] = { "localhost", "127.0.0.0/8", "::1", ".svc", ".cluster.local" };
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char ip[IPV4_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		no_proxy_add(&b, always[i]);
	no_proxy_add(&b, cidr_text(c->cluster.pod_cidr));
	no_proxy_add(&b, cidr_text(c->cluster.service_cidr));
	if (c->network.subnet.set)
		no_proxy_add(&b, cidr_text(c->network.subnet));
	if (c->network.ipv6.enabled) {
		no_proxy_add(&b, cidr6_text(&c->network.ipv6.pods));
		no_proxy_add(&b, cidr6_text(&c->network.ipv6.services));
		no_proxy_add(&b, cidr6_text(&c->network.ipv6.subnet));
	}
	if (c->cluster.endpoint)
		no_proxy_add(&b, c->cluster.endpoint);
	if (c->cluster.vip)
		no_proxy_add(&b, ipv4_text(c->cluster.vip, ip));
	vec_foreach (n, &c->nodes) {
		no_proxy_add(&b, n->name);
		if (n->address.set)
			no_proxy_add(&b, ipv4_text(n->address.addr, ip));
	}
	/* A name is looked up by the proxy, not here: that it leads into the LAN is not seen from it. */
	vec_foreach (host, &c->network.hosts)
		if (c->network.subnet.set && cidr_has(c->network.subnet, host->addr))
			no_proxy_add(&b, host->name);
	vec_foreach (text, &c->network.proxy.none)
		no_proxy_add(&b, *text);
	return arena_strdup(b.s);
}

int node_proxy(const struct node_ctx *x, struct proxy *ret, struct err *e)
{
	const struct config *c = x->config;
	const struct proxy_address *http = &c->network.proxy.http, *https = &c->network.proxy.https;
	bool one = !https->text && !https->secret.kind;
	int r = proxy_address(x, http, "http", &ret->http, e);

	if (r == 0)
		r = proxy_address(x, one ? http : https, one ? "http" : "https", &ret->https, e);
	ret->none = no_proxy(c);
	return r;
}

/* systemd.exec(5), EnvironmentFile=: in double quotes only these and the backslash mean something, and no value has
 * any (value_proxy_fault(), kind_no_proxy). K3s's own installer makes the file 0600 too. */
int node_add_proxy(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const char *unit = x->node->role == ROLE_WORKER ? "k3s-agent" : "k3s";
	struct proxy p;
	int r;

	if (!proxy_is_given(x->config))
		return 0;
	r = node_proxy(x, &p, e);
	if (r < 0)
		return r;
	tree_add_text(t, arena_printf("/etc/systemd/system/%s.service.env", unit), 0600, origin,
		      arena_printf("HTTP_PROXY=\"%s\"\nHTTPS_PROXY=\"%s\"\nNO_PROXY=\"%s\"\n", p.http, p.https, p.none))
		->secret = proxy_is_secret(x->config);
	return 0;
}
