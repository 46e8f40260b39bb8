/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text form of the secrets. Two tables (values here, certificates in secret_certs) say which keys there are; both
 * directions and the refusal of unknown keys come from them.
 */
#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "secrets/internal.h"
#include "yaml/yaml.h"

#define API_VERSION "pibuild/v1"
#define KIND	    "Secrets"
#define TIME_FORM   "%Y-%m-%dT%H:%M:%SZ"

static const char comment[] =
	"The secrets of one cluster, made by pibuild: K3s certificate authorities, tokens, admin certificate, node\n"
	"passwords. Whoever reads this file owns the cluster.\n"
	"\n"
	"- Keep it private (mode 0600) and out of git; CI gets it as a file from its secret store.\n"
	"- Keep a copy where the cluster's backups are: without it no further card fits the cluster, and a new\n"
	"  kubeconfig cannot be made.\n"
	"- The same file gives the same images. `pibuild secrets show` lists what is in it, `pibuild secrets rotate`\n"
	"  replaces parts of it.";

const struct secret_cert secret_certs[SECRET_CERT_COUNT] = {
	{ "ca.server", "server CA", "k3s-server-ca", offsetof(struct secrets, server_ca) },
	{ "ca.client", "client CA", "k3s-client-ca", offsetof(struct secrets, client_ca) },
	{ "ca.requestHeader", "request header CA", "k3s-request-header-ca",
	  offsetof(struct secrets, request_header_ca) },
	{ "ca.etcdServer", "etcd server CA", "k3s-etcd-server-ca", offsetof(struct secrets, etcd_server_ca) },
	{ "ca.etcdPeer", "etcd peer CA", "k3s-etcd-peer-ca", offsetof(struct secrets, etcd_peer_ca) },
	{ "admin", "admin certificate", NULL, offsetof(struct secrets, admin) },
};

static const struct value {
	const char *key;
	size_t offset; /* of the const char * */
	bool password;
} values[] = {
	{ "tokens.server", offsetof(struct secrets, server_password), true },
	{ "tokens.agent", offsetof(struct secrets, agent_password), true },
	{ "serviceAccountKey", offsetof(struct secrets, service_key), false },
};

static const char *const plain_keys[] = { "apiVersion", "kind", "created", "nodes" };

static const char **value_at(const struct secrets *s, const struct value *v)
{
	return (const char **)((char *)s + v->offset);
}

/* ---- reading ---- */

struct reader {
	const char *path;
	const struct yaml_node *doc;
	struct secrets *s;
	struct err *e;
};

static int fault(const struct reader *r, const struct yaml_node *at, const char *key, const char *why)
{
	at = at ? at : r->doc;
	return err_at(r->e, CLASS_CONFIG, at->file, at->line, at->col, "%s: %s; put the file back from a backup", key,
		      why);
}

static int take_text(const struct reader *r, const char *key, const char **ret)
{
	const struct yaml_node *n = yaml_find(r->doc, key);

	if (!n)
		return fault(r, NULL, key, "is missing");
	if (n->type != YAML_SCALAR || !n->n)
		return fault(r, n, key, "must be text");
	*ret = n->text;
	return 0;
}

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
		return "has the form of a bootstrap token (6 characters, a dot, 16 characters), and K3s would take it "
		       "for one";
	if (strspn(p, letters) != strlen(p))
		return "may hold letters, digits and - . _ ~ + / = only";
	if (strlen(p) < 16 || strlen(p) > 256)
		return "must have 16 to 256 characters";
	return NULL;
}

static int take_values(const struct reader *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const char **at = value_at(r->s, &values[i]), *why;
		int k = take_text(r, values[i].key, at);

		if (k < 0)
			return k;
		why = values[i].password ? password_fault(*at) : NULL;
		if (why)
			return fault(r, yaml_find(r->doc, values[i].key), values[i].key, why);
	}
	if (streq(r->s->server_password, r->s->agent_password))
		return fault(r, yaml_find(r->doc, "tokens.agent"), "tokens.agent",
			     "equals the server token, so that every worker could act as a server");
	return 0;
}

static int take_certs(const struct reader *r)
{
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		const struct secret_cert *c = &secret_certs[i];
		struct key_pair *pair = secrets_pair(r->s, c);
		int k = take_text(r, arena_printf("%s.cert", c->key), &pair->cert);

		if (k == 0)
			k = take_text(r, arena_printf("%s.key", c->key), &pair->key);
		if (k < 0)
			return k;
	}
	return 0;
}

static int take_nodes(const struct reader *r)
{
	const struct yaml_node *nodes = yaml_get(r->doc, "nodes");

	if (!nodes || nodes->type != YAML_MAP)
		return fault(r, nodes, "nodes", "must be a map of node names to passwords");
	for (size_t i = 0; i < nodes->count; i++) {
		const struct yaml_node *n = nodes->items[i];
		const char *key = arena_printf("nodes.%s", nodes->keys[i]->text);
		const char *why = n->type == YAML_SCALAR ? password_fault(n->text) : "must be text";

		if (why)
			return fault(r, n, key, why);
		*vec_push(&r->s->nodes) = (struct node_password){ nodes->keys[i]->text, n->text };
	}
	return 0;
}

static int take_created(const struct reader *r)
{
	struct tm tm = { 0 };
	const char *text, *end;
	int k = take_text(r, "created", &text);

	if (k < 0)
		return k;
	end = strptime(text, TIME_FORM, &tm);
	if (!end || *end || timegm(&tm) <= 0)
		return fault(r, yaml_get(r->doc, "created"), "created", "must be a time such as 2026-10-01T12:00:00Z");
	r->s->created = (int64_t)timegm(&tm);
	return 0;
}

