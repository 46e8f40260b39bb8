/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.yaml as a value. One schema table (config/fields.c) drives parsing, defaults, unknown-key errors, the JSON
 * Schema and the reference page. Everything lives on the arena of the run; strings are never NULL unless said so.
 *
 * Faults are collected, not thrown: one run names every fault of the file with file:line:col, cause and cure.
 * Limits of names are those of RFC 1123.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/err.h"
#include "base/json.h"
#include "base/util.h"
#include "config/schedule.h"
#include "schema/faults.h"

#define IPV4_TEXT 16

struct cidr {
	uint32_t addr;	/* host order, host bits kept ("192.168.1.11/24" keeps .11) */
	uint8_t prefix; /* 0..32 */
	bool set;
};
struct ip_range {
	uint32_t first, last;
	bool set;
};
static inline uint32_t cidr_mask(struct cidr c)
{
	return c.prefix ? ~(uint32_t)0 << (32 - c.prefix) : 0;
}
static inline uint32_t cidr_first(struct cidr c)
{
	return c.addr & cidr_mask(c);
}
static inline uint32_t cidr_last(struct cidr c)
{
	return c.addr | ~cidr_mask(c);
}
static inline bool cidr_has(struct cidr c, uint32_t addr)
{
	return (addr & cidr_mask(c)) == cidr_first(c);
}
static inline bool range_has(struct ip_range r, uint32_t addr)
{
	return r.set && addr >= r.first && addr <= r.last;
}
static inline bool ranges_overlap(struct ip_range a, struct ip_range b)
{
	return a.set && b.set && a.first <= b.last && b.first <= a.last;
}
/* "192.168.1.11"; BUF is returned. */
char *ipv4_text(uint32_t addr, char buf[IPV4_TEXT]);
/* "10.42.0.0/16" (network address) on the arena. */
char *cidr_text(struct cidr c);

#define IPV6_TEXT 46

struct cidr6 {
	uint8_t addr[16];
	uint8_t prefix; /* 0..128 */
	bool set;
};
/* "fd00::1", as RFC 5952 has it; BUF is returned. */
char *ipv6_text(const uint8_t addr[16], char buf[IPV6_TEXT]);
/* "fd00::/64" on the arena. */
char *cidr6_text(const struct cidr6 *c);
/* One of them is a part of the other. */
bool cidrs6_overlap(const struct cidr6 *a, const struct cidr6 *b);

/* A secret by reference; the config never holds one. */
struct secret_ref {
	enum { SECRET_NONE, SECRET_ENV, SECRET_FILE, SECRET_COMMAND } kind;
	const char *name;	 /* variable, or absolute path of the file */
	const char *const *argv; /* command, NULL terminated */
	/* What the text has to be like; see config/secrettext.c. */
	enum secret_form {
		SECRET_TOKEN,
		SECRET_PASSPHRASE,
		SECRET_PASSWORD,
		SECRET_TCP_MD5,
		SECRET_BASE64,
		SECRET_GOOGLE_KEY,
		SECRET_ACMEDNS,
		SECRET_CLOUDFLARE,
		SECRET_AMAZON,
		SECRET_SSH_KEY,
		SECRET_PROXY,
		SECRET_TEXT, /* any, also of several lines */
		SECRET_FORM_COUNT
	} form;
};
enum secret_use { SECRET_PROBE, SECRET_READ, SECRET_SKIP };
/* Stands where a secret would, wherever that is not to be seen. */
#define SECRETS_MASK "<masked>"
/* READ: the bytes, a single trailing newline removed, on the arena. PROBE: looks at variable or file in the same way,
 * runs no command, returns SECRETS_MASK. SKIP: returns that and looks at nothing. Class CONFIG when it cannot be had or
 * cannot be what REF's form says; at most 64 KiB; never logged. */
int secret_resolve(const struct secret_ref *ref, enum secret_use use, const char **ret, size_t *ret_n, struct err *e);

