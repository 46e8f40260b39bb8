/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the first server needs to install cert-manager: values of the chart, Let's Encrypt issuers that prove a domain
 * by DNS, and the provider's secret; the issuer `ca` and its CA. Which key lands where: config/dns01.c. CRD fields:
 * cert-manager v1.21.1. The secret of an issuer of kind CA holds tls.crt and tls.key (cert-manager/cert-manager
 * pkg/issuer/ca/setup.go).
 */
#include "config/compat.h"
#include "config/dns01.h"
#include "node/cluster.h"
#include "node/proxy.h"

static const char origin[] = "generated: cert-manager";

#define NAMESPACE   "cert-manager" /* secrets of ClusterIssuers are looked for here */
#define SECRET_NAME "dns01"
#define CA_SECRET   "issuer-ca"

static const char *const acme_servers[ISSUER_COUNT] = {
	[ISSUER_STAGING] = "https://acme-staging-v02.api.letsencrypt.org/directory",
	[ISSUER_PRODUCTION] = "https://acme-v02.api.letsencrypt.org/directory",
};

/* Its pods ask Let's Encrypt and the DNS provider. */
static int set_proxy(const struct node_ctx *x, struct yaml_node *values, struct err *e)
{
	struct proxy p;
	int r = node_proxy(x, &p, e);

	if (r < 0)
		return r;
	yaml_set(values, "http_proxy", yaml_str(p.http));
	yaml_set(values, "https_proxy", yaml_str(p.https));
	yaml_set(values, "no_proxy", yaml_str(p.none));
	return 0;
}

static int add_values(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct yaml_node *values = yaml_map();
	bool secret = proxy_is_secret(x->config);
	int r;

	yaml_set_path(values, "crds.enabled", yaml_bool(true));
	/* The chart's one minute is too short for a Pi that still pulls images. */
	yaml_set_path(values, "startupapicheck.timeout", yaml_str("5m"));
	/* A home's own resolver answers for the zone itself, and challenges would never be seen. */
	yaml_set(values, "dns01RecursiveNameservers", yaml_str("1.1.1.1:53,8.8.8.8:53"));
	yaml_set(values, "dns01RecursiveNameserversOnly", yaml_bool(true));
	if (cilium_gateway_on(x))
		yaml_set_path(values,
			      compat_cert_manager_gateway_api(cluster_version(x, "certManager"))
				      ? "config.gatewayAPI.enabled"
				      : "config.enableGatewayAPI",
			      yaml_bool(true));
	r = proxy_is_given(x->config) ? set_proxy(x, values, e) : 0;
	if (r < 0)
		return r;
	cluster_add_yaml(t, "/etc/pibuild/cert-manager-values.yaml", secret ? 0600 : 0644, origin, &values, 1)->secret =
		secret;
	return 0;
}

/* ---- solver and its secret ---- */

static void set_value(struct yaml_node *solver, const struct dns01_key *key, const struct dns01_value *v)
{
	struct yaml_node *ref;

	if (v->text || v->map) {
		yaml_set_path(solver, key->text_path, v->map ? unconst(v->map) : yaml_str(v->text));
		return;
	}
	ref = yaml_set_path(solver, key->secret_path, yaml_map());
	yaml_set(ref, "name", yaml_str(SECRET_NAME));
	yaml_set(ref, "key", yaml_str(key->secret_key));
}

static struct yaml_node *solver(const struct config *c)
{
	const struct dns01_provider *p = dns01_provider_find(c->cert_manager.provider);
	struct yaml_node *n = yaml_map(), *zones, *values;

	if (c->cert_manager.zones.n) {
		zones = yaml_set_path(n, "selector.dnsZones", yaml_seq());
		vec_foreach (z, &c->cert_manager.zones)
			if (!name_is_private(*z))
				yaml_append(zones, yaml_str(*z));
	}
	values = yaml_set(yaml_set(n, "dns01", yaml_map()), p->solver, yaml_map());
	vec_foreach (v, &c->cert_manager.dns01)
		set_value(values, dns01_key_find(p, v->key), v);
	return n;
}

static int set_secret(const struct node_ctx *x, const struct dns01_value *v, struct yaml_node *data, struct err *e)
{
	const struct dns01_provider *p = dns01_provider_find(x->config->cert_manager.provider);
	const char *text;
	size_t n;
	int r = secret_resolve(&v->secret, x->secret_use, &text, &n, e);

	if (r < 0)
		return err_wrap(e, "certManager.dns01.%s", v->key);
	yaml_set(data, dns01_key_find(p, v->key)->secret_key, yaml_strn(text, n));
	return 0;
}

static int add_secret(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct yaml_node *doc = cluster_object("v1", "Secret", SECRET_NAME, NAMESPACE), *data;

	yaml_set(doc, "type", yaml_str("Opaque"));
	/* stringData takes the text as it is; data wants base64, where one stray newline breaks a token. */
	data = yaml_set(doc, "stringData", yaml_map());
	vec_foreach (v, &x->config->cert_manager.dns01) {
		int r = v->text || v->map ? 0 : set_secret(x, v, data, e);

		if (r < 0)
			return r;
	}
	if (!data->count)
		return 0;
	tree_add_dir(t, "/etc/pibuild/secrets", 0700, origin);
	cluster_add_yaml(t, "/etc/pibuild/secrets/dns01.yaml", 0600, origin, &doc, 1)->secret = true;
	return 0;
}

