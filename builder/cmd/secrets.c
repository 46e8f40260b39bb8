/* SPDX-License-Identifier: Apache-2.0 */
/* secrets new | show | rotate WHAT: the cluster's secrets file. Values leave it only with --show-secrets. */
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "secrets/secrets.h"

static struct {
	bool show_secrets;
} secrets_opt;

static const struct option secrets_options[] = {
	CMD_OWN("show-secrets", OPT_FLAG, &secrets_opt.show_secrets, NULL, "do not mask secrets"),
	CMD_OPTION_YES("do not ask"),
};

/* Show and rotate need to know where the file is, not what the cluster looks like. */
static int find_secrets(const struct cmd_options *o, const char **ret, struct err *e)
{
	struct faults f = { 0 };
	struct config *c;
	int r;

	if (o->secrets) {
		*ret = o->secrets;
		return 0;
	}
	r = cmd_require_cluster(o, e);
	if (r < 0)
		return r;
	r = config_load(o->config, &c, &f, e);
	if (r < 0)
		return r;
	*ret = cmd_secrets_path(o, c);
	return 0;
}

/* ---- new ---- */

static int secrets_new(const struct cmd_options *o, struct err *e)
{
	struct config *c;
	const char *path;
	int r = config_require_file(o->config, "there are no nodes to make secrets for", e);

	if (r < 0)
		return r;
	r = cmd_load_config(o, &c, e);
	if (r < 0)
		return r;
	path = cmd_secrets_path(o, c);
	r = secrets_create(path, c, e);
	if (r < 0)
		return r;
	log_info("made %s for %zu node%s; keep it private, out of git, and in your backups", path, c->nodes.n,
		 c->nodes.n == 1 ? "" : "s");
	return 0;
}

/* ---- show ---- */

static const char *shown(const struct cmd_options *o, const char *value)
{
	return secrets_opt.show_secrets ? value : SECRETS_MASK;
}

static json_t *cert_json(const struct cmd_options *o, const struct key_pair *pair, const struct pki_cert *c)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "commonName", c->common_name, "notBefore",
			 utc_text(c->valid.from), "notAfter", utc_text(c->valid.to), "sha256", c->sha256, "certificate",
			 pair->cert, "key", shown(o, pair->key));
}

static int show_json(const struct cmd_options *o, const struct secrets *s, const struct pki_cert *certs, struct err *e)
{
	json_t *cas = json_object(), *nodes = json_object(), *issuer_ca = NULL;

	for (size_t i = 0; i < SECRET_CA_COUNT; i++)
		json_object_set_new(cas, strchr(secret_certs[i].key, '.') + 1,
				    cert_json(o, secrets_pair(s, &secret_certs[i]), &certs[i]));
	if (s->issuer_ca.cert)
		issuer_ca = cert_json(o, &s->issuer_ca, &certs[SECRET_ISSUER_CA]);
	vec_foreach (n, &s->nodes)
		json_object_set_new(nodes, n->node, json_string(shown(o, n->password)));
	return json_print(json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:o, s:o, s:o*, s:s, s:o}", "file", s->path,
				    "created", utc_text(s->created), "caHash", s->ca_hash, "tokens", "server",
				    shown(o, s->server_token), "agent", shown(o, s->agent_token), "ca", cas, "admin",
				    cert_json(o, &s->admin, &certs[SECRET_ADMIN]), "issuerCA", issuer_ca,
				    "serviceAccountKey", shown(o, s->service_key), "nodes", nodes),
			  e);
}

static int show_text(const struct cmd_options *o, const struct secrets *s, const struct pki_cert *certs)
{
	printf("file: %s\ncreated: %s\nCA hash: %s\n\nserver token: %s\nagent token: %s\n", s->path,
	       utc_text(s->created), s->ca_hash, shown(o, s->server_token), shown(o, s->agent_token));
	for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
		if (!secrets_pair(s, &secret_certs[i])->cert)
			continue;
		printf("\n%s: %s\n  valid: %s to %s\n  sha256: %s\n  key: %s\n", secret_certs[i].title,
		       certs[i].common_name, utc_text(certs[i].valid.from), utc_text(certs[i].valid.to),
		       certs[i].sha256, secrets_opt.show_secrets ? "" : SECRETS_MASK);
		if (secrets_opt.show_secrets)
			fputs(secrets_pair(s, &secret_certs[i])->key, stdout);
	}
	printf("\nservice account key: %s\n\nnode passwords:\n", secrets_opt.show_secrets ? "" : SECRETS_MASK);
	if (secrets_opt.show_secrets)
		fputs(s->service_key, stdout);
	vec_foreach (n, &s->nodes)
		printf("  %s: %s\n", n->node, shown(o, n->password));
	return 0;
}

