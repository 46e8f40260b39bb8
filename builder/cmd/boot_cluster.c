/* SPDX-License-Identifier: Apache-2.0 */
/* The whole cluster in QEMU: one machine a node, in a LAN of their own; the verdict is that of all reports. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/sig.h"
#include "cmd/boot.h"
#include "qemu/lan.h"

/* A step that failed is still tried: a worker has, while the server that it waits for is on its way. */
enum { TICK_MS = 20, COMMAND_GRACE = 3, FAILED_SECONDS = 300 };

struct fleet {
	const struct boot_cluster *b;
	const struct plan *plan;
	const char *dir; /* folder of the switch */
	struct lan *lan;
	struct machine *v;
	const char **failed; /* what each says has failed; NULL = nothing, or it is done since */
	size_t n;
	double news; /* when one of them last was done, or failed */

	/* while boot_cluster.then has the floor */
	atomic_bool enough;
	int heard; /* negative when a machine broke down meanwhile */
	struct err breakdown;
};

static void fleet_done(struct fleet *f)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < f->n; i++)
		machine_done(&f->v[i]);
	lan_close(f->lan);
	if (f->dir)
		remove_tree(f->dir, &ignored);
}

static int open_log(const struct fleet *f, size_t i, struct err *e)
{
	struct console *c = &f->v[i].console;
	const char *path;
	int r = f->b->logs ? make_dirs(f->b->logs, 0777, e) : 0;

	c->name = f->plan->nodes.v[i]->name;
	c->until_ready = true;
	if (!f->b->logs || r < 0)
		return r;
	path = path_join(f->b->logs, arena_printf("%s.log", c->name));
	c->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return c->log < 0 ? err_errno(e, -errno, "cannot write %s", path) : 0;
}

/* Machine 0 leads from the world to the others, so it is the last. */
static int fleet_prepare(struct fleet *f, struct err *e)
{
	const struct machine **others = arena_alloc(f->n * sizeof(*others));
	int r = temp_dir("lan", &f->dir, e);

	if (r == 0)
		r = lan_open(f->dir, &f->lan, e);
	for (size_t i = f->n; r == 0 && i-- > 0;) {
		struct machine_want want = *f->b->want;

		want.image = f->plan->nodes.v[i]->image;
		want.number = (unsigned)i;
		want.lan = f->dir;
		want.others = i ? NULL : others;
		r = machine_prepare(&want, &f->v[i], e);
		if (r < 0)
			return err_wrap(e, "%s", f->plan->nodes.v[i]->name);
		if (i)
			others[i - 1] = &f->v[i];
	}
	return r;
}

static void fleet_print_argv(const struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++)
		for (size_t k = 0; f->v[i].argv.v[k]; k++)
			printf("%s%s", shell_word(f->v[i].argv.v[k]), f->v[i].argv.v[k + 1] ? " " : "\n");
}

static int fleet_start(struct fleet *f, struct err *e)
{
	for (size_t i = 0; i < f->n; i++) {
		struct machine *m = &f->v[i];
		int r = open_log(f, i, e);

		if (r == 0)
			r = machine_start(m, e);
		if (r < 0)
			return err_wrap(e, "%s", m->console.name);
		if (m->network.node.set)
			log_info("%s runs: 127.0.0.1 port %u is its SSH, port %u its Kubernetes API", m->console.name,
				 m->ssh_port, m->api_port);
		else
			log_info("%s runs, without an address of its own: it is not reached from here",
				 m->console.name);
	}
	return 0;
}

/* ---- the run ---- */

static int fleet_fail(struct machine *m, const char *what, const char *words, struct err *e)
{
	err_set(e, -EIO, "%s %s: %s", m->console.name, what, words);
	log_info("the end of its console:");
	console_print_tail(&m->console);
	return e->code;
}

/* The first verdict of a console stands; here the last one does. */
static void take_verdict(struct fleet *f, size_t i)
{
	struct console *c = &f->v[i].console;

	if (c->verdict == VERDICT_FAILED) {
		f->failed[i] = c->words;
		f->news = now_seconds();
		c->verdict = VERDICT_NONE;
	} else if (c->verdict == VERDICT_HOLDS && f->failed[i]) {
		f->failed[i] = NULL;
		f->news = now_seconds();
	}
}

/* All have had their say, and one that failed has had time to be done all the same. */
static int fleet_judge(struct fleet *f, size_t ready, struct err *e)
{
	size_t failed = 0, first = f->n;

	for (size_t i = f->n; i-- > 0;)
		if (f->failed[i]) {
			failed++;
			first = i;
		}
	if (!failed || !f->b->until_ready || failed + ready < f->n ||
	    (ready && now_seconds() < f->news + FAILED_SECONDS))
		return 0;
	return fleet_fail(&f->v[first], "reports a failure", f->failed[first], e);
}

