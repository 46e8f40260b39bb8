/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commented cluster.yaml from answers: options first, then the terminal, then defaults. Every answer is judged by
 * the schema's own kinds, and the whole by what `pibuild check` runs, before the file gets its name.
 */
#include <errno.h>
#include <glob.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sig.h"
#include "board/board.h"
#include "cmd/cmd.h"
#include "cmd/init.h"
#include "config/schema.h"
#include "config/values.h"
#include "plan/project.h"

#define MAX_SERVERS 7
#define MAX_WORKERS 200

/* Answers so far, as text and as values. */
struct interview {
	struct init_answers text;
	struct init_cluster values;
};

struct question {
	const char *option, *arg;
	const char *ask;
	size_t offset; /* of the text */
	/* NULL when the text will do, and then the value is set; else why not. */
	const char *(*read)(struct interview *v, const char *text);
	const char *(*suggest)(const struct interview *v); /* NULL = there is none; "" = nothing */
	/* Only whoever has the Pis can know: taken unasked with --yes alone. */
	bool personal;
};

static const char **answer_of(struct interview *v, const struct question *q)
{
	return (const char **)((char *)&v->text + q->offset);
}

/* ---- reading answers ---- */

static const char *read_kind(const struct kind *kind, const char *text, void *dst)
{
	const struct loader l = { .dir = "." };

	return kind_text_fault(kind, &l, text, dst);
}

static const char *read_name(struct interview *v, const char *text)
{
	v->values.name = text;
	return read_kind(&kind_cluster_name, text, NULL);
}

static const char *read_user(struct interview *v, const char *text)
{
	v->values.user = text;
	return read_kind(&kind_user, text, NULL);
}

static const char *read_key(struct interview *v, const char *text)
{
	static const struct field field = { .key = "key", .kind = &kind_ssh_keys };
	struct yaml_node *list = yaml_seq();
	struct faults f = { 0 };
	struct loader l = { .faults = &f, .dir = "." };

	if (!yaml_is_text(text, strlen(text)))
		return "the path is not valid UTF-8";
	yaml_set(yaml_append(list, yaml_map()), "file", yaml_str(text));
	schema_read_value(&l, &field, list, "key", &v->values.keys);
	if (f.errors)
		return f.list.v[0].msg + strlen("key[0]: ");
	vec_foreach (k, &v->values.keys)
		if (!yaml_is_text(*k, strlen(*k)))
			return "the comment after the key is not valid UTF-8";
	return NULL;
}

static const char *read_board(struct interview *v, const char *text)
{
	const char *why = read_kind(&kind_board, text, NULL);
	const struct board *b;
	struct err e = { 0 };

	v->values.board = text;
	if (!why && board_load(text, &b, &e) < 0)
		why = arena_strdup(e.msg);
	return why;
}

static const char *read_servers(struct interview *v, const char *text)
{
	unsigned n;

	if (value_unsigned(text, &n) < 0 || n < 1 || n > MAX_SERVERS || n % 2 == 0)
		return "give 1, 3, 5 or 7: with an even number one failure stops the cluster as with one less";
	v->values.servers = n;
	return NULL;
}

static const char *read_workers(struct interview *v, const char *text)
{
	unsigned n;

	if (value_unsigned(text, &n) < 0 || n > MAX_WORKERS)
		return arena_printf("give a number from 0 to %d", MAX_WORKERS);
	v->values.workers = n;
	return NULL;
}

static const char *read_subnet(struct interview *v, const char *text)
{
	return read_kind(&kind_network, text, &v->values.subnet);
}

static const char *outside(const struct interview *v, uint32_t addr)
{
	const struct cidr *net = &v->values.subnet;

	if (!net->set || (cidr_has(*net, addr) && addr != cidr_first(*net) && addr != cidr_last(*net)))
		return NULL;
	return arena_printf("that is no address of a machine in %s", cidr_text(*net));
}

static const char *read_gateway(struct interview *v, const char *text)
{
	const char *why = read_kind(&kind_ip, text, &v->values.gateway);

	return why ? why : outside(v, v->values.gateway);
}

static const char *read_nameservers(struct interview *v, const char *text)
{
	char *copy = arena_strdup(text), *save = NULL;
	const char *why = NULL;

	v->values.nameservers.n = 0;
	for (char *s = strtok_r(copy, ", ", &save); s && !why; s = strtok_r(NULL, ", ", &save))
		why = read_kind(&kind_ip, s, vec_push(&v->values.nameservers));
	return why || v->values.nameservers.n ? why : "give at least one address";
}

static const char *read_pool(struct interview *v, const char *text)
{
	struct ip_range *r = &v->values.pool;
	const char *why;

	*r = (struct ip_range){ 0 };
	if (!*text || streq(text, "none"))
		return NULL;
	why = read_kind(&kind_range, text, r);
	if (!why)
		why = outside(v, r->first);
	return why ? why : outside(v, r->last);
}

