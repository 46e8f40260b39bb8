/* SPDX-License-Identifier: Apache-2.0 */
/* Command line: one table of commands, one of options; help, usage errors and completion come from them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/caller.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/sig.h"
#include "cmd/cmd.h"

struct command {
	const char *name, *args;
	cmd_fn run;
	const char *help;
};

static const struct command commands[] = {
	{ "build", "", cmd_build, "build images (the default): one per node" },
	{ "init", "", cmd_init, "write a commented cluster.yaml from options, or from answers at a terminal" },
	{ "check", "", cmd_check, "every fault of the configuration in one go; writes nothing" },
	{ "plan", "", cmd_plan, "what would be built, downloaded and written" },
	{ "render", "--node NAME", cmd_render, "the files a node would get, below -o DIR" },
	{ "lock", "", cmd_lock, "resolve versions to url, size and digest" },
	{ "fetch", "", cmd_fetch, "fill the cache, for --offline" },
	{ "secrets", "new|show|rotate [WHAT]", cmd_secrets, "the cluster's secrets file" },
	{ "kubeconfig", "", cmd_kubeconfig, "admin kubeconfig on stdout" },
	{ "inspect", "IMAGE", cmd_inspect, "look into a finished image" },
	{ "sign", "--new-key FILE | --key FILE IMAGE...", cmd_sign, "make a key pair, or sign finished images" },
	{ "verify", "IMAGE", cmd_verify, "prove a finished image, and name all that is wrong with it" },
	{ "diff", "IMAGE|DIR IMAGE|DIR", cmd_diff, "what differs between two images, file by file" },
	{ "devices", "", cmd_devices, "disks that can be flashed, and why others cannot" },
	{ "flash", "[IMAGE] [--node NAME | --all] DISK...", cmd_flash, "write and verify cards" },
	{ "status", "DEVICE|DIR|FILE", cmd_status, "the first-boot report of a card, a folder, an image or a file" },
	{ "boot", "IMAGE [-- COMMAND]", cmd_boot,
	  "try an image of os.base: debian in QEMU; Raspberry Pi OS runs on a Pi only" },
	{ "doctor", "", cmd_doctor, "what this machine has and lacks" },
	{ "schema", "", cmd_schema, "JSON Schema of cluster.yaml" },
};

/* A list is one text with commas, words are kept apart; from OPT_JOBS on numbers, each with a range of its own. */
enum option_kind {
	OPT_FLAG,
	OPT_TEXT,
	OPT_LIST,
	OPT_WORDS,
	OPT_PROGRESS,
	OPT_ROLE,
	OPT_JOBS,
	OPT_BATCH,
	OPT_PORT,
	OPT_SECONDS,
	OPT_MIB,
	OPT_CPUS,
	OPT_KIND_COUNT
};

static const struct {
	long min, max;
} ranges[OPT_KIND_COUNT] = {
	[OPT_JOBS] = { 1, 64 },		 [OPT_BATCH] = { 1, 1000 },
	[OPT_PORT] = { 1, 65535 },	 [OPT_SECONDS] = { 1, 7 * 24 * 3600 },
	[OPT_MIB] = { 256, 255 * 1024 }, [OPT_CPUS] = { 1, 8 },
};

struct option_row {
	const char *name;
	char letter; /* 0 = none */
	enum option_kind kind;
	size_t offset;
	const char *arg, *help;
	const char *only; /* commands that take it, space separated; NULL = all */
};