/* What all of them say; how many are ready. */
static int fleet_hear(struct fleet *f, size_t *done, struct err *e)
{
	int r;

	*done = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct machine *m = &f->v[i];

		r = console_read(&m->console, TICK_MS, e);
		if (r < 0)
			return r;
		if (m->console.verdict == VERDICT_BROKEN)
			return fleet_fail(m, "broke down", m->console.words, e);
		if (m->console.fd < 0 && spawn_wait(&m->qemu, 1))
			return fleet_fail(m, "went off", machine_words(m), e);
		take_verdict(f, i);
		*done += m->console.verdict == VERDICT_HOLDS;
	}
	return 0;
}

/* How many are ready, or why it is over. */
static int fleet_look(struct fleet *f, size_t *ready, struct err *e)
{
	size_t done;
	int r = fleet_hear(f, &done, e);

	if (r < 0)
		return r;
	if (done != *ready)
		f->news = now_seconds();
	*ready = done;
	r = fleet_judge(f, done, e);
	return r < 0 ? r : sig_check(e);
}

static int fleet_timed_out(const struct fleet *f, struct err *e)
{
	_cleanup_strbuf_ struct strbuf left = { 0 };

	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].console.verdict != VERDICT_HOLDS)
			strbuf_addf(&left, "%s%s (%s)", left.n ? ", " : "", f->v[i].console.name,
				    str_or(f->v[i].console.last_step, "not a word"));
	return err_set(e, -ETIMEDOUT, "within %u seconds not all nodes were done; not %s", f->b->timeout, left.s);
}

static int fleet_follow(struct fleet *f, struct err *e)
{
	double start = now_seconds();
	size_t ready = 0;
	int r = 0;

	while (r == 0 && !(f->b->until_ready && ready == f->n)) {
		if (f->b->timeout && now_seconds() > start + f->b->timeout)
			return fleet_timed_out(f, e);
		r = fleet_look(f, &ready, e);
	}
	if (r == 0)
		log_info("all %zu nodes are done, after %.0f s", f->n, now_seconds() - start);
	return r;
}

/* "cp-1=40001 w-1=40003" */
static const char *ports_of(const struct fleet *f)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (size_t i = 0; i < f->n; i++)
		strbuf_addf(&b, "%s%s=%u", i ? " " : "", f->v[i].console.name, f->v[i].ssh_port);
	return arena_strdup(b.s);
}

static int fleet_command(struct fleet *f, struct err *e)
{
	_cleanup_(spawn_done) struct spawned command = { 0 };
	const char *const env[] = { arena_printf("SSH_PORT=%u", f->v[0].ssh_port),
				    arena_printf("API_PORT=%u", f->v[0].api_port),
				    arena_printf("SSH_PORTS=%s", ports_of(f)), NULL };
	size_t ready = 0;
	int r = spawn_start(&command,
			    &(struct spawn){ .path = f->b->program,
					     .argv = f->b->command,
					     .env = env,
					     .fds = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, -1 },
					     .death_signal = SIGTERM },
			    e);

	while (r == 0 && spawn_alive(&command))
		r = fleet_look(f, &ready, e);
	if (r < 0) {
		spawn_stop(&command, COMMAND_GRACE);
		return r;
	}
	if (command.status == 0)
		return 0;
	return err_class(e, (enum exit_class)spawn_exit_code(&command), "%s ended with exit code %d", f->b->command[0],
			 spawn_exit_code(&command));
}

/* A guest whose console nobody reads comes to a halt. */
static void *fleet_keep_hearing(void *arg)
{
	struct fleet *f = arg;
	size_t done;

	while (!f->enough && f->heard == 0)
		f->heard = fleet_hear(f, &done, &f->breakdown);
	return NULL;
}

static int fleet_then(struct fleet *f, struct err *e)
{
	unsigned *ports = arena_alloc(f->n * sizeof(*ports));
	pthread_t thread;
	int r;

	for (size_t i = 0; i < f->n; i++)
		ports[i] = f->v[i].ssh_port;
	r = thread_start(&thread, fleet_keep_hearing, f, e);
	if (r < 0)
		return r;
	r = f->b->then(f->b->arg, ports, e);
	f->enough = true;
	pthread_join(thread, NULL);
	if (f->heard < 0)
		*e = f->breakdown;
	return f->heard < 0 ? f->heard : r;
}

int boot_cluster(struct rehearsal *r, const struct boot_cluster *b, struct err *e)
{
	_cleanup_(fleet_done) struct fleet f = { .b = b, .plan = r->plan };
	int code;

	f.v = arena_alloc(r->plan->nodes.n * sizeof(*f.v));
	f.failed = arena_alloc(r->plan->nodes.n * sizeof(*f.failed));
	for (; f.n < r->plan->nodes.n; f.n++)
		f.v[f.n] = (struct machine)MACHINE_INIT;
	code = fleet_prepare(&f, e);
	if (code == 0 && b->dry_run) {
		fleet_print_argv(&f);
		return 0;
	}
	if (code == 0)
		code = fleet_start(&f, e);
	rehearsal_done(r);
	if (code == 0)
		code = fleet_follow(&f, e);
	if (code == 0 && b->then)
		code = fleet_then(&f, e);
	return code == 0 && b->program ? fleet_command(&f, e) : code;
}
