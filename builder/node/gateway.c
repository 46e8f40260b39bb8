/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's gateway: a Gateway of Cilium with listeners for each zone and its names, routes that lead HTTP to HTTPS
 * and to Hubble's UI, and the policy of who gets an answer. Its certificates: cert_manager.c; its address: cilium.c.
 *
 * Sources, all of cilium/cilium:
 * - the address stands in spec.addresses, of type IPAddress; the annotation that did it before is to go
 *   (Documentation/network/servicemesh/gateway-api/addresses.rst; operator/pkg/gateway-api/gateway_reconcile.go,
 *   verifyGatewayStaticAddresses());
 * - what arrives for a Gateway gets the identity `ingress`, its source intact whatever externalTrafficPolicy says, and
 *   a policy that selects reserved:ingress decides who may (Documentation/network/servicemesh/ingress-reference.rst and
 *   external-ingress-policy.rst, examples/kubernetes/servicemesh/policy/allow-ingress-cidr.yaml). All Gateways and
 *   Ingresses share that identity: there is no policy for one of them.
 */
#include "node/cluster.h"

static const char origin[] = "generated: gateway";

#define GATEWAY_API "gateway.networking.k8s.io/v1"

/* A zone, and what a wildcard covers below it. */
static const struct {
	const char *listener, *hostname;
} names[] = { { "", "" }, { "wildcard-", "*." } };

static const char *listener_name(const char *scheme, size_t k, const char *zone)
{
	return arena_printf("%s-%s%s", scheme, names[k].listener, zone);
}

/* HTTP that only redirects is nothing that routes of others could hang on to. */
static struct yaml_node *listener(const struct config *c, bool https, size_t k, const char *zone)
{
	struct yaml_node *l = yaml_map(), *tls, *refs;

	yaml_set(l, "name", yaml_str(listener_name(https ? "https" : "http", k, zone)));
	yaml_set(l, "protocol", yaml_str(https ? "HTTPS" : "HTTP"));
	yaml_set(l, "port", yaml_int(https ? 443 : 80));
	yaml_set(l, "hostname", yaml_strf("%s%s", names[k].hostname, zone));
	yaml_set_path(l, "allowedRoutes.namespaces.from", yaml_str(https || !c->gateway.redirect ? "All" : "Same"));
	if (!https)
		return l;
	tls = yaml_set(l, "tls", yaml_map());
	yaml_set(tls, "mode", yaml_str("Terminate"));
	refs = yaml_append(yaml_set(tls, "certificateRefs", yaml_seq()), yaml_map());
	yaml_set(refs, "name", yaml_str(cert_manager_wildcard(zone)));
	return l;
}

static struct yaml_node *gateway(const struct config *c)
{
	struct yaml_node *doc = cluster_object(GATEWAY_API, "Gateway", GATEWAY_NAME, GATEWAY_NAMESPACE);
	struct yaml_node *spec = yaml_set(doc, "spec", yaml_map()), *address, *listeners;
	char ip[IPV4_TEXT];

	yaml_set(spec, "gatewayClassName", yaml_str("cilium"));
	address = yaml_append(yaml_set(spec, "addresses", yaml_seq()), yaml_map());
	yaml_set(address, "type", yaml_str("IPAddress"));
	yaml_set(address, "value", yaml_str(ipv4_text(c->gateway.address, ip)));
	listeners = yaml_set(spec, "listeners", yaml_seq());
	for (int https = 0; https < 2; https++)
		vec_foreach (zone, &c->gateway.zones)
			for (size_t k = 0; k < ARRAY_SIZE(names); k++)
				yaml_append(listeners, listener(c, https, k, *zone));
	return doc;
}

static struct yaml_node *route(const char *name)
{
	return cluster_object(GATEWAY_API, "HTTPRoute", name, GATEWAY_NAMESPACE);
}

