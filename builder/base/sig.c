/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sig.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t caught;

static void on_signal(int n)
{
	caught = n;
}

void sig_install(void)
{
	static const int stop[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(stop) / sizeof(stop[0]); i++)
		sigaction(stop[i], &a, NULL);
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
