/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing parts of a secrets file: one row for each, with what a running cluster needs afterwards. */
#include <errno.h>
#include <time.h>

#include "base/util.h"
#include "secrets/internal.h"

static int change_server_token(struct secrets *s, const char *node, struct err *e)
{
	return secrets_make_password(&s->server_password, e);
}

static int change_agent_token(struct secrets *s, const char *node, struct err *e)
{
	return secrets_make_password(&s->agent_password, e);
}

static int change_admin(struct secrets *s, const char *node, struct err *e)
{
	return secrets_make_admin(s, e);
}

static int unknown_node(const struct secrets *s, const char *node, struct err *e)
{
	const char **names = arena_alloc((s->nodes.n + 1) * sizeof(*names)), *near;

	for (size_t i = 0; i < s->nodes.n; i++)
		names[i] = s->nodes.v[i].node;
	near = nearest_word(node, names, s->nodes.n);
	return err_class(e, CLASS_USAGE, "%s has no node '%s'%s; `pibuild secrets show` lists them", s->path, node,
			 did_you_mean(", ", near));
}

static int change_node(struct secrets *s, const char *node, struct err *e)
{
	struct node_password *n = secrets_find_node(s, node);

	return n ? secrets_make_password(&n->password, e) : unknown_node(s, node, e);
}

/* It is made for the zones of cluster.yaml, which this command need not know. */
static int change_issuer_ca(struct secrets *s, const char *node, struct err *e)
{
	if (!s->issuer_ca.cert)
		return err_class(e, CLASS_USAGE, "%s holds no CA of an issuer; certManager.issuers: [ca] asks for one",
				 s->path);
	s->issuer_ca = (struct key_pair){ 0 };
	return 0;
}

static int change_ca(struct secrets *s, const char *node, struct err *e)
{
	return secrets_make_cas(s, e);
}

static int change_all(struct secrets *s, const char *node, struct err *e)
{
	int r = change_server_token(s, NULL, e);

	s->issuer_ca = (struct key_pair){ 0 };
	if (r == 0)
		r = change_agent_token(s, NULL, e);
	for (size_t i = 0; i < s->nodes.n && r == 0; i++)
		r = secrets_make_password(&s->nodes.v[i].password, e);
	return r < 0 ? r : secrets_make_cas(s, e);
}

#define NEW_CLUSTER                                                                                                        \
	"this is another cluster now: build every image anew, flash every card again and run `pibuild kubeconfig` again; " \
	"cards made before do not join cards made from now on"

const struct secret_kind secret_kinds[] = {
	{ .name = "server-token",
	  .help = "the token servers join with",
	  .after =
		  "a running cluster encrypts its bootstrap data with the old token, and K3s starts with no other: run `sudo k3s token rotate --new-token NEW` on one server, NEW being the new one's part behind the last colon, then `pibuild apply`; images made before hold the old one, so build them anew",
	  .change = change_server_token },
	{ .name = "agent-token",
	  .help = "the token workers join with",
	  .after =
		  "a running cluster goes on with the old one until `pibuild apply` brings the new one, to servers and then workers, and restarts K3s there; run `pibuild join` again for external machines; images made before hold the old one, so build them anew",
	  .change = change_agent_token },
	{ .name = "admin",
	  .help = "the admin's client certificate",
	  .after =
		  "run `pibuild kubeconfig` again; the old certificate works until it runs out, for certificates cannot be called back: if it leaked, rotate ca",
	  .change = change_admin },
	{ .name = "node",
	  .of_node = true,
	  .help = "the password of one node",
	  .after =
		  "a running cluster remembers the old one: run `kubectl -n kube-system delete secret NAME.node-password.k3s`, then build its image anew and flash its card again",
	  .change = change_node },
	{ .name = "issuer-ca",
	  .help = "the CA that certificates of the issuer ca come from",
	  .after =
		  "`pibuild ca` or the next build makes the new one, for the zones that cluster.yaml has then; every device has to be told to trust it, and a running cluster signs with the old one until `pibuild apply` brings the new one",
	  .change = change_issuer_ca },
	{ .name = "ca",
	  .reflash = true,
	  .help = "the certificate authorities, the service account key and the admin's certificate",
	  .after = NEW_CLUSTER,
	  .change = change_ca },
	{ .name = "all", .reflash = true, .help = "everything", .after = NEW_CLUSTER, .change = change_all },
};
const size_t secret_kinds_count = ARRAY_SIZE(secret_kinds);

const struct secret_kind *secrets_find_kind(const char *name)
{
	for (size_t i = 0; i < secret_kinds_count; i++)
		if (streq(secret_kinds[i].name, name))
			return &secret_kinds[i];
	return NULL;
}

/* The old values still run the cluster until it is changed over: they are kept. */
static int back_up(const char *path, const char *text, size_t n, const char **ret, struct err *e)
{
	const char *stamp = utc_as("%Y%m%dT%H%M%SZ", time(NULL));
	int r = -EEXIST;

	for (unsigned i = 1; i < 100 && r == -EEXIST; i++) {
		*ret = i == 1 ? arena_printf("%s.%s.bak", path, stamp) : arena_printf("%s.%s-%u.bak", path, stamp, i);
		r = store_add(*ret, text, n, e);
	}
	return r == -EEXIST ? err_set(e, r, "%s: too many backups of this second", path) : r;
}

int secrets_rotate(const char *path, const struct secret_kind *kind, const char *node, const char **ret_backup,
		   struct err *e)
{
	_cleanup_(store_forget) char *old = NULL, *new = NULL;
	_cleanup_close_ int lock = -1;
	struct secrets *s;
	size_t n;
	int r = store_lock(path, &lock, e);

	if (r < 0)
		return r;
	r = store_read(path, &old, &n, e);
	if (r < 0)
		return r;
	r = secrets_parse(path, old, n, &s, e);
	if (r < 0)
		return r;
	r = kind->change(s, node, e);
	if (r < 0)
		return r;
	r = back_up(path, old, n, ret_backup, e);
	if (r < 0)
		return r;
	new = secrets_text(s);
	secrets_warn_unless_ignored(*ret_backup, SECRETS_HOLDS);
	return store_replace(path, new, strlen(new), e);
}
