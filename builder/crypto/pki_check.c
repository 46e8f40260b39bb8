/* SPDX-License-Identifier: Apache-2.0 */
/* Judging keys and certificates that came from a file: each fault in words about that file, not about ASN.1. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "crypto/pki_internal.h"

enum { MIN_SECURITY_BITS = 112, MIN_RSA_BITS = 2048 };

enum { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_NUMBERS };

/* X * Y = Z modulo M; M NULL: as they are. */
static bool product_is(const BIGNUM *x, const BIGNUM *y, const BIGNUM *z, const BIGNUM *m, BN_CTX *ctx)
{
	BIGNUM *r = BN_new();
	bool ok = r && BN_mul(r, x, y, ctx) && (!m || BN_mod(r, r, m, ctx)) && BN_cmp(r, z) == 0;

	BN_clear_free(r);
	return ok;
}

/* n = p q; e d, q qInv are 1 where they have to be; dP and dQ are d's remainders. Go asks the same of a key.
 * libcrypto's own check also proves the primes, which would take 50 ms of every run. */
static bool rsa_numbers_fit(BIGNUM *const v[RSA_NUMBERS], BN_CTX *ctx)
{
	const BIGNUM *one = BN_value_one();

	return product_is(v[RSA_P], v[RSA_Q], v[RSA_N], NULL, ctx) &&
	       product_is(v[RSA_QINV], v[RSA_Q], one, v[RSA_P], ctx) && BN_sub_word(v[RSA_P], 1) &&
	       BN_sub_word(v[RSA_Q], 1) && product_is(v[RSA_E], v[RSA_D], one, v[RSA_P], ctx) &&
	       product_is(v[RSA_E], v[RSA_D], one, v[RSA_Q], ctx) &&
	       product_is(v[RSA_D], one, v[RSA_DP], v[RSA_P], ctx) &&
	       product_is(v[RSA_D], one, v[RSA_DQ], v[RSA_Q], ctx);
}

static bool rsa_is_whole(EVP_PKEY *key)
{
	static const char *const names[RSA_NUMBERS] = {
		"n", "e", "d", "rsa-factor1", "rsa-factor2", "rsa-exponent1", "rsa-exponent2", "rsa-coefficient1"
	};
	BIGNUM *v[RSA_NUMBERS] = { NULL };
	BN_CTX *ctx = BN_CTX_new();
	bool ok = ctx;

	for (int i = 0; i < RSA_NUMBERS && ok; i++)
		ok = EVP_PKEY_get_bn_param(key, names[i], &v[i]);
	ok = ok && rsa_numbers_fit(v, ctx);
	for (int i = 0; i < RSA_NUMBERS; i++)
		BN_clear_free(v[i]);
	BN_CTX_free(ctx);
	return ok;
}

/* The private half makes the public half, which the comparison with a certificate does not look at. */
static bool is_whole(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = EVP_PKEY_is_a(key, "RSA") ? rsa_is_whole(key) : ctx && EVP_PKEY_pairwise_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* Certificate and key, which fit each other and are strong enough. */
static int parse_pair(const struct key_pair *pair, X509 **ret_cert, struct err *e)
{
	_cleanup_x509_ X509 *cert = NULL;
	_cleanup_pkey_ EVP_PKEY *key = NULL;
	int r = pki_parse_cert(pair->cert, &cert, e);

	if (r < 0)
		return r;
	r = pki_parse_key(pair->key, &key, e);
	if (r < 0)
		return r;
	if (!X509_check_private_key(cert, key)) {
		ERR_clear_error();
		return err_set(e, -EINVAL, "the private key does not belong to the certificate");
	}
	if (!is_whole(key))
		return err_set(e, -EINVAL, "the private key is damaged");
	if (EVP_PKEY_get_security_bits(key) < MIN_SECURITY_BITS)
		return err_set(e, -EINVAL, "the key is too weak; use EC P-256");
	*ret_cert = take_ptr(&cert);
	return 0;
}

/* ---- facts of a certificate ---- */

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : INT64_MIN;
}

