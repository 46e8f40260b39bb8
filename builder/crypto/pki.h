/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates as K3s wants them, through libcrypto. Everything goes in and out as PEM text on the arena;
 * no file is touched and nothing is asked for (an encrypted key is an error, not a prompt).
 *
 * Keys are EC P-256 in SEC1 form ("EC PRIVATE KEY") and RSA 2048 in PKCS#1 form ("RSA PRIVATE KEY"), the forms K3s
 * itself writes. Each CA is one self-signed certificate with SubjectKeyId and AuthorityKeyId and without extended key
 * usage: k3s compares the key ids of its leafs, and checks CA bundles under Go's default usage (serverAuth).
 */
#ifndef CRYPTO_PKI_H
#define CRYPTO_PKI_H

#include "base/err.h"
#include "base/util.h"
#include "crypto/digest.h"

/* PEM text as it lands on the card, byte for byte: a token's CA hash is over these bytes. */
struct key_pair {
	const char *cert, *key;
};

/* Seconds since 1970; both ends are part of it. */
struct pki_time {
	int64_t from, to;
};

/* ---- making ---- */

int pki_make_ca(const char *common_name, struct pki_time valid, struct key_pair *ret, struct err *e);
/* A client certificate (EKU clientAuth) signed by CA. */
int pki_make_client(const struct key_pair *ca, const char *common_name, const char *organization, struct pki_time valid,
		    struct key_pair *ret, struct err *e);
int pki_make_rsa_key(const char **ret_pem, struct err *e);
/*
 * A CA that people tell their devices to trust. It signs for servers and clients whose DNS names are one of the N ZONES
 * (host names, checked) or lie below one, for no address, and for no further CA. The name constraints are critical (RFC
 * 5280, 4.2.1.10); the extended key usage keeps it from code and mail on systems that ask a root what it is for.
 */
int pki_make_zone_ca(const char *common_name, const char *const *zones, size_t n, struct pki_time valid,
		     struct key_pair *ret, struct err *e);

/* ---- judging what came from a file ---- */

/* Exactly one certificate that is a self-signed CA of the form above, and the key that fits it. */
int pki_check_ca(const struct key_pair *ca, struct err *e);
/* A client certificate with these names, signed by CA and valid within its time, and the key that fits it. */
int pki_check_client(const struct key_pair *client, const struct key_pair *ca, const char *common_name,
		     const char *organization, struct err *e);
/* Exactly one certificate that is a CA of pki_make_zone_ca(), and the key that fits it. */
int pki_check_zone_ca(const struct key_pair *ca, struct err *e);
/* The zones of such a certificate in its order, NULL at the end, on the arena. */
int pki_read_zones(const char *pem, const char *const **ret, struct err *e);
/* A private RSA key of 2048 bits or more. */
int pki_check_rsa_key(const char *pem, struct err *e);

struct pki_cert {
	char sha256[SHA256_HEX]; /* of the DER form, as `openssl x509 -fingerprint -sha256` shows it */
	const char *common_name; /* "" when there is none */
	struct pki_time valid;
};
int pki_read_cert(const char *pem, struct pki_cert *ret, struct err *e);

/* Base64 of TEXT in one line, as kubeconfigs carry it, on the arena. */
char *pki_base64(const char *text);

#endif