#define AT(member) offsetof(struct cmd_options, member)
static const struct option_row options[] = {
	{ "config", 'c', OPT_TEXT, AT(config), "FILE",
	  "the cluster; - is stdin ($PIBUILD_CONFIG, cluster.yaml, else one rpi5 on DHCP)", NULL },
	{ "out", 'o', OPT_TEXT, AT(out), "PATH", "where results go: a folder (out), for kubeconfig a file", NULL },
	{ "lock", 0, OPT_TEXT, AT(lock), "FILE", "pinned versions (pibuild.lock beside the config, else the shipped)",
	  NULL },
	{ "secrets", 0, OPT_TEXT, AT(secrets), "FILE", "the cluster's secrets (secrets.yaml beside the config)", NULL },
	{ "cache", 0, OPT_TEXT, AT(cache), "DIR", "downloads and layers ($XDG_CACHE_HOME/pibuild)", NULL },
	{ "offline", 0, OPT_FLAG, AT(offline), NULL, "use the cache only", NULL },
	{ "jobs", 0, OPT_JOBS, AT(jobs), "N", "downloads at once (4)", NULL },
	{ "json", 0, OPT_FLAG, AT(json), NULL, "results as JSON on stdout", NULL },
	{ "progress", 0, OPT_PROGRESS, AT(progress), "MODE", "auto, bar, plain, json or none", NULL },
	{ "quiet", 'q', OPT_FLAG, AT(quiet), NULL, "only warnings and errors", NULL },
	{ "verbose", 'v', OPT_FLAG, AT(verbose), NULL, "more, and a table of timings", NULL },
	{ "node", 0, OPT_WORDS, AT(nodes), "NAME", "this node only; may be repeated", "build plan render fetch flash" },
	{ "role", 0, OPT_ROLE, AT(role), "ROLE", "nodes of this role: control-plane or worker", "build plan fetch" },
	{ "generic", 0, OPT_FLAG, AT(generic), NULL,
	  "one image per role, without identity or secret: flash --node stamps it", "build plan" },
	{ "matrix", 0, OPT_TEXT, AT(matrix), "ENGINE", "the jobs that build it, for a CI engine: github or gitlab",
	  "plan" },
	{ "batch", 0, OPT_BATCH, AT(batch), "N", "nodes per job of --matrix (as few as the engine takes)", "plan" },
	{ "sha256", 0, OPT_FLAG, AT(sha256), NULL, "write a .sha256 of the whole image beside it", "build" },
	{ "compress", 0, OPT_TEXT, AT(compress), "FORM", "compressed images instead of raw ones: xz or zst", "build" },
	{ "sign", 0, OPT_TEXT, AT(sign), "KEY", "sign what is built with this private key", "build" },
	{ "reproduce", 0, OPT_TEXT, AT(reproduce), "MANIFEST",
	  "build the node of this manifest again, in memory, and compare", "build" },
	{ "new-key", 0, OPT_TEXT, AT(new_key), "FILE", "make an Ed25519 key, and FILE.pub", "sign" },
	{ "check", 0, OPT_FLAG, AT(check), NULL, "only say whether the lock is stale", "lock" },
	{ "update", 0, OPT_FLAG, AT(update), NULL,
	  "lock: to the stable channels (all, or NAMEs); flash: write only what differs", "lock flash" },
	{ "all", 0, OPT_FLAG, AT(all), NULL, "every node: the first on the first DISK, and so on", "flash" },
	{ "discard", 0, OPT_FLAG, AT(discard), NULL, "drop all that is on the disk first, free areas too", "flash" },
	{ "serial", 0, OPT_WORDS, AT(serials), "S", "the disk must have this serial; may be repeated", "flash" },
	{ "show-secrets", 0, OPT_FLAG, AT(show_secrets), NULL, "do not mask secrets", "render secrets" },
	{ "base", 0, OPT_TEXT, AT(base), "IMAGE", "compare with this image: what changed, and is it declared",
	  "inspect verify" },
	{ "brief", 0, OPT_FLAG, AT(brief), NULL, "a line for each image: counts, and versions that changed", "diff" },
	{ "reference", 0, OPT_FLAG, AT(reference), NULL, "the reference page of every key, in Markdown", "schema" },
	{ "status", 0, OPT_FLAG, AT(status), NULL, "the JSON Schema of the first-boot report", "schema" },
	{ "until-ready", 0, OPT_FLAG, AT(boot.until_ready), NULL,
	  "end with the report's verdict: 0 all steps done, 1 one failed", "boot" },
	{ "until", 0, OPT_TEXT, AT(boot.until), "REGEX", "end when the console shows this (POSIX extended)", "boot" },
	{ "timeout", 0, OPT_SECONDS, AT(boot.timeout), "SECONDS", "patience with --until and --until-ready (1200)",
	  "boot" },
	{ "log", 0, OPT_TEXT, AT(boot.log), "FILE", "keep the console here instead of showing it", "boot" },
	{ "keep", 0, OPT_TEXT, AT(boot.keep), "FILE", "keep what is written in this qcow2; go on from it", "boot" },
	{ "disk-size", 0, OPT_TEXT, AT(boot.disk_size), "SIZE", "size of the card, such as 16GiB (8GiB)", "boot" },
	{ "memory", 0, OPT_MIB, AT(boot.memory), "MIB", "memory of the machine (2048)", "boot" },
	{ "cpus", 0, OPT_CPUS, AT(boot.cpus), "N", "its processors (2)", "boot" },
	{ "append", 0, OPT_TEXT, AT(boot.append), "WORDS", "more words for the kernel's command line", "boot" },
	{ "rtc", 0, OPT_TEXT, AT(boot.rtc), "DATE", "its clock at power-on, such as 1970-01-01", "boot" },
	{ "open", 0, OPT_FLAG, AT(boot.open), NULL, "let it reach this machine's network (closed)", "boot" },
	{ "ssh-port", 0, OPT_PORT, AT(boot.ssh_port), "N", "port of 127.0.0.1 that leads to SSH (a free one)", "boot" },
	{ "api-port", 0, OPT_PORT, AT(boot.api_port), "N", "... and to the Kubernetes API (a free one)", "boot" },
	{ "poweroff", 0, OPT_FLAG, AT(boot.poweroff), NULL, "shut down at the end instead of cutting the power",
	  "boot" },
	{ "qemu", 0, OPT_WORDS, AT(boot.qemu), "ARG", "one more argument for QEMU; may be repeated", "boot" },
	{ "dry-run", 0, OPT_FLAG, AT(dry_run), NULL, "boot: print QEMU's command line and end; lock: write nothing",
	  "boot lock" },
	{ "yes", 0, OPT_FLAG, AT(yes), NULL, "do not ask (flash: needs --serial)", "init secrets flash" },
	{ "name", 0, OPT_TEXT, AT(init.name), "NAME", "name of the cluster", "init" },
	{ "user", 0, OPT_TEXT, AT(init.user), "NAME", "your account on the nodes (pi)", "init" },
	{ "key", 0, OPT_TEXT, AT(key), "FILE",
	  "init: public key that may log in (the first of ~/.ssh/*.pub); sign: private key; verify: public "
	  "key that must have signed",
	  "init sign verify" },
	{ "board", 0, OPT_TEXT, AT(init.board), "NAME", "board of the nodes, such as rpi5", "init" },
	{ "servers", 0, OPT_TEXT, AT(init.servers), "N", "control-plane nodes: 1, 3, 5 or 7 (1)", "init" },
	{ "workers", 0, OPT_TEXT, AT(init.workers), "N", "workers (0)", "init" },
	{ "subnet", 0, OPT_TEXT, AT(init.subnet), "NET", "your LAN, such as 192.168.1.0/24", "init" },
	{ "gateway", 0, OPT_TEXT, AT(init.gateway), "IP", "its router", "init" },
	{ "nameserver", 0, OPT_LIST, AT(init.nameservers), "IP", "DNS server; may be repeated (the gateway)", "init" },
	{ "dhcp-range", 0, OPT_TEXT, AT(init.dhcp), "RANGE", "what the router hands out, FIRST-LAST (not known)",
	  "init" },
	{ "pool", 0, OPT_TEXT, AT(init.pool), "RANGE", "free addresses for services, FIRST-LAST (none)", "init" },
	{ "address", 0, OPT_TEXT, AT(init.address), "IP", "of the first node, the others follow (.11)", "init" },
	{ "force", 0, OPT_FLAG, AT(force), NULL, "write into a folder that is not empty", "render" },
};

static bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Those of one command, or with NULL those of every command. */
static void print_options(const struct command *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *o = &options[i];
		char left[40];

		if (c ? !o->only || !word_in(o->only, c->name) : o->only != NULL)
			continue;
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
			 o->letter ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-24s %s\n", left, o->help);
	}
}

static void print_help(const struct command *c)
{
	if (c) {
		printf("usage: pibuild %s%s%s [options]\n\n%s\n\nOptions:\n", c->name, *c->args ? " " : "", c->args,
		       c->help);
		print_options(c);
		print_options(NULL);
		return;
	}
	printf("usage: pibuild [COMMAND] [options]\n\n"
	       "Raspberry Pi images that come up as a K3s cluster with Cilium.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-24s %s\n", commands[i].name, commands[i].help);
	printf("\nOptions of every command:\n");
	print_options(NULL);
	printf("      --version            the version of pibuild\n"
	       "  -h, --help               this text; after a command, the command's own\n\n"
	       "Exit codes: 0 done, 1 failed, 2 usage, 3 invalid configuration, 4 verification failed,\n"
	       "5 refused for safety, 6 something is missing on this machine, 128+n signal.\n");
}

static const struct option_row *find_option(const char *name, size_t n, char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (name ? strlen(options[i].name) == n && !strncmp(options[i].name, name, n)
			 : options[i].letter == letter)
			return &options[i];
	return NULL;
}

