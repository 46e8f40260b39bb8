/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of a cluster as the other modules see them: made once, loaded, completed for new nodes. */
#include "base/file.h"
#include "secrets/secrets.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "secrets/internal.h"

struct node_password *secrets_find_node(const struct secrets *s, const char *node)
{
	vec_foreach (n, &s->nodes)
		if (streq(n->node, node))
			return n;
	return NULL;
}

const char *secrets_node_password(const struct secrets *s, const char *node)
{
	const struct node_password *n = secrets_find_node(s, node);

	if (s == secrets_masked())
		return SECRETS_MASK;
	return n ? n->password : NULL;
}

/* ---- loading ---- */

static int read_secrets(const char *path, struct secrets **ret, struct err *e)
{
	_cleanup_(store_forget) char *text = NULL;
	size_t n;
	int r = store_read(path, &text, &n, e);

	return r < 0 ? r : secrets_parse(path, text, n, ret, e);
}

static int warn_of_clock(const struct secrets *s, struct err *e)
{
	int64_t now = (int64_t)time(NULL);

	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		const struct secret_cert *c = &secret_certs[i];
		struct pki_cert cert;
		int r;

		if (!secrets_pair(s, c)->cert)
			continue;
		r = pki_read_cert(secrets_pair(s, c)->cert, &cert, e);
		if (r < 0)
			return r;
		if (now > cert.valid.to)
			log_warning("%s: the %s has run out; see `pibuild secrets rotate %s`", s->path, c->title,
				    c->rotate);
		else if (now < cert.valid.from)
			log_warning(
				"%s: the %s is not valid yet; is the clock of this machine right? If it was wrong when that was made: `pibuild secrets rotate %s`",
				s->path, c->title, c->rotate);
	}
	return 0;
}

int secrets_load(const char *path, struct secrets **ret, struct err *e)
{
	struct secrets *s;
	int r = read_secrets(path, &s, e);

	if (r < 0)
		return r;
	r = warn_of_clock(s, e);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

/* ---- writing ---- */

/* Appends passwords for the nodes of C that have none, their names to ADDED. */
static int secrets_add_nodes(struct secrets *s, const struct config *c, struct strbuf *added, struct err *e)
{
	vec_foreach (n, &c->nodes) {
		struct node_password fresh = { .node = n->name };
		int r;

		if (secrets_find_node(s, n->name))
			continue;
		r = secrets_make_password(&fresh.password, e);
		if (r < 0)
			return r;
		*vec_push(&s->nodes) = fresh;
		strbuf_item(added, ", ", n->name);
	}
	return 0;
}

static bool wants_issuer_ca(const struct secrets *s, const struct config *c)
{
	return c->cert_manager.issuers[ISSUER_CA] && c->cert_manager.zones.n && !s->issuer_ca.cert;
}

static int secrets_add_issuer_ca(struct secrets *s, const struct config *c, struct err *e)
{
	int r;

	if (!wants_issuer_ca(s, c))
		return 0;
	r = secrets_make_issuer_ca(s, c, e);
	return r < 0 ? r : 1;
}

static int replacing(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		file_cannot_open(path, e);
		return err_blame(e, CLASS_CONFIG);
	}
	return err_class(
		e, CLASS_REFUSED,
		"%s is there already: making new secrets would lock out every card made with it; `pibuild secrets rotate` replaces parts of it and keeps a copy",
		path);
}

int secrets_create(const char *path, const struct config *c, struct err *e)
{
	_cleanup_(store_forget) char *text = NULL;
	_cleanup_strbuf_ struct strbuf added = { 0 };
	struct secrets s = { .path = path, .cluster = c->is_default ? NULL : c->cluster.name };
	int r = file_ask(path, e);

	if (r != 0)
		return r < 0 ? r : replacing(path, e);
	r = secrets_make_password(&s.server_password, e);
	if (r < 0)
		return r;
	r = secrets_make_password(&s.agent_password, e);
	if (r < 0)
		return r;
	r = secrets_make_cas(&s, e);
	if (r < 0)
		return r;
	r = secrets_add_nodes(&s, c, &added, e);
	if (r == 0)
		r = secrets_add_issuer_ca(&s, c, e);
	if (r < 0)
		return r;
	text = secrets_text(&s);
	r = store_add(path, text, strlen(text), e);
	if (r == 0)
		secrets_warn_unless_ignored(path, SECRETS_HOLDS);
	return r == -EEXIST ? replacing(path, e) : r;
}