enum role { ROLE_CONTROL_PLANE, ROLE_WORKER, ROLE_COUNT };
extern const char *const role_names[ROLE_COUNT]; /* "control-plane", "worker" */
enum datastore { DATASTORE_AUTO, DATASTORE_SQLITE, DATASTORE_ETCD, DATASTORE_COUNT };
enum announce { ANNOUNCE_AUTO, ANNOUNCE_WORKERS, ANNOUNCE_ALL, ANNOUNCE_COUNT };
extern const char *const announce_names[ANNOUNCE_COUNT]; /* "auto", "workers", "all" */
/* Roles, as bits, whose nodes are asked to announce, one group after the other until one can. */
enum { ANNOUNCE_GROUPS = 2 };
extern const unsigned announce_roles[ANNOUNCE_COUNT][ANNOUNCE_GROUPS];
enum network_watchdog { NETWORK_WATCHDOG_AUTO, NETWORK_WATCHDOG_OFF, NETWORK_WATCHDOG_COUNT };
enum journal_storage { JOURNAL_PERSISTENT, JOURNAL_VOLATILE, JOURNAL_STORAGE_COUNT };
enum swap { SWAP_ZRAM, SWAP_OFF, SWAP_COUNT };
enum backup_place_kind { BACKUP_NOWHERE, BACKUP_S3, BACKUP_NFS, BACKUP_SSH, BACKUP_DISK, BACKUP_PLACE_COUNT };
enum issuer { ISSUER_STAGING, ISSUER_PRODUCTION, ISSUER_CA, ISSUER_COUNT };
extern const char *const issuer_names[ISSUER_COUNT]; /* of ClusterIssuers: "letsencrypt-staging", ..., "ca" */
enum tristate { STATE_AUTO, STATE_OFF, STATE_ON, STATE_COUNT }; /* auto | false | true */

/* A setting of the bootloader: "BOOT_ORDER", "0xf416". */
struct eeprom_setting {
	const char *key, *value;
};

/* What the firmware and the kernel are told besides what the card needs. */
struct boot_config {
	VEC(const char *) config;      /* lines of config.txt */
	VEC(const char *) cmdline;     /* words of cmdline.txt */
	enum tristate wifi, bluetooth; /* AUTO: not said */
	VEC(struct eeprom_setting) eeprom;
};

struct node_label {
	const char *key, *value;
};
struct node_labels {
	struct node_label *v;
	size_t n, cap;
};
struct node_taint {
	const char *key, *value, *effect; /* value "" = none */
};

/* A disk of a node that is kept when its card is made anew. */
struct node_data {
	const char *device; /* "nvme", "usb" or "by-id/NAME"; NULL = none */
	const char *mount;  /* one of data_mounts */
};
extern const char *const data_mounts[]; /* the first is all of K3s's; ends at NULL */

enum arch { ARCH_UNKNOWN, ARCH_AMD64, ARCH_ARM64, ARCH_COUNT };
extern const char *const arch_names[ARCH_COUNT]; /* "", "amd64", "arm64" */

struct node_config {
	const char *name;
	enum role role;
	enum arch arch;		    /* of an external one; UNKNOWN: not said, so that of all boards */
	const char *board;	    /* name of a board file */
	struct cidr address;	    /* set = static, else DHCP */
	uint64_t memory;	    /* bytes; 0 = the board's largest variant */
	VEC(const char *) packages; /* of Debian, beside those of os.packages */
	const char *interface;	    /* NULL = network.interface */
	struct boot_config boot;    /* of this node alone */
	struct node_labels labels;
	VEC(struct node_taint) taints;
	struct node_data data;
	unsigned ssh_port; /* of 127.0.0.1, where a machine of QEMU stands for it; 0 = it is where its address is */
};

/* The address of a proxy: as it is, or a secret when it holds a name and password. */
struct proxy_address {
	const char *text; /* "http://proxy.lan:3128"; NULL = a secret, or none */
	struct secret_ref secret;
};

struct host_name {
	const char *name;
	uint32_t addr;
};

struct sysctl {
	const char *key, *value;
};

struct pool {
	const char *name;
	struct ip_range range;
};

struct mirror {
	const char *from, *to; /* URL prefixes, https */
	const char *ca_file;   /* absolute; NULL = the system's */
};

/* Where containerd asks for the images of a registry before the registry itself. */
struct registry_mirror {
	const char *from;     /* "docker.io", or "*" */
	VEC(const char *) to; /* https URLs */
	const char *ca_file;  /* absolute; NULL = the system's */
};
struct registry_auth {
	const char *registry, *username;
	struct secret_ref password;
};

struct version_pin {
	const char *name, *version;
};

/* One key of the chosen DNS-01 provider: text, a map, or a secret. */
struct dns01_value {
	const char *key;	     /* "accessToken" */
	const char *text;	     /* NULL when it is none */
	const struct yaml_node *map; /* NULL when it is none */
	struct secret_ref secret;
};

/* A key of K3s's own configuration file, as K3s is to read it: what pibuild writes for a list is kept, and this added.
 */
struct k3s_setting {
	const char *key;
	const struct yaml_node *value; /* a scalar, or a list of texts */
};
struct k3s_settings {
	struct k3s_setting *v;
	size_t n, cap;
};