static const char *read_address(struct interview *v, const char *text)
{
	const char *why = read_kind(&kind_ip, text, &v->values.address);

	return why ? why : outside(v, v->values.address);
}

/* ---- suggestions ---- */

static const char *suggest_name(const struct interview *v)
{
	return "homelab";
}

static const char *suggest_user(const struct interview *v)
{
	return "pi";
}

/* The first .pub file of ~/.ssh that holds keys: certificates of keys end so too. */
static const char *suggest_key(const struct interview *v)
{
	const char *home = getenv("HOME"), *key = NULL;
	struct interview trial = { 0 };
	glob_t found;

	if (!home || !*home || glob(path_join(home, ".ssh/*.pub"), 0, NULL, &found) != 0)
		return NULL;
	for (size_t i = 0; i < found.gl_pathc && !key; i++)
		if (!read_key(&trial, found.gl_pathv[i]))
			key = arena_strdup(found.gl_pathv[i]);
	globfree(&found);
	return key;
}

static const char *suggest_board(const struct interview *v)
{
	return "rpi5";
}

static const char *suggest_servers(const struct interview *v)
{
	return "1";
}

static const char *suggest_workers(const struct interview *v)
{
	return "0";
}

static const char *suggest_subnet(const struct interview *v)
{
	struct cidr net;
	uint32_t gateway;

	return init_guess_lan(NULL, &net, &gateway) ? cidr_text(net) : NULL;
}

/* Outside the network this machine is on nothing is known; the lowest address is what most routers take. */
static const char *suggest_gateway(const struct interview *v)
{
	struct cidr net;
	uint32_t gateway;
	char buf[IPV4_TEXT];

	if (!v->values.subnet.set)
		return NULL;
	if (!init_guess_lan(NULL, &net, &gateway) || outside(v, gateway))
		gateway = cidr_first(v->values.subnet) + 1;
	return arena_strdup(ipv4_text(gateway, buf));
}

static const char *suggest_nameservers(const struct interview *v)
{
	return v->text.gateway;
}

static const char *suggest_pool(const struct interview *v)
{
	return "";
}

/* Routers and printers mostly have the lowest addresses: the nodes start at .11 where there is room. */
static const char *suggest_address(const struct interview *v)
{
	const struct cidr *net = &v->values.subnet;
	uint32_t addr = init_free_address(&v->values, cidr_first(*net) + (net->prefix <= 27 ? 11 : 1));
	char buf[IPV4_TEXT];

	return net->set && addr ? arena_strdup(ipv4_text(addr, buf)) : NULL;
}

/* ---- the interview: later answers are judged by earlier ones ---- */

#define TEXT(member) offsetof(struct init_answers, member)
static const struct question questions[] = {
	{ "user", "NAME", "Your account on the nodes", TEXT(user), read_user, suggest_user, false },
	{ "key", "FILE", "Public SSH key that may log in", TEXT(key), read_key, suggest_key, false },
	{ "name", "NAME", "Name of the cluster", TEXT(name), read_name, suggest_name, true },
	{ "board", "NAME", "Board", TEXT(board), read_board, suggest_board, true },
	{ "servers", "N", "Control-plane nodes", TEXT(servers), read_servers, suggest_servers, false },
	{ "workers", "N", "Workers", TEXT(workers), read_workers, suggest_workers, false },
	{ "subnet", "NET", "Your LAN", TEXT(subnet), read_subnet, suggest_subnet, true },
	{ "gateway", "IP", "Its router", TEXT(gateway), read_gateway, suggest_gateway, true },
	{ "nameserver", "IP", "DNS servers", TEXT(nameservers), read_nameservers, suggest_nameservers, false },
	{ "pool", "RANGE", "Addresses for services, FIRST-LAST, that your router does not hand out", TEXT(pool),
	  read_pool, suggest_pool, false },
	{ "address", "IP", "Address of the first node, which the others follow", TEXT(address), read_address,
	  suggest_address, false },
};

/* Until the answer will do. */
static int ask(struct interview *v, const struct question *q, struct err *e)
{
	const char *suggested = q->suggest(v), *why, *text;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	for (;;) {
		fprintf(stderr, "%s", q->ask);
		if (suggested)
			fprintf(stderr, " [%s]", *suggested ? suggested : "none");
		fputs(": ", stderr);
		if (cmd_read_line(&line, &cap, e) < 0)
			return e->code;
		text = line + strspn(line, " \t");
		text = *text || !suggested ? arena_strdup(text) : suggested;
		why = q->read(v, text);
		if (!why) {
			*answer_of(v, q) = text;
			return 0;
		}
		fprintf(stderr, "  %s\n", *text ? why : "an answer is needed");
	}
}

