/* SPDX-License-Identifier: Apache-2.0 */
/* Domains for which no public certificate authority issues anything, because they are no part of the internet's DNS. */
#include "config/check.h"
#include "config/names.h"

/* Set aside for ever, by IANA's registry of special-use domain names, ICANN, or use: each with all below it. */
static const struct {
	const char *domain, *why;
	bool unasked; /* no machine asks a name server for it, not even one's own */
} reserved[] = {
	{ "local", "is for names found by multicast (RFC 6762)", true },
	{ "localhost", "is every machine itself (RFC 6761)", true },
	{ "test", "is for tests (RFC 6761)", false },
	{ "example", "is for examples (RFC 6761)", false },
	{ "invalid", "is for names that must not exist (RFC 6761)", true },
	{ "onion", "is Tor's (RFC 7686)", true },
	{ "alt", "is for other name systems than DNS (RFC 9476)", true },
	{ "arpa", "is for the internet's own machinery and, with home.arpa (RFC 8375), for private networks", false },
	{ "internal", "is for private networks (ICANN, 2024)", false },
	{ "lan", "is for private networks (RFC 6762, appendix G)", false },
	{ "home", "is for private networks (RFC 6762, appendix G; ICANN will never delegate it)", false },
	{ "corp", "is for private networks (RFC 6762, appendix G; ICANN will never delegate it)", false },
	{ "mail", "is used by private networks (ICANN will never delegate it)", false },
	{ "intranet", "is for private networks (RFC 6762, appendix G)", false },
	{ "private", "is for private networks (RFC 6762, appendix G)", false },
	{ "localdomain", "is used by private networks alone", false },
	{ "fritz.box", "belongs to the maker of the FRITZ!Box, who lets nobody prove it", false },
};
static const char *const documentation[] = { "example.com", "example.org", "example.net" };

bool name_is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), m = strlen(domain);

	return ends_with(name, domain) && (n == m || name[n - m - 1] == '.');
}

bool name_is_private(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (name_is_below(name, reserved[i].domain))
			return true;
	return false;
}

static void check_public_zone(const struct check *x, const char *key, const char *domain)
{
	const char *last = strrchr(domain, '.'), *top = last ? last + 1 : domain;
	const struct name *known, *suffix;
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (!name_is_below(domain, reserved[i].domain))
			continue;
		fault_key(
			x->faults, x->config, key,
			"%s: Let's Encrypt never issues a certificate for %s: '%s' %s; use a domain of your own, whose names may lead to private addresses, or issuers: [ca], a CA of your own",
			key, domain, reserved[i].domain, reserved[i].why);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(documentation); i++)
		if (name_is_below(domain, documentation[i]))
			note_key(
				x->faults, x->config, key,
				"%s: %s is set aside for documentation, and nobody can prove that it is theirs; put your own domain here",
				key, documentation[i]);
	if (names_find(NAMES_DOMAINS, top, &known, &e) < 0 || names_find(NAMES_DOMAINS, domain, &suffix, &e) < 0)
		fault_key_failed(x->faults, x->config, key, &e);
	else if (suffix)
		note_key(
			x->faults, x->config, key,
			"%s: under %s a registry gives out domains, so it is nobody's own, and Let's Encrypt issues no certificate for *.%s; write your own domain below it",
			key, domain, domain);
	else if (!known)
		note_key(
			x->faults, x->config, key,
			"%s: '.%s' was no top-level domain of the internet when this pibuild was made; if it still is none, Let's Encrypt never issues a certificate for %s",
			key, top, domain);
}

/* What only the cluster's own CA signs for. */
static void check_private_zone(const struct check *x, const char *key, const char *zone)
{
	const struct name *suffix;
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (reserved[i].unasked && name_is_below(zone, reserved[i].domain))
			note_key(
				x->faults, x->config, key,
				"%s: '%s' %s: machines ask no name server for names below it, so that nobody finds them; take home.arpa or .internal",
				key, reserved[i].domain, reserved[i].why);
	if (names_find(NAMES_DOMAINS, zone, &suffix, &e) < 0)
		fault_key_failed(x->faults, x->config, key, &e);
	else if (suffix && !name_is_private(zone))
		fault_key(
			x->faults, x->config, key,
			"%s: a CA for all of %s could sign for everybody's names there, and your devices would believe it; write your own domain below it",
			key, zone);
}

/* An account's contact has to be in a domain of the internet, too. */
static void check_email_domain(const struct check *x)
{
	const char *email = x->config->cert_manager.email, *domain = email ? strchr(email, '@') + 1 : NULL;
	bool refused = domain && name_is_private(domain);

	for (size_t i = 0; domain && i < ARRAY_SIZE(documentation); i++)
		refused |= name_is_below(domain, documentation[i]);
	if (refused)
		note_key(x->faults, x->config, "certManager.email",
			 "certManager.email: Let's Encrypt refuses accounts of %s; put your own address here", domain);
}

static bool has_public_zone(const struct config *c)
{
	vec_foreach (zone, &c->cert_manager.zones)
		if (*zone && !name_is_private(*zone))
			return true;
	return false;
}

/* Beside Let's Encrypt the cluster's own CA signs for what is private, as long as there is something for both. */
void check_zones(const struct check *x)
{
	const struct config *c = x->config;
	const bool *issuers = c->cert_manager.issuers;
	bool acme = issuers[ISSUER_STAGING] || issuers[ISSUER_PRODUCTION],
	     both = issuers[ISSUER_CA] && has_public_zone(c);

	if (c->cert_manager.enabled && (acme || !issuers[ISSUER_CA]))
		check_email_domain(x);

	for (size_t i = 0; i < c->cert_manager.zones.n; i++) {
		const char *zone = c->cert_manager.zones.v[i], *key = arena_printf("certManager.zones[%zu]", i);

		for (size_t k = 0; zone && k < i; k++)
			if (c->cert_manager.zones.v[k] && streq(c->cert_manager.zones.v[k], zone))
				fault_key(x->faults, c, key, "%s: %s is there twice; remove one", key, zone);

		if (zone && acme && !(both && name_is_private(zone)))
			check_public_zone(x, key, zone);
		else if (zone && issuers[ISSUER_CA])
			check_private_zone(x, key, zone);
	}
}
