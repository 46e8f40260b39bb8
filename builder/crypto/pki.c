/* SPDX-License-Identifier: Apache-2.0 */
/* Making keys and certificates; pki_check.c judges them. */
#include <assert.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/pki_internal.h"

enum { SERIAL_BITS = 127, RSA_BITS = 2048 };

/* ---- to PEM ---- */

static const char *bio_text(BIO *b)
{
	char *data;
	long n = BIO_get_mem_data(b, &data);

	return arena_strndup(data, (size_t)n);
}

static int cert_pem(X509 *cert, const char **ret, struct err *e)
{
	_cleanup_bio_ BIO *b = BIO_new(BIO_s_mem());

	if (!b || !PEM_write_bio_X509(b, cert))
		return pki_fault(e, "cannot write a certificate");
	*ret = bio_text(b);
	return 0;
}

/* The traditional form: SEC1 and PKCS#1 instead of PKCS#8. libcrypto wipes the buffer when it frees it. */
static int key_pem(EVP_PKEY *key, const char **ret, struct err *e)
{
	_cleanup_bio_ BIO *b = BIO_new(BIO_s_mem());

	if (!b || !PEM_write_bio_PrivateKey_traditional(b, key, NULL, NULL, 0, NULL, NULL))
		return pki_fault(e, "cannot write a private key");
	*ret = bio_text(b);
	return 0;
}

/* ---- certificates ---- */

struct extension {
	int nid;
	const char *value;
};

struct cert_form {
	const char *common_name, *organization; /* organization may be NULL */
	struct pki_time valid;
	const struct extension *extensions; /* ends with NID_undef */
};

/* SubjectKeyId stands before AuthorityKeyId: of a self-signed certificate the one is made from the other. */
static const struct extension ca_extensions[] = {
	{ NID_subject_key_identifier, "hash" },
	{ NID_authority_key_identifier, "keyid:always" },
	{ NID_basic_constraints, "critical,CA:TRUE" },
	{ NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign" },
	{ NID_undef, NULL },
};

/* And the name constraints. */
static const struct extension zone_ca_extensions[] = {
	{ NID_subject_key_identifier, "hash" },
	{ NID_authority_key_identifier, "keyid:always" },
	{ NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
	{ NID_key_usage, "critical,keyCertSign,cRLSign" },
	{ NID_ext_key_usage, "serverAuth,clientAuth" },
	{ NID_undef, NULL },
};

static const struct extension client_extensions[] = {
	{ NID_authority_key_identifier, "keyid:always" },
	{ NID_basic_constraints, "critical,CA:FALSE" },
	{ NID_key_usage, "critical,digitalSignature,keyEncipherment" },
	{ NID_ext_key_usage, "clientAuth" },
	{ NID_undef, NULL },
};

/* The highest bit used is set, so that every serial has its full length and is positive. */
static bool set_serial(X509 *cert)
{
	BIGNUM *bn = BN_new();
	bool ok = bn && BN_rand(bn, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
		  BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));

	BN_free(bn);
	return ok;
}

static bool add_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0);
}

static bool set_subject(X509 *cert, const struct cert_form *form)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return (!form->organization || add_name(name, "O", form->organization)) &&
	       add_name(name, "CN", form->common_name);
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct extension *x)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (; x->nid != NID_undef; x++) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, x->nid, x->value);
		bool ok = ext && X509_add_ext(cert, ext, -1);

		X509_EXTENSION_free(ext);
		if (!ok)
			return false;
	}
	return true;
}

/* ISSUER NULL: self-signed. */
static bool fill_cert(X509 *cert, EVP_PKEY *key, const struct cert_form *form, X509 *issuer, EVP_PKEY *issuer_key)
{
	return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) && set_subject(cert, form) &&
	       X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)form->valid.from) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)form->valid.to) && X509_set_pubkey(cert, key) &&
	       add_extensions(cert, issuer ? issuer : cert, form->extensions) &&
	       X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
}

/* On success CERT and KEY are both there, else RET is untouched. */
static int make_pair(const struct cert_form *form, X509 *issuer, EVP_PKEY *issuer_key, struct key_pair *ret,
		     struct err *e)
{
	_cleanup_pkey_ EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_x509_ X509 *cert = X509_new();
	struct key_pair made;
	int r;

	if (!key || !cert || !fill_cert(cert, key, form, issuer, issuer_key))
		return pki_fault(e, arena_printf("cannot make the certificate %s", form->common_name));
	r = cert_pem(cert, &made.cert, e);
	if (r < 0)
		return r;
	r = key_pem(key, &made.key, e);
	if (r < 0)
		return r;
	*ret = made;
	return 0;
}

int pki_make_ca(const char *common_name, struct pki_time valid, struct key_pair *ret, struct err *e)
{
	struct cert_form form = { .common_name = common_name, .valid = valid, .extensions = ca_extensions };

	return make_pair(&form, NULL, NULL, ret, e);
}

int pki_make_zone_ca(const char *common_name, const char *const *zones, size_t n, struct pki_time valid,
		     struct key_pair *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf constraints = { 0 };
	struct extension extensions[ARRAY_SIZE(zone_ca_extensions) + 1];
	struct cert_form form = { .common_name = common_name, .valid = valid, .extensions = extensions };

	strbuf_adds(&constraints, "critical");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&constraints, ",permitted;DNS:%s", zones[i]);
	/* A kind of name that is not spoken of is permitted: no address at all. */
	strbuf_adds(&constraints, ",excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0");
	extensions[0] = (struct extension){ NID_name_constraints, constraints.s };
	memcpy(extensions + 1, zone_ca_extensions, sizeof(zone_ca_extensions));
	return make_pair(&form, NULL, NULL, ret, e);
}

int pki_make_client(const struct key_pair *ca, const char *common_name, const char *organization, struct pki_time valid,
		    struct key_pair *ret, struct err *e)
{
	struct cert_form form = { common_name, organization, valid, client_extensions };
	_cleanup_pkey_ EVP_PKEY *issuer_key = NULL;
	_cleanup_x509_ X509 *issuer = NULL;
	int r = pki_parse_cert(ca->cert, &issuer, e);

	if (r < 0)
		return r;
	r = pki_parse_key(ca->key, &issuer_key, e);
	return r < 0 ? r : make_pair(&form, issuer, issuer_key, ret, e);
}

int pki_make_rsa_key(const char **ret_pem, struct err *e)
{
	_cleanup_pkey_ EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);

	return key ? key_pem(key, ret_pem, e) : pki_fault(e, "cannot make an RSA key");
}

char *pki_base64(const char *text)
{
	size_t n = strlen(text);
	char *out = arena_alloc((n + 2) / 3 * 4 + 1);

	assert(n <= INT32_MAX);
	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
	return out;
}
