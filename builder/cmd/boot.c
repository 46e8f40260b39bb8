/* SPDX-License-Identifier: Apache-2.0 */
/* An image, or nodes of cluster.yaml, run in QEMU: shown, or watched until a line of the console decides. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sig.h"
#include "cmd/boot.h"

static struct {
	const char *until, *log, *keep, *disk_size, *append, *rtc;
	unsigned timeout, memory, cpus, ssh_port, api_port; /* 0 = not given */
	const char *base, *upgrade_from;
	bool until_ready, open, poweroff, dry_run, all;
	struct text_list qemu;
} boot_opt;

static const struct option boot_options[] = {
	{ "node", 0, OPT_WORDS, NULL, "NAME", "instead of an image: this node of cluster.yaml, on QEMU's machine",
	  CMD_SHARED(nodes), "@node" },
	CMD_OWN("all", OPT_FLAG, &boot_opt.all, NULL, "... the whole cluster, in a LAN of its own"),
	CMD_OWN_WORDS("base", OPT_TEXT, &boot_opt.base, "NAME",
		      "... on this os.base (debian in the place of Raspberry Pi OS)", "debian raspios"),
	CMD_OWN_WORDS("upgrade-from", OPT_TEXT, &boot_opt.upgrade_from, "LOCK",
		      "... first as this older lock makes it; then `apply` is rehearsed on it", "@file"),
	CMD_OWN("until-ready", OPT_FLAG, &boot_opt.until_ready, NULL,
		"end with the report's verdict: 0 all steps done, 1 one failed"),
	CMD_OWN("until", OPT_TEXT, &boot_opt.until, "REGEX", "end when the console shows this (POSIX extended)"),
	CMD_OWN_SECONDS("timeout", &boot_opt.timeout, "patience with --until and --until-ready (1200)"),
	CMD_OWN_WORDS("log", OPT_TEXT, &boot_opt.log, "FILE", "keep the console here instead of showing it", "@file"),
	CMD_OWN_WORDS("keep", OPT_TEXT, &boot_opt.keep, "FILE", "keep what is written in this qcow2; go on from it",
		      "@file"),
	CMD_OWN("disk-size", OPT_TEXT, &boot_opt.disk_size, "SIZE", "size of the card, such as 16GiB (8GiB)"),
	CMD_OWN_NUMBER("memory", &boot_opt.memory, 256, 255 * 1024, "MIB", "memory of the machine (2048)"),
	CMD_OWN_NUMBER("cpus", &boot_opt.cpus, 1, 8, "N", "its processors (2)"),
	CMD_OWN("append", OPT_TEXT, &boot_opt.append, "WORDS", "more words for the kernel's command line"),
	CMD_OWN("rtc", OPT_TEXT, &boot_opt.rtc, "DATE", "its clock at power-on, such as 1970-01-01"),
	CMD_OWN("open", OPT_FLAG, &boot_opt.open, NULL, "let it reach this machine's network (closed)"),
	CMD_OWN_NUMBER("ssh-port", &boot_opt.ssh_port, 1, 65535, "N",
		       "port of 127.0.0.1 that leads to SSH (a free one)"),
	CMD_OWN_NUMBER("api-port", &boot_opt.api_port, 1, 65535, "N", "... and to the Kubernetes API (a free one)"),
	CMD_OWN("poweroff", OPT_FLAG, &boot_opt.poweroff, NULL, "shut down at the end instead of cutting the power"),
	CMD_OWN("qemu", OPT_WORDS, &boot_opt.qemu, "ARG", "one more argument for QEMU; may be repeated"),
	CMD_OWN("dry-run", OPT_FLAG, &boot_opt.dry_run, NULL, "print QEMU's command line and end"),
};

enum { PATIENCE = 1200, TICK_MS = 100, LAST_WORDS_SECONDS = 1, COMMAND_GRACE = 3 };