enum app_apply { APP_ONCE, APP_ALWAYS, APP_APPLY_COUNT };
/* A value of a chart by its path ("grafana.adminPassword"), or a key of a Secret. */
struct app_secret_value {
	const char *key;
	const char *text; /* of a Secret, what is none; NULL = the secret */
	struct secret_ref secret;
};
/* A Secret of Kubernetes, made in the app's namespace before the app. */
struct app_secret {
	const char *name;
	VEC(struct app_secret_value) data;
};
struct app_values {
	const char *path;		/* absolute; NULL = none */
	const struct yaml_node *values; /* what is in it */
};
/* gitops.flux */
struct flux {
	const char *url; /* NULL = no Flux */
	const char *branch, *path, *version;
	struct secret_ref token, ssh_key;
	const char *known_hosts; /* absolute */
};
/* One of `apps`, or Flux: a chart or manifests. */
struct app {
	const char *name;
	struct {
		const char *repo; /* "https://charts.longhorn.io"; NULL = oci, or no chart */
		const char *oci;  /* "ghcr.io/fluxcd-community/charts/flux2"; NULL = repo, or no chart */
		const char *name; /* in the repository; NULL with oci */
		const char *version;
	} chart;
	VEC(const char *) manifests;	/* https URLs, and absolute paths of files and folders */
	const char *namespace;		/* NULL: a chart's is the app's name, manifests say theirs */
	const struct yaml_node *values; /* a map; NULL = none */
	struct app_values values_file;
	VEC(struct app_secret_value) secret_values;
	VEC(struct app_secret) secrets;
	enum app_apply apply;
	VEC(const char *) images; /* references, beside those that are found */
	const struct flux *flux;  /* what it is to follow; NULL = it is an app of the file */
};

struct config {
	const char *path; /* as given, for messages; the shipped default has its own */
	const char *dir;  /* relative paths of the file start here; "." for the shipped default and for stdin */
	bool is_default;  /* nobody named a file and there is none: it is the shipped default */
	const char *text; /* what was read */
	size_t text_n;
	const struct yaml_node *doc;

	struct {
		const char *name;
		const char *endpoint; /* NULL: the VIP, else the first control-plane node */
		uint32_t vip;	      /* that servers take over from each other; 0 = none */
		struct cidr pod_cidr, service_cidr;
		enum datastore datastore;
		enum tristate taint_servers;
	} cluster;
	struct {
		const char *base;	    /* a name of config_base_named(), absolute path or https URL */
		const char *sha256;	    /* for a path or URL; NULL otherwise */
		const char *signature_key;  /* absolute path of an OpenPGP key; NULL = none */
		VEC(const char *) packages; /* of Debian, for every node */
		bool watchdog;		    /* the board's own, where it has one */
		enum network_watchdog network_watchdog;
		struct {
			enum journal_storage storage;
			uint64_t max; /* bytes */
		} journal;
		enum swap swap;
		VEC(struct sysctl) sysctl;
	} os;
	struct boot_config boot; /* of all nodes */
	struct {
		const char *user;
		VEC(const char *) ssh_keys;  /* whole lines, validated */
		VEC(const char *) key_files; /* absolute; those of them that came from files */
		VEC(const char *) github;    /* users whose keys the lock holds */
		const char *timezone, *locale, *keyboard;
		const char *password_hash; /* crypt(5); NULL = no password */
	} access;
	struct {
		struct cidr subnet;
		uint32_t gateway; /* 0 = none given */
		VEC(uint32_t) nameservers;
		struct ip_range dhcp_range;
		const char *interface; /* "eth0" */
		unsigned vlan;	       /* 0 = untagged */
		unsigned mtu;	       /* 0 = the interface's own */
		VEC(const char *) ntp; /* names or addresses; none: the base's */
		VEC(const char *) search_domains;
		VEC(struct host_name) hosts; /* names beside those of the nodes */
		struct {
			struct proxy_address http, https;
			VEC(const char *) none; /* besides what is the cluster's own */
		} proxy;
		struct {
			bool enabled;			     /* the section is there: both families */
			struct cidr6 subnet, pods, services; /* set when enabled */
		} ipv6;
		struct {
			const char *ssid; /* NULL = no Wi-Fi */
			struct secret_ref passphrase;
			const char *country; /* two upper-case letters */
			bool hidden;
		} wifi;
	} network;
	struct {
		VEC(struct pool) pools;
		VEC(const char *) interfaces; /* none: where the nodes have their addresses */
		enum announce nodes;
		struct {
			bool enabled; /* the section is there */
			uint32_t router, router_asn, asn;
			struct secret_ref password;
		} bgp;
	} lb;
	struct {
		bool share; /* nodes give each other images */
		VEC(struct registry_mirror) mirrors;
		VEC(struct registry_auth) auth;
	} registries;
	struct {
		struct k3s_settings server, agent; /* of servers, of workers */
		const struct yaml_node *kubelet;   /* a map, as the kubelet is to read it; NULL = none */
		bool secrets_encryption;	   /* of a new cluster; see plan/birth.h for one that is there */
		VEC(const char *) disable;	   /* what K3s brings along and is not wanted */
	} k3s;
	struct {
		const char *values_file;	/* absolute; NULL = none */
		const struct yaml_node *values; /* parsed values_file; NULL = none */
		bool hubble_relay, hubble_ui;
		enum tristate ingress, gateway_api;
	} cilium;
	struct {
		bool enabled;		    /* the section is there */
		const char *email;	    /* NULL = none */
		bool issuers[ISSUER_COUNT]; /* asked for */
		const char *provider;	    /* NULL = no dns01 */
		VEC(struct dns01_value) dns01;
		VEC(const char *) zones;
		bool wildcard; /* a wildcard Certificate per zone */
	} cert_manager;
	struct {
		bool enabled;		 /* the section is there */
		uint32_t address;	 /* of a pool */
		VEC(const char *) zones; /* at least one */
		bool redirect;		 /* HTTP leads to HTTPS */
		const char *hubble;	 /* name of Hubble's UI; NULL = not shown */
		VEC(struct cidr) allow_from;
		enum issuer issuer; /* of its certificates; COUNT: there is none */
	} gateway;
	struct {
		bool enabled; /* the section is there, and with it one of the places */
		struct schedule schedule;
		unsigned keep;
		struct {
			const char *endpoint; /* "https://HOST[:PORT]"; NULL = not this place */
			const char *bucket, *region;
			struct secret_ref access_key, secret_key;
			const char *ca_file; /* absolute; NULL = the system's */
		} s3;
		const char *nfs; /* "HOST:/PATH"; NULL = not this place */
		struct {
			const char *to; /* "USER@HOST:/PATH"; NULL = not this place */
			unsigned port;
			struct secret_ref key;
			const char *known_hosts; /* absolute */
		} ssh;
		const char *disk; /* label; NULL = not this place */
	} backup;
	struct flux flux;
	VEC(struct app) apps; /* those of the file, then Flux */
	VEC(struct mirror) mirrors;
	bool airgap;
	VEC(struct version_pin) versions;
	VEC(struct node_config) nodes;
};

