/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cluster is born with: K3s takes it when the first server starts, and does not change it afterwards. Stands on
 * the servers' cards (/etc/pibuild/release.json) and in flashed.jsonl, see plan/birth.h.
 */
#ifndef CONFIG_BORN_H
#define CONFIG_BORN_H

#include "base/json.h"
#include "config/config.h"

struct born_fact {
	const char *key; /* of cluster.yaml */
	const char *(*value)(const struct config *c);
	const char *before; /* that of cards from before this was kept; NULL = not known */
};
extern const struct born_fact born_facts[];
extern const size_t born_facts_count;
#define BORN_NO_IPV6	"IPv4 alone"
#define BORN_ENCRYPTION "k3s.secretsEncryption"

/* "10.42.0.0/16" and so on by their keys; the caller's. */
json_t *born_json(const struct config *c);

#endif
