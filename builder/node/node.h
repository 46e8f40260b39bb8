/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the card of one node holds: config + board + secrets -> tree. No network, no image; the base's own files are
 * changed by edit entries that run when the image is made. One contributor per concern, listed in node.c; each adds
 * entries and knows nothing of the others.
 *
 * Generated YAML is built as a tree and emitted; units, keyfiles and other grammars are encoded by the functions of
 * node/encode.h. Nothing a user controls is pasted.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "board/board.h"
#include "card/card.h"
#include "config/config.h"
#include "lock/pin.h"
#include "secrets/secrets.h"

/* What a first server starts its cluster from; flash lays it there, a build does not. */
#define RESTORE_DIR "/var/lib/pibuild/restore"

/* What the manifest says of files that first boot goes by. */
#define FIRST_BOOT_ORIGIN "generated: first boot"

struct node_ctx {
	const struct config *config;
	const struct node_config *node;
	const struct board *board;
	const struct board *const *boards; /* of config->nodes, same order */
	struct release_set set;
	const struct secrets *secrets; /* secrets_masked() when there is no file and none is needed */
	enum secret_use secret_use;    /* PROBE while checking: referenced secrets stay unread */
	const char *user_overlays;     /* folder beside cluster.yaml, or NULL */
	int64_t epoch;
	const struct node_restore *restore; /* the first server's card starts from it; NULL = from nothing */
};

/* A backup that a card starts its cluster from. */
struct node_restore {
	const char *path; /* absolute */
	uint64_t size;
	const char *sha256;
	const char *about; /* the text of its digest file */
};

static inline bool node_is_first_server(const struct node_ctx *x)
{
	return x->node == config_first_server(x->config);
}

/* It is a server, and servers share an address: cluster.vip. */
bool node_has_vip(const struct node_ctx *x);

/* Its address is on Wi-Fi. */
bool node_uses_wifi(const struct node_ctx *x);

/* The resolv.conf that pods get, name servers and nothing else: search domains would make them look up every name
 * below those first, and a wildcard there answer for all. Made from cluster.yaml, else on the node from what DHCP
 * names (usr/lib/pibuild/pod-dns). */
const char *node_pod_resolv_conf(const struct config *c);

/* Judges the user's overlays DIR against what the card of each of the N NODES, all of the config, holds without them:
 * every fault and note of it goes to F, once, by the path on this machine. Negative when a card cannot be rendered. */
int node_check_overlays(const char *dir, const struct node_ctx *nodes, size_t n, struct faults *f, struct err *e);

/* A fault for each file that flags of K3s name and nothing brings. All servers have the same flags: the first is looked
 * at. */
void node_check_named_files(const struct node_ctx *nodes, size_t n, struct faults *f);

/* Fills TREE, sorted: shipped overlays, artifacts, generated files, then the user's overlays. */
int node_render(const struct node_ctx *x, struct tree *tree, struct err *e);
/* The same without the user's overlays, unsorted. */
int node_render_own(const struct node_ctx *x, struct tree *tree, struct err *e);
/* DIR is the folder of shipped overlays, which a cluster.yaml at the top of pibuild's own source tree has beside it. */
bool node_overlays_shipped(const char *dir);

/* The user whom access names is in a group that fits PATTERN, of fnmatch(3), where the base has it. */
bool node_user_is_in(const struct config *c, const char *pattern);
/* Gives that user what T has below the home. */
void node_own_home(const struct config *c, struct tree *t);

