/* SPDX-License-Identifier: Apache-2.0 */
/* What making and judging share: libcrypto's handles, their release, its error queue turned into a sentence. */
#ifndef CRYPTO_PKI_INTERNAL_H
#define CRYPTO_PKI_INTERNAL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/pki.h"

static inline void bio_freep(BIO **b)
{
	BIO_free(*b);
}
static inline void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}
static inline void x509_freep(X509 **c)
{
	X509_free(*c);
}
#define _cleanup_bio_  _cleanup_(bio_freep)
#define _cleanup_pkey_ _cleanup_(pkey_freep)
#define _cleanup_x509_ _cleanup_(x509_freep)

/* Sets the message with libcrypto's first reason appended, empties its queue, returns -EINVAL. */
int pki_fault(struct err *e, const char *what);

int pki_parse_cert(const char *pem, X509 **ret, struct err *e);
int pki_parse_key(const char *pem, EVP_PKEY **ret, struct err *e);

#endif
