/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of a shell: they make what a test looks at, and judge what came of it. */
#ifndef TESTS_SHELL_H
#define TESTS_SHELL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static inline __attribute__((format(printf, 1, 0))) int shell_run(const char *fmt, va_list ap)
{
	char cmd[4096];

	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	return system(cmd);
}

/* 0 when it ends well. */
static inline __attribute__((format(printf, 1, 2))) int sh(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = shell_run(fmt, ap);
	va_end(ap);
	return r;
}

/* Without which there is nothing to test. */
static inline __attribute__((format(printf, 1, 2))) void must_sh(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = shell_run(fmt, ap);
	va_end(ap);
	if (r == 0)
		return;
	printf("Bail out! a command failed: %s\n", fmt);
	exit(1);
}

#endif
