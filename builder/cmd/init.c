/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commented cluster.yaml from answers: options first, then the terminal, then defaults. Every answer is judged by
 * the schema's own kinds, and the whole by what `pibuild check` runs, before the file gets its name; at a terminal what
 * will not do is asked again, with the answers so far as suggestions.
 */
#include <errno.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sig.h"
#include "base/terminal.h"
#include "board/board.h"
#include "cmd/cmd.h"
#include "cmd/init.h"
#include "config/kinds.h"
#include "config/values.h"
#include "plan/project.h"

static struct {
	struct init_answers text;
} init_opt;

static const struct option init_options[] = {
	CMD_OPTION_YES("take what nobody said from this machine and its LAN"),
	CMD_OWN("name", OPT_TEXT, &init_opt.text.name, "NAME", "name of the cluster"),
	CMD_OWN("user", OPT_TEXT, &init_opt.text.user, "NAME", "your account on the nodes (pi)"),
	CMD_OWN_WORDS("key", OPT_TEXT, &init_opt.text.key, "FILE",
		      "public key that may log in (the first of ~/.ssh/*.pub)", "@file"),
	CMD_OWN_WORDS("board", OPT_TEXT, &init_opt.text.board, "NAME", "board of the nodes, such as rpi5", "@board"),
	CMD_OWN_WORDS("servers", OPT_TEXT, &init_opt.text.servers, "N", "control-plane nodes: 1, 3, 5 or 7 (1)",
		      "1 3 5 7"),
	CMD_OWN("workers", OPT_TEXT, &init_opt.text.workers, "N", "workers (0)"),
	CMD_OWN("subnet", OPT_TEXT, &init_opt.text.subnet, "NET", "your LAN, such as 192.168.1.0/24"),
	CMD_OWN("gateway", OPT_TEXT, &init_opt.text.gateway, "IP", "its router"),
	CMD_OWN("nameserver", OPT_LIST, &init_opt.text.nameservers, "IP", "DNS server; may be repeated (the gateway)"),
	CMD_OWN("dhcp-range", OPT_TEXT, &init_opt.text.dhcp, "RANGE",
		"what the router hands out, FIRST-LAST (not known)"),
	CMD_OWN("pool", OPT_TEXT, &init_opt.text.pool, "RANGE", "free addresses for services, FIRST-LAST (none)"),
	CMD_OWN("address", OPT_TEXT, &init_opt.text.address, "IP", "of the first node, the others follow (.11)"),
};

#define MAX_SERVERS 7
#define MAX_WORKERS 200

/* Answers so far, as text and as values. */
struct interview {
	struct init_answers text;
	struct init_cluster values;
	struct err machine; /* of what was read last for an answer: not the answer's fault */
};

struct question {
	const char *option, *arg;
	const char *ask;
	size_t text; /* where the answer goes: offset in struct init_answers */
	/* One of the two sets the value: a kind that takes the text (VALUE: offset in struct init_cluster), or a
	 * function that returns NULL when the text will do, else why not. */
	const struct kind *kind;
	size_t value;
	const char *(*read)(struct interview *v, const char *text);
	const char *def;				     /* suggestion; "" = none */
	const char *(*suggest)(const struct interview *v);   /* the same where it takes more; NULL = there is none */
	const char *(*collision)(const struct interview *v); /* at a terminal: with earlier answers; NULL = none */
	void (*before)(void);				     /* at a terminal: what one has to know to answer */
	const char *(*after)(const struct interview *v);     /* ... and what follows from the answer; NULL = nothing */
	/* Only whoever has the Pis can know: taken unasked with --yes alone. */
	bool personal;
};

static const char **answer_of(struct interview *v, const struct question *q)
{
	return (const char **)((char *)&v->text + q->text);
}

static const char *address_text(uint32_t addr)
{
	return ipv4_text(addr, arena_alloc(IPV4_TEXT));
}

/* ---- reading answers ---- */

static const char *read_kind(const struct kind *kind, const char *text, void *dst)
{
	const struct reading l = { .dir = "." };

	return kind_text_fault(kind, &l, text, dst);
}

