/* SPDX-License-Identifier: Apache-2.0 */
/* A program started, waited for and ended. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TICK_MS = 20 };

/* What the child tells before it has become the program, of what kept it from that. */
struct not_started {
	int code;
	bool folder; /* it is the one to start in that cannot be entered */
};

/* In the child, before the program: only what is safe after fork(). What is to have a low number is held above all of
 * those first, as it may have another's now; no higher than that, as the numbers may be few (ulimit -n). */
static int place_fds(const int fds[SPAWN_FDS])
{
	int held[SPAWN_FDS];

	for (int i = 0; i < SPAWN_FDS; i++) {
		int fd = fds[i] >= 0 ? fds[i] : i <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

		held[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_FDS);
		if (held[i] < 0 && (fd >= 0 || i <= STDERR_FILENO))
			return -errno;
	}
	for (int i = 0; i < SPAWN_FDS; i++)
		if (held[i] >= 0 && dup2(held[i], i) < 0)
			return -errno;
	return 0;
}

static struct not_started become(const struct spawn *how, char *const *env, pid_t parent)
{
	sigset_t none;
	int r;

	if (how->own_session)
		setsid();
	if (prctl(PR_SET_PDEATHSIG, how->death_signal) < 0)
		return (struct not_started){ -errno, false };
	if (getppid() != parent) /* it died before we asked */
		_exit(CLASS_FAILED);
	r = place_fds(how->fds);
	if (r < 0)
		return (struct not_started){ r, false };
	if (how->dir && chdir(how->dir) < 0)
		return (struct not_started){ -errno, true };
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execve(how->path, unconst(how->argv), env);
	return (struct not_started){ -errno, false };
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
static int cannot_start(const struct spawn *how, struct not_started why, struct err *e)
{
	int r = why.code;

	if (why.folder)
		err_errno(e, r, "cannot start %s: cannot enter the folder %s", how->path, how->dir);
	else
		err_errno(e, r, "cannot start %s", how->path);
	if (r != -ENOENT && r != -EACCES && r != -ENOEXEC && r != -ENOTDIR && !err_is_machines(e))
		e->code = -EAGAIN;
	return e->code;
}

int spawn_start(struct spawned *s, const struct spawn *how, struct err *e)
{
	_cleanup_close_ int read_end = -1, write_end = -1;
	const char **env = make_env(how);
	struct not_started why = { 0 };
	pid_t parent = getpid();
	ssize_t n;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	read_end = p[0];
	write_end = p[1];
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		return cannot_start(how, (struct not_started){ -errno, false }, e);
	}
	if (s->pid == 0) {
		why = become(how, unconst(env), parent);
		n = write(write_end, &why, sizeof(why));
		_exit(n == sizeof(why) ? CLASS_FAILED : CLASS_HOST);
	}
	closep(&write_end);
	do
		n = read(read_end, &why, sizeof(why)); /* nothing comes when the program has taken over */
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n < 0)
		why.code = -errno;
	spawn_stop(s, 1);
	return cannot_start(how, why, e);
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
