/* SPDX-License-Identifier: Apache-2.0 */
/* What the files with cross-checks share. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/config.h"
#include "config/values.h"

struct check {
	const struct config *config;
	const struct cluster_versions *versions;
	struct faults *faults;
};

/* One rule; its message says what the cluster would have done and what to write instead. A table ends without name. */
struct check_rule {
	const char *name;
	void (*run)(const struct check *x);
};
extern const struct check_rule check_node_rules[], check_network_rules[];

#define TEXT_OF(addr) ipv4_text(addr, (char[IPV4_TEXT]){ 0 })
/* "nodes[1].KEY" of N. */
const char *check_node_key(const struct config *c, const struct node_config *n, const char *key);
/* It stands there, right or wrong, under its name or one like it. */
bool check_is_given(const struct check *x, const char *key);
/* "192.168.1.65-192.168.1.95" */
const char *check_range_text(struct ip_range r);
/* "network" or "broadcast": the end of the LAN that ADDR is, where no machine is; NULL = neither. */
const char *check_lan_end(const struct config *c, uint32_t addr);
/* Of pods, whose names the cluster's own DNS alone knows. */
bool check_is_cluster_name(const char *name);

/* The user's Helm values for Cilium: what would break the cluster, or do nothing, without a word. */
void check_values_file(const struct check *x);
/* Time zone, locale, keyboard and country against the lists of config/names.h. */
void check_names(const struct check *x);
/* Fields for the kubelet that it would end at, or that this K3s does not read. */
void check_kubelet(const struct check *x);
/* Their values: one by one, and those that exclude each other. Only with a k3s.kubelet. */
void check_kubelet_values(const struct check *x);
/* Flags handed on by K3s that the rest of the card goes by. */
void check_k3s_args(const struct check *x);
/* Values of K3s's own keys at which it ends, or does without a word what nobody meant. */
void check_k3s_values(const struct check *x);
/* Mirrors and accounts of registries that contradict each other, or that this K3s cannot use. */
void check_registries(const struct check *x);
/* Proxies, registries and others that would never answer where the file says they are. */
void check_asked(const struct check *x);
/* Zones for which the issuers will never get a certificate. */
void check_zones(const struct check *x);

/* Kernel settings that K3s, the kubelet or Cilium need otherwise. */
void check_sysctls(const struct check *x);

/* Packages that K3s or Cilium do not work beside. */
void check_packages(const struct check *x);

/* Charts and manifests of the user's. */
void check_apps(const struct check *x);
/* VALUES of the chart of the app at KEY ("apps[0]"): secrets that are written there, addresses that nobody gives out.
 */
void check_app_values(const struct check *x, const char *key, const struct yaml_node *values);

/* The gateway's address, zones, issuer and names. */
void check_gateway_section(const struct check *x);

/* Both sides of BGP. */
void check_bgp(const struct check *x);

/* A backup that would be lost with the cluster. */
void check_backup(const struct check *x);

#endif