static const char *init_read_key(struct interview *v, const char *text)
{
	static const struct field field = { .key = "key", .kind = &kind_ssh_keys };
	struct yaml_node *list = yaml_seq();
	struct faults f = { 0 };
	struct reading l = { .faults = &f, .dir = "." };

	if (!yaml_is_text(text, strlen(text)))
		return "the path is not valid UTF-8";
	/* Some paste the line itself. */
	if (strchr(text, ' ') && (starts_with(text, "ssh-") || starts_with(text, "ecdsa-") || starts_with(text, "sk-")))
		yaml_append(list, yaml_str(text));
	else
		yaml_set(yaml_append(list, yaml_map()), "file", yaml_str(text));
	schema_read_value(&l, &field, list, "key", &v->values.keys);
	v->machine = f.machine;
	if (f.errors)
		return f.list.v ? f.list.v[0].msg + strlen("key[0]: ") : arena_strdup(f.machine.msg);
	vec_foreach (k, &v->values.keys)
		if (!yaml_is_text(*k, strlen(*k)))
			return "the comment after the key is not valid UTF-8";
	return NULL;
}

static const char *init_read_board(struct interview *v, const char *text)
{
	const char *why = read_kind(&kind_board, text, NULL);
	const struct board *b;
	struct err e = { 0 };

	v->values.board = text;
	if (!why && board_load(text, &b, &e) < 0)
		why = arena_strdup(e.msg);
	if (err_is_machines(&e) || e.code == -EIO)
		v->machine = e;
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

static const char *read_range(const struct interview *v, const char *text, struct ip_range *r)
{
	const char *why;

	*r = (struct ip_range){ 0 };
	if (!*text || streq(text, "none"))
		return NULL;
	why = read_kind(&kind_range, text, r);
	if (!why)
		why = outside(v, r->first);
	if (!why)
		why = outside(v, r->last);
	if (why)
		*r = (struct ip_range){ 0 };
	return why;
}

static const char *read_dhcp(struct interview *v, const char *text)
{
	return read_range(v, text, &v->values.dhcp);
}

static const char *read_pool(struct interview *v, const char *text)
{
	return read_range(v, text, &v->values.pool);
}

/* What `pibuild check` would say of it at the end. */
static const char *pool_collision(const struct interview *v)
{
	const struct init_cluster *c = &v->values;

	if (range_has(c->pool, c->gateway))
		return arena_printf("it includes the gateway %s, your router", address_text(c->gateway));
	vec_foreach (n, &c->nameservers)
		if (range_has(c->pool, *n))
			return arena_printf("it includes the DNS server %s", address_text(*n));
	if (ranges_overlap(c->pool, c->dhcp))
		return "the router hands out some of these itself: take others";
	return NULL;
}

static const char *read_address(struct interview *v, const char *text)
{
	const char *why = read_kind(&kind_ip, text, &v->values.address);

	return why ? why : outside(v, v->values.address);
}

/* ---- suggestions ---- */

static const char *key_pattern(void)
{
	const char *home = getenv("HOME");

	return home && *home ? path_join(home, ".ssh/*.pub") : NULL;
}

/* The first .pub file of ~/.ssh that holds keys: certificates of keys end so too. */
static const char *suggest_key(const struct interview *v)
{
	struct text_list files = { 0 };
	struct interview trial = { 0 };

	if (key_pattern())
		files = config_key_files(key_pattern());
	vec_foreach (f, &files)
		if (!init_read_key(&trial, *f))
			return arena_printf("~/.ssh/%s", path_base(*f));
	return NULL;
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

	if (!v->values.subnet.set)
		return NULL;
	if (!init_guess_lan(NULL, &net, &gateway) || outside(v, gateway))
		gateway = cidr_first(v->values.subnet) + 1;
	return address_text(gateway);
}

static const char *suggest_nameservers(const struct interview *v)
{
	return v->text.gateway;
}

/* Routers and printers mostly have the lowest addresses: the nodes start at .11 where there is room. */
static const char *suggest_address(const struct interview *v)
{
	const struct cidr *net = &v->values.subnet;
	uint32_t addr = init_free_address(&v->values, cidr_first(*net) + (net->prefix <= 27 ? 11 : 1));

	return net->set && addr ? address_text(addr) : NULL;
}

/* ---- said around a question ---- */

static void remark(const char *text)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	text_wrap(&b, text, terminal_columns(), 2, 2);
	fprintf(stderr, "  %s\n", b.s);
}

