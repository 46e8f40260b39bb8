/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 as a stream and as a value; the only digest pibuild trusts anything by. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/err.h"
#include "base/util.h"

#define SHA256_HEX 65 /* 64 lower-case hex digits and NUL */

struct sha256 {
	void *ctx;
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t n);
/* Ends the stream and frees it. */
void sha256_final(struct sha256 *s, char hex[SHA256_HEX]);
void sha256_done(struct sha256 *s); /* frees without a result; fine after final */
/* TO becomes a second stream at the state of FROM: to know the digest so far and go on. */
void sha256_copy(struct sha256 *to, const struct sha256 *from);

void sha256_bytes(const void *data, size_t n, char hex[SHA256_HEX]);
/* Adds the first SIZE bytes of FD, or all when it is shorter; its position stays. Checks for signals. */
int sha256_add_fd(struct sha256 *s, int fd, uint64_t size, const char *name, struct err *e);
/* Of FD from its start to its end. */
int sha256_fd(int fd, const char *name, char hex[SHA256_HEX], struct err *e);
/* 64 lower-case hex digits, nothing else. */
bool sha256_valid(const char *hex);

#endif