/* At the position of "nodes[1].address" in the config, else at its nearest parent that is there. */
void fault_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...) _printf_(4, 5);
void note_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...) _printf_(4, 5);
/* E, which kept KEY from being judged; faults_machine() is asked first. */
void fault_key_failed(struct faults *f, const struct config *c, const char *key, const struct err *e);

/* Reads PATH ("-": standard input; NULL: `cluster.yaml` when there is one, else, with a line that says so, the shipped
 * single-node default) and checks all that one key can tell. Negative only when the file cannot be read or is no YAML
 * at all, or when there is no cluster.yaml but one that is spelt otherwise; other faults go to F. Files behind
 * references (sshKeys, valuesFile, caFile) are read and checked here, relative to the file. */
int config_load(const char *path, struct config **ret, struct faults *f, struct err *e);

/* C becomes the same cluster on QEMU's machine (board virt), whatever its boards, on BASE; NULL = as it is, but Debian
 * in the place of Raspberry Pi OS, whose kernels do not run there. What only a Pi has is left out, as are data disks,
 * of which there are none, and backups. Before any check. */
void config_rehearse(struct config *c, const char *base);

/* A file of the current folder that is evidently meant to be its cluster.yaml ("cluster.yml", a copied example); NULL
 * when there is none. */
const char *config_alike(void);
/* For what makes no sense with the shipped default: class CONFIG when config_load(PATH) would take that. WHY completes
 * "there is no cluster.yaml here, and". */
int config_require_file(const char *path, const char *why, struct err *e);

/* Paths of the files that PATTERN means, sorted. Only its last part is one ("*.pub"), the folder is taken as it is. */
struct text_list config_key_files(const char *pattern);

/* The list in $PIBUILD_MIRRORS (same form as `mirrors:`) goes before those of the file. */
int config_add_env_mirrors(struct config *c, struct err *e);

/* BASE is one that pibuild knows by name: raspios, raspios-bookworm, debian. */
bool config_base_named(const char *base);

