/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote.h"

#include <ctype.h>
#include <errno.h>

#include "base/file.h"
#include "base/proc.h"
#include "card/records.h"
#include "plan/flashed.h"

enum { SSH_FAILED = 255, DEFAULT_SECONDS = 60, KNOWN_HOSTS_LIMIT = 1024 * 1024 };

/* ssh_config(5). What the user's own file says of these does not count. */
static const char *const settings[] = {
	"ConnectTimeout=10", "ServerAliveInterval=10", "ServerAliveCountMax=3", "StrictHostKeyChecking=accept-new",
	"HashKnownHosts=no", "UpdateHostKeys=no",      "LogLevel=ERROR",	"RemoteCommand=none",
	"ForwardAgent=no",   "ForwardX11=no",	       "PermitLocalCommand=no", "ControlMaster=no",
	"ControlPath=none",
};
/* For programs, which nobody answers and nobody looks at. */
static const char *const unattended[] = { "BatchMode=yes", "RequestTTY=no", "ClearAllForwardings=yes" };

/* ---- whom ---- */

/* As a value of -o: one word of ssh's, in which % stands for something else. -i does not take such names. */
static const char *path_setting(const char *name, const char *path)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_addf(&b, "%s=\"", name);
	for (const char *p = path; *p; p++)
		strbuf_addf(&b, "%s%c%s", strchr("\"\\", *p) ? "\\" : "", *p, *p == '%' ? "%" : "");
	strbuf_adds(&b, "\"");
	return arena_strdup(b.s);
}

static const char *const *key_settings(const struct config *c)
{
	VEC(const char *) keys = { 0 };

	vec_foreach (f, &c->access.key_files) {
		const char *private = ends_with(*f, ".pub") ? arena_strndup(*f, strlen(*f) - strlen(".pub")) : *f;

		/* Of a key that only the agent has, ssh takes the public half for its name. */
		*vec_push(&keys) = path_setting("IdentityFile", access(private, R_OK) == 0 ? private : *f);
	}
	*vec_push(&keys) = NULL;
	return keys.v;
}

/* ssh looks names up in lower case. */
static const char *pin_of(const struct config *c, const char *name, const char *written)
{
	char *pin = arena_printf("%s.%s%s%s", name, c->cluster.name, written ? "." : "", str_or(written, ""));

	for (char *p = pin; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return pin;
}

struct remote remote_at(const struct config *c, const char *name, const char *host, json_t *cards)
{
	const char *written = json_string_value(json_object_get(flashed_card(cards, name), "time"));

	return (struct remote){
		.node = name,
		.host = host,
		.user = c->access.user,
		.dir = c->dir,
		.pin = pin_of(c, name, written),
		.keys = key_settings(c),
	};
}

struct remote remote_of(const struct config *c, const struct node_config *n, json_t *cards)
{
	char ip[IPV4_TEXT];

	if (n->ssh_port) {
		struct remote r = remote_at(c, n->name, "127.0.0.1", cards);

		r.port = n->ssh_port;
		return r;
	}
	return remote_at(c, n->name, n->address.set ? arena_strdup(ipv4_text(n->address.addr, ip)) : n->name, cards);
}

/* ---- the command line ---- */

/* For the shell of the account over there. */
static const char *command_text(const struct remote_call *call)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (call->root)
		strbuf_addf(&b, "%s -n ", "sudo");
	for (const char *const *word = call->argv; *word; word++)
		strbuf_addf(&b, "%s%s", word == call->argv ? "" : " ", shell_word(*word));
	return arena_strdup(b.s);
}

static void add_setting(struct text_list *argv, const char *setting)
{
	*vec_push(argv) = "-o";
	*vec_push(argv) = setting;
}

/* Up to the address. KNOWN_HOSTS is relative to where it is started. */
static struct text_list ssh_words(const struct remote *r, const char *known_hosts)
{
	struct text_list argv = { 0 };

	*vec_push(&argv) = "ssh";
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		add_setting(&argv, settings[i]);
	add_setting(&argv, path_setting("UserKnownHostsFile", known_hosts));
	add_setting(&argv, arena_printf("HostKeyAlias=%s", r->pin));
	if (r->port)
		add_setting(&argv, arena_printf("Port=%u", r->port));
	for (const char *const *key = r->keys; *key; key++)
		add_setting(&argv, *key);
	*vec_push(&argv) = "-l";
	*vec_push(&argv) = r->user;
	return argv;
}

