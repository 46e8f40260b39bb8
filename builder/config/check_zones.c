/* SPDX-License-Identifier: Apache-2.0 */
/* Domains for which no public certificate authority issues anything, because they are no part of the internet's DNS. */
#include "config/check.h"
#include "config/names.h"

/* Set aside for ever, by IANA's registry of special-use domain names, ICANN, or use: each with all below it. */
static const struct {
	const char *domain, *why;
} reserved[] = {
	{ "local", "is for names found by multicast (RFC 6762)" },
	{ "localhost", "is every machine itself (RFC 6761)" },
	{ "test", "is for tests (RFC 6761)" },
	{ "example", "is for examples (RFC 6761)" },
	{ "invalid", "is for names that must not exist (RFC 6761)" },
	{ "onion", "is Tor's (RFC 7686)" },
	{ "alt", "is for other name systems than DNS (RFC 9476)" },
	{ "arpa", "is for the internet's own machinery and, with home.arpa (RFC 8375), for private networks" },
	{ "internal", "is for private networks (ICANN, 2024)" },
	{ "lan", "is for private networks (RFC 6762, appendix G)" },
	{ "home", "is for private networks (RFC 6762, appendix G; ICANN will never delegate it)" },
	{ "corp", "is for private networks (RFC 6762, appendix G; ICANN will never delegate it)" },
	{ "mail", "is used by private networks (ICANN will never delegate it)" },
	{ "intranet", "is for private networks (RFC 6762, appendix G)" },
	{ "private", "is for private networks (RFC 6762, appendix G)" },
	{ "localdomain", "is used by private networks alone" },
	{ "fritz.box", "belongs to the maker of the FRITZ!Box, who lets nobody prove it" },
};
static const char *const documentation[] = { "example.com", "example.org", "example.net" };

static bool is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), m = strlen(domain);

	return ends_with(name, domain) && (n == m || name[n - m - 1] == '.');
}

static void check_zones_check_domain(const struct check *x, const char *key, const char *domain)
{
	const char *last = strrchr(domain, '.'), *top = last ? last + 1 : domain;
	const struct name *known, *suffix;
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (!is_below(domain, reserved[i].domain))
			continue;
		fault_key(
			x->faults, x->config, key,
			"%s: Let's Encrypt never issues a certificate for %s: '%s' %s; use a domain of your own, whose names may lead to private addresses",
			key, domain, reserved[i].domain, reserved[i].why);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(documentation); i++)
		if (is_below(domain, documentation[i]))
			note_key(
				x->faults, x->config, key,
				"%s: %s is set aside for documentation, and nobody can prove that it is theirs; put your own domain here",
				key, documentation[i]);
	if (names_find(NAMES_DOMAINS, top, &known, &e) < 0 || names_find(NAMES_DOMAINS, domain, &suffix, &e) < 0)
		fault_key(x->faults, x->config, key, "%s: %s", key, e.msg);
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

/* An account's contact has to be in a domain of the internet, too. */
static void check_email_domain(const struct check *x)
{
	const char *email = x->config->cert_manager.email, *domain = email ? strchr(email, '@') + 1 : NULL;
	bool refused = false;

	for (size_t i = 0; domain && i < ARRAY_SIZE(reserved); i++)
		refused |= is_below(domain, reserved[i].domain);
	for (size_t i = 0; domain && i < ARRAY_SIZE(documentation); i++)
		refused |= is_below(domain, documentation[i]);
	if (refused)
		note_key(x->faults, x->config, "certManager.email",
			 "certManager.email: Let's Encrypt refuses accounts of %s; put your own address here", domain);
}

void check_zones(const struct check *x)
{
	const struct config *c = x->config;

	if (c->cert_manager.enabled)
		check_email_domain(x);

	if (!c->cert_manager.staging && !c->cert_manager.production)
		return;
	for (size_t i = 0; i < c->cert_manager.zones.n; i++)
		if (c->cert_manager.zones.v[i])
			check_zones_check_domain(x, arena_printf("certManager.zones[%zu]", i),
						 c->cert_manager.zones.v[i]);
}
