/* SPDX-License-Identifier: Apache-2.0 */
#include "config/dns01.h"

#include "config/kinds.h"
#include "config/values.h"

static const char uuid_words[] = "an id such as 01234567-89ab-cdef-0123-456789abcdef";
static const struct kind kind_uuid = {
	.name = "UUID",
	.pattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
	.words = uuid_words,
};
static const struct kind kind_region = {
	.name = "AWS region",
	.pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]$",
	.words = "a region such as eu-central-1",
};
static const struct kind kind_name_server = {
	.name = "host:port",
	.pattern = "^[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
	.words = "an address or name of the DNS server, with :port when it is not 53",
	.check = value_port_fault,
};
static const struct kind kind_tsig_algorithm = {
	.name = "TSIG algorithm",
	.pattern = "^HMAC(MD5|SHA1|SHA256|SHA512)$",
	.words = "HMACSHA256, HMACSHA512, HMACSHA1 or HMACMD5",
};
static const struct kind kind_acmedns_host = {
	.name = "URL",
	.pattern = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$",
	.words = "the URL of the acme-dns server, such as https://auth.acme-dns.io",
	.check = value_port_fault,
};

static const struct dns01_key digitalocean[] = {
	{ .key = "accessToken",
	  .required = true,
	  .secret_path = "tokenSecretRef",
	  .secret_key = "access-token",
	  .help = "personal access token with write access to domains",
	  .example = "{env: DO_TOKEN}" },
	{ 0 },
};
static const struct dns01_key cloudflare[] = {
	{ .key = "apiToken",
	  .required = true,
	  .secret_path = "apiTokenSecretRef",
	  .secret_key = "api-token",
	  .form = SECRET_CLOUDFLARE,
	  .help = "API token (no global key) with Zone:Read and DNS:Edit",
	  .example = "{env: CLOUDFLARE_TOKEN}" },
	{ 0 },
};
static const struct dns01_key route53[] = {
	{ .key = "region",
	  .required = true,
	  .text_path = "region",
	  .kind = &kind_region,
	  .help = "any region will do, DNS is global",
	  .example = "eu-central-1" },
	{ .key = "hostedZoneID",
	  .text_path = "hostedZoneID",
	  .kind = &kind_label,
	  .help = "the zone, when the name alone is not enough",
	  .example = "Z0123456789ABC" },
	{ .key = "accessKeyID",
	  .required = true,
	  .text_path = "accessKeyID",
	  .secret_path = "accessKeyIDSecretRef",
	  .secret_key = "access-key-id",
	  .kind = &kind_label,
	  .help = "key id of an IAM user; text or a reference",
	  .example = "AKIAIOSFODNN7EXAMPLE" },
	{ .key = "secretAccessKey",
	  .required = true,
	  .secret_path = "secretAccessKeySecretRef",
	  .secret_key = "secret-access-key",
	  .form = SECRET_AMAZON,
	  .help = "the key itself",
	  .example = "{env: AWS_SECRET_ACCESS_KEY}" },
	{ 0 },
};
static const struct dns01_key azuredns[] = {
	{ .key = "subscriptionID",
	  .required = true,
	  .text_path = "subscriptionID",
	  .kind = &kind_uuid,
	  .help = "subscription the zone is in",
	  .example = "01234567-89ab-cdef-0123-456789abcdef" },
	{ .key = "resourceGroupName",
	  .required = true,
	  .text_path = "resourceGroupName",
	  .kind = &kind_label,
	  .help = "resource group the zone is in",
	  .example = "dns" },
	{ .key = "tenantID",
	  .required = true,
	  .text_path = "tenantID",
	  .kind = &kind_uuid,
	  .help = "tenant of the service principal",
	  .example = "01234567-89ab-cdef-0123-456789abcdef" },
	{ .key = "clientID",
	  .required = true,
	  .text_path = "clientID",
	  .kind = &kind_uuid,
	  .help = "service principal with DNS Zone Contributor",
	  .example = "01234567-89ab-cdef-0123-456789abcdef" },
	{ .key = "clientSecret",
	  .required = true,
	  .secret_path = "clientSecretSecretRef",
	  .secret_key = "client-secret",
	  .help = "its secret",
	  .example = "{env: AZURE_CLIENT_SECRET}" },
	{ .key = "hostedZoneName",
	  .text_path = "hostedZoneName",
	  .kind = &kind_domain,
	  .help = "the zone, when it is not the domain itself",
	  .example = "example.com" },
	{ 0 },
};
static const struct dns01_key clouddns[] = {
	{ .key = "project",
	  .required = true,
	  .text_path = "project",
	  .kind = &kind_label,
	  .help = "Google Cloud project the zone is in",
	  .example = "my-project" },
	{ .key = "serviceAccount",
	  .required = true,
	  .secret_path = "serviceAccountSecretRef",
	  .secret_key = "key.json",
	  .form = SECRET_GOOGLE_KEY,
	  .help = "JSON key of a service account with dns.admin",
	  .example = "{file: ~/keys/dns.json}" },
	{ 0 },
};
static const struct dns01_key rfc2136[] = {
	{ .key = "nameserver",
	  .required = true,
	  .text_path = "nameserver",
	  .kind = &kind_name_server,
	  .help = "the DNS server that takes updates",
	  .example = "192.168.1.2:53" },
	{ .key = "tsigKeyName",
	  .required = true,
	  .text_path = "tsigKeyName",
	  .kind = &kind_label,
	  .help = "name of the TSIG key",
	  .example = "cert-manager" },
	{ .key = "tsigAlgorithm",
	  .def = "HMACSHA256",
	  .text_path = "tsigAlgorithm",
	  .kind = &kind_tsig_algorithm,
	  .help = "as the server has it",
	  .example = "HMACSHA512" },
	{ .key = "tsigSecret",
	  .required = true,
	  .secret_path = "tsigSecretSecretRef",
	  .secret_key = "tsig-secret",
	  .form = SECRET_BASE64,
	  .help = "the TSIG key, base64 as in the server's file",
	  .example = "{file: tsig.key}" },
	{ 0 },
};
static const struct dns01_key acmedns[] = {
	{ .key = "host",
	  .required = true,
	  .text_path = "host",
	  .kind = &kind_acmedns_host,
	  .help = "acme-dns server",
	  .example = "https://auth.acme-dns.io" },
	{ .key = "account",
	  .required = true,
	  .secret_path = "accountSecretRef",
	  .secret_key = "acmedns.json",
	  .form = SECRET_ACMEDNS,
	  .help = "JSON of the registered accounts, by domain",
	  .example = "{file: acmedns.json}" },
	{ 0 },
};
static const struct dns01_key akamai[] = {
	{ .key = "serviceConsumerDomain",
	  .required = true,
	  .text_path = "serviceConsumerDomain",
	  .kind = &kind_domain,
	  .help = "host of the API client, as its credentials name it",
	  .example = "akab-0123456789abcdef.luna.akamaiapis.net" },
	{ .key = "clientToken",
	  .required = true,
	  .secret_path = "clientTokenSecretRef",
	  .secret_key = "client-token",
	  .help = "client_token of an API client with read and write access to Edge DNS",
	  .example = "{env: AKAMAI_CLIENT_TOKEN}" },
	{ .key = "clientSecret",
	  .required = true,
	  .secret_path = "clientSecretSecretRef",
	  .secret_key = "client-secret",
	  .help = "its client_secret",
	  .example = "{env: AKAMAI_CLIENT_SECRET}" },
	{ .key = "accessToken",
	  .required = true,
	  .secret_path = "accessTokenSecretRef",
	  .secret_key = "access-token",
	  .help = "its access_token",
	  .example = "{env: AKAMAI_ACCESS_TOKEN}" },
	{ 0 },
};

