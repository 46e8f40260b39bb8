/* SPDX-License-Identifier: Apache-2.0 */
/* The admin's kubeconfig from the secrets file: valid before the first Pi has booted. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "cmd/kubeconfig.h"
#include "secrets/secrets.h"
#include "yaml/yaml.h"

static struct {
	bool merge;
} kubeconfig_opt;

static const struct option kubeconfig_options[] = {
	CMD_OWN("merge", OPT_FLAG, &kubeconfig_opt.merge, NULL,
		"into the kubeconfig that is there (-o, $KUBECONFIG, ~/.kube/config), beside other clusters"),
	CMD_OPTION_REPLACE,
};

static int kubeconfig_load(const struct cmd_options *o, struct config **ret_c, struct secrets **ret_s, struct err *e)
{
	int r = cmd_require_cluster(o, e);

	if (r < 0)
		return r;
	r = cmd_load_config(o, ret_c, e);
	if (r < 0)
		return r;
	r = secrets_load(cmd_secrets_path(o, *ret_c), ret_s, e);
	return r < 0 ? r : secrets_check_cluster(*ret_s, *ret_c, o->secrets, e);
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

/* DAY: "2027-11-28" */
static int check_expiry(const struct secrets *s, const char **day, struct err *e)
{
	struct pki_cert admin;
	int r = pki_read_cert(s->admin.cert, &admin, e);

	if (r < 0)
		return r;
	*day = utc_as("%Y-%m-%d", admin.valid.to);
	if (time(NULL) > admin.valid.to)
		return err_class(e, CLASS_CONFIG,
				 "the admin certificate in %s ran out on %s: run `pibuild secrets rotate admin` first",
				 s->path, *day);
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
static int is_own_kubeconfig(const char *path, const void *cluster, struct err *e)
{
	struct yaml_node *doc, *list, *name;
	int r = yaml_load(path, &doc, e);

	if (r < 0)
		return r;
	list = yaml_get(doc, "clusters");
	name = list && list->type == YAML_SEQ && list->count == 1 ? yaml_get(list->items[0], "name") : NULL;
	return name && name->type == YAML_SCALAR && streq(name->text, cluster);
}

static int check_replaceable(const struct cmd_options *o, const char *cluster, struct err *e)
{
	const struct cmd_output out = {
		.path = o->out,
		.is_own = is_own_kubeconfig,
		.arg = cluster,
		.own = arena_printf("a kubeconfig of the cluster %s alone", cluster),
		.cure = arena_printf("take it in beside the others with `pibuild kubeconfig --merge -o %s`, ",
				     shell_word(o->out)),
	};

	return cmd_check_output(o, &out, e);
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
	secrets_warn_unless_ignored(o->out, "full control of the cluster");
	cmd_next(o, "`export KUBECONFIG=%s`, and once the nodes are up `kubectl get nodes`",
		 shell_word(realpath(o->out, real) ? real : o->out));
}

/* ---- into one that is there ---- */

/* As kubectl finds it: the first of $KUBECONFIG, else ~/.kube/config; a link leads on to the file. On the arena. */
static int merge_target(const struct cmd_options *o, const char **ret, struct err *e)
{
	const char *list = str_or(getenv("KUBECONFIG"), ""), *home = str_or(getenv("HOME"), "");
	const char *path = o->out;
	char real[PATH_MAX];

	list += strspn(list, ":");
	if (!o->out_given && !*list && !*home)
		return err_class(e, CLASS_USAGE, "HOME is not set: name the kubeconfig with -o");
	if (!o->out_given)
		path = *list ? arena_strndup(list, strcspn(list, ":")) : path_join(home, ".kube/config");
	*ret = realpath(path, real) ? arena_strdup(real) : path;
	return 0;
}

/* What kubectl makes and removes around a change of the file (kubernetes/client-go tools/clientcmd/loader.go,
 * lockFile).
 */
struct merge_lock {
	const char *path; /* NULL = not held */
};

static void merge_unlock(struct merge_lock *l)
{
	if (l->path)
		unlink(l->path);
}

static int merge_take_lock(struct merge_lock *l, const char *target, struct err *e)
{
	const char *path = arena_printf("%s.lock", target);
	_cleanup_close_ int fd = -1;
	int r = make_dirs(path_dir(target), 0700, e);

	if (r < 0)
		return r;
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return err_class(e, CLASS_REFUSED,
				 "%s is being changed by kubectl, or was when it died: wait a moment, else remove %s",
				 target, path);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make %s", path);
	l->path = path;
	return 0;
}

/* An empty map and no *TEXT (the caller's) when there is none. */
static int merge_read(const char *target, struct yaml_node **ret, char **text, size_t *n, struct err *e)
{
	struct stat st;
	int r = stat(target, &st) == 0 && !S_ISREG(st.st_mode)
			? err_class(e, CLASS_REFUSED, "%s is no file, so it holds no kubeconfig", target)
			: file_read(target, MIB, text, n, e);

	if (r == -ENOENT) {
		*e = (struct err){ 0 };
		*ret = yaml_map();
		return 0;
	}
	return r < 0 ? r : yaml_parse(target, *text, *n, ret, e);
}

/* What was there, beside it; an older one, or somebody else's of that name, stays. */
static int merge_keep(const char *target, const char *text, size_t n, const char **ret, struct err *e)
{
	const char *path = arena_printf("%s.bak", target);
	int r = file_ask(path, e);

	if (r > 0)
		path = arena_printf("%s.%s.bak", target, utc_as("%Y%m%dT%H%M%SZ", time(NULL)));
	*ret = path;
	return r < 0 ? r : file_publish(path, text, n, 0600, e);
}

static int merge_into_file(struct yaml_node *own, const char *target, struct kubeconfig_names *names, struct err *e)
{
	_cleanup_(merge_unlock) struct merge_lock lock = { 0 };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	_cleanup_free_ char *was = NULL;
	const char *kept = NULL;
	struct yaml_node *all;
	size_t n = 0;
	int r = merge_take_lock(&lock, target, e);

	if (r == 0)
		r = merge_read(target, &all, &was, &n, e);
	if (r == 0)
		r = kubeconfig_merge(all, own, target, names, e);
	if (r == 0) {
		yaml_emit(all, NULL, &text);
		if (was && (n != text.n || memcmp(was, text.s, n) != 0))
			r = merge_keep(target, was, n, &kept, e);
		if (r == 0)
			r = file_publish(target, text.s, text.n, 0600, e);
		explicit_bzero(text.s, text.n);
	}
	if (was)
		explicit_bzero(was, n);
	if (r < 0)
		return r;
	log_info("%s has the cluster %s and its context %s (mode 0600%s%s)", target, names->cluster, names->context,
		 kept ? "; as it was before: " : "", str_or(kept, ""));
	return 0;
}

static void merge_next(const struct cmd_options *o, const struct kubeconfig_names *names)
{
	if (names->current)
		cmd_next(o, "once the nodes are up `kubectl get nodes`");
	else
		cmd_next(o, "`kubectl config use-context %s` makes it the current one", shell_word(names->context));
}

/* ---- the command ---- */

static int write_alone(const struct cmd_options *o, const struct yaml_node *own, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = 0;

	yaml_emit(own, NULL, &text);
	if (o->out_given)
		r = file_publish(o->out, text.s, text.n, 0600, e);
	else
		r = stdout_print(text.s, text.n, e);
	explicit_bzero(text.s, text.n);
	return r;
}

static int cmd_kubeconfig(const struct cmd_options *o, struct err *e)
{
	struct kubeconfig_names names;
	const char *target = NULL;
	const char *day;
	struct secrets *s;
	struct config *c;
	int r = cmd_args(o, 0, 0, "kubeconfig [-o FILE] [--merge]", e);

	if (r == 0 && kubeconfig_opt.merge && streq(o->out, "-"))
		r = err_class(e, CLASS_USAGE, "--merge changes a file, and -o - is stdout: give one of them");
	if (r == 0)
		r = kubeconfig_load(o, &c, &s, e);
	if (r == 0 && kubeconfig_opt.merge)
		r = merge_target(o, &target, e);
	else if (r == 0 && o->out_given)
		r = check_replaceable(o, c->cluster.name, e);
	if (r < 0)
		return r;
	r = check_expiry(s, &day, e);
	if (r < 0)
		return r;
	r = target ? merge_into_file(kubeconfig(c, s), target, &names, e) : write_alone(o, kubeconfig(c, s), e);
	if (r < 0)
		return r;
	log_info("the kubeconfig gives full control of the cluster until %s", day);
	tell_name(c);
	if (target)
		merge_next(o, &names);
	else
		kubeconfig_next(o, c);
	return 0;
}

const struct command kubeconfig_command = {
	.name = "kubeconfig",
	.args = "",
	.help = "admin kubeconfig on stdout, or with -o in a file",
	.run = cmd_kubeconfig,
	.options = kubeconfig_options,
	.n_options = ARRAY_SIZE(kubeconfig_options),
	.prints = true,
	.common = "config out secrets",
	.examples = { "pibuild kubeconfig --merge", "pibuild kubeconfig -c lab/cluster.yaml -o ~/.kube/lab" },
};