/* "4 GiB", "512 MiB" */
static const char *memory_text(uint64_t bytes)
{
	return bytes < GIB ? arena_printf("%g MiB", (double)bytes / MIB) : arena_printf("%g GiB", (double)bytes / GIB);
}

static void list_boards(void)
{
	const char *const *names;
	const struct board *b;
	struct err ignored = { 0 };
	size_t n;

	if (board_names(&names, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (board_load(names[i], &b, &ignored) < 0 || b->external)
			continue;
		fprintf(stderr, "  %-6s  %s, %s%s%s%s%s\n", b->name, b->title, memory_text(b->memory.v[0]),
			b->memory.n > 1 ? " to " : "", b->memory.n > 1 ? memory_text(board_max_memory(b)) : "",
			b->nic ? "" : ", Wi-Fi only", board_runs_envoy(b, "raspios") ? "" : "; no Ingress/Gateway API");
	}
}

static const char *after_servers(const struct interview *v)
{
	return v->values.servers > 1 ? init_vip_hint : NULL;
}

static const char *after_address(const struct interview *v)
{
	const char *range = init_nodes_range(&v->values);

	return range ? arena_printf("The nodes get %s.", range) : NULL;
}

/* ---- the interview: later answers are judged by earlier ones ---- */

#define TEXT(member)  .text = offsetof(struct init_answers, member)
#define VALUE(member) .value = offsetof(struct init_cluster, member)
static const struct question questions[] = {
	{ "user", "NAME", "Your account on the nodes", TEXT(user), .kind = &kind_user, VALUE(user), .def = "pi" },
	{ "key", "FILE", "Public SSH key that may log in", TEXT(key), .read = init_read_key, .suggest = suggest_key },
	{ "name", "NAME", "Name of the cluster", TEXT(name), .kind = &kind_cluster_name, VALUE(name), .def = "homelab",
	  .personal = true },
	{ "board", "NAME", "Board", TEXT(board), .read = init_read_board, .def = "rpi5", .before = list_boards,
	  .personal = true },
	{ "servers", "N", "Control-plane nodes", TEXT(servers), .read = read_servers, .def = "1",
	  .after = after_servers },
	{ "workers", "N", "Workers", TEXT(workers), .read = read_workers, .def = "0" },
	{ "subnet", "NET", "Your LAN", TEXT(subnet), .kind = &kind_network, VALUE(subnet), .suggest = suggest_subnet,
	  .personal = true },
	{ "gateway", "IP", "Its router", TEXT(gateway), .read = read_gateway, .suggest = suggest_gateway,
	  .personal = true },
	{ "nameserver", "IP", "DNS servers", TEXT(nameservers), .read = read_nameservers,
	  .suggest = suggest_nameservers },
	{ "dhcp-range", "RANGE", "Your router's DHCP range, FIRST-LAST", TEXT(dhcp), .read = read_dhcp, .def = "" },
	{ "pool", "RANGE", "Free addresses for services, FIRST-LAST", TEXT(pool), .read = read_pool, .def = "",
	  .collision = pool_collision },
	{ "address", "IP", "Address of the first node, which the others follow", TEXT(address), .read = read_address,
	  .suggest = suggest_address, .after = after_address },
};

static const char *question_read(struct interview *v, const struct question *q, const char *text)
{
	return q->read ? q->read(v, text) : read_kind(q->kind, text, (char *)&v->values + q->value);
}

static const char *question_suggest(const struct interview *v, const struct question *q)
{
	return q->suggest ? q->suggest(v) : q->def;
}

/* Without a key there is nobody who may log in: makes one, as far as the user likes. */
static int offer_key(struct err *e)
{
	const char *program = proc_find("ssh-keygen"), *pattern = key_pattern();
	_cleanup_(spawn_done) struct spawned s = { 0 };
	_cleanup_free_ char *line = NULL;
	const char *file;
	size_t cap = 0;
	int r;

	if (!program || !pattern)
		return 0;
	file = path_join(path_dir(pattern), "id_ed25519");
	fprintf(stderr, "There is no SSH key in ~/.ssh. Make one with `ssh-keygen -t ed25519`? [yes]: ");
	r = cmd_read_line(&line, &cap, e);
	if (r < 0 || (*line && line[0] != 'y' && line[0] != 'Y'))
		return r;
	r = make_dirs(path_dir(file), 0700, e);
	if (r == 0)
		r = spawn_start(&s,
				&(struct spawn){ .path = program,
						 .argv = (const char *const[]){ "ssh-keygen", "-q", "-t", "ed25519",
										"-f", file, NULL },
						 .fds = { STDIN_FILENO, STDERR_FILENO, STDERR_FILENO, -1 } },
				e);
	while (r == 0 && spawn_alive(&s)) {
		spawn_wait(&s, 0.1);
		r = sig_check(e);
	}
	return r;
}

/* Until the answer will do; the one there is, is the suggestion. */
static int question_ask(struct interview *v, const struct question *q, struct err *e)
{
	const char *suggested = *answer_of(v, q) ? *answer_of(v, q) : question_suggest(v, q), *why, *text;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	if (q->read == init_read_key && !suggested) {
		if (offer_key(e) < 0)
			return e->code;
		suggested = question_suggest(v, q);
	}
	if (q->before)
		q->before();
	for (;;) {
		fprintf(stderr, "%s", q->ask);
		if (suggested)
			fprintf(stderr, " [%s]", *suggested ? suggested : "none");
		fputs(": ", stderr);
		if (cmd_read_line(&line, &cap, e) < 0)
			return e->code;
		text = line + strspn(line, " \t");
		text = *text || !suggested ? arena_strdup(text) : suggested;
		why = question_read(v, q, text);
		if (!why && q->collision)
			why = q->collision(v);
		if (!why) {
			*answer_of(v, q) = text;
			why = q->after ? q->after(v) : NULL;
			if (why)
				remark(why);
			return 0;
		}
		remark(*text ? why : "an answer is needed");
	}
}

static int option_fault(const struct interview *v, const struct question *q, const char *text, const char *why,
			struct err *e)
{
	if (v->machine.code) {
		*e = v->machine;
		return err_wrap(e, "--%s %s", q->option, text);
	}
	return err_class(e, CLASS_USAGE, "--%s %s: %s", q->option, text, why);
}

/* Before anything is asked: an option that cannot be used would lose the answers. */
static int check_options(struct interview *v, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *q = &questions[i];
		const char *text = *answer_of(v, q);
		const char *why = text ? question_read(v, q, text) : NULL;

		if (why)
			return option_fault(v, q, text, why, e);
	}
	return 0;
}