/* The node NAME; NULL = there is none. C may have faults, nodes without a name among them. */
const struct node_config *config_find_node(const struct config *c, const char *name);
/* What to say of NAME, which is none: "did you mean cp-1?", or "it has cp-1, w-1". */
const char *config_node_meant(const struct config *c, const char *name);

/* Packages of Debian that N asks for, with NULL all nodes together: sorted, each once. */
struct text_list config_packages(const struct config *c, const struct node_config *n);

/* N has no card: its board is "external". */
bool config_is_external(const struct node_config *n);
bool config_has_external(const struct config *c, enum arch arch);
/* First control-plane node in the order of the file; NULL when there is none. */
const struct node_config *config_first_server(const struct config *c);
unsigned config_count_role(const struct config *c, enum role role);
/* Effective datastore: etcd when asked for or with several servers. */
bool config_uses_etcd(const struct config *c);
/* Where backups go; NOWHERE without `backup`. */
enum backup_place_kind config_backup_place(const struct config *c);
/* Some pool is part of the LAN, where nodes answer for its addresses by ARP; without BGP every pool has to be. */
bool config_uses_arp(const struct config *c);
/* The first of the groups of loadBalancer.announce.nodes that there is a node of; 0 = of none. */
unsigned config_announce_roles(const struct config *c);
/* What nodes tell the router by BGP is signed, by loadBalancer.announce.bgp.password. */
bool config_signs_bgp(const struct config *c);
/* N tells the router by BGP where services are: of the group that announces; all when there is none. */
bool config_speaks_bgp(const struct config *c, const struct node_config *n);
/* NAME is DOMAIN or lies below it. */
bool name_is_below(const char *name, const char *domain);
/* NAME lies in no domain of the internet, so that no public authority ever issues a certificate for it. */
bool name_is_private(const char *name);
/* The issuer that certificates come from when nothing else is said: production, else the CA, else staging, which no
 * browser trusts; ISSUER_COUNT when there is none. */
enum issuer config_default_issuer(const struct config *c);
/* The one for ZONE: gateway.issuer or that one, and the CA for what is private, where it is among the issuers. */
enum issuer config_zone_issuer(const struct config *c, const char *zone);
/* Zones that get a wildcard certificate: certManager.wildcard's and the gateway's, each once. */
struct text_list config_certificate_zones(const struct config *c);
/* One of the gateway's zones. */
bool config_is_gateway_zone(const struct config *c, const char *zone);
/* Servers are kept free of workloads: when that is asked for. */
bool config_taints_servers(const struct config *c);
#define K3S_API_PORT 6443
/* What a K3s client dials: endpoint, else the VIP, else the first server's address, else its name. */
const char *config_api_host(const struct config *c);

/* The node at "nodes[1].address", else its nearest parent that is there. */
const struct yaml_node *config_node(const struct config *c, const char *key);
/* Interface of N (NULL = of nodes that name none) on the LAN: "eth0"; with a VLAN "eth0.20". */
const char *config_interface(const struct config *c, const struct node_config *n);
const char *config_lan_interface(const struct config *c, const struct node_config *n);
static inline bool interface_is_wifi(const char *name)
{
	return starts_with(name, "wlan");
}
/* What K3s knows, the cluster's state too, is on the data disk of N. */
bool config_keeps_state(const struct node_config *n);
/* What holds for N: lines and words of all nodes, then its own; its own radios and settings before those of all. */
struct boot_config config_node_boot(const struct config *c, const struct node_config *n);
/* "disk" of the line "dtoverlay=disk,size=1"; NULL for what loads no overlay. */
const char *boot_line_overlay(const char *line);

/* What N, which has a static address, has in network.ipv6.subnet: that address, each number of it as a group. */
char *config_address6(const struct config *c, const struct node_config *n);
/* First and last address for services in network.ipv6.subnet, of the pool at INDEX. */
void config_pool6(const struct config *c, size_t index, char first[IPV6_TEXT], char last[IPV6_TEXT]);
/* The address that network.hosts gives NAME; 0 = it is not there. */
uint32_t config_host_address(const struct config *c, const char *name);

/* The versions in force, pins and tested set taken together. */
struct cluster_versions {
	const char *k3s, *cilium, *gateway_api, *cert_manager;
};
/* Every rule across keys that needs no board; those that do are in board/board.h, whose cluster_check() runs both. */
void config_check(const struct config *c, const struct cluster_versions *v, struct faults *f);
/* Whether what the references to secrets lead to is there; no command is run. */
void config_check_secrets(const struct config *c, struct faults *f);

/* JSON Schema of cluster.yaml; the caller's. */
json_t *config_schema(void);
/* The reference page in Markdown. */
void config_print_reference(void);

#endif