/* A solver that comes as an app (cert-manager pkg/apis/acme/v1 types_issuer.go, ACMEIssuerDNS01ProviderWebhook). */
static const struct dns01_key webhook[] = {
	{ .key = "groupName",
	  .required = true,
	  .text_path = "groupName",
	  .kind = &kind_domain,
	  .help = "API group of the webhook, as its chart is told",
	  .example = "acme.example.com" },
	{ .key = "solverName",
	  .required = true,
	  .text_path = "solverName",
	  .kind = &kind_label,
	  .help = "name of the solver, which its documentation has",
	  .example = "hetzner" },
	{ .key = "config",
	  .text_path = "config",
	  .kind = &kind_app_values,
	  .help = "what the solver is told, as it is; secrets are named there, and made by `secrets` of its app, in the namespace cert-manager",
	  .example = "{tokenSecretRef: {name: hetzner, key: token}}" },
	{ 0 },
};

const struct dns01_provider dns01_providers[] = {
	{ "digitalocean", "digitalocean", digitalocean },
	{ "cloudflare", "cloudflare", cloudflare },
	{ "route53", "route53", route53 },
	{ "azuredns", "azureDNS", azuredns },
	{ "clouddns", "cloudDNS", clouddns },
	{ "rfc2136", "rfc2136", rfc2136 },
	{ "acmedns", "acmeDNS", acmedns },
	{ "akamai", "akamai", akamai },
	{ DNS01_WEBHOOK, "webhook", webhook },
};
const size_t dns01_providers_count = ARRAY_SIZE(dns01_providers);

const struct dns01_provider *dns01_provider_find(const char *name)
{
	for (size_t i = 0; i < dns01_providers_count; i++)
		if (streq(dns01_providers[i].name, name))
			return &dns01_providers[i];
	return NULL;
}

const struct dns01_key *dns01_key_find(const struct dns01_provider *p, const char *key)
{
	for (const struct dns01_key *k = p->keys; k->key; k++)
		if (streq(k->key, key))
			return k;
	return NULL;
}