/* Without a terminal: what is given, what may be taken unasked, and one message about all the rest. */
static int question_take(struct interview *v, const struct question *q, bool yes, struct strbuf *missing, struct err *e)
{
	const char **text = answer_of(v, q), *why;

	if (!*text && (yes || !q->personal))
		*text = question_suggest(v, q);
	if (!*text) {
		/* After a gap there may be no suggestion only because it would build on what is missing. */
		if (!missing->n || q->personal)
			strbuf_addf(missing, " --%s %s", q->option, q->arg);
		return 0;
	}
	why = question_read(v, q, *text);
	return why ? option_fault(v, q, *text, why, e) : 0;
}

static int take_all(struct interview *v, bool yes, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		if (question_take(v, &questions[i], yes, &missing, e) < 0)
			return e->code;
	if (!missing.n)
		return 0;
	return err_class(
		e, CLASS_USAGE, "%s: give%s%s%s",
		yes ? "not everything has a default" : "there is no terminal to ask on", missing.s,
		yes ? "" : " (or --yes to take what suggests itself, as far as it does)",
		v->text.key || suggest_key(v)
			? ""
			: "; ~/.ssh holds no public key: `ssh-keygen -t ed25519` makes one, which is taken then");
}

/* AGAIN: also what was given or answered before, which is then the suggestion. */
static int ask_all(struct interview *v, bool again, struct err *e)
{
	fprintf(stderr, again ? "Once more; Enter keeps an answer.\n"
			      : "Enter takes what stands in [brackets]; Ctrl-C ends, and nothing is written.\n");
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *q = &questions[i];

		/* An option that an answer has made wrong is asked for like the rest. */
		if (!again && *answer_of(v, q) && !question_read(v, q, *answer_of(v, q)))
			continue;
		if (question_ask(v, q, e) < 0)
			return e->code;
	}
	return 0;
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
				       "%s is there, and would be forgotten beside a cluster.yaml: rename it, or write another with -c FILE",
				       clean_copy(alike))
			     : 0;
	}
	return err_class(e, CLASS_REFUSED, "%s is there already: edit it, or write another with -c FILE", path);
}