static int unknown_option(const char *word, struct err *e)
{
	const char *names[ARRAY_SIZE(options)], *near;
	_cleanup_free_ char *name = xstrdup(word + (starts_with(word, "--") ? 2 : 1));

	name[strcspn(name, "=")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		names[i] = options[i].name;
	near = nearest_word(name, names, ARRAY_SIZE(names));
	return err_class(e, CLASS_USAGE, "unknown option %s%s%s%s; see pibuild --help", word,
			 near ? ", did you mean --" : "", near ? near : "", near ? "?" : "");
}

static int set_number(const struct option_row *row, const char *value, unsigned *at, struct err *e)
{
	long min = ranges[row->kind].min, max = ranges[row->kind].max, n;
	char *end;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || *end || end == value || n < min || n > max)
		return err_class(e, CLASS_USAGE, "--%s wants a number from %ld to %ld, not '%s'", row->name, min, max,
				 value);
	*at = (unsigned)n;
	return 0;
}

static int set_option(struct cmd_options *o, const struct option_row *row, const char *value, struct err *e)
{
	void *at = (char *)o + row->offset;

	switch (row->kind) {
	case OPT_FLAG:
		*(bool *)at = true;
		return 0;
	case OPT_WORDS:
		*vec_push((struct cmd_words *)at) = value;
		return 0;
	case OPT_JOBS:
	case OPT_BATCH:
	case OPT_PORT:
	case OPT_SECONDS:
	case OPT_MIB:
	case OPT_CPUS:
	case OPT_KIND_COUNT:
		return set_number(row, value, at, e);
	case OPT_PROGRESS:
		for (int n = 0; n < PROGRESS_MODE_COUNT; n++)
			if (streq(value, progress_mode_names[n])) {
				o->progress = (enum progress_mode)n;
				return 0;
			}
		return err_class(e, CLASS_USAGE, "--progress wants auto, bar, plain, json or none, not '%s'", value);
	case OPT_ROLE:
		if (!streq(value, "control-plane") && !streq(value, "worker"))
			return err_class(e, CLASS_USAGE, "--role wants control-plane or worker, not '%s'", value);
		break;
	case OPT_LIST:
	case OPT_TEXT:
		if (!*value)
			return err_class(e, CLASS_USAGE, "--%s wants a value", row->name);
		if (row->kind == OPT_LIST && *(const char **)at)
			value = arena_printf("%s,%s", *(const char **)at, value);
		break;
	}
	*(const char **)at = value;
	return 0;
}

struct parsed {
	const struct command *command;
	VEC(const struct option_row *) used;
	bool help, version;
};

/* One word that starts with '-'. Advances *I over the option's value. */
static int parse_option(struct cmd_options *o, struct parsed *p, char **argv, int argc, int *i, struct err *e)
{
	const char *word = argv[*i], *eq = strchr(word, '='), *value = NULL;
	const struct option_row *row;

	if (streq(word, "--help") || streq(word, "-h"))
		return p->help = true, 0;
	if (streq(word, "--version"))
		return p->version = true, 0;
	if (starts_with(word, "--")) {
		row = find_option(word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2), 0);
		value = eq ? eq + 1 : NULL;
	} else {
		row = find_option(NULL, 0, word[1]);
		value = word[2] ? word + 2 : NULL;
	}
	if (!row || (row->kind == OPT_FLAG && value))
		return unknown_option(word, e);
	if (row->kind != OPT_FLAG && !value) {
		if (*i + 1 >= argc)
			return err_class(e, CLASS_USAGE, "--%s wants a value: --%s %s", row->name, row->name, row->arg);
		value = argv[++*i];
	}
	*vec_push(&p->used) = row;
	return set_option(o, row, value, e);
}