static const char usage[] = "boot IMAGE|--node NAME|--all [--until-ready | --until REGEX] [-- COMMAND [ARG]...]";
static const char login_prompt[] = " login: ?$";

/* What is waited for. */
struct wait {
	regex_t until;
	bool has_until, ready;
	const char *const *command; /* run then; NULL terminated; NULL = none */
	const char *program;	    /* path of command[0] */
	unsigned timeout;	    /* seconds; 0 = without an end */
};

static void wait_done(struct wait *w)
{
	if (w->has_until)
		regfree(&w->until);
	w->has_until = false;
}

/* "16GiB", "4G", "512M"; a bare number is bytes. */
static int parse_size(const char *text, uint64_t *ret, struct err *e)
{
	static const char letters[] = "KMGT";
	char *end;
	uint64_t n;
	const char *letter;
	unsigned shift = 0;

	errno = 0;
	n = strtoull(text, &end, 10);
	letter = *end ? strchr(letters, *end) : NULL;
	if (letter) {
		shift = 10 * (unsigned)(letter - letters + 1);
		end++;
		if (streq(end, "iB") || streq(end, "B"))
			end += strlen(end);
	}
	if (errno || *end || *text < '0' || *text > '9' || n == 0 || n > (64ull << 40) >> shift)
		return err_class(e, CLASS_USAGE, "--disk-size wants a size such as 16GiB, not '%s'", text);
	*ret = n << shift;
	return 0;
}

static int boot_find_command(const struct cmd_options *o, struct wait *w, struct err *e)
{
	struct text_list words = { 0 };

	if (o->args.n == o->own_args)
		return 0;
	for (size_t i = o->own_args; i < o->args.n; i++)
		*vec_push(&words) = o->args.v[i];
	*vec_push(&words) = NULL;
	w->command = words.v;
	w->program = strchr(words.v[0], '/') ? words.v[0] : proc_find(words.v[0]);
	return w->program ? 0 : err_class(e, CLASS_USAGE, "%s: there is no such program to run", words.v[0]);
}

static int read_wait(const struct cmd_options *o, struct wait *w, struct err *e)
{
	const char *until = boot_opt.until;
	int r = boot_find_command(o, w, e);

	if (r < 0)
		return r;
	w->ready = boot_opt.until_ready;
	if (until && w->ready)
		return err_class(e, CLASS_USAGE, "--until and --until-ready exclude each other");
	if (w->command && !until && !w->ready)
		until = login_prompt;
	if (until && regcomp(&w->until, until, REG_EXTENDED | REG_NOSUB) != 0)
		return err_class(e, CLASS_USAGE, "--until: '%s' is no POSIX extended regular expression", until);
	w->has_until = until != NULL;
	w->timeout = boot_opt.timeout ? boot_opt.timeout : w->has_until || w->ready ? PATIENCE : 0;
	return 0;
}

static bool rehearses(const struct cmd_options *o)
{
	return boot_opt.all || o->nodes.n;
}

static int read_want(const struct cmd_options *o, struct machine_want *want, struct err *e)
{
	if (o->own_args != !rehearses(o))
		return err_class(e, CLASS_USAGE, "%s: usage: pibuild %s",
				 o->own_args ? "more than one image (a command follows after --)"
					     : "an argument is missing",
				 usage);
	*want = (struct machine_want){
		.image = rehearses(o) ? NULL : o->args.v[0],
		.keep = boot_opt.keep,
		.append = boot_opt.append,
		.rtc = boot_opt.rtc,
		.memory = boot_opt.memory,
		.cpus = boot_opt.cpus,
		.ssh_port = boot_opt.ssh_port,
		.api_port = boot_opt.api_port,
		.open = boot_opt.open,
		.qemu = boot_opt.qemu.v,
		.n_qemu = boot_opt.qemu.n,
	};
	return boot_opt.disk_size ? parse_size(boot_opt.disk_size, &want->disk_size, e) : 0;
}

