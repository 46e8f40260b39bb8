/* SPDX-License-Identifier: Apache-2.0 */
/* The admin's kubeconfig from the secrets file: valid before the first Pi has booted. */
#include <errno.h>
#include <limits.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "secrets/secrets.h"
#include "yaml/yaml.h"

static int kubeconfig_load(const struct cmd_options *o, struct config **ret_c, struct secrets **ret_s, struct err *e)
{
	int r = cmd_require_cluster(o, e);

	if (r < 0)
		return r;
	r = cmd_load_config(o, ret_c, e);
	if (r < 0)
		return r;
	r = secrets_load(cmd_secrets_path(o, *ret_c), ret_s, e);
	return r < 0 ? r : secrets_check_cluster(*ret_s, *ret_c, e);
}

static struct yaml_node *named(const char *name, const char *key, struct yaml_node *value)
{
	struct yaml_node *item = yaml_map(), *list = yaml_seq();

	yaml_set(item, "name", yaml_str(name));
	yaml_set(item, key, value);
	yaml_append(list, item);
	return list;
}

static struct yaml_node *kubeconfig(const struct config *c, const struct secrets *s)
{
	struct yaml_node *doc = yaml_map(), *cluster = yaml_map(), *user = yaml_map(), *context = yaml_map();
	const char *name = c->cluster.name;
	/* Users of several clusters often end up in one file: a plain "admin" would be the same one in all. */
	const char *admin = arena_printf("admin@%s", name);

	yaml_set(cluster, "server", yaml_strf("https://%s:%d", config_api_host(c), K3S_API_PORT));
	yaml_set(cluster, "certificate-authority-data", yaml_str(pki_base64(s->server_ca.cert)));
	yaml_set(user, "client-certificate-data", yaml_str(pki_base64(s->admin.cert)));
	yaml_set(user, "client-key-data", yaml_str(pki_base64(s->admin.key)));
	yaml_set(context, "cluster", yaml_str(name));
	yaml_set(context, "user", yaml_str(admin));
	yaml_set(doc, "apiVersion", yaml_str("v1"));
	yaml_set(doc, "kind", yaml_str("Config"));
	yaml_set(doc, "clusters", named(name, "cluster", cluster));
	yaml_set(doc, "users", named(admin, "user", user));
	yaml_set(doc, "contexts", named(name, "context", context));
	yaml_set(doc, "current-context", yaml_str(name));
	return doc;
}

enum { DAY_MAX = 16 }; /* "2027-11-28" */

static int check_expiry(const struct secrets *s, char day[DAY_MAX], struct err *e)
{
	struct pki_cert admin;
	struct tm tm;
	time_t t;
	int r = pki_read_cert(s->admin.cert, &admin, e);

	if (r < 0)
		return r;
	t = (time_t)admin.valid.to;
	strftime(day, DAY_MAX, "%Y-%m-%d", gmtime_r(&t, &tm));
	if (time(NULL) > t)
		return err_class(e, CLASS_CONFIG,
				 "the admin certificate in %s ran out on %s: run `pibuild secrets rotate admin` first",
				 s->path, day);
	return 0;
}

static void tell_name(const struct config *c)
{
	const struct node_config *first = config_first_server(c);

	if (!c->cluster.endpoint && !c->cluster.vip && first && !first->address.set)
		log_info(
			"%s has no fixed address: this machine must be able to resolve the name '%s' (or give the node an address, or set cluster.endpoint)",
			first->name, config_api_host(c));
}

/* A kubeconfig of several clusters, ~/.kube/config above all, is not ours to replace. */
static int check_replaceable(const char *path, const char *cluster, struct err *e)
{
	struct yaml_node *old, *list, *name;
	struct err ignored = { 0 };
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno, "cannot look at %s", path);
	if (S_ISREG(st.st_mode) && yaml_load(path, &old, &ignored) == 0) {
		list = yaml_get(old, "clusters");
		name = list && list->type == YAML_SEQ && list->count == 1 ? yaml_get(list->items[0], "name") : NULL;
		if (name && name->type == YAML_SCALAR && streq(name->text, cluster))
			return 0;
	}
	return err_class(
		e, CLASS_REFUSED,
		"%s is there already and is not a kubeconfig of the cluster %s alone: write to another file, and name both in KUBECONFIG (KUBECONFIG=%s:FILE)",
		path, cluster, path);
}

static void kubeconfig_next(const struct cmd_options *o, const struct config *c)
{
	char real[PATH_MAX];

	if (!o->out_given) {
		cmd_next(o, "`pibuild kubeconfig -o ~/.kube/%s` keeps it where kubectl finds it, readable by you alone",
			 c->cluster.name);
		return;
	}
	log_info("it is in %s (mode 0600)", o->out);
	cmd_next(o, "`export KUBECONFIG=%s`, and once the nodes are up `kubectl get nodes`",
		 shell_word(realpath(o->out, real) ? real : o->out));
}

static int cmd_kubeconfig(const struct cmd_options *o, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	char day[DAY_MAX];
	struct secrets *s;
	struct config *c;
	int r = cmd_args(o, 0, 0, "kubeconfig [-o FILE]", e);

	if (r == 0)
		r = kubeconfig_load(o, &c, &s, e);
	if (r == 0 && o->out_given)
		r = check_replaceable(o->out, c->cluster.name, e);
	if (r < 0)
		return r;
	r = check_expiry(s, day, e);
	if (r < 0)
		return r;
	yaml_emit(kubeconfig(c, s), NULL, &text);
	if (o->out_given)
		r = file_publish(o->out, text.s, text.n, 0600, e);
	else if (fwrite(text.s, 1, text.n, stdout) != text.n)
		r = err_errno(e, -errno, "cannot write to stdout");
	explicit_bzero(text.s, text.n);
	if (r < 0)
		return r;
	log_info("the kubeconfig gives full control of the cluster until %s", day);
	tell_name(c);
	kubeconfig_next(o, c);
	return 0;
}

const struct command kubeconfig_command = {
	.name = "kubeconfig",
	.args = "",
	.help = "admin kubeconfig on stdout, or with -o in a file",
	.run = cmd_kubeconfig,
	.common = "config out secrets",
	.examples = { "pibuild kubeconfig -o ~/.kube/homelab",
		      "pibuild kubeconfig -c lab/cluster.yaml -o ~/.kube/lab" },
};