static struct pki_time validity(const X509 *cert)
{
	return (struct pki_time){ seconds_of(X509_get0_notBefore(cert)), seconds_of(X509_get0_notAfter(cert)) };
}

static bool has_extension(const X509 *cert, int nid)
{
	return X509_get_ext_by_NID(cert, nid, -1) >= 0;
}

static bool is_critical(const X509 *cert, int nid)
{
	int i = X509_get_ext_by_NID(cert, nid, -1);

	return i >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, i));
}

/* First value of NID in the subject on the arena, "" when there is none. */
static const char *subject_text(const X509 *cert, int nid)
{
	const X509_NAME *name = X509_get_subject_name(cert);
	int i = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8;
	const char *text;
	int n;

	if (i < 0)
		return "";
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
	if (n < 0) {
		ERR_clear_error();
		return "";
	}
	text = arena_strndup((char *)utf8, (size_t)n);
	OPENSSL_free(utf8);
	return text;
}

/* ---- rules, as rows ---- */

struct rule {
	bool (*holds)(X509 *cert);
	const char *fault;
};

static bool is_ca(X509 *cert)
{
	return (X509_get_extension_flags(cert) & EXFLAG_CA) && is_critical(cert, NID_basic_constraints);
}

static bool may_sign(X509 *cert)
{
	return has_extension(cert, NID_key_usage) && (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN);
}

static bool has_key_ids(X509 *cert)
{
	const ASN1_OCTET_STRING *subject = X509_get0_subject_key_id(cert);
	const ASN1_OCTET_STRING *authority = X509_get0_authority_key_id(cert);

	return subject && authority && ASN1_OCTET_STRING_cmp(subject, authority) == 0;
}

static bool has_no_usage(X509 *cert)
{
	return !has_extension(cert, NID_ext_key_usage);
}

static bool is_self_signed(X509 *cert)
{
	bool ok = X509_self_signed(cert, 1) == 1;

	ERR_clear_error();
	return ok;
}

static bool has_lifetime(X509 *cert)
{
	struct pki_time t = validity(cert);

	return t.from != INT64_MIN && t.from < t.to;
}

static bool is_for_clients(X509 *cert)
{
	return X509_get_extended_key_usage(cert) != UINT32_MAX && (X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT);
}

static bool has_name_constraints(X509 *cert)
{
	return is_critical(cert, NID_name_constraints);
}

static const struct rule any_ca_rules[] = {
	{ has_lifetime, "the certificate ends before it begins" },
	{ is_ca, "the certificate is no CA (basicConstraints critical, CA:TRUE)" },
	{ may_sign, "the CA may not sign certificates (keyUsage keyCertSign)" },
	{ is_self_signed, "the CA is not self-signed, or its signature is wrong" },
};

static const struct rule k3s_ca_rules[] = {
	{ has_no_usage, "the CA has an extended key usage; K3s then takes another hash of it on some nodes" },
	{ has_key_ids,
	  "SubjectKeyId or AuthorityKeyId is missing or they differ; K3s would make all certificates anew at every start" },
};

static const struct rule zone_ca_rules[] = {
	{ has_name_constraints,
	  "the CA has no critical name constraints: whoever has its key could sign for every name of the internet" },
};

static const struct rule client_rules[] = {
	{ has_lifetime, "the certificate ends before it begins" },
	{ is_for_clients, "the certificate is not for clients (extendedKeyUsage clientAuth)" },
};

static int check_rules(X509 *cert, const struct rule *rules, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!rules[i].holds(cert))
			return err_set(e, -EINVAL, "%s", rules[i].fault);
	return 0;
}

static int check_ca(const struct key_pair *ca, const struct rule *rules, size_t n, struct err *e)
{
	_cleanup_x509_ X509 *cert = NULL;
	int r = parse_pair(ca, &cert, e);

	if (r == 0)
		r = check_rules(cert, any_ca_rules, ARRAY_SIZE(any_ca_rules), e);
	return r < 0 ? r : check_rules(cert, rules, n, e);
}

int pki_check_ca(const struct key_pair *ca, struct err *e)
{
	return check_ca(ca, k3s_ca_rules, ARRAY_SIZE(k3s_ca_rules), e);
}