static int secrets_show(const struct cmd_options *o, struct err *e)
{
	struct pki_cert certs[SECRET_CERT_COUNT];
	struct secrets *s;
	const char *path;
	int r = find_secrets(o, &path, e);

	if (r == 0)
		r = secrets_load(path, &s, e);
	for (size_t i = 0; i < SECRET_CERT_COUNT && r == 0; i++)
		r = !secrets_pair(s, &secret_certs[i])->cert
			    ? 0
			    : pki_read_cert(secrets_pair(s, &secret_certs[i])->cert, &certs[i], e);
	if (r < 0)
		return r;
	return o->json ? show_json(o, s, certs, e) : show_text(o, s, certs);
}

/* ---- rotate ---- */

/* "node NAME" */
static const char *kind_words(const struct secret_kind *kind)
{
	return kind->of_node ? arena_printf("%s NAME", kind->name) : kind->name;
}

/* What it replaces, and whether that is asked for twice. */
static const char *kind_help(const struct secret_kind *kind)
{
	return kind->reflash ? arena_printf("%s (needs --yes)", kind->help) : kind->help;
}

static int unknown_kind(const char *name, struct err *e)
{
	_cleanup_strbuf_ struct strbuf list = { 0 };

	for (size_t i = 0; i < secret_kinds_count; i++)
		strbuf_addf(&list, "\n  %-14s %s", kind_words(&secret_kinds[i]), kind_help(&secret_kinds[i]));
	return err_class(e, CLASS_USAGE, "%s%s%s: pibuild secrets rotate WHAT, which is one of:%s",
			 name ? "there is no '" : "what should be replaced?", name ? name : "", name ? "'" : "",
			 list.s);
}

static int secrets_rotate_what(const struct cmd_options *o, struct err *e)
{
	const char *what = o->args.n > 1 ? o->args.v[1] : NULL;
	const struct secret_kind *kind = what ? secrets_find_kind(what) : NULL;
	const char *path = NULL, *backup, *node = NULL;
	int r;

	if (!kind)
		return unknown_kind(what, e);
	r = kind->of_node ? cmd_args(o, 3, 3, "secrets rotate node NAME", e)
			  : cmd_args(o, 2, 2, "secrets rotate WHAT", e);
	if (r < 0)
		return r;
	r = find_secrets(o, &path, e);
	if (r < 0)
		return r;
	if (kind->reflash && !o->yes)
		return err_class(
			e, CLASS_REFUSED,
			"replacing %s makes it another cluster: every card has to be flashed again and no old one joins a new one; say --yes to go on",
			kind->help);
	if (kind->of_node)
		node = o->args.v[2];
	r = secrets_rotate(path, kind, node, &backup, e);
	if (r < 0)
		return r;
	log_info("%s: replaced %s; the file as it was is %s", path, kind->help, backup);
	log_info("%s", kind->after);
	return 0;
}

static int cmd_secrets(const struct cmd_options *o, struct err *e)
{
	static const struct {
		const char *name;
		size_t max_args;
		cmd_fn run;
	} verbs[] = {
		{ "new", 1, secrets_new },
		{ "show", 1, secrets_show },
		{ "rotate", 3, secrets_rotate_what },
	};
	static const char usage[] = "secrets new | show [--show-secrets] | rotate WHAT";
	const char *verb = o->args.n ? o->args.v[0] : "";

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		int r;

		if (!streq(verb, verbs[i].name))
			continue;
		r = cmd_args(o, 1, verbs[i].max_args, usage, e);
		return r < 0 ? r : verbs[i].run(o, e);
	}
	return err_class(e, CLASS_USAGE, "%s: usage: pibuild %s",
			 *verb ? arena_printf("secrets cannot '%s'", verb) : "what about the secrets?", usage);
}

static void secrets_arguments(void)
{
	help_row("new", "make the file, where there is none");
	help_row("show", "its certificates, how long they are good, and the rest masked");
	for (size_t i = 0; i < secret_kinds_count; i++)
		help_row(arena_printf("rotate %s", kind_words(&secret_kinds[i])), kind_help(&secret_kinds[i]));
}

const struct command secrets_command = {
	.name = "secrets",
	.args = "new|show|rotate [WHAT]",
	.help = "the cluster's secrets file",
	.run = cmd_secrets,
	.options = secrets_options,
	.n_options = ARRAY_SIZE(secrets_options),
	.common = "config secrets json",
	.words = { "new show rotate", "@secret" },
	.arguments = secrets_arguments,
	.examples = { "pibuild secrets new", "pibuild secrets rotate admin" },
};