/* ---- contributors ---- */
int node_add_host(const struct node_ctx *x, struct tree *t, struct err *e);	    /* name, hosts, time, locale */
int node_add_access(const struct node_ctx *x, struct tree *t, struct err *e);	    /* user, keys, sshd, sudo */
int node_add_network(const struct node_ctx *x, struct tree *t, struct err *e);	    /* keyfiles, DNS, Wi-Fi */
int node_add_proxy(const struct node_ctx *x, struct tree *t, struct err *e);	    /* K3s's environment */
int node_add_settings(const struct node_ctx *x, struct tree *t, struct err *e);	    /* sysctl, time servers */
int node_add_boot(const struct node_ctx *x, struct tree *t, struct err *e);	    /* cmdline.txt, config.txt */
int node_add_healing(const struct node_ctx *x, struct tree *t, struct err *e);	    /* watchdog, journal, swap */
int node_add_k3s(const struct node_ctx *x, struct tree *t, struct err *e);	    /* config.yaml, tokens, CA, unit */
int node_add_kube_vip(const struct node_ctx *x, struct tree *t, struct err *e);	    /* servers: the VIP's pod */
int node_add_kubelet(const struct node_ctx *x, struct tree *t, struct err *e);	    /* its configuration, shutdown */
int node_add_registries(const struct node_ctx *x, struct tree *t, struct err *e);   /* mirrors, accounts */
int node_add_cilium(const struct node_ctx *x, struct tree *t, struct err *e);	    /* values, pools, L2 policy */
int node_add_bgp(const struct node_ctx *x, struct tree *t, struct err *e);	    /* of Cilium's: the router's peer */
int node_add_cert_manager(const struct node_ctx *x, struct tree *t, struct err *e); /* values, issuers */
int node_add_apps(const struct node_ctx *x, struct tree *t, struct err *e);	    /* charts, manifests, values */
int node_add_gateway(const struct node_ctx *x, struct tree *t, struct err *e);	    /* Gateway, routes, policy */
int node_add_packages(const struct node_ctx *x, struct tree *t, struct err *e);	    /* of Debian, and their files */
int node_add_data_disk(const struct node_ctx *x, struct tree *t, struct err *e);    /* what outlives the card */
int node_add_images(const struct node_ctx *x, struct tree *t, struct err *e);	    /* airgap: what pods run */
int node_add_backup(const struct node_ctx *x, struct tree *t, struct err *e);	    /* where to, keys, timer */
int node_add_restore(const struct node_ctx *x, struct tree *t, struct err *e);	    /* a backup to start from */
int node_add_first_boot(const struct node_ctx *x, struct tree *t, struct err *e);   /* steps, their units, report */
int node_add_facts(const struct node_ctx *x, struct tree *t, struct err *e);	    /* what those are told */
int node_add_units(const struct node_ctx *x, struct tree *t, struct err *e);	    /* presets, enabled links */
int node_add_release(const struct node_ctx *x, struct tree *t, struct err *e);	    /* /etc/pibuild/release.json */

/* A disk of its own keeps what this node has when its card is made anew. */
bool node_has_data_disk(const struct node_ctx *x);
#define TRIM_TIMER "pibuild-trim.timer"

/* First boot sets the bootloader's settings. */
bool node_sets_eeprom(const struct node_ctx *x);

/* First boot finds the cluster. A server with a datastore of its own is one as it is. */
bool node_finds_cluster(const struct node_ctx *x);

/* First boot installs packages on this node. */
bool node_has_packages(const struct node_ctx *x);

/* First boot installs apps from this node. */
bool node_has_apps(const struct node_ctx *x);

/* When the cluster's state is backed up; there where it is. */
#define BACKUP_TIMER "pibuild-backup.timer"

/* The container images that the cluster's pods run, K3s's own left out: on the cards with airgap, else pulled. Class
 * CONFIG when airgap is on and nobody has said which tag goes with a version. */
int node_images(const struct node_ctx *x, struct images *ret, struct err *e);

/* The unit of step I of first boot, NULL when this node has no such step. False past the last. */
bool node_step_unit(const struct node_ctx *x, size_t i, const char **ret_unit);

/* Values of Cilium's chart for this cluster (generated, then the user's merged over), as node_add_cilium writes them.
 * FAULTS (may be NULL) gets what is wrong with the user's values file. */
struct yaml_node *cilium_values(const struct node_ctx *x, struct faults *faults);
/* Features that need Envoy, decided: auto resolved by the boards. */
bool cilium_ingress_on(const struct node_ctx *x);
bool cilium_gateway_on(const struct node_ctx *x);
/* Names of the ClusterIssuers made, NULL at the end. */
const char *const *cert_manager_issuers(const struct config *c);
/* Of the Certificates that cluster.yaml asks for, in kube-system; NULL at the end. */
const char *const *cert_manager_certificates(const struct config *c);

#endif
