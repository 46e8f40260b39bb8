/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text form of the secrets: read by rows, written by the tables of values and certificates.
 */
#include "config/kinds.h"
#include "secrets/internal.h"
#include "schema/schema.h"

#define API_VERSION "pibuild/v1"
#define KIND	    "Secrets"

static const char comment[] =
	"The secrets of one cluster, made by pibuild: certificate authorities, tokens, admin certificate, node\n"
	"passwords. Whoever reads this file owns the cluster.\n"
	"\n"
	"- Keep it private (mode 0600) and out of git; CI gets it as a file from its secret store.\n"
	"- Keep a copy where the cluster's backups are: without it no further card fits the cluster, and a new\n"
	"  kubeconfig cannot be made.\n"
	"- The same file gives the same images. `pibuild secrets show` lists what is in it, `pibuild secrets rotate`\n"
	"  replaces parts of it.";

const struct secret_cert secret_certs[SECRET_CERT_COUNT] = {
	{ "ca.server", "server CA", "k3s-server-ca", offsetof(struct secrets, server_ca), "ca" },
	{ "ca.client", "client CA", "k3s-client-ca", offsetof(struct secrets, client_ca), "ca" },
	{ "ca.requestHeader", "request header CA", "k3s-request-header-ca", offsetof(struct secrets, request_header_ca),
	  "ca" },
	{ "ca.etcdServer", "etcd server CA", "k3s-etcd-server-ca", offsetof(struct secrets, etcd_server_ca), "ca" },
	{ "ca.etcdPeer", "etcd peer CA", "k3s-etcd-peer-ca", offsetof(struct secrets, etcd_peer_ca), "ca" },
	{ "admin", "admin certificate", NULL, offsetof(struct secrets, admin), "admin" },
	{ "issuerCA", "CA of the issuer ca", NULL, offsetof(struct secrets, issuer_ca), "issuer-ca" },
};

static const struct secret_row {
	const char *key;
	size_t offset; /* of the const char * */
} values[] = {
	{ "tokens.server", offsetof(struct secrets, server_password) },
	{ "tokens.agent", offsetof(struct secrets, agent_password) },
	{ "serviceAccountKey", offsetof(struct secrets, service_key) },
};

static const char **value_at(const struct secrets *s, const struct secret_row *v)
{
	return (const char **)((char *)unconst(s) + v->offset);
}

/* ---- reading ---- */

/* Rules of k3s's token parser: the password must be nothing else to it than a password. */
static const char *password_fault(const char *p)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (starts_with(p, "K10"))
		return "must be the bare password, without K10...::";
	if (strstr(p, "::"))
		return "must not hold '::', which separates the parts of a token";
	if (strlen(p) == 23 && strspn(p, lower) == 6 && p[6] == '.' && strspn(p + 7, lower) == 16)
		return "has the form of a bootstrap token (6 characters, a dot, 16 characters), and K3s would take it for one";
	if (strspn(p, letters) != strlen(p))
		return "may hold letters, digits and - . _ ~ + / = only";
	if (strlen(p) < 16 || strlen(p) > 256)
		return "must have 16 to 256 characters";
	return NULL;
}

static const struct kind kind_bare_password = { .name = "password", .check = password_fault, .secret = true };
static const struct kind kind_key_text = { .name = "text", .secret = true };

#define AT(member) offsetof(struct secrets, member)
static const struct field token_fields[] = {
	FIELD("server", bare_password, AT(server_password), .flags = REQUIRED),
	FIELD("agent", bare_password, AT(agent_password), .flags = REQUIRED),
	{ 0 },
};
static const struct field pair_fields[] = {
	FIELD("cert", key_text, offsetof(struct key_pair, cert), .flags = REQUIRED),
	FIELD("key", key_text, offsetof(struct key_pair, key), .flags = REQUIRED),
	{ 0 },
};

/* A map of the pair alone, which lies anywhere. */
static void pair_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	schema_read(l, f->sub, n, path, dst);
}
static const struct kind kind_pair = { .name = "certificate and key", .node = pair_node };

