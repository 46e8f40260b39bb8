/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

enum { MAX_BYTES = 64 }; /* getrandom() gives up to 256 bytes whole or not at all */

int random_hex(size_t n, const char **ret, struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[MAX_BYTES];
	ssize_t got;
	char *hex;

	assert(n <= MAX_BYTES);
	do
		got = getrandom(raw, n, 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)n)
		return err_errno(e, got < 0 ? -errno : -EIO, "the kernel gives no random numbers (getrandom)");
	hex = arena_alloc(2 * n + 1);
	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	explicit_bzero(raw, sizeof(raw));
	*ret = hex;
	return 0;
}
