/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules across keys that need no board, one function each. A message says what the cluster would have done and what
 * to write instead.
 */
#include "config/apps.h"
#include "config/check.h"

#include "base/log.h"
#include "config/compat.h"
#include "schema/schema.h"

static void check_access(const struct check *x)
{
	const struct config *c = x->config;
	const struct yaml_node *keys = yaml_find(c->doc, "access.sshKeys");

	if (c->access.ssh_keys.n || c->access.github.n || c->access.password_hash || !yaml_get(c->doc, "access"))
		return;
	/* What is there but wrong has its own fault. */
	if (yaml_find(c->doc, "access.passwordHash") || (keys && keys->count) || (keys && keys->type != YAML_SEQ))
		return;
	fault_key(x->faults, c, "access.sshKeys",
		  "access: nobody could log in: give sshKeys (make one with `ssh-keygen -t ed25519`) or passwordHash");
}

/* ---- features ---- */

static void check_hubble(const struct check *x)
{
	const struct config *c = x->config;

	if (c->cilium.hubble_ui && !c->cilium.hubble_relay)
		fault_key(
			x->faults, c, "cilium.hubble.relay",
			"cilium.hubble: the UI talks to the relay, and Cilium's chart refuses one without the other; set relay: true or ui: false");
}

/* What was asked for by name, not what is on because every board can. */
static void check_has_address(const struct check *x)
{
	const struct config *c = x->config;
	const struct {
		const char *key;
		enum tristate state;
	} features[] = { { "cilium.ingress", c->cilium.ingress }, { "cilium.gatewayAPI", c->cilium.gateway_api } };

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].state == STATE_ON && !c->lb.pools.n && !check_is_given(x, "loadBalancer.pools") &&
		    !c->cilium.values)
			note_key(
				x->faults, c, features[i].key,
				"%s: without loadBalancer.pools its Service gets no address, and nobody outside of the cluster reaches it; add a pool",
				features[i].key);
}

static void check_cert_manager(const struct check *x)
{
	const struct config *c = x->config;
	bool dns01 = yaml_find(c->doc, "certManager.dns01") != NULL;

	if (!c->cert_manager.enabled)
		return;
	if (!dns01 && (c->cert_manager.issuers[ISSUER_STAGING] || c->cert_manager.issuers[ISSUER_PRODUCTION]))
		fault_key(
			x->faults, c, "certManager.issuers",
			"certManager.issuers: Let's Encrypt wants proof that a domain is yours; add dns01 with your DNS provider, or take [ca], a CA of your own");
	if (!dns01 && c->cert_manager.zones.n && config_default_issuer(c) == ISSUER_COUNT)
		fault_key(
			x->faults, c, "certManager.zones",
			"certManager.zones: no issuer would serve them; add dns01, or issuers: [ca] for a CA of your own");
	if (c->cert_manager.issuers[ISSUER_CA] && !c->cert_manager.zones.n && !check_is_given(x, "certManager.zones"))
		fault_key(
			x->faults, c, "certManager.issuers",
			"certManager.issuers: ca signs for names below certManager.zones alone, so that it can do no harm elsewhere; add zones, such as [home.arpa]");
	if (c->cert_manager.wildcard && !c->cert_manager.zones.n)
		fault_key(x->faults, c, "certManager.wildcard", "certManager.wildcard: for which domains? add zones");
}

static void check_base(const struct check *x)
{
	const struct config *c = x->config;
	bool shipped;

	if (!c->os.base)
		return;
	shipped = config_base_named(c->os.base);
	if (!shipped && !c->os.sha256 && !yaml_find(c->doc, "os.sha256"))
		fault_key(
			x->faults, c, "os.base",
			"os.sha256 is missing: an image of your own is used only when its digest is known (sha256sum FILE)");
	if (shipped && c->os.sha256)
		fault_key(x->faults, c, "os.sha256",
			  "os.sha256: %s is pinned by the lock; remove this, or give a path or URL as base",
			  c->os.base);
}

static void check_signature_key(const struct check *x)
{
	const struct config *c = x->config;

	if (c->os.signature_key && c->os.base && (c->os.base[0] == '/' || streq(c->os.base, "debian")))
		fault_key(
			x->faults, c, "os.signatureKey",
			"os.signatureKey: a signature lies beside what is downloaded; os.sha256 alone vouches for an image of your own");
}

/* The default asks for what the base can. */
static void check_swap(const struct check *x)
{
	const struct config *c = x->config;
	bool debian = c->os.base && streq(c->os.base, "debian");

	if (!c->os.base || c->os.swap != SWAP_ZRAM || !yaml_find(c->doc, "os.swap") ||
	    (!debian && !streq(c->os.base, "raspios-bookworm")))
		return;
	note_key(x->faults, c, "os.swap", "os.swap: os.base: %s cannot swap into memory; its nodes %s", c->os.base,
		 debian ? "do not swap" : "swap into a file on the card, as it sets up: off ends that");
}