/* ---- talk ---- */

static void print_argv(const struct machine *m)
{
	for (size_t i = 0; m->argv.v[i]; i++)
		printf("%s%s", i ? " " : "", shell_word(m->argv.v[i]));
	putchar('\n');
}

static void announce(const struct machine *m, const struct machine_want *want)
{
	char ip[IPV4_TEXT];

	log_info("booting %s as %s; its network is %s", path_base(want->image),
		 m->network.node.set ? ipv4_text(m->network.node.addr, ip) : "a DHCP client",
		 want->open ? "this machine's" : "closed (--open opens it)");
	log_info("127.0.0.1 port %u is its SSH, port %u the Kubernetes API", m->ssh_port, m->api_port);
	if (streq(m->board, "virt"))
		log_info(
			"board virt is this machine: all of the node runs here, only slower; a Pi's image has a kernel and firmware part of its own, which this says nothing about");
	else
		log_info(
			"of %s QEMU shows the system, first boot and the cluster; it cannot show what is the Pi's own: firmware and config.txt, device tree, GPIO and LEDs, Wi-Fi, SD card, speed",
			*m->board ? arena_printf("board %s", m->board) : "the image");
}

static const char *console_path(const struct cmd_options *o, const struct wait *w, const struct machine *m)
{
	return boot_opt.log ? boot_opt.log : w->command ? path_join(m->dir, "console.log") : NULL;
}

/* ---- the run ---- */

/* Everything about a failure that its sentence does not hold. */
static int fail(struct machine *m, struct err *e)
{
	if (!m->console.show && m->console.tail_n) {
		log_info("the end of the console:");
		console_print_tail(&m->console);
	}
	return e->code;
}

static int failed_step(struct machine *m, struct err *e)
{
	const char *words = m->console.words, *arrow = strstr(words, " -> ");

	if (arrow)
		err_set(e, -EIO, "the node reports a failure: %.*s; what to do: %s", (int)(arrow - words), words,
			arrow + strlen(" -> "));
	else
		err_set(e, -EIO, "the node reports a failure: %s", words);
	return fail(m, e);
}

static int broken_down(struct machine *m, struct err *e)
{
	double end = now_seconds() + LAST_WORDS_SECONDS;
	int r = 0;

	while (r == 0 && m->console.fd >= 0 && now_seconds() < end)
		r = console_read(&m->console, TICK_MS, e);
	if (r == 0)
		r = err_set(e, -EIO, "the boot broke down: %s", m->console.words);
	return fail(m, e);
}

static int machine_ended(struct machine *m, const struct wait *w, struct err *e)
{
	const char *words = machine_words(m);
	int code = spawn_exit_code(&m->qemu);

	if (code)
		err_set(e, -EIO, "QEMU ended with exit code %d%s%s", code, *words ? ": " : "", words);
	else if (w->has_until || w->ready)
		err_set(e, -EIO, "the machine went off before what was waited for had appeared");
	else
		return 0;
	return fail(m, e);
}

static int timed_out(struct machine *m, const struct wait *w, struct err *e)
{
	const char *last = m->console.last_step;

	if (w->ready)
		err_set(e, -ETIMEDOUT, "the node gave no verdict within %u seconds; its last word: %s", w->timeout,
			last ? last : "none at all: is this an image with first-boot steps?");
	else
		err_set(e, -ETIMEDOUT, "%s within %u seconds",
			w->has_until ? "what was waited for did not appear" : "the machine did not go off", w->timeout);
	return fail(m, e);
}