/* Without a terminal: what is given, what may be taken unasked, and one message about all the rest. */
static int take(struct interview *v, const struct question *q, bool yes, struct strbuf *missing, struct err *e)
{
	const char **text = answer_of(v, q), *why;

	if (!*text && (yes || !q->personal))
		*text = q->suggest(v);
	if (!*text) {
		/* After a gap there may be no suggestion only because it would build on what is missing. */
		if (!missing->n || q->personal)
			strbuf_addf(missing, " --%s %s", q->option, q->arg);
		return 0;
	}
	why = q->read(v, *text);
	return why ? err_class(e, CLASS_USAGE, "--%s %s: %s", q->option, *text, why) : 0;
}

static int interview(struct interview *v, const struct cmd_options *o, struct err *e)
{
	bool terminal = !o->yes && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	_cleanup_strbuf_ struct strbuf missing = { 0 };
	int r = 0;

	setvbuf(stdin, NULL, _IONBF, 0); /* what is typed ahead stays where poll() sees it */
	for (size_t i = 0; i < ARRAY_SIZE(questions) && r == 0; i++) {
		const struct question *q = &questions[i];

		r = terminal && !*answer_of(v, q) ? ask(v, q, e) : take(v, q, o->yes, &missing, e);
	}
	if (r == 0 && missing.n)
		return err_class(e, CLASS_USAGE, "%s: give%s%s",
				 o->yes ? "not everything has a default" : "there is no terminal to ask on", missing.s,
				 o->yes ? "" : " (or --yes to take what suggests itself, as far as it does)");
	return r;
}

/* ---- writing ---- */

static int refuse_existing(const struct cmd_options *o, const char *path, struct err *e)
{
	const char *alike;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno != ENOENT)
			return err_errno(e, -errno, "cannot look at %s", path);
		alike = o->config ? NULL : config_alike();
		return alike ? err_class(
				       e, CLASS_REFUSED,
				       "%s is there, and would be forgotten beside a cluster.yaml: rename it, or write "
				       "another with -c FILE",
				       clean_text(arena_strdup(alike)))
			     : 0;
	}
	return err_class(e, CLASS_REFUSED, "%s is there already: edit it, or write another with -c FILE", path);
}

/* As `pibuild check` would, of a file that has no name yet: places in it mean nothing to the reader. */
static int check_text(const struct cmd_options *o, const char *tmp, const char *path, struct err *e)
{
	const struct project_options po = { tmp, o->lock, NULL, SECRETS_NONE };
	struct project *p = NULL;
	int r = project_load(&po, &p, e);

	if (r < 0)
		return err_rename(e, tmp, path);
	if (!p->faults.errors)
		return 0;
	vec_foreach (f, &p->faults.list)
		if (!f->note)
			log_error("%s", f->msg);
	return err_class(e, CLASS_CONFIG, "these answers make no cluster that works; %s was not written", path);
}

static int write_config(const struct cmd_options *o, const char *path, const struct strbuf *text, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	int r = outfile_create(&out, path, 0644, e);

	if (r < 0)
		return r;
	r = write_all(out.fd, text->s, text->n);
	if (r < 0)
		return err_errno(e, r, "cannot write %s", path);
	r = check_text(o, outfile_tmp_path(&out), path, e);
	if (r == 0)
		r = init_gitignore(path, e);
	return r < 0 ? r : outfile_publish(&out, e);
}

static int tell(const struct cmd_options *o, const char *path, const struct init_cluster *c, struct err *e)
{
	const char *with = o->config ? arena_printf(" -c %s", shell_word(path)) : "";
	const char *next[] = { arena_printf("pibuild check%s", with), arena_printf("pibuild%s", with) };

	if (o->json)
		return json_print(json_pack("{s:s, s:[s, s]}", "file", path, "next", next[0], next[1]), e);
	printf("%s: %u control-plane, %u worker%s\nnext:\n", path, c->servers, c->workers, c->workers == 1 ? "" : "s");
	printf("  %s\n  %s\n", next[0], next[1]);
	return 0;
}

int cmd_init(const struct cmd_options *o, struct err *e)
{
	const char *path = str_or(o->config, "cluster.yaml");
	struct interview v = { .text = o->init };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = cmd_args(o, 0, 0, "init [-c FILE] [--name NAME ...]", e);

	v.text.key = o->key;
	if (r == 0 && (o->out_given || streq(path, "-")))
		r = err_class(e, CLASS_USAGE, "init writes one file: name it with -c FILE, not with %s",
			      o->out_given ? "-o" : "-c -");
	if (r == 0)
		r = refuse_existing(o, path, e);
	if (r == 0)
		r = interview(&v, o, e);
	if (r == 0)
		r = init_config_text(&v.values, &text, e);
	if (r == 0)
		r = write_config(o, path, &text, e);
	return r < 0 ? r : tell(o, path, &v.values, e);
}
