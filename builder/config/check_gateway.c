/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway needs of the rest of the file: an address that is its own, certificates, something to show. */
#include "config/check.h"

/* Four listeners a zone, of the 64 that a Gateway takes (its definition, spec.listeners). */
enum { GATEWAY_ZONES_MAX = 16 };

static void check_gateway_address(const struct check *x)
{
	const struct config *c = x->config;
	char ip[IPV4_TEXT];

	if (!c->gateway.address)
		return;
	vec_foreach (p, &c->lb.pools)
		if (!p->range.set || range_has(p->range, c->gateway.address))
			return;
	fault_key(
		x->faults, c, "gateway.address",
		"gateway.address: %s is in no pool, and Cilium gives out addresses of pools alone; %s loadBalancer.pools, or take one that is in it",
		ipv4_text(c->gateway.address, ip),
		c->lb.pools.n ? "make it part of a range of" : "add one that holds it to");
}

/* A wildcard stands for one label (RFC 6125, 6.4.3). */
static bool covers(const char *zone, const char *name)
{
	const char *dot = strchr(name, '.');

	return streq(name, zone) || (dot && streq(dot + 1, zone));
}

/* One name leads to one place, and the API's nodes have to find. */
static void check_gateway_names(const struct check *x)
{
	const struct config *c = x->config;
	const char *endpoint = c->cluster.endpoint;

	vec_foreach (z, &c->gateway.zones)
		if (endpoint && *z && streq(*z, endpoint))
			fault_key(
				x->faults, c, "cluster.endpoint",
				"cluster.endpoint: %s is a zone of the gateway, whose name leads there and not to the API; take one of its own, such as api.%s",
				endpoint, endpoint);
	if (endpoint && c->gateway.hubble && streq(endpoint, c->gateway.hubble))
		fault_key(
			x->faults, c, "gateway.hubble",
			"gateway.hubble: %s is cluster.endpoint, which leads to the API and not to the gateway; take another name",
			endpoint);
}

/* Cilium's own Service for Ingresses takes an address beside it. */
static void check_gateway_leaves_some(const struct check *x)
{
	const struct config *c = x->config;
	uint64_t addresses = 0;

	vec_foreach (p, &c->lb.pools)
		addresses += p->range.set ? (uint64_t)p->range.last - p->range.first + 1 : 2;
	if (addresses == 1 && c->cilium.ingress != STATE_OFF)
		note_key(
			x->faults, c, "gateway.address",
			"gateway.address: it is the only address of loadBalancer.pools, so that Ingress and every other Service of type LoadBalancer wait for one; give a larger range, or set cilium.ingress: false");
}

static void check_gateway_hubble(const struct check *x)
{
	const struct config *c = x->config;
	const char *zone = c->gateway.zones.n ? c->gateway.zones.v[0] : NULL;

	if (!c->gateway.hubble)
		return;
	if (!c->cilium.hubble_ui)
		fault_key(x->faults, c, "gateway.hubble",
			  "gateway.hubble: there is no Hubble UI to show; set cilium.hubble.ui: true, or remove this");
	vec_foreach (s, &c->gateway.allow_from)
		if (s->set && s->prefix == 0)
			note_key(
				x->faults, c, "gateway.allowFrom",
				"gateway.allowFrom: Hubble's UI has no login: everybody who reaches %s sees what talks to what in the cluster",
				c->gateway.hubble);
	vec_foreach (z, &c->gateway.zones)
		if (!*z || covers(*z, c->gateway.hubble))
			return;
	if (zone)
		fault_key(
			x->faults, c, "gateway.hubble",
			"gateway.hubble: no certificate is for %s: those of the gateway are for a zone and the names right below it; take hubble.%s",
			c->gateway.hubble, zone);
}

static bool is_issued(const struct config *c, const char *zone)
{
	vec_foreach (z, &c->cert_manager.zones)
		if (!*z || name_is_below(zone, *z))
			return true;
	return false;
}

static void check_gateway_certificates(const struct check *x)
{
	const struct config *c = x->config;

	if (config_default_issuer(c) == ISSUER_COUNT) {
		fault_key(
			x->faults, c, "gateway",
			"gateway: nobody signs its certificates; add certManager: {issuers: [ca], zones: [home.arpa]}, or dns01 for a domain of yours");
		return;
	}
	if (c->gateway.issuer < ISSUER_COUNT && !c->cert_manager.issuers[c->gateway.issuer])
		fault_key(x->faults, c, "gateway.issuer",
			  "gateway.issuer: %s is not among certManager.issuers; add it there, or take one that is",
			  issuer_names[c->gateway.issuer]);
	else if (c->gateway.issuer == ISSUER_STAGING)
		note_key(
			x->faults, c, "gateway",
			"gateway: its certificates come from letsencrypt-staging, which no browser trusts; once they come, use letsencrypt-production");
	for (size_t i = 0; i < c->gateway.zones.n; i++) {
		const char *zone = c->gateway.zones.v[i], *key = arena_printf("gateway.zones[%zu]", i);

		if (zone && !is_issued(c, zone))
			fault_key(
				x->faults, c, key,
				"%s: no issuer signs for %s: it is neither one of certManager.zones nor below one; add it there",
				key, zone);
		if (zone && c->gateway.issuer < ISSUER_COUNT && c->cert_manager.issuers[c->gateway.issuer] &&
		    c->gateway.issuer != config_zone_issuer(c, zone) && yaml_find(c->doc, "gateway.issuer"))
			fault_key(
				x->faults, c, "gateway.issuer",
				"gateway.issuer: %s never signs for %s; leave it out: ca signs for that zone then, and Let's Encrypt for those of the internet, or write ca",
				issuer_names[c->gateway.issuer], zone);
		for (size_t k = 0; zone && k < i && yaml_find(c->doc, "gateway.zones"); k++)
			if (c->gateway.zones.v[k] && streq(c->gateway.zones.v[k], zone))
				fault_key(x->faults, c, key, "%s: %s is there twice", key, zone);
	}
}

void check_gateway_section(const struct check *x)
{
	const struct config *c = x->config;
	const struct yaml_node *from = yaml_find(c->doc, "gateway.allowFrom");

	if (!c->gateway.enabled)
		return;
	check_gateway_address(x);
	check_gateway_certificates(x);
	check_gateway_names(x);
	check_gateway_leaves_some(x);
	check_gateway_hubble(x);
	if (from && from->type == YAML_SEQ && !from->count)
		fault_key(
			x->faults, c, "gateway.allowFrom",
			"gateway.allowFrom: there is nothing in it, so nobody on the LAN would get an answer; leave it out for network.subnet, or write who gets one");
	if (!c->gateway.zones.n && config_default_issuer(c) != ISSUER_COUNT && !yaml_find(c->doc, "certManager.zones"))
		fault_key(
			x->faults, c, "gateway",
			"gateway: for which domains? add zones to certManager, such as [home.arpa], and to gateway if they differ");
	if (c->gateway.zones.n > GATEWAY_ZONES_MAX)
		fault_key(
			x->faults, c, "gateway.zones",
			"gateway.zones: a Gateway has room for %d zones, and these are %zu; a Gateway of your own takes the rest",
			GATEWAY_ZONES_MAX, c->gateway.zones.n);
	if (c->cilium.gateway_api == STATE_OFF)
		fault_key(
			x->faults, c, "cilium.gatewayAPI",
			"cilium.gatewayAPI: the gateway is Cilium's, and this turns it off; remove this, or remove gateway");
}
