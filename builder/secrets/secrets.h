/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.yaml: all randomness of a cluster, made once, so that builds repeat. K3s CA set, tokens, service account
 * key, admin client certificate, one node password per node, with `certManager.issuers: [ca]` that issuer's CA. 0600
 * from its first byte; refused when group or others can read it. Rules of tokens and CA files: k3s
 * pkg/clientaccess/token.go, contrib/util/generate-custom-ca-certs.sh.
 *
 * Who may get what on a card: the first server the CA set, all servers the server token, those with etcd the admin's
 * certificate, which that token is worth, workers only the agent token, each node its own password.
 *
 * Whoever changes the file holds a lock on its folder, so builds side by side do not lose each other's passwords.
 */
#ifndef SECRETS_SECRETS_H
#define SECRETS_SECRETS_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "crypto/pki.h"
#include "schema/schema.h"

struct node_password {
	const char *node, *password;
};

/* Rows of secrets.yaml. */
extern const struct field secrets_fields[];

struct secrets {
	const char *path;
	const char *cluster; /* whose they are; NULL = not said: older files, and those of the shipped default */
	struct key_pair server_ca, client_ca, request_header_ca, etcd_server_ca, etcd_peer_ca;
	const char *service_key;		      /* PKCS#1 PEM */
	struct key_pair admin;			      /* CN=system:admin, O=system:masters, by client_ca */
	struct key_pair issuer_ca;		      /* of certManager.issuers: [ca]; NULLs: none */
	const char *server_password, *agent_password; /* bare */
	/* derived: K10<sha256 of server_ca.cert>::server:<password> and ::node:<password> */
	const char *server_token, *agent_token;
	char ca_hash[SHA256_HEX]; /* derived: of the bytes of server_ca.cert; not secret */
	int64_t created;	  /* of the CA set, seconds: it is backdated from here */
	VEC(struct node_password) nodes;
};

/* The certificates of the file, K3s's five CAs first, then the admin's, then what is not in every file. */
struct secret_cert {
	const char *key;	 /* "ca.server": of the file */
	const char *title;	 /* "server CA" */
	const char *common_name; /* of K3s's CAs, before "@<created>"; NULL for the others */
	size_t offset;		 /* of the struct key_pair */
	const char *rotate;	 /* which of `secrets rotate` replaces it */
};
enum { SECRET_CA_COUNT = 5, SECRET_ADMIN = SECRET_CA_COUNT, SECRET_ISSUER_CA, SECRET_CERT_COUNT };
extern const struct secret_cert secret_certs[SECRET_CERT_COUNT];
static inline struct key_pair *secrets_pair(const struct secrets *s, const struct secret_cert *c)
{
	return (struct key_pair *)((char *)unconst(s) + c->offset);
}

#define GITIGNORE_LIMIT (1 * MIB) /* of a .gitignore that is read */

/* GIVEN on the command line, else secrets.yaml beside the config. */
const char *secrets_path(const char *given, const struct config *c);

/* Reads and checks: mode and owner (class REFUSED), every key there and no other, that every key fits its
 * certificate, SKI/AKI, no EKU, token shapes, lifetimes within each other. Class CONFIG with the cure otherwise;
 * -ENOENT with `pibuild secrets new` in the message when there is none. What has run out by the clock is a warning:
 * the same inputs build the same bytes whatever the clock says. */
int secrets_load(const char *path, struct secrets **ret, struct err *e);
/* Class CONFIG when S is of another cluster than C: keys of two clusters let in each other's nodes and administrators.
 * Of a file that does not say whose it is, that is known when C is the shipped default that nobody asked for. A file
 * NAMED on the command line is its user's choice: a warning says what that means. */
int secrets_check_cluster(const struct secrets *s, const struct config *c, bool named, struct err *e);
/* Makes a new file for the nodes of C; never replaces one (class REFUSED). */
int secrets_create(const char *path, const struct config *c, struct err *e);
/* Adds what C wants and the file lacks, passwords of nodes and the issuer's CA, and writes it; says so in the log. */
int secrets_complete(struct secrets *s, const struct config *c, struct err *e);
/* The node's password, or NULL. */
const char *secrets_node_password(const struct secrets *s, const char *node);

/* What to say when the issuer's CA may not sign for one of certManager.zones; NULL when it may, or there is none. */
const char *secrets_zone_fault(const struct secrets *s, const struct config *c);

/* Stand-ins of the right form for `render` and `plan` without a secrets file: every value is SECRETS_MASK or holds it,
 * every node has a password. */
const struct secrets *secrets_masked(void);

/* Warns, with the line to add, when PATH, which HOLDS a secret, lies in a git work tree that does not ignore it. */
void secrets_warn_unless_ignored(const char *path, const char *holds);

/* What `secrets rotate` can replace. */
struct secret_kind {
	const char *name;  /* "server-token" */
	bool of_node;	   /* takes the node's name */
	bool reflash;	   /* every card of the cluster has to be flashed again */
	const char *help;  /* what is replaced */
	const char *after; /* what a running cluster needs then */
	int (*change)(struct secrets *s, const char *node, struct err *e);
};
extern const struct secret_kind secret_kinds[];
extern const size_t secret_kinds_count;
const struct secret_kind *secrets_find_kind(const char *name); /* NULL = there is none */

/* Replaces one kind (NODE is NULL unless of_node), the rest stays byte for byte. The file as it was is kept beside it,
 * 0600, as RET_BACKUP. */
int secrets_rotate(const char *path, const struct secret_kind *kind, const char *node, const char **ret_backup,
		   struct err *e);

#endif