int secrets_complete(struct secrets *s, const struct config *c, struct err *e)
{
	_cleanup_(store_forget) char *text = NULL;
	_cleanup_strbuf_ struct strbuf added = { 0 };
	_cleanup_close_ int lock = -1;
	bool complete = !wants_issuer_ca(s, c);
	struct secrets *now;
	int r, made = 0;

	vec_foreach (n, &c->nodes)
		complete &= secrets_find_node(s, n->name) != NULL;
	if (complete)
		return 0;
	r = store_lock(s->path, &lock, e);
	if (r < 0)
		return r;
	r = read_secrets(s->path, &now, e); /* another build may have been here */
	if (r == 0)
		r = secrets_add_nodes(now, c, &added, e);
	if (r == 0)
		r = made = secrets_add_issuer_ca(now, c, e);
	if (r < 0)
		return r;
	*s = *now;
	if (!added.n && !made)
		return 0;
	text = secrets_text(s);
	r = store_replace(s->path, text, strlen(text), e);
	if (r < 0)
		return r;
	if (added.n)
		log_info("%s: made a password for %s", s->path, added.s);
	if (made)
		log_info("%s: made the CA of the issuer ca; `pibuild ca` prints its certificate and how to trust it",
			 s->path);
	return 0;
}

const char *secrets_zone_fault(const struct secrets *s, const struct config *c)
{
	const char *const *own = NULL;
	struct err ignored = { 0 };

	if (!s->issuer_ca.cert || !c->cert_manager.issuers[ISSUER_CA] ||
	    pki_read_zones(s->issuer_ca.cert, &own, &ignored) < 0)
		return NULL;
	vec_foreach (zone, &c->cert_manager.zones) {
		const char *const *o = own;

		while (*o && !name_is_below(*zone, *o))
			o++;
		if (!*o)
			return arena_printf(
				"certManager.zones: the CA in %s was made before %s was among the zones, and may not sign for it: `pibuild secrets rotate issuer-ca` drops it, the next build makes one for all zones, and every device has to be told to trust that one",
				s->path, *zone);
	}
	return NULL;
}

int secrets_check_cluster(const struct secrets *s, const struct config *c, bool named, struct err *e)
{
	const char *fault;

	if (c->is_default && s->nodes.n && !secrets_node_password(s, c->nodes.v[0].name))
		return err_class(
			e, CLASS_CONFIG,
			"there is no cluster.yaml here, and %s belongs to a cluster with the node %s: name that cluster's file with `-c FILE`",
			s->path, s->nodes.v[0].node);
	if (!s->cluster || streq(s->cluster, c->cluster.name))
		return 0;
	fault = arena_printf(
		"%s holds the keys of the cluster %s, and %s describes %s: with the same keys each would let in the other's nodes and administrators",
		s->path, s->cluster, c->path, c->cluster.name);
	if (named) {
		log_warning("%s", fault);
		return 0;
	}
	return err_class(
		e, CLASS_CONFIG,
		"%s. Put it into a folder of its own, or name a file of its own with `--secrets FILE`; if %s was renamed before it had cards, write 'clusterName: %s' in %s",
		fault, s->cluster, c->cluster.name, s->path);
}

/* ---- without a file ---- */

/* The versions of clang-format disagree on these braces. */
/* clang-format off */
#define MASKED_PAIR(title) { "<masked: certificate of the " title ">\n", "<masked: key of the " title ">\n" }
/* clang-format on */

const struct secrets *secrets_masked(void)
{
	static const struct secrets masked = {
		.path = SECRETS_MASK,
		.server_ca = MASKED_PAIR("server CA"),
		.client_ca = MASKED_PAIR("client CA"),
		.request_header_ca = MASKED_PAIR("request header CA"),
		.etcd_server_ca = MASKED_PAIR("etcd server CA"),
		.etcd_peer_ca = MASKED_PAIR("etcd peer CA"),
		.service_key = "<masked: service account key>\n",
		.admin = MASKED_PAIR("admin"),
		.issuer_ca = MASKED_PAIR("CA of the issuer ca"),
		.server_password = SECRETS_MASK,
		.agent_password = SECRETS_MASK,
		.server_token = "K10" SECRETS_MASK "::server:" SECRETS_MASK,
		.agent_token = "K10" SECRETS_MASK "::node:" SECRETS_MASK,
	};

	return &masked;
}

const char *secrets_path(const char *given, const struct config *c)
{
	return given ? given : path_join(c->dir, "secrets.yaml");
}