int pki_check_zone_ca(const struct key_pair *ca, struct err *e)
{
	const char *const *zones;
	int r = check_ca(ca, zone_ca_rules, ARRAY_SIZE(zone_ca_rules), e);

	if (r == 0)
		r = pki_read_zones(ca->cert, &zones, e);
	if (r < 0)
		return r;
	return *zones ? 0 : err_set(e, -EINVAL, "the CA's name constraints permit no zone");
}

static const char *dns_name(const GENERAL_SUBTREE *tree)
{
	const ASN1_STRING *name = tree->base->d.dNSName;

	if (tree->base->type != GEN_DNS)
		return NULL;
	return arena_strndup((const char *)ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name));
}

int pki_read_zones(const char *pem, const char *const **ret, struct err *e)
{
	_cleanup_x509_ X509 *cert = NULL;
	NAME_CONSTRAINTS *constraints;
	VEC(const char *) zones = { 0 };
	int r = pki_parse_cert(pem, &cert, e);

	if (r < 0)
		return r;
	constraints = X509_get_ext_d2i(cert, NID_name_constraints, NULL, NULL);
	for (int i = 0; constraints && i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
		const char *zone = dns_name(sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i));

		if (zone)
			*vec_push(&zones) = zone;
	}
	NAME_CONSTRAINTS_free(constraints);
	ERR_clear_error();
	*vec_push(&zones) = NULL;
	*ret = zones.v;
	return 0;
}

static int pki_check_names(const X509 *cert, const char *common_name, const char *organization, struct err *e)
{
	if (streq(subject_text(cert, NID_commonName), common_name) &&
	    streq(subject_text(cert, NID_organizationName), organization))
		return 0;
	return err_set(e, -EINVAL, "the certificate is not for CN=%s, O=%s", common_name, organization);
}

static int check_issuer(X509 *cert, X509 *issuer, struct err *e)
{
	struct pki_time own = validity(cert), outer = validity(issuer);

	if (X509_check_issued(issuer, cert) != X509_V_OK || X509_verify(cert, X509_get0_pubkey(issuer)) != 1) {
		ERR_clear_error();
		return err_set(e, -EINVAL, "the certificate is not signed by the CA of this file");
	}
	if (own.from < outer.from || own.to > outer.to)
		return err_set(e, -EINVAL, "the certificate is valid longer than the CA that signed it");
	return 0;
}

int pki_check_client(const struct key_pair *client, const struct key_pair *ca, const char *common_name,
		     const char *organization, struct err *e)
{
	_cleanup_x509_ X509 *cert = NULL, *issuer = NULL;
	int r = parse_pair(client, &cert, e);

	if (r < 0)
		return r;
	r = pki_parse_cert(ca->cert, &issuer, e);
	if (r < 0)
		return r;
	r = check_rules(cert, client_rules, ARRAY_SIZE(client_rules), e);
	if (r < 0)
		return r;
	r = pki_check_names(cert, common_name, organization, e);
	return r < 0 ? r : check_issuer(cert, issuer, e);
}

int pki_check_rsa_key(const char *pem, struct err *e)
{
	_cleanup_pkey_ EVP_PKEY *key = NULL;
	int r = pki_parse_key(pem, &key, e);

	if (r < 0)
		return r;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < MIN_RSA_BITS)
		return err_set(e, -EINVAL, "must be an RSA key of %d bits or more", MIN_RSA_BITS);
	return is_whole(key) ? 0 : err_set(e, -EINVAL, "the private key is damaged");
}

int pki_read_cert(const char *pem, struct pki_cert *ret, struct err *e)
{
	_cleanup_x509_ X509 *cert = NULL;
	unsigned char *der = NULL;
	int n, r = pki_parse_cert(pem, &cert, e);

	if (r < 0)
		return r;
	n = i2d_X509(cert, &der);
	if (n < 0)
		return pki_fault(e, "cannot read the certificate");
	sha256_bytes(der, (size_t)n, ret->sha256);
	OPENSSL_free(der);
	ret->common_name = subject_text(cert, NID_commonName);
	ret->valid = validity(cert);
	return 0;
}
