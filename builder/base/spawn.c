/* SPDX-License-Identifier: Apache-2.0 */
/* A program started, waited for and ended. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Above every number that the program is to find its descriptors under. */
enum { FD_ABOVE = 64, TICK_MS = 20 };

/* In the child, before the program: only what is safe after fork(). */
static int place_fds(const int fds[SPAWN_FDS])
{
	int held[SPAWN_FDS];

	for (int i = 0; i < SPAWN_FDS; i++) {
		int fd = fds[i] >= 0 ? fds[i] : i <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

		held[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_ABOVE);
		if (held[i] < 0 && (fd >= 0 || i <= STDERR_FILENO))
			return -errno;
	}
	for (int i = 0; i < SPAWN_FDS; i++)
		if (held[i] >= 0 && dup2(held[i], i) < 0)
			return -errno;
	return 0;
}

static int become(const struct spawn *how, char *const *env, pid_t parent)
{
	sigset_t none;
	int r;

	if (how->own_session)
		setsid();
	if (prctl(PR_SET_PDEATHSIG, how->death_signal) < 0)
		return -errno;
	if (getppid() != parent) /* it died before we asked */
		_exit(CLASS_FAILED);
	r = place_fds(how->fds);
	if (r < 0)
		return r;
	if (how->dir && chdir(how->dir) < 0)
		return -errno;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execve(how->path, unconst(how->argv), env);
	return -errno;
}

static const char **make_env(const struct spawn *how)
{
	VEC(const char *) env = { 0 };

	for (size_t i = 0; how->env && how->env[i]; i++)
		*vec_push(&env) = how->env[i];
	for (char **s = environ; !how->env_only && *s; s++)
		*vec_push(&env) = *s;
	*vec_push(&env) = NULL;
	return env.v;
}

/* Of a program that is there and may be run, what is lacking is the machine's, and passes: never the fault of what it
 * was to look at. */
static int cannot_start(const char *path, int r, struct err *e)
{
	err_errno(e, r, "cannot start %s", path);
	if (r != -ENOENT && r != -EACCES && r != -ENOEXEC && r != -ENOTDIR)
		e->code = -EAGAIN;
	return e->code;
}

int spawn_start(struct spawned *s, const struct spawn *how, struct err *e)
{
	_cleanup_close_ int read_end = -1, write_end = -1;
	const char **env = make_env(how);
	pid_t parent = getpid();
	int p[2], r = 0;
	ssize_t n;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	read_end = p[0];
	write_end = p[1];
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		return cannot_start(how->path, -errno, e);
	}
	if (s->pid == 0) {
		r = become(how, unconst(env), parent);
		n = write(write_end, &r, sizeof(r));
		_exit(n == sizeof(r) ? CLASS_FAILED : CLASS_HOST);
	}
	close(take_fd(&write_end));
	do
		n = read(read_end, &r, sizeof(r)); /* nothing comes when the program has taken over */
	while (n < 0 && errno == EINTR);
	if (n != sizeof(r))
		return 0;
	spawn_wait(s, 1);
	return cannot_start(how->path, r, e);
}

bool spawn_alive(struct spawned *s)
{
	if (s->pid > 0 && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
		s->pid = 0;
	return s->pid > 0;
}

bool spawn_wait(struct spawned *s, double seconds)
{
	double end = now_seconds() + seconds;

	while (spawn_alive(s) && now_seconds() < end)
		poll(NULL, 0, TICK_MS);
	return s->pid == 0;
}

void spawn_stop(struct spawned *s, double seconds)
{
	if (seconds > 0 && spawn_alive(s)) {
		kill(s->pid, SIGTERM);
		spawn_wait(s, seconds);
	}
	spawn_done(s);
}

void spawn_done(struct spawned *s)
{
	if (!spawn_alive(s))
		return;
	kill(s->pid, SIGKILL);
	while (waitpid(s->pid, &s->status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
}

int spawn_exit_code(const struct spawned *s)
{
	return WIFSIGNALED(s->status) ? 128 + WTERMSIG(s->status) : WEXITSTATUS(s->status);
}
