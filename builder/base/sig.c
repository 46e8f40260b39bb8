/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sig.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static atomic_int caught; /* threads look at it too */

static void on_signal(int n)
{
	caught = n;
}

void sig_die(const char *what, const char *detail)
{
	const char *const parts[] = { "pibuild: error: ", what, detail, "\n" };
	ssize_t n = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && n >= 0; i++)
		n = write(STDERR_FILENO, parts[i], strlen(parts[i]));
	_exit(CLASS_FAILED);
}

#ifndef PIBUILD_SANITIZED /* which have more to say of a crash */

static void on_crash(int n)
{
	sig_die("crashed by a fault of pibuild or of a library, not of what you wrote; nothing unfinished has a final name. Run it again; where it crashes again, report it with the command and all it said: SIG",
		sigabbrev_np(n));
}

/* On a stack of its own, as the other may be what ran out. */
static void catch_crashes(void)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	static char stack[64 * 1024];
	const stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction a = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND };

	sigaltstack(&own, NULL);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &a, NULL);
}

#else
static void catch_crashes(void)
{
}
#endif

/* nohup(1) */
static bool is_to_outlive_terminal(void)
{
	struct sigaction now;

	return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* What is ignored or held back is inherited from whoever started us. */
void sig_install(void)
{
	static const int stop[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a = { .sa_handler = on_signal };
	bool nohup = is_to_outlive_terminal();
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < sizeof(stop) / sizeof(stop[0]); i++) {
		if (stop[i] != SIGHUP || !nohup)
			sigaction(stop[i], &a, NULL);
		sigaddset(&held, stop[i]);
	}
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	signal(SIGCHLD, SIG_DFL); /* ignored, no program that we start has an end that waitpid() tells of */
	catch_crashes();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

int sig_caught(void)
{
	return caught;
}

int sig_check(struct err *e)
{
	return caught ? err_set(e, -EINTR, "interrupted by SIG%s", sigabbrev_np(caught)) : 0;
}

enum { PAUSE_PIECE_MS = 100 };

/* In pieces: a signal that comes to another thread, or just before, wakes nobody here. */
int sig_pause(double seconds, struct err *e)
{
	int r = sig_check(e);

	for (double left = seconds * 1000; r == 0 && left > 0; left -= PAUSE_PIECE_MS) {
		poll(NULL, 0, PAUSE_PIECE_MS);
		r = sig_check(e);
	}
	return r;
}