/* The file of secrets may be older than the wish for a CA: a build completes it first. */
static void add_ca_secret(const struct node_ctx *x, struct tree *t)
{
	struct yaml_node *doc = cluster_object("v1", "Secret", CA_SECRET, NAMESPACE), *data;
	const struct key_pair *ca = x->secrets->issuer_ca.cert ? &x->secrets->issuer_ca : &secrets_masked()->issuer_ca;

	if (!x->config->cert_manager.issuers[ISSUER_CA])
		return;
	yaml_set(doc, "type", yaml_str("kubernetes.io/tls"));
	data = yaml_set(doc, "stringData", yaml_map());
	yaml_set(data, "tls.crt", yaml_str(ca->cert));
	yaml_set(data, "tls.key", yaml_str(ca->key));
	tree_add_dir(t, "/etc/pibuild/secrets", 0700, origin);
	cluster_add_yaml(t, "/etc/pibuild/secrets/" CA_SECRET ".yaml", 0600, origin, &doc, 1)->secret = true;
}

/* ---- issuers and certificates ---- */

static struct yaml_node *issuer(const struct node_ctx *x, enum issuer which)
{
	const char *name = issuer_names[which];
	struct yaml_node *doc = cluster_object("cert-manager.io/v1", "ClusterIssuer", name, NULL), *acme;

	if (which == ISSUER_CA) {
		yaml_set_path(doc, "spec.ca.secretName", yaml_str(CA_SECRET));
		return doc;
	}
	acme = yaml_set_path(doc, "spec.acme", yaml_map());
	yaml_set(acme, "server", yaml_str(acme_servers[which]));
	if (x->config->cert_manager.email)
		yaml_set(acme, "email", yaml_str(x->config->cert_manager.email));
	if (compat_cert_manager_profile(cluster_version(x, "certManager")))
		yaml_set(acme, "profile", yaml_str("tlsserver"));
	yaml_set_path(acme, "privateKeySecretRef.name", yaml_str(name));
	yaml_append(yaml_set(acme, "solvers", yaml_seq()), solver(x->config));
	return doc;
}

const char *cert_manager_wildcard(const char *zone)
{
	return arena_printf("wildcard-%s", zone);
}

static struct yaml_node *wildcard(const struct config *c, const char *zone)
{
	const char *name = cert_manager_wildcard(zone);
	struct yaml_node *doc = cluster_object("cert-manager.io/v1", "Certificate", name, GATEWAY_NAMESPACE);
	struct yaml_node *spec = yaml_set(doc, "spec", yaml_map());
	enum issuer issuer = config_zone_issuer(c, zone);

	yaml_set(spec, "secretName", yaml_str(name));
	yaml_set_path(spec, "issuerRef.kind", yaml_str("ClusterIssuer"));
	yaml_set_path(spec, "issuerRef.name", yaml_str(issuer_names[issuer]));
	yaml_set(spec, "dnsNames", cluster_strings(zone, arena_printf("*.%s", zone), NULL));
	/* Let's Encrypt adds it itself; Apple's systems trust no certificate of a server without it
	 * (support.apple.com/103769). */
	if (issuer == ISSUER_CA)
		yaml_set(spec, "usages", cluster_strings("digital signature", "key encipherment", "server auth", NULL));
	return doc;
}

const char *const *cert_manager_issuers(const struct config *c)
{
	const char **names = arena_alloc((ISSUER_COUNT + 1) * sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < ISSUER_COUNT; i++)
		if (c->cert_manager.issuers[i] && (i == ISSUER_CA || c->cert_manager.provider))
			names[n++] = issuer_names[i];
	names[n] = NULL;
	return names;
}

const char *const *cert_manager_certificates(const struct config *c)
{
	struct text_list zones = config_certificate_zones(c);
	const char **names = arena_alloc((zones.n + 1) * sizeof(*names));
	size_t n = 0;

	vec_foreach (zone, &zones)
		names[n++] = cert_manager_wildcard(*zone);
	names[n] = NULL;
	return names;
}

static void add_issuers(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	struct text_list zones = config_certificate_zones(c);
	VEC(struct yaml_node *) docs = { 0 };

	for (enum issuer i = 0; i < ISSUER_COUNT; i++)
		if (c->cert_manager.issuers[i])
			*vec_push(&docs) = issuer(x, i);
	vec_foreach (zone, &zones)
		*vec_push(&docs) = wildcard(c, *zone);
	if (docs.n)
		cluster_add_yaml(t, "/etc/pibuild/manifests/issuers.yaml", 0644, origin, docs.v, docs.n);
}

int node_add_cert_manager(const struct node_ctx *x, struct tree *t, struct err *e)
{
	int r;

	if (!x->config->cert_manager.enabled || !node_is_first_server(x))
		return 0;
	r = add_values(x, t, e);
	if (r < 0)
		return r;
	add_issuers(x, t);
	add_ca_secret(x, t);
	return x->config->cert_manager.provider ? add_secret(x, t, e) : 0;
}