static const char *const *ssh_argv(const struct remote *r, const struct remote_call *call)
{
	struct text_list argv = ssh_words(r, KNOWN_HOSTS_FILE);

	for (size_t i = 0; i < ARRAY_SIZE(unattended); i++)
		add_setting(&argv, unattended[i]);
	*vec_push(&argv) = "--";
	*vec_push(&argv) = r->host;
	*vec_push(&argv) = arena_printf("LC_ALL=C %s", command_text(call)); /* what it says is looked at */
	*vec_push(&argv) = NULL;
	return argv.v;
}

const char *const *remote_login_argv(const struct remote *r, const char *const *words)
{
	struct text_list argv = ssh_words(r, path_join(r->dir, KNOWN_HOSTS_FILE));

	*vec_push(&argv) = "--";
	*vec_push(&argv) = r->host;
	for (; *words; words++)
		*vec_push(&argv) = *words;
	*vec_push(&argv) = NULL;
	return argv.v;
}

/* ---- what came of it ---- */

static int no_connection(const struct remote *r, const char *said, struct err *e)
{
	if (strstr(said, "HOST IDENTIFICATION HAS CHANGED") || strstr(said, "Host key verification failed"))
		return err_set(
			e, -EKEYREJECTED,
			"%s (%s) shows another SSH host key than its card did before: another machine may have its address; if you know why, such as a card that was not made by `pibuild flash`, forget the old key: `ssh-keygen -f %s -R %s`",
			r->node, r->host, shell_word(path_join(r->dir, KNOWN_HOSTS_FILE)), r->pin);
	if (strstr(said, "Permission denied"))
		return err_set(
			e, -EACCES,
			"%s (%s) lets %s not in from here: the private key of one of access.sshKeys has to be on this machine, and one with a passphrase in an agent (ssh-add)",
			r->node, r->host, r->user);
	return err_set(e, -EHOSTUNREACH, "%s (%s) does not answer on SSH: %s", r->node, r->host, said);
}

static int command_failed(const struct remote *r, const struct remote_call *call, const char *said, struct err *e)
{
	if (call->root && strstr(said, "sudo: a password is required"))
		return err_set(
			e, -EACCES,
			"on %s sudo asks %s for a password (access.passwordHash is set), and nobody is there to type it: without passwordHash cards let sudo pass",
			r->node, r->user);
	return err_set(e, -EIO, "on %s `%s` failed: %s", r->node, command_text(call),
		       *said ? said : "it did not say why");
}

int remote_run(const struct remote *r, const struct remote_call *call, struct err *e)
{
	const char *said = "";
	int code = -1, failed;

	if (call->exit_code)
		*call->exit_code = -1;
	failed = proc_run(
		&(struct proc){
			.argv = ssh_argv(r, call),
			.input = call->input,
			.input_n = call->input_n,
			.pass = "SSH_AUTH_SOCK",
			.dir = r->dir,
			.timeout = call->timeout ? call->timeout : DEFAULT_SECONDS,
			.output = call->output,
			.exit_code = &code,
			.said = &said,
		},
		e);
	if (code == SSH_FAILED)
		return no_connection(r, said, e);
	if (call->exit_code)
		*call->exit_code = code;
	if (failed < 0 && code > 0)
		return command_failed(r, call, said, e);
	return failed < 0 && !err_interrupted(e) && e->class != CLASS_HOST ? err_wrap(e, "%s (%s)", r->node, r->host)
									   : failed;
}

int remote_host_keys(const struct remote *r, struct text_list *ret, struct err *e)
{
	const char *begin = arena_printf("%s ", r->pin);
	struct err why = { 0 };
	_cleanup_free_ char *text = NULL;
	int code = file_read(path_join(r->dir, KNOWN_HOSTS_FILE), KNOWN_HOSTS_LIMIT, &text, NULL, &why);

	*ret = (struct text_list){ 0 };
	if (code < 0 && code != -ENOENT)
		*e = why;
	if (code < 0)
		return code == -ENOENT ? 0 : code;
	text_foreach (line, text, "\n")
		if (starts_with(line, begin))
			*vec_push(ret) = arena_strdup(line + strlen(begin));
	return 0;
}

int remote_manifest(const struct remote *r, json_t **ret, struct err *e)
{
	static const char *const argv[] = { "cat", MANIFEST_PATH, NULL };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int code = remote_run(r, &(struct remote_call){ .argv = argv, .output = &text }, e);

	if (code < 0)
		return code;
	*ret = json_loadb(str_or(text.s, ""), text.n, JSON_REJECT_DUPLICATES, NULL);
	return *ret ? 0 : err_set(e, -EPROTO, "%s: its %s is damaged", r->node, MANIFEST_PATH);
}
