/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU as a process: started with its console on a pipe and its control socket (QMP) on a descriptor, so that no socket
 * file is needed. It answers on that socket once it has opened all its files, which can go then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/sig.h"
#include "qemu/machine.h"

enum { START_SECONDS = 60, OFF_SECONDS = 60, TICK_MS = 50, REPLY_LIMIT = 64 * 1024, WORDS_LIMIT = 1500 };

static int make_disk(const struct machine *m, struct err *e)
{
	const char *size = m->disk_size ? arena_printf("%llu", (unsigned long long)m->disk_size) : NULL;
	const char *const create[] = { "qemu-img", "create", "-q",     "-f",	   "qcow2", "-F",
				       "raw",	   "-b",     m->image, m->overlay, size,    NULL };
	const char *const resize[] = { "qemu-img", "resize", "-q", "-f", "qcow2", m->overlay, size, NULL };

	if (m->new_overlay)
		return proc_run(&(struct proc){ .argv = create }, e);
	return size ? proc_run(&(struct proc){ .argv = resize }, e) : 0;
}

const char *machine_words(const struct machine *m)
{
	char buf[WORDS_LIMIT + 1] = "";
	ssize_t n = m->said < 0 ? 0 : pread(m->said, buf, WORDS_LIMIT, 0);

	while (n > 0 && buf[n - 1] == '\n')
		buf[--n] = '\0';
	return clean_copy(buf);
}

static int spawn_qemu(struct machine *m, struct err *e)
{
	_cleanup_close_ int out = -1, control = -1;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	m->console.fd = p[0];
	out = p[1];
	fcntl(m->console.fd, F_SETFL, O_NONBLOCK);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0)
		return err_errno(e, -errno, "cannot make a socket");
	m->qmp = p[0];
	control = p[1];
	m->said = memfd_create("qemu-stderr", MFD_CLOEXEC);
	if (m->said < 0)
		return err_errno(e, -errno, "cannot make a memory file");
	return spawn_start(&m->qemu,
			   &(struct spawn){ .path = proc_find("qemu-system-aarch64"),
					    .argv = m->argv.v,
					    .fds = { -1, out, m->said, control },
					    .death_signal = SIGKILL,
					    .own_session = true },
			   e);
}

static int qmp_send(const struct machine *m, const char *command)
{
	_cleanup_free_ char *line = xasprintf("{\"execute\":\"%s\"}\n", command);

	return write_all(m->qmp, line, strlen(line));
}

/* True when one of the lines so far is the answer to our only command. */
static bool answered(const struct strbuf *b)
{
	return b->n && strstr(b->s, "{\"return\"");
}

static int wait_until_up(struct machine *m, struct err *e)
{
	_cleanup_strbuf_ struct strbuf reply = { 0 };
	double end = now_seconds() + START_SECONDS;
	char buf[4096];
	int r = qmp_send(m, "qmp_capabilities");

	while (r == 0 && !answered(&reply)) {
		struct pollfd p = { m->qmp, POLLIN, 0 };
		ssize_t n = poll(&p, 1, TICK_MS) > 0 ? recv(m->qmp, buf, sizeof(buf), MSG_DONTWAIT) : -1;

		if (n > 0)
			strbuf_add(&reply, buf, (size_t)n);
		if (n == 0 || !spawn_alive(&m->qemu) || reply.n > REPLY_LIMIT)
			break;
		r = sig_check(e);
		if (r == 0 && now_seconds() > end)
			r = err_set(e, -ETIMEDOUT, "QEMU did not start within %d seconds", START_SECONDS);
	}
	if (r < 0 && r != -EPIPE)
		return r;
	if (answered(&reply))
		return 0;
	spawn_stop(&m->qemu, 1);
	return err_set(e, -EIO, "QEMU did not start: %s", machine_words(m));
}

/* QEMU has them open, or in memory: from here on not even kill -9 leaves them behind. */
static void remove_files(struct machine *m)
{
	static const char *const names[] = { "kernel", "initramfs", "boot.fat", "disk.qcow2" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(path_join(m->dir, names[i]));
	if (rmdir(m->dir) == 0) /* stays while it holds the console's log */
		m->dir = NULL;
}

int machine_start(struct machine *m, struct err *e)
{
	int r = make_disk(m, e);

	if (r < 0)
		return r;
	r = spawn_qemu(m, e);
	if (r < 0)
		return r;
	r = wait_until_up(m, e);
	if (r < 0)
		return r;
	remove_files(m);
	return 0;
}

bool machine_power_off(struct machine *m)
{
	double end = now_seconds() + OFF_SECONDS;
	struct err ignored = { 0 };

	if (!spawn_alive(&m->qemu) || qmp_send(m, "system_powerdown") < 0)
		return !spawn_alive(&m->qemu);
	while (spawn_alive(&m->qemu) && now_seconds() < end && !sig_caught())
		console_read(&m->console, TICK_MS, &ignored);
	return !spawn_alive(&m->qemu);
}

void machine_done(struct machine *m)
{
	struct err ignored = { 0 };

	spawn_done(&m->qemu);
	console_done(&m->console);
	closep(&m->qmp);
	closep(&m->said);
	m->qmp = m->said = -1;
	if (m->dir)
		remove_tree(m->dir, &ignored);
	m->dir = NULL;
}