static int unknown_command(const char *word, struct err *e)
{
	const char *names[ARRAY_SIZE(commands)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = nearest_word(word, names, ARRAY_SIZE(names));
	return err_class(e, CLASS_USAGE, "unknown command '%s'%s%s%s; see pibuild --help", word,
			 near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

static int parse_word(struct cmd_options *o, struct parsed *p, const char *word, bool own, struct err *e)
{
	if (!p->command) {
		p->command = find_command(word);
		return p->command ? 0 : unknown_command(word, e);
	}
	*vec_push(&o->args) = word;
	o->own_args += own;
	return 0;
}

static int parse(int argc, char **argv, struct cmd_options *o, struct parsed *p, struct err *e)
{
	bool options_end = false;
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		if (!options_end && streq(argv[i], "--"))
			options_end = true;
		else if (!options_end && argv[i][0] == '-' && argv[i][1])
			r = parse_option(o, p, argv, argc, &i, e);
		else
			r = parse_word(o, p, argv[i], !options_end, e);
	}
	if (r < 0 || p->help || p->version)
		return r;
	if (!p->command)
		p->command = &commands[0];
	vec_foreach (row, &p->used)
		if ((*row)->only && !word_in((*row)->only, p->command->name))
			return err_class(e, CLASS_USAGE, "pibuild %s takes no --%s; see pibuild %s --help",
					 p->command->name, (*row)->name, p->command->name);
	if (!o->config && *str_or(getenv("PIBUILD_CONFIG"), ""))
		o->config = getenv("PIBUILD_CONFIG");
	o->out_given = o->out != NULL;
	if (!o->out)
		o->out = "out";
	return 0;
}

/* What leaves nothing behind and may be given a disk reads it as root; the rest works for whoever called sudo. */
static bool keeps_root(const struct command *c)
{
	return word_in("inspect verify diff devices status", c->name);
}

static void complain(const struct err *e)
{
	if (*e->msg) /* else what stands on stdout is all there is to say */
		log_error("%s", e->msg);
	faults_print_source(e);
	if (caller_name() && e->code == -EACCES)
		log_info(
			"under sudo this runs as %s, and as root for disks alone: `sudo chown -R %s FOLDER` takes back "
			"what an earlier run left to root",
			caller_name(), caller_name());
}

static int exit_code(const struct err *e)
{
	if (sig_caught() && err_interrupted(e))
		return 128 + sig_caught();
	return e->class == CLASS_OK ? CLASS_FAILED : (int)e->class;
}

static int run(int argc, char **argv, struct err *e)
{
	struct cmd_options o = { 0 };
	struct parsed p = { 0 };
	int r = parse(argc, argv, &o, &p, e);

	if (r < 0)
		return r;
	if (p.version)
		puts("pibuild " PIBUILD_VERSION);
	else if (p.help)
		print_help(p.command);
	else {
		log_set_level(o.quiet ? LOG_WARNING : o.verbose ? LOG_DEBUG : LOG_INFO);
		log_add_cure_option("build check fetch flash kubeconfig lock plan render secrets", "-c", o.config);
		log_add_cure_option("build check flash kubeconfig render secrets", "--secrets", o.secrets);
		log_add_cure_option("build check fetch lock plan", "--lock", o.lock);
		log_add_cure_option("build doctor fetch", "--cache", o.cache);
		progress_init(o.quiet ? PROGRESS_NONE : o.progress);
		if (!keeps_root(p.command))
			caller_become();
		r = p.command->run(&o, e);
		if (o.verbose)
			progress_print_timings();
	}
	if (r == 0 && fflush(stdout) == EOF)
		r = err_errno(e, -errno, "cannot write to stdout");
	return r;
}

/* Where one of 0, 1 and 2 is closed, the next file opened would take its place, and talk would end up in an image. The
 * stand-in cannot be written to: results that reach nobody are a failure. */
static void occupy_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			_exit(CLASS_FAILED);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	int code = 0;

	/* Secrets pass through our memory: no core dumps, no ptrace by other processes of the user. */
#ifndef PIBUILD_SANITIZED /* the leak checker traces us */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	occupy_standard_fds();
	sig_install();
	if (run(argc, argv, &e) < 0) {
		/* `| head` has seen enough: end as by SIGPIPE, without a word. */
		if (e.code == -EPIPE && ferror(stdout)) {
			code = 128 + SIGPIPE;
		} else {
			complain(&e);
			code = exit_code(&e);
		}
	}
	arena_done();
	return code;
}