static const struct field ca_fields[] = {
	FIELD("server", pair, AT(server_ca), .flags = REQUIRED, .sub = pair_fields),
	FIELD("client", pair, AT(client_ca), .flags = REQUIRED, .sub = pair_fields),
	FIELD("requestHeader", pair, AT(request_header_ca), .flags = REQUIRED, .sub = pair_fields),
	FIELD("etcdServer", pair, AT(etcd_server_ca), .flags = REQUIRED, .sub = pair_fields),
	FIELD("etcdPeer", pair, AT(etcd_peer_ca), .flags = REQUIRED, .sub = pair_fields),
	{ 0 },
};
static const char *const api_versions[] = { API_VERSION }, *const secrets_kinds[] = { KIND };
static const struct field node_password = FIELD(NULL, bare_password, offsetof(struct node_password, password));
const struct field secrets_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(api_versions)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(secrets_kinds)),
	FIELD("clusterName", cluster_name, AT(cluster)),
	FIELD("created", time, AT(created), .flags = REQUIRED),
	FIELD("tokens", map, 0, .flags = REQUIRED, .sub = token_fields),
	FIELD("serviceAccountKey", key_text, AT(service_key), .flags = REQUIRED),
	FIELD("ca", map, 0, .flags = REQUIRED, .sub = ca_fields),
	FIELD("admin", pair, AT(admin), .flags = REQUIRED, .sub = pair_fields),
	FIELD("issuerCA", pair, AT(issuer_ca), .sub = pair_fields),
	FIELD("nodes", keyed, AT(nodes), .flags = REQUIRED, .item = &node_password,
	      .size = sizeof(struct node_password), .name_at = offsetof(struct node_password, node)),
	{ 0 },
};
#undef AT

/* ---- what the keys are worth ---- */

static int check_cert(const struct secrets *s, size_t i, struct err *e)
{
	const struct key_pair *pair = secrets_pair(s, &secret_certs[i]);

	if (i < SECRET_CA_COUNT)
		return pki_check_ca(pair, e);
	if (i == SECRET_ADMIN)
		return pki_check_client(pair, &s->client_ca, ADMIN_COMMON_NAME, ADMIN_ORGANIZATION, e);
	return pki_check_zone_ca(pair, e);
}

static void check_worth(const struct secrets *s, const struct yaml_node *doc, struct faults *f)
{
	struct err e = { 0 };

	if (streq(s->server_password, s->agent_password))
		fault_at(f, yaml_find(doc, "tokens.agent"),
			 "tokens.agent: equals the server token, so that every worker could act as a server");
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++)
		if (secrets_pair(s, &secret_certs[i])->cert && check_cert(s, i, &e) < 0)
			fault_at(f, yaml_find(doc, secret_certs[i].key), "%s: %s", secret_certs[i].key, e.msg);
	if (pki_check_rsa_key(s->service_key, &e) < 0)
		fault_at(f, yaml_find(doc, "serviceAccountKey"), "serviceAccountKey: %s", e.msg);
}

/* Fills the derived fields. */
static void secrets_derive(struct secrets *s)
{
	sha256_bytes(s->server_ca.cert, strlen(s->server_ca.cert), s->ca_hash);
	s->server_token = arena_printf("K10%s::server:%s", s->ca_hash, s->server_password);
	s->agent_token = arena_printf("K10%s::node:%s", s->ca_hash, s->agent_password);
}

/* Its lines are not kept for messages: see schema/source.h. */
int secrets_parse(const char *path, const char *text, size_t n, struct secrets **ret, struct err *e)
{
	struct secrets *s = arena_new(struct secrets);
	struct faults f = { 0 };
	struct reading l = { .faults = &f };
	struct yaml_node *doc;
	int r = yaml_parse(path, text, n, &doc, e);

	if (r < 0)
		return r;
	if (yaml_get(doc, "sops"))
		return err_at(e, path, 1, 1, "the file is encrypted by SOPS; decrypt it first");
	schema_read(&l, secrets_fields, doc, "", s);
	if (!f.errors)
		check_worth(s, doc, &f);
	if (faults_failure(&f, e) < 0)
		return err_at(e, e->at.file, e->at.line, e->at.col, "%s; put the file back from a backup",
			      arena_strdup(e->msg + e->at.end));
	s->path = arena_strdup(path);
	secrets_derive(s);
	*ret = s;
	return 0;
}

/* ---- writing ---- */

char *secrets_text(const struct secrets *s)
{
	struct yaml_node *doc = yaml_map(), *nodes = yaml_map();
	/* Room for all of it: a buffer that grows leaves copies behind. */
	struct strbuf out = { .s = xmalloc(64 * KIB), .cap = 64 * KIB };

	yaml_set(doc, "apiVersion", yaml_str(API_VERSION));
	yaml_set(doc, "kind", yaml_str(KIND));
	if (s->cluster)
		yaml_set(doc, "clusterName", yaml_str(s->cluster));
	yaml_set(doc, "created", yaml_str(utc_text(s->created)));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		yaml_set_path(doc, values[i].key, yaml_str(*value_at(s, &values[i])));
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		const struct key_pair *pair = secrets_pair(s, &secret_certs[i]);

		if (!pair->cert)
			continue;
		yaml_set_path(doc, arena_printf("%s.cert", secret_certs[i].key), yaml_str(pair->cert));
		yaml_set_path(doc, arena_printf("%s.key", secret_certs[i].key), yaml_str(pair->key));
	}
	vec_foreach (n, &s->nodes)
		yaml_set(nodes, n->node, yaml_str(n->password));
	yaml_set(doc, "nodes", nodes);
	yaml_emit(doc, comment, &out);
	return out.s;
}
