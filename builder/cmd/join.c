/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join NAME: one script that makes a machine of the user's own (board: external) a worker. It lays down what the node's
 * card would hold for K3s, from the same tree, fetches K3s by its digest in the lock, and starts it. The CA is pinned
 * by the token's form, K10 and the CA's digest before the token itself (docs.k3s.io, cli/token). Secrets are in the
 * script and nowhere else.
 */
#include <errno.h>

#include "base/data.h"
#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "crypto/pki.h"
#include "node/node.h"
#include "secrets/secrets.h"

/* Of the node's tree what a machine with a system of its own needs; a folder's contents by its slash. */
static const char *const wanted[] = {
	"/etc/rancher/",
	"/etc/pibuild/resolv.conf",
	"/var/lib/rancher/k3s/agent/",
	"/etc/modules-load.d/pibuild.conf",
	"/etc/sysctl.d/50-pibuild.conf",
	"/etc/systemd/logind.conf.d/",
};

static const struct option join_options[] = {
	CMD_OPTION_REPLACE,
};

enum { FILE_LIMIT = 1024 * 1024 };

struct join {
	const struct project *project;
	const struct node_config *node;
	struct tree tree;
	struct pin k3s;
};

/* C as far as it can be read before anything, secrets.yaml say, is made; NULL = it cannot. */
static int find_external(const struct config *c, const char *name, const struct node_config **ret, struct err *e)
{
	int r = c ? cmd_find_node(c, name, ret, e) : 0;

	if (r < 0 || !c || config_is_external(*ret))
		return r;
	return err_class(e, CLASS_USAGE,
			 "%s is a node with a card, which joins by itself: `sudo pibuild flash --node %s DISK`", name,
			 name);
}

static int join_load(const struct cmd_options *o, struct join *j, struct err *e)
{
	const struct project_options po = cmd_project_options(o, SECRETS_NEEDED);
	struct project *project;
	struct node_ctx x;
	int r = config_require_file(o->config, "there is no cluster to join", e);

	if (r == 0)
		r = find_external(cmd_glimpse_config(o->config), o->args.v[0], &j->node, e);
	if (r == 0)
		r = project_load_valid(&po, &project, e);
	if (r == 0)
		r = find_external(project->config, o->args.v[0], &j->node, e);
	if (r < 0)
		return r;
	j->project = project;
	x = project_node(project, (size_t)(j->node - project->config->nodes.v));
	x.secret_use = SECRET_READ;
	r = node_render(&x, &j->tree, e);
	if (r == 0)
		r = artifact_pin(&project->set, j->node->arch == ARCH_AMD64 ? "k3s-amd64" : "k3s", &j->k3s, e);
	return r < 0 ? r : pins_check_locked(&j->k3s, 1, e);
}

static bool is_wanted(const struct entry *n)
{
	if (n->kind != ENTRY_FILE || entry_from_cache(n))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (ends_with(wanted[i], "/") ? starts_with(n->path, wanted[i]) : streq(n->path, wanted[i]))
			return true;
	return false;
}

/* ---- the script ---- */

static void set_variable(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "%s=%s\n", name, shell_word(value));
}

static void add_variables(const struct join *j, struct strbuf *out)
{
	const struct config *c = j->project->config;

	set_variable(out, "node", j->node->name);
	set_variable(out, "arch", arch_names[j->node->arch]);
	set_variable(out, "machine", j->node->arch == ARCH_AMD64 ? "x86_64" : "aarch64");
	set_variable(out, "server", arena_printf("https://%s:%d", config_api_host(c), K3S_API_PORT));
	set_variable(out, "url", j->k3s.url);
	set_variable(out, "sha256", j->k3s.sha256);
	set_variable(out, "resolv", node_pod_resolv_conf(c));
}

static void put_text(struct strbuf *out, unsigned mode, const char *path, const char *text)
{
	strbuf_addf(out, "put %04o %s <<'EOT'\n%s\nEOT\n", mode, shell_word(path), pki_base64(text));
}

