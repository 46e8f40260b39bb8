/* SPDX-License-Identifier: Apache-2.0 */
/* Tools that are run to their end: which there are, and what they say. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/sig.h"

enum {
	OUTPUT_LIMIT = 16 * 1024 * 1024,
	TAIL_LIMIT = 4096,
	MESSAGE_TAIL = 900,
	TICK_MS = 100,
	GRACE_SECONDS = 3,
	DEFAULT_TIMEOUT = 600
};

const struct proc_tool proc_tools[] = {
	{ "resize2fs", "e2fsprogs", "grows the root filesystem", false },
	{ "e2fsck", "e2fsprogs", "checks the root filesystem", false },
	{ "fsck.fat", "dosfstools", "checks the boot partition: pibuild verify", true },
	{ "diff", "diffutils", "shows what changed in a text: pibuild diff", true },
	{ "gpgv", "gpgv", "checks the signature of a base: os.signatureKey", true },
	{ "ssh", "openssh-client", "asks the nodes of a cluster that runs: pibuild status, ssh, node", true },
	{ "ssh-keygen", "openssh-client", "makes a key to log in with: pibuild init", true },
	{ "curl", "curl", "reads backups from S3: pibuild backup", true },
	{ "sftp", "openssh-client", "reads backups over SSH: pibuild backup", true },
	{ "apt-get", "apt", "resolves the packages of os.base: debian", true },
	{ "mmdebstrap", "mmdebstrap", "makes the base of os.base: debian", true },
	{ "arch-test", "arch-test", "tells whether arm64 programs run here, for os.base: debian", true },
	{ "unshare", "util-linux", "keeps what root mounts for os.base: debian from the host", true },
	{ "newuidmap", "uidmap", "lets mmdebstrap work without root, for os.base: debian", true },
	{ "mkfs.fat", "dosfstools", "makes the boot partition of os.base: debian", true },
	{ "mke2fs", "e2fsprogs", "makes the root filesystem of os.base: debian", true },
	{ "helm", NULL, "renders the charts of apps, to judge their values and find their images: pibuild lock", true },
	{ "qemu-system-aarch64", "qemu-system-arm", "runs an image: pibuild boot", true },
	{ "qemu-img", "qemu-utils", "makes the disk of pibuild boot", true },
};
const size_t proc_tools_count = ARRAY_SIZE(proc_tools);

const struct proc_tool *proc_tool(const char *name)
{
	for (size_t i = 0; i < proc_tools_count; i++)
		if (streq(proc_tools[i].name, name))
			return &proc_tools[i];
	return NULL;
}

const char *proc_find(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *dirs = xasprintf("%s:/usr/sbin:/sbin", path && *path ? path : "/usr/bin:/bin");
	const char *unknown = NULL; /* what cannot be asked about: it is there, or its start says why not */

	text_foreach (dir, dirs, ":") {
		_cleanup_free_ char *s = xasprintf("%s/%s", dir, name);

		if (dir[0] == '/' && access(s, X_OK) == 0)
			return arena_strdup(s);
		if (dir[0] == '/' && !unknown && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			unknown = arena_strdup(s);
	}
	return unknown;
}

/* A running program and our ends of its pipes. */
struct child {
	struct spawned program;
	int in, out, err;
	const char *input;
	size_t input_left;
	struct strbuf own_output, errors;
	struct strbuf *output;
};

static void child_done(struct child *c)
{
	closep(&c->in);
	closep(&c->out);
	closep(&c->err);
	spawn_done(&c->program);
	strbuf_done(&c->own_output);
	strbuf_done(&c->errors);
}

static int make_pipe(int *ours, int *theirs, bool to_child, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	*ours = p[to_child];
	*theirs = p[!to_child];
	/* Else both ends may wait for each other. */
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? err_machine(e, -errno, "cannot make a pipe") : 0;
}

static int child_start(struct child *c, const char *path, const struct proc *p, struct err *e)
{
	_cleanup_free_ char *source_date = xasprintf("SOURCE_DATE_EPOCH=%lld", (long long)p->epoch);
	_cleanup_free_ char *fake_time = xasprintf("E2FSPROGS_FAKE_TIME=%lld", (long long)p->epoch);
	_cleanup_free_ char *tmp = p->tmp ? xasprintf("TMPDIR=%s", p->tmp) : NULL;
	const char *own = p->pass ? getenv(p->pass) : NULL;
	_cleanup_free_ char *passed = own ? xasprintf("%s=%s", p->pass, own) : NULL;
	const char *const env[] = {
		"LC_ALL=C",
		"TZ=UTC",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/",
		"MTOOLSRC=/dev/null",
		source_date,
		fake_time,
		/* The first one ends the list. */
		tmp ? tmp : passed,
		tmp ? passed : NULL,
		NULL,
	};
	_cleanup_close_ int in = -1, out = -1, err = -1;
	int r = p->input ? make_pipe(&c->in, &in, true, e) : 0;

	if (r < 0)
		return r;
	r = make_pipe(&c->out, &out, false, e);
	if (r < 0)
		return r;
	r = make_pipe(&c->err, &err, false, e);
	if (r < 0)
		return r;
	return spawn_start(&c->program,
			   &(struct spawn){
				   .path = path,
				   .argv = p->argv,
				   .env = env,
				   .env_only = true,
				   .dir = p->dir,
				   .fds = { in, out, err, p->file ? p->file_fd : -1 },
				   .death_signal = SIGTERM,
			   },
			   e);
}

static void feed(struct child *c)
{
	ssize_t n = c->input_left ? write(c->in, c->input, c->input_left) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		c->input += n;
		c->input_left -= (size_t)n;
	}
	/* A program that does not want to read on is judged by its exit code alone. */
	if (n < 0 || c->input_left == 0)
		closep(&c->in);
}