static int take_head(const struct reader *r)
{
	const char *version, *kind;
	int k = take_text(r, "apiVersion", &version);

	if (k == 0)
		k = take_text(r, "kind", &kind);
	if (k < 0)
		return k;
	if (!streq(version, API_VERSION) || !streq(kind, KIND))
		return err_class(r->e, CLASS_CONFIG,
				 "%s: this is no secrets file of this pibuild (apiVersion %s, kind %s)", r->path,
				 API_VERSION, KIND);
	return take_created(r);
}

/* True when KEY is a key of the file (LEAF) or the map above one. */
static bool is_known(const char *key, bool *leaf)
{
	const char *known[ARRAY_SIZE(values) + ARRAY_SIZE(plain_keys) + 2 * SECRET_CERT_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		known[n++] = values[i].key;
	for (size_t i = 0; i < ARRAY_SIZE(plain_keys); i++)
		known[n++] = plain_keys[i];
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		known[n++] = arena_printf("%s.cert", secret_certs[i].key);
		known[n++] = arena_printf("%s.key", secret_certs[i].key);
	}
	for (size_t i = 0; i < n; i++) {
		*leaf = streq(known[i], key);
		if (*leaf || (starts_with(known[i], key) && known[i][strlen(key)] == '.'))
			return true;
	}
	return false;
}

static int check_known(const struct reader *r, const struct yaml_node *map, const char *prefix)
{
	for (size_t i = 0; i < map->count; i++) {
		const char *key = arena_printf("%s%s", prefix, map->keys[i]->text);
		bool leaf;
		int k = 0;

		if (!is_known(key, &leaf))
			return fault(r, map->keys[i], key, "there is no such key");
		if (!leaf && map->items[i]->type == YAML_MAP)
			k = check_known(r, map->items[i], arena_printf("%s.", key));
		if (k < 0)
			return k;
	}
	return 0;
}

/* ---- what the keys are worth ---- */

static int check_pki(const struct reader *r)
{
	const struct yaml_node *at;

	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		const struct key_pair *pair = secrets_pair(r->s, &secret_certs[i]);
		int k = secret_certs[i].common_name
				? pki_check_ca(pair, r->e)
				: pki_check_client(pair, &r->s->client_ca, ADMIN_COMMON_NAME, ADMIN_ORGANIZATION, r->e);

		at = yaml_find(r->doc, secret_certs[i].key);
		if (k < 0)
			return fault(r, at, secret_certs[i].key, arena_strdup(r->e->msg));
	}
	at = yaml_find(r->doc, "serviceAccountKey");
	if (pki_check_rsa_key(r->s->service_key, r->e) < 0)
		return fault(r, at, "serviceAccountKey", arena_strdup(r->e->msg));
	return 0;
}

void secrets_derive(struct secrets *s)
{
	sha256_bytes(s->server_ca.cert, strlen(s->server_ca.cert), s->ca_hash);
	s->server_token = arena_printf("K10%s::server:%s", s->ca_hash, s->server_password);
	s->agent_token = arena_printf("K10%s::node:%s", s->ca_hash, s->agent_password);
}

int secrets_parse(const char *path, const char *text, size_t n, struct secrets **ret, struct err *e)
{
	static int (*const steps[])(const struct reader *) = { take_head, take_values, take_certs, take_nodes };
	struct reader r = { .path = path, .s = arena_new(struct secrets), .e = e };
	struct yaml_node *doc;
	int k = yaml_parse(path, text, n, &doc, e);

	if (k < 0)
		return k;
	r.doc = doc;
	if (doc->type != YAML_MAP)
		return err_class(e, CLASS_CONFIG, "%s: this is no secrets file", path);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && k == 0; i++)
		k = steps[i](&r);
	if (k == 0)
		k = check_known(&r, doc, "");
	if (k == 0)
		k = check_pki(&r);
	if (k < 0)
		return k;
	r.s->path = arena_strdup(path);
	secrets_derive(r.s);
	*ret = r.s;
	return 0;
}

/* ---- writing ---- */

char *secrets_text(const struct secrets *s)
{
	struct yaml_node *doc = yaml_map(), *nodes = yaml_map();
	/* Room for all of it: a buffer that grows leaves copies behind. */
	struct strbuf out = { .s = xmalloc(64 * KIB), .cap = 64 * KIB };
	time_t created = (time_t)s->created;
	char stamp[32];
	struct tm tm;

	strftime(stamp, sizeof(stamp), TIME_FORM, gmtime_r(&created, &tm));
	yaml_set(doc, "apiVersion", yaml_str(API_VERSION));
	yaml_set(doc, "kind", yaml_str(KIND));
	yaml_set(doc, "created", yaml_str(stamp));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		yaml_set_path(doc, values[i].key, yaml_str(*value_at(s, &values[i])));
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		const struct key_pair *pair = secrets_pair(s, &secret_certs[i]);

		yaml_set_path(doc, arena_printf("%s.cert", secret_certs[i].key), yaml_str(pair->cert));
		yaml_set_path(doc, arena_printf("%s.key", secret_certs[i].key), yaml_str(pair->key));
	}
	vec_foreach (n, &s->nodes)
		yaml_set(nodes, n->node, yaml_str(n->password));
	yaml_set(doc, "nodes", nodes);
	yaml_emit(doc, comment, &out);
	return out.s;
}