/* As `pibuild check` would, of a file that has no name yet: places in it mean nothing to the reader. */
static int init_check_text(const struct cmd_options *o, const char *tmp, const char *path, struct err *e)
{
	const struct project_options po = { .config = tmp, .lock = o->lock, .policy = SECRETS_NONE };
	struct project *p = NULL;
	int r = project_load(&po, &p, e);

	if (r < 0)
		return err_rename(e, tmp, path);
	if (!p->faults.errors)
		return 0;
	vec_foreach (f, &p->faults.list)
		if (!f->note)
			log_error("%s", f->msg);
	if (p->faults.machine.code)
		return faults_verdict(&p->faults, path, e);
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
	r = init_check_text(o, outfile_tmp_path(&out), path, e);
	if (r < 0)
		return r;
	r = init_gitignore(path, e);
	return r < 0 ? r : outfile_publish(&out, e);
}

static int write_answers(const struct cmd_options *o, const char *path, const struct init_cluster *c, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = init_config_text(c, &text, e);

	return r < 0 ? r : write_config(o, path, &text, e);
}

static int tell(const struct cmd_options *o, const char *path, const struct init_cluster *c, struct err *e)
{
	const char *with = o->config ? arena_printf(" -c %s", shell_word(path)) : "";
	const char *next[] = { arena_printf("pibuild check%s", with), arena_printf("pibuild%s", with) };

	if (o->json)
		return json_print(json_pack("{s:s, s:[s, s]}", "file", path, "next", next[0], next[1]), e);
	printf("%s: %u control-plane, %u worker%s: %s\n", path, c->servers, c->workers, c->workers == 1 ? "" : "s",
	       init_nodes_range(c));
	if (c->servers > 1)
		printf("  %s\n", init_vip_hint);
	printf("next:\n  %s\n  %s\n", next[0], next[1]);
	return 0;
}

/* Asks until the answers make a cluster that works: none of them is lost by the last. */
static int interview(struct interview *v, const struct cmd_options *o, const char *path, struct err *e)
{
	int r = check_options(v, e);

	setvbuf(stdin, NULL, _IONBF, 0); /* what is typed ahead stays where poll() sees it */
	for (bool again = false; r == 0; again = true) {
		r = ask_all(v, again, e);
		if (r < 0)
			return r;
		r = write_answers(o, path, &v->values, e);
		if (r == 0 || (e->class != CLASS_CONFIG && e->class != CLASS_USAGE))
			return r;
		log_error("%s", e->msg);
		*e = (struct err){ 0 };
		r = 0;
	}
	return r;
}

static int cmd_init(const struct cmd_options *o, struct err *e)
{
	const char *path = str_or(o->config, "cluster.yaml");
	struct interview v = { .text = init_opt.text };
	int r = cmd_args(o, 0, 0, "init [-c FILE] [--name NAME ...]", e);

	if (r == 0 && (o->out_given || streq(path, "-")))
		r = err_class(e, CLASS_USAGE, "init writes one file: name it with -c FILE, not with %s",
			      o->out_given ? "-o" : "-c -");
	if (r < 0)
		return r;
	r = refuse_existing(o, path, e);
	if (r < 0)
		return r;
	if (!o->yes && isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
		r = interview(&v, o, path, e);
	else if ((r = take_all(&v, o->yes, e)) == 0)
		r = write_answers(o, path, &v.values, e);
	return r < 0 ? r : tell(o, path, &v.values, e);
}

const struct command init_command = {
	.name = "init",
	.args = "",
	.help = "write a commented cluster.yaml from options, or from answers at a terminal",
	.run = cmd_init,
	.options = init_options,
	.n_options = ARRAY_SIZE(init_options),
	.common = "config lock json",
	.examples = { "pibuild init", "pibuild init --yes --name homelab --board rpi5 --workers 3" },
};