static void keep_tail(struct strbuf *b)
{
	if (b->n <= 2 * TAIL_LIMIT)
		return;
	memmove(b->s, b->s + b->n - TAIL_LIMIT, TAIL_LIMIT + 1);
	b->n = TAIL_LIMIT;
}

static int drain(int *fd, struct strbuf *to, size_t limit, bool tail_only)
{
	char buf[16 * 1024];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		closep(fd);
		return 0;
	}
	strbuf_add(to, buf, (size_t)n);
	if (tail_only)
		keep_tail(to);
	return to->n > limit ? -E2BIG : 1;
}

/* One look at the pipes: 1 when there was something, 0 after TIMEOUT_MS without. */
static int child_poll(struct child *c, const struct proc *p, int timeout_ms, struct err *e)
{
	struct pollfd fds[] = { { c->out, POLLIN, 0 }, { c->err, POLLIN, 0 }, { c->in, POLLOUT, 0 } };
	size_t limit = p->output_limit ? p->output_limit : OUTPUT_LIMIT;
	int r = 0;

	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return 0;
	if (fds[2].revents)
		feed(c);
	if (fds[1].revents)
		drain(&c->err, &c->errors, OUTPUT_LIMIT, true);
	if (fds[0].revents)
		r = drain(&c->out, c->output, limit, !p->output);
	if (r == -E2BIG)
		return err_set(e, r, "%s printed more than %zu MiB", p->argv[0], limit / (size_t)MIB);
	return r < 0 ? err_errno(e, r, "cannot read what %s prints", p->argv[0]) : 1;
}

/* Serves the pipes until the program is gone and they are empty; what it left behind may still hold them. */
static int child_serve(struct child *c, const struct proc *p, struct err *e)
{
	unsigned timeout = p->timeout ? p->timeout : DEFAULT_TIMEOUT;
	double end = now_seconds() + timeout;

	for (;;) {
		bool closed = c->out < 0 && c->err < 0;
		int r = child_poll(c, p, c->program.pid == 0 ? 0 : closed ? 1 : TICK_MS, e);

		if (r < 0 || (r == 0 && c->program.pid == 0))
			return r;
		if (r == 0 || closed)
			spawn_alive(&c->program);
		r = sig_check(e);
		if (r < 0)
			return r;
		if (now_seconds() > end)
			return err_set(e, -ETIMEDOUT, "%s did not end within %u seconds and was stopped", p->argv[0],
				       timeout);
	}
}

/* What the program said, as one line for a message: control characters gone, PROC_FILE by its real name. */
static char *words_of(const struct child *c, const struct proc *p)
{
	const struct strbuf *from = c->errors.n ? &c->errors : c->output;
	struct strbuf b = { 0 };

	strbuf_adds(&b, "");
	for (size_t i = from->n > MESSAGE_TAIL ? from->n - MESSAGE_TAIL : 0; i < from->n; i++) {
		unsigned char ch = (unsigned char)from->s[i];

		if (p->file && strncmp(from->s + i, PROC_FILE, strlen(PROC_FILE)) == 0) {
			strbuf_adds(&b, p->file);
			i += strlen(PROC_FILE) - 1;
		} else if (ch > ' ' && ch != 0x7f) {
			strbuf_add(&b, &ch, 1);
		} else if (b.n && b.s[b.n - 1] != ' ') {
			strbuf_adds(&b, " ");
		}
	}
	if (b.n && b.s[b.n - 1] == ' ')
		b.s[--b.n] = '\0';
	return b.s;
}

static int proc_judge(const struct child *c, const struct proc *p, struct err *e)
{
	_cleanup_free_ char *words = words_of(c, p);
	const char *sep = *words ? ": " : "";
	int code;

	if (WIFSIGNALED(c->program.status)) {
		err_set(e, -EIO, "%s was killed by SIG%s%s%s", p->argv[0],
			str_or(sigabbrev_np(WTERMSIG(c->program.status)), "?"), sep, words);
		e->machine = true; /* by the kernel for want of memory, above all: that is no verdict on what it read */
		return e->code;
	}
	code = WEXITSTATUS(c->program.status);
	if (p->exit_code)
		*p->exit_code = code;
	if (p->said)
		*p->said = arena_strdup(words);
	if (code == 0 || (code < 31 && p->ok_codes >> code & 1))
		return 0;
	return err_set(e, -EIO, "%s failed with exit code %d%s%s", p->argv[0], code, sep, words);
}

int proc_run(const struct proc *p, struct err *e)
{
	_cleanup_(child_done) struct child c = { .in = -1, .out = -1, .err = -1 };
	const struct proc_tool *tool = proc_tool(p->argv[0]);
	const char *path = tool ? proc_find(tool->name) : NULL;
	int r;

	if (!tool)
		return err_set(e, -EINVAL, "%s is not among the programs pibuild may run", p->argv[0]);
	if (!path)
		return err_class(e, CLASS_HOST, "%s is not installed (%s); %s", tool->name, tool->why,
				 tool->package ? arena_printf("install the package %s", tool->package)
					       : "its own pages say how to install it");
	c.input = p->input;
	c.input_left = p->input_n;
	c.output = p->output ? p->output : &c.own_output;
	r = child_start(&c, path, p, e);
	if (r < 0)
		e->machine = true; /* whatever keeps a program of ours from starting: nothing was looked at */
	if (r == 0)
		r = child_serve(&c, p, e);
	if (r < 0) {
		/* Asks first: resize2fs leaves nothing half-written by its own rules then. */
		spawn_stop(&c.program, GRACE_SECONDS);
		return r;
	}
	return proc_judge(&c, p, e);
}
