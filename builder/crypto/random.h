/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness of the kernel as text; the only source of passwords. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include "base/err.h"
#include "base/util.h"

/* N random bytes (at most 64) as 2N lower-case hex digits on the arena: no K3s token parser can take them for
 * anything but a bare password. A kernel without randomness is an error, never a weaker value. */
int random_hex(size_t n, const char **ret, struct err *e);

#endif