/* Until the console decides, the machine ends, or patience does. */
static int follow(struct machine *m, const struct wait *w, struct err *e)
{
	double start = now_seconds();
	struct console *c = &m->console;
	int r = 0;

	while (r == 0 && c->verdict == VERDICT_NONE) {
		if (c->fd < 0 && spawn_wait(&m->qemu, 1))
			return machine_ended(m, w, e);
		if (w->timeout && now_seconds() > start + w->timeout)
			return timed_out(m, w, e);
		r = console_read(c, TICK_MS, e);
		if (r == 0)
			r = sig_check(e);
	}
	if (r < 0)
		return r;
	if (c->verdict == VERDICT_BROKEN)
		return broken_down(m, e);
	if (c->verdict == VERDICT_FAILED)
		return failed_step(m, e);
	log_info("%s, after %.0f s", c->words, now_seconds() - start);
	return 0;
}

/* With the machine's ports in its environment; the console is read meanwhile, or the guest would come to a halt. */
static int boot_run_command(struct machine *m, const struct wait *w, const char *log, struct err *e)
{
	_cleanup_(spawn_done) struct spawned command = { 0 };
	const char *const env[] = { arena_printf("SSH_PORT=%u", m->ssh_port), arena_printf("API_PORT=%u", m->api_port),
				    arena_printf("CONSOLE_LOG=%s", log), NULL };
	int r = spawn_start(&command,
			    &(struct spawn){ .path = w->program,
					     .argv = w->command,
					     .env = env,
					     .fds = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, -1 },
					     .death_signal = SIGTERM },
			    e);

	while (r == 0 && spawn_alive(&command)) {
		if (m->console.fd >= 0)
			r = console_read(&m->console, TICK_MS, e);
		else
			spawn_wait(&command, 0.1);
		if (r == 0)
			r = sig_check(e);
	}
	if (r < 0) {
		spawn_stop(&command, COMMAND_GRACE);
		return r;
	}
	if (command.status == 0)
		return 0;
	return err_class(e, (enum exit_class)spawn_exit_code(&command), "%s ended with exit code %d", w->command[0],
			 spawn_exit_code(&command));
}

/* OF goes once the machine has its image open; NULL = there is none. */
static int boot_run(struct machine *m, const struct wait *w, const char *log, struct rehearsal *of, struct err *e)
{
	int r = machine_start(m, e), command = 0;

	if (r < 0)
		return r;
	if (of)
		rehearsal_done(of);
	r = follow(m, w, e);
	if (r < 0)
		return r;
	if (w->command)
		command = boot_run_command(m, w, log, e);
	if (boot_opt.poweroff && command != -EINTR && !machine_power_off(m))
		log_warning("the guest did not shut down; its power is cut");
	return command;
}