static void append_parent(struct yaml_node *parents, const char *section)
{
	struct yaml_node *parent = yaml_append(parents, yaml_map());

	yaml_set(parent, "name", yaml_str(GATEWAY_NAME));
	yaml_set(parent, "sectionName", yaml_str(section));
}

static struct yaml_node *redirect(const struct config *c)
{
	struct yaml_node *doc = route("https-redirect"), *filter;
	struct yaml_node *parents = yaml_set_path(doc, "spec.parentRefs", yaml_seq());

	vec_foreach (zone, &c->gateway.zones)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			append_parent(parents, listener_name("http", k, *zone));
	filter = yaml_append(yaml_set_path(doc, "spec.rules", yaml_seq()), yaml_map());
	filter = yaml_append(yaml_set(filter, "filters", yaml_seq()), yaml_map());
	yaml_set(filter, "type", yaml_str("RequestRedirect"));
	yaml_set_path(filter, "requestRedirect.scheme", yaml_str("https"));
	yaml_set_path(filter, "requestRedirect.statusCode", yaml_int(301));
	return doc;
}

/* The listener that is asked for NAME: the one of just that name goes before a wildcard. */
static const char *https_listener(const struct config *c, const char *name)
{
	const char *dot = strchr(name, '.');

	if (config_is_gateway_zone(c, name))
		return listener_name("https", 0, name);
	return listener_name("https", 1, dot ? dot + 1 : name);
}

/* Service and port as Cilium's chart makes them (templates/hubble-ui/service.yaml). */
static struct yaml_node *hubble(const struct config *c)
{
	struct yaml_node *doc = route("hubble-ui"), *backend;

	append_parent(yaml_set_path(doc, "spec.parentRefs", yaml_seq()), https_listener(c, c->gateway.hubble));
	yaml_append(yaml_set_path(doc, "spec.hostnames", yaml_seq()), yaml_str(c->gateway.hubble));
	backend = yaml_append(yaml_set_path(doc, "spec.rules", yaml_seq()), yaml_map());
	backend = yaml_append(yaml_set(backend, "backendRefs", yaml_seq()), yaml_map());
	yaml_set(backend, "name", yaml_str("hubble-ui"));
	yaml_set(backend, "port", yaml_int(80));
	return doc;
}

static struct yaml_node *gateway_policy(const struct config *c)
{
	struct yaml_node *doc = cluster_object("cilium.io/v2", "CiliumClusterwideNetworkPolicy", "gateway", NULL);
	struct yaml_node *expression, *ingress, *sources;

	yaml_set_path(doc, "spec.description", yaml_str("Who gets an answer from Gateways and Ingresses"));
	expression = yaml_append(yaml_set_path(doc, "spec.endpointSelector.matchExpressions", yaml_seq()), yaml_map());
	yaml_set(expression, "key", yaml_str("reserved:ingress"));
	yaml_set(expression, "operator", yaml_str("Exists"));
	ingress = yaml_set_path(doc, "spec.ingress", yaml_seq());
	yaml_set(yaml_append(ingress, yaml_map()), "fromEntities", cluster_strings("cluster", NULL));
	sources = yaml_set(yaml_append(ingress, yaml_map()), "fromCIDR", yaml_seq());
	vec_foreach (s, &c->gateway.allow_from)
		yaml_append(sources, yaml_str(cidr_text(*s)));
	return doc;
}

int node_add_gateway(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;
	VEC(struct yaml_node *) docs = { 0 };

	if (!c->gateway.enabled || !node_is_first_server(x))
		return 0;
	/* The policy comes first: nothing is open before it is closed. */
	*vec_push(&docs) = gateway_policy(c);
	*vec_push(&docs) = gateway(c);
	if (c->gateway.redirect)
		*vec_push(&docs) = redirect(c);
	if (c->gateway.hubble)
		*vec_push(&docs) = hubble(c);
	cluster_add_yaml(t, "/etc/pibuild/manifests/gateway.yaml", 0644, origin, docs.v, docs.n);
	return 0;
}