/* A section that is on because it is there, with nothing in it: what stood below may be a comment by now. */
static void check_empty_sections(const struct check *x)
{
	static const struct {
		const char *key, *means;
	} sections[] = {
		{ "certManager", "cert-manager is installed, without an issuer" },
		{ "network.ipv6", "nodes, pods and services have IPv6 too, in private networks" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct yaml_node *n = yaml_find(x->config->doc, sections[i].key);

		if (n && schema_is_null(n) && !faults_at(x->faults, n, false))
			note_key(
				x->faults, x->config, sections[i].key,
				"%s: nothing stands below it, which is taken as {}: %s; to be without, remove the line",
				sections[i].key, sections[i].means);
	}
}

static void check_mirrors(const struct check *x)
{
	const struct config *c = x->config;

	vec_foreach (m, &c->mirrors)
		if (m->from && m->to && streq(m->from, m->to))
			fault_key(x->faults, c, arena_printf("mirrors[%zu].to", (size_t)(m - c->mirrors.v)),
				  "mirrors[%zu]: from and to are the same address", (size_t)(m - c->mirrors.v));
}

/* ---- K3s's own keys ---- */

static void check_disabled(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->k3s.disable.n; i++)
		if (c->k3s.disable.v[i] && streq(c->k3s.disable.v[i], "coredns"))
			note_key(
				x->faults, c, arena_printf("k3s.disable[%zu]", i),
				"k3s.disable[%zu]: without coredns no pod resolves a name, Hubble's and cert-manager's among them, until you bring another name server for the cluster",
				i);
}

/* ---- versions ---- */

/* At the side of the pair that the file pins. */
static void config_check_versions(const struct check *x)
{
	const struct config *c = x->config;
	struct misfits misfits = compat_misfits(x->versions, c->cilium.gateway_api != STATE_OFF,
						c->cert_manager.enabled);

	vec_foreach (m, &misfits.list) {
		const char *key = arena_printf("versions.%s", m->key);

		if (m->other && !yaml_find(c->doc, key) && yaml_find(c->doc, arena_printf("versions.%s", m->other)))
			key = arena_printf("versions.%s", m->other);
		if (m->untested)
			note_key(x->faults, c, key, "%s: %s", key, m->why);
		else
			fault_key(x->faults, c, key, "%s: %s", key, m->why);
	}
}

/* ---- secrets behind references ---- */

/* What a command prints is seen by the build alone: here none is run. */
static void probe(const struct check *x, const char *key, const struct secret_ref *ref)
{
	struct err e = { 0 };
	const char *text;
	size_t n;

	if (ref->kind != SECRET_NONE && secret_resolve(ref, SECRET_PROBE, &text, &n, &e) < 0)
		fault_key_failed(x->faults, x->config, key, &e);
}

static void probe_apps(const struct check *x)
{
	vec_foreach (a, &x->config->apps) {
		const char *key = app_key(x->config, a);

		vec_foreach (v, &a->secret_values)
			probe(x, arena_printf("%s.secretValues", key), &v->secret);
		vec_foreach (s, &a->secrets)
			vec_foreach (d, &s->data)
				probe(x,
				      a->flux ? key
					      : arena_printf("%s.secrets[%zu].data.%s", key, (size_t)(s - a->secrets.v),
							     d->key),
				      &d->secret);
	}
}

void config_check_secrets(const struct config *c, struct faults *f)
{
	const struct check x = { .config = c, .faults = f };

	probe(&x, "network.wifi.passphrase", &c->network.wifi.passphrase);
	probe(&x, "network.proxy.http", &c->network.proxy.http.secret);
	probe(&x, "network.proxy.https", &c->network.proxy.https.secret);
	vec_foreach (a, &c->registries.auth)
		probe(&x, arena_printf("registries.auth[%zu].password", (size_t)(a - c->registries.auth.v)),
		      &a->password);
	vec_foreach (v, &c->cert_manager.dns01)
		probe(&x, arena_printf("certManager.dns01.%s", v->key), &v->secret);
	probe_apps(&x);
	probe(&x, "loadBalancer.announce.bgp.password", &c->lb.bgp.password);
	probe(&x, "backup.to.s3.accessKey", &c->backup.s3.access_key);
	probe(&x, "backup.to.s3.secretKey", &c->backup.s3.secret_key);
	probe(&x, "backup.to.ssh.key", &c->backup.ssh.key);
}

static const struct check_rule rules[] = {
	{ "Hubble", check_hubble },
	{ "cert-manager", check_cert_manager },
	{ "ways in", check_has_address },
	{ "base", check_base },
	{ "signature key", check_signature_key },
	{ "swap", check_swap },
	{ "kernel settings", check_sysctls },
	{ "mirrors", check_mirrors },
	{ "what K3s leaves out", check_disabled },
	{ "kubelet", check_kubelet },
	{ "flags of K3s's programs", check_k3s_args },
	{ "values of K3s's keys", check_k3s_values },
	{ "registries", check_registries },
	{ "versions", config_check_versions },
	{ "values file", check_values_file },
	{ "access", check_access },
	{ "names", check_names },
	{ "BGP", check_bgp },
	{ "machines that are asked", check_asked },
	{ "zones", check_zones },
	{ "the cluster's gateway", check_gateway_section },
	{ "backup", check_backup },
	{ "packages", check_packages },
	{ "apps", check_apps },
	{ "empty sections", check_empty_sections },
	{ 0 },
};
static const struct check_rule *const tables[] = { check_node_rules, check_network_rules, rules };

void config_check(const struct config *c, const struct cluster_versions *v, struct faults *f)
{
	struct check x = { .config = c, .versions = v, .faults = f };

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct check_rule *rule = tables[i]; rule->name; rule++) {
			log_debug("check: %s", rule->name);
			rule->run(&x);
		}
}
