/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.yaml: all randomness of a cluster, made once, so that builds repeat. K3s CA set, tokens, service account
 * key, admin client certificate, one node password per node. 0600 from its first byte; refused when group or others
 * can read it. Rules of tokens and CA files: k3s pkg/clientaccess/token.go, contrib/util/generate-custom-ca-certs.sh.
 *
 * Who may get what on a card: the first server the CA set, all servers the server token, workers only the agent
 * token, each node its own password.
 */
#ifndef SECRETS_SECRETS_H
#define SECRETS_SECRETS_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"

/* PEM text as it lands on the card, byte for byte: the token's CA hash is over these bytes. */
struct key_pair {
	const char *cert, *key;
};

struct node_password {
	const char *node, *password;
};

struct secrets {
	const char *path;
	struct key_pair server_ca, client_ca, request_header_ca, etcd_server_ca, etcd_peer_ca;
	const char *service_key;  /* PKCS#1 PEM */
	struct key_pair admin;	  /* CN=system:admin, O=system:masters, by client_ca */
	const char *server_password, *agent_password; /* bare */
	/* derived: K10<sha256 of server_ca.cert>::server:<password> and ::node:<password> */
	const char *server_token, *agent_token;
	int64_t created; /* seconds: CAs are backdated from here, their files carry it as mtime */
	VEC(struct node_password) nodes;
};

/* Reads and checks: mode and owner, that every key fits its certificate, SKI/AKI, no EKU, token shapes, validity.
 * Class CONFIG with the cure otherwise; -ENOENT with `pibuild secrets new` in the message when there is none. */
int secrets_load(const char *path, struct secrets **ret, struct err *e);
/* Makes a new file for the nodes of C; refuses to replace one (class REFUSED). */
int secrets_create(const char *path, const struct config *c, struct err *e);
/* Adds passwords for nodes of C that have none and writes the file; says so in the log. */
int secrets_complete(struct secrets *s, const struct config *c, struct err *e);
/* The node's password, or NULL. */
const char *secrets_node_password(const struct secrets *s, const char *node);

/* Stand-ins of the right form for `render` and `plan` without a secrets file: every value is "<masked>"-like text. */
const struct secrets *secrets_masked(void);

#endif