static int put_entry(struct strbuf *out, const struct entry *n, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = n->source == SOURCE_HOST_FILE ? file_read(n->host_file, FILE_LIMIT, &text, &size, e) : 0;

	if (r < 0)
		return r;
	if (text && strlen(text) != size)
		return err_set(e, -EINVAL, "%s is no text, and a script takes no other file along", n->host_file);
	put_text(out, n->mode, n->path, text ? text : n->bytes);
	return 0;
}

/* On a card the step find-cluster chooses a server that lives. */
static void put_server(const struct join *j, struct strbuf *out)
{
	const char *text = arena_printf("server: \"https://%s:%d\"\n", config_api_host(j->project->config),
					K3S_API_PORT);

	put_text(out, 0600, "/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml", text);
}

static int put_files(const struct join *j, struct strbuf *out, struct err *e)
{
	int r = 0;

	vec_foreach (n, &j->tree.entries)
		if (r == 0 && is_wanted(n))
			r = put_entry(out, n, e);
	put_server(j, out);
	return r;
}

/* configs/join.sh, with what stands in the place of its two marks. */
static int write_script(const struct join *j, struct strbuf *out, struct err *e)
{
	static const char values[] = "# @VALUES@\n", files[] = "# @FILES@\n";
	_cleanup_free_ char *text = NULL;
	const char *path, *at_values, *at_files;
	int r = data_path("configs/join.sh", &path, e);

	if (r == 0)
		r = file_read(path, FILE_LIMIT, &text, NULL, e);
	if (r < 0)
		return r;
	at_values = strstr(text, values);
	at_files = at_values ? strstr(at_values, files) : NULL;
	if (!at_files)
		return err_set(e, -EINVAL, "%s lacks its marks", path);
	strbuf_add(out, text, (size_t)(at_values - text));
	add_variables(j, out);
	at_values += strlen(values);
	strbuf_add(out, at_values, (size_t)(at_files - at_values));
	r = put_files(j, out, e);
	strbuf_adds(out, at_files + strlen(files));
	return r;
}

/* By the comment at its head. */
static int is_own_script(const char *path, const void *arg, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read(path, FILE_LIMIT, &text, NULL, e);

	return r < 0 ? r : strstr(text, "\n# What `pibuild join NAME` prints, ") != NULL;
}

static int join_check_output(const struct cmd_options *o, struct err *e)
{
	const struct cmd_output out = {
		.path = o->out, .is_own = is_own_script, .own = "a script of join", .cure = ""
	};

	return o->out_given ? cmd_check_output(o, &out, e) : 0;
}

static int cmd_join(const struct cmd_options *o, struct err *e)
{
	_cleanup_strbuf_ struct strbuf script = { 0 };
	struct join j = { 0 };
	int r = cmd_args(o, 1, 1, "join NAME [-o FILE]", e);

	if (r == 0)
		r = join_check_output(o, e);
	if (r == 0)
		r = join_load(o, &j, e);
	if (r < 0)
		return r;
	r = write_script(&j, &script, e);
	if (r == 0 && o->out_given)
		r = file_publish(o->out, script.s, script.n, 0600, e);
	else if (r == 0)
		r = stdout_print(script.s, script.n, e);
	explicit_bzero(script.s, script.n);
	if (r < 0)
		return r;
	log_info("the script holds the agents' token and the password of %s: who has it can join as that node",
		 j.node->name);
	if (!o->out_given && isatty(STDOUT_FILENO))
		cmd_next(o, "`pibuild join %s -o FILE` keeps it in a file that you alone can read, and off the screen",
			 j.node->name);
	if (!o->out_given)
		return 0;
	secrets_warn_unless_ignored(o->out, "the token that agents join with");
	cmd_next(o, "copy %s to %s and let its sh run it there, as root", o->out, j.node->name);
	return 0;
}

const struct command join_command = {
	.name = "join",
	.args = "NAME",
	.help = "the script that makes an external machine a node",
	.run = cmd_join,
	.options = join_options,
	.n_options = ARRAY_SIZE(join_options),
	.prints = true,
	.common = "config out lock secrets",
	.words = { "@external", "" },
	.examples = { "pibuild join nuc-1 -o join-nuc-1.sh", "pibuild join nuc-1 | ssh root@nuc-1 sh" },
};
