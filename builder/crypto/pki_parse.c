/* SPDX-License-Identifier: Apache-2.0 */
/* PEM as text into libcrypto's handles, and its errors into ours. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/pki_internal.h"

int pki_fault(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, -EINVAL, "%s%s%s%s", what, reason ? " (" : "", str_or(reason, ""), reason ? ")" : "");
}

/* libcrypto's own would ask on the terminal. */
static int pki_parse_no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

/* RET is NULL at the end of the text. */
static int next_cert(BIO *b, X509 **ret, struct err *e)
{
	*ret = PEM_read_bio_X509(b, NULL, pki_parse_no_passphrase, NULL);
	if (*ret)
		return 0;
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return pki_fault(e, "the certificate is damaged");
	ERR_clear_error();
	return 0;
}

int pki_parse_cert(const char *pem, X509 **ret, struct err *e)
{
	_cleanup_bio_ BIO *b = BIO_new_mem_buf(pem, -1);
	_cleanup_x509_ X509 *first = NULL, *second = NULL;
	int r;

	if (!b)
		return pki_fault(e, "cannot read a certificate");
	r = next_cert(b, &first, e);
	if (r == 0 && first)
		r = next_cert(b, &second, e);
	if (r < 0)
		return r;
	if (!first)
		return err_set(e, -EINVAL, "no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
	if (second)
		return err_set(e, -EINVAL, "more than one certificate; it must be exactly one");
	*ret = first;
	first = NULL;
	return 0;
}

int pki_parse_key(const char *pem, EVP_PKEY **ret, struct err *e)
{
	_cleanup_bio_ BIO *b = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, pki_parse_no_passphrase, NULL) : NULL;

	if (!key && strstr(pem, "ENCRYPTED"))
		return pki_fault(e, "the private key is encrypted with a passphrase");
	if (!key)
		return pki_fault(e, strstr(pem, " PRIVATE KEY-----")
					    ? "the private key is damaged"
					    : "no private key in PEM form (-----BEGIN ... PRIVATE KEY-----)");
	*ret = key;
	return 0;
}
