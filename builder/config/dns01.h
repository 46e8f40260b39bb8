/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS-01 providers: which keys of certManager.dns01 each takes and where they land in cert-manager's solver
 * (CRD fields of cert-manager v1.21.1). Parsing, JSON Schema, reference page and rendering read the same rows.
 */
#ifndef CONFIG_DNS01_H
#define CONFIG_DNS01_H

#include "config/config.h"

struct kind;

struct dns01_key {
	const char *key; /* in cluster.yaml; NULL ends the list */
	bool required;
	const char *def; /* NULL = none */
	/* Where plain text lands below the solver ("region"); NULL = it must be a secret. */
	const char *text_path;
	/* Where a reference {name, key} to the Kubernetes Secret lands ("tokenSecretRef"), and the key in that Secret;
	 * NULL = it cannot be a secret. */
	const char *secret_path, *secret_key;
	const struct kind *kind; /* of plain text */
	enum secret_form form;	 /* of the secret */
	const char *help, *example;
};

struct dns01_provider {
	const char *name;   /* in cluster.yaml: "azuredns" */
	const char *solver; /* in cert-manager: "azureDNS" */
	const struct dns01_key *keys;
};

/* The provider that needs an app. */
#define DNS01_WEBHOOK "webhook"
extern const struct dns01_provider dns01_providers[];
extern const size_t dns01_providers_count;

/* NULL when there is none of that name. */
const struct dns01_provider *dns01_provider_find(const char *name);
const struct dns01_key *dns01_key_find(const struct dns01_provider *p, const char *key);

#endif