/* Makes *LOG absolute: a command may go elsewhere. */
static int open_console(struct machine *m, const struct wait *w, const char **log, struct err *e)
{
	char real[PATH_MAX];

	m->console.until = w->has_until ? &w->until : NULL;
	m->console.until_ready = w->ready;
	m->console.show = !*log;
	if (!*log)
		return 0;
	m->console.log = open(*log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (m->console.log < 0)
		return err_errno(e, -errno, "cannot write %s", *log);
	if (realpath(*log, real))
		*log = arena_strdup(real);
	return 0;
}

static int boot_image(const struct cmd_options *o, const struct machine_want *want, struct wait *w,
		      struct rehearsal *of, struct err *e)
{
	_cleanup_(machine_done) struct machine m = MACHINE_INIT;
	const char *log;
	int r = machine_prepare(want, &m, e);

	if (r < 0)
		return r;
	if (boot_opt.dry_run) {
		print_argv(&m);
		return 0;
	}
	log = console_path(o, w, &m);
	r = open_console(&m, w, &log, e);
	if (r < 0)
		return r;
	announce(&m, want);
	return boot_run(&m, w, log, of, e);
}

/* ---- of cluster.yaml ---- */

static int check_rehearsal(const struct cmd_options *o, const struct wait *w, struct err *e)
{
	if (boot_opt.all && o->nodes.n)
		return err_class(e, CLASS_USAGE, "--all has every node: leave out --node");
	if (o->nodes.n > 1)
		return err_class(e, CLASS_USAGE, "--node is one node here; --all has the whole cluster");
	if (boot_opt.keep)
		return err_class(
			e, CLASS_USAGE,
			"--keep goes with an image that stays: build one, with os.base: debian and board: virt");
	if (boot_opt.all && (w->has_until || boot_opt.poweroff || boot_opt.ssh_port || boot_opt.api_port))
		return err_class(
			e, CLASS_USAGE,
			"--all takes none of --until, --poweroff, --ssh-port and --api-port, which are of one machine");
	if (boot_opt.base && !config_base_named(boot_opt.base))
		return err_class(e, CLASS_USAGE, "--base wants debian, raspios or raspios-bookworm, not '%s'",
				 boot_opt.base);
	return 0;
}

static int check_upgrade(const struct cmd_options *o, struct err *e)
{
	if (!rehearses(o))
		return err_class(
			e, CLASS_USAGE,
			"--upgrade-from rehearses cluster.yaml: with --all the whole cluster, with --node NAME its one server");
	if (boot_opt.until || boot_opt.poweroff || boot_opt.ssh_port || boot_opt.api_port)
		return err_class(
			e, CLASS_USAGE,
			"--upgrade-from waits for the cluster and its report: it takes none of --until, --poweroff, --ssh-port and --api-port");
	return 0;
}

static int boot_nodes(const struct cmd_options *o, struct machine_want *want, struct wait *w, struct err *e)
{
	_cleanup_(rehearsal_done) struct rehearsal of = { 0 };
	_cleanup_(upgrade_done) struct upgrade upgrade = {
		.rollout = { .o = o, .cache.fd = -1, .yes = true, .patience = boot_opt.timeout }
	};
	const struct rehearsal_want how = { .base = boot_opt.base, .lock = boot_opt.upgrade_from };
	int r = check_rehearsal(o, w, e);

	if (r == 0)
		r = rehearsal_load(o, &how, &of, e);
	if (r == 0 && how.lock)
		r = upgrade_load(how.base, &of, &upgrade, e);
	if (r == 0)
		r = rehearsal_build(o, &of, e);
	if (r < 0)
		return r;
	want->image = of.plan->nodes.v[0]->image;
	if (!boot_opt.all && !how.lock)
		return boot_image(o, want, w, &of, e);
	return boot_cluster(&of,
			    &(struct boot_cluster){ .want = want,
						    .logs = boot_opt.log,
						    .until_ready = w->ready || w->command,
						    .timeout = w->timeout,
						    .dry_run = boot_opt.dry_run,
						    .program = w->program,
						    .command = w->command,
						    .then = how.lock ? upgrade_run : NULL,
						    .arg = &upgrade },
			    e);
}

static int cmd_boot(const struct cmd_options *o, struct err *e)
{
	_cleanup_(wait_done) struct wait w = { 0 };
	struct machine_want want;
	int r = boot_opt.upgrade_from ? check_upgrade(o, e) : 0;

	if (r == 0)
		r = read_want(o, &want, e);
	if (r < 0)
		return r;
	/* A cluster is done when it says so; a prompt says nothing of it. */
	if ((boot_opt.all && o->args.n > o->own_args) || boot_opt.upgrade_from)
		boot_opt.until_ready = true;
	r = read_wait(o, &w, e);
	if (r < 0)
		return r;
	return rehearses(o) ? boot_nodes(o, &want, &w, e) : boot_image(o, &want, &w, NULL, e);
}

const struct command boot_command = {
	.name = "boot",
	.args = "[IMAGE] [options] [-- COMMAND]",
	.help = "try an image, a node or the whole cluster in QEMU",
	.run = cmd_boot,
	.options = boot_options,
	.n_options = ARRAY_SIZE(boot_options),
	.common = "config lock secrets cache offline jobs progress",
	.words = { "@image", "@file" },
	.examples = { "pibuild boot --all --until-ready", "pibuild boot out/cp-1.img --until ' login: '" },
};
