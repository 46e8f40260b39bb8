/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 signatures (RFC 8032) over whole small files, with keys in the PEM forms that `openssl genpkey -algorithm
 * ed25519` and `openssl pkey -pubout` write. Anybody can check one:
 *
 *	openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in FILE -sigfile FILE.sig
 */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/err.h"
#include "base/util.h"

enum { SIGNATURE_SIZE = 64 };

struct sign_key;

/* Makes PATH (PKCS#8, 0600) and PATH.pub; class REFUSED when either is there. */
int sign_new_key(const char *path, struct err *e);

/* The private key in PATH. Class REFUSED when others can read the file, class CONFIG when it is no Ed25519 key or is
 * encrypted: nothing is asked for. Freed, and wiped, by sign_key_free(). */
int sign_key_open(const char *path, struct sign_key **ret, struct err *e);
/* The public key in PATH. */
int sign_pub_open(const char *path, struct sign_key **ret, struct err *e);
void sign_key_free(struct sign_key *k);
static inline void sign_key_freep(struct sign_key **k)
{
	if (*k)
		sign_key_free(*k);
}

int sign_make(const struct sign_key *k, const void *data, size_t n, unsigned char sig[SIGNATURE_SIZE], struct err *e);
/* Takes private and public keys. */
bool sign_valid(const struct sign_key *k, const void *data, size_t n, const void *sig, size_t sig_n);

#endif
