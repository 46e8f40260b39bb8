/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness that can be made to fail: this getrandom() stands before libc's. */
#ifndef TESTS_RANDOMNESS_H
#define TESTS_RANDOMNESS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool no_randomness;
ssize_t getrandom(void *buf, size_t n, unsigned flags);
ssize_t getrandom(void *buf, size_t n, unsigned flags)
{
	if (no_randomness) {
		errno = ENOSYS;
		return -1;
	}
	return syscall(SYS_getrandom, buf, n, flags);
}

#endif
