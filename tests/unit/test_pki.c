/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates: what is made passes, and each way of damage is named. `openssl` judges them in secrets.bats.
 */
#include <errno.h>

#include "check.h"
#include "crypto/pki.h"
#include "crypto/random.h"
#include "randomness.h"

static const struct pki_time day = { 1767225600, 1767225600 + 86400 };
static const struct pki_time longer = { 1767225600, 1767225600 + 86401 };
static struct key_pair ca, other_ca, admin;
static struct err e;

static const char *ca_fault(const char *cert, const char *key)
{
	struct key_pair pair = { cert, key };

	e = (struct err){ 0 };
	return pki_check_ca(&pair, &e) < 0 ? e.msg : "";
}

static const char *client_fault(const struct key_pair *client, const struct key_pair *by)
{
	e = (struct err){ 0 };
	return pki_check_client(client, by, "system:admin", "system:masters", &e) < 0 ? e.msg : "";
}

/* PEM with one letter of its body changed for another. */
static const char *damaged(const char *pem, size_t at)
{
	char *copy = arena_strdup(pem);

	copy[at] = copy[at] == 'A' ? 'B' : 'A';
	return copy;
}

static void test_ca(void)
{
	CASE("a made CA passes, with its name and lifetime")
	{
		struct pki_cert c;

		CHECK_STR(ca_fault(ca.cert, ca.key), "");
		CHECK_ERR(pki_read_cert(ca.cert, &c, &e), 0);
		CHECK_STR(c.common_name, "test-ca@1");
		CHECK_INT(c.valid.from, day.from);
		CHECK_INT(c.valid.to, day.to);
		CHECK(sha256_valid(c.sha256));
	}
	CASE("keys have the forms K3s writes")
	{
		CHECK(starts_with(ca.key, "-----BEGIN EC PRIVATE KEY-----\n"));
		CHECK(ends_with(ca.key, "-----END EC PRIVATE KEY-----\n"));
		CHECK(starts_with(ca.cert, "-----BEGIN CERTIFICATE-----\n"));
		CHECK(ends_with(ca.cert, "-----END CERTIFICATE-----\n"));
	}
	CASE("no two CAs are alike")
	{
		CHECK(!streq(ca.cert, other_ca.cert));
		CHECK(!streq(ca.key, other_ca.key));
	}
	CASE("a key of another certificate is refused")
	CHECK_STR(ca_fault(ca.cert, other_ca.key), "the private key does not belong to the certificate");
	CASE("two certificates are refused: the token's hash is of exactly one")
	CHECK(strstr(ca_fault(arena_printf("%s%s", ca.cert, other_ca.cert), ca.key), "exactly one"));
	CASE("text without a certificate or key is refused")
	{
		CHECK(strstr(ca_fault("", ca.key), "no certificate"));
		CHECK(strstr(ca_fault(ca.key, ca.key), "no certificate"));
		CHECK(strstr(ca_fault(ca.cert, ca.cert), "no private key"));
	}
	CASE("an encrypted key is refused without asking for a passphrase")
	CHECK(strstr(ca_fault(ca.cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n"
				       "-----END ENCRYPTED PRIVATE KEY-----\n"),
		     "encrypted"));
	CASE("a client certificate is no CA")
	CHECK(strstr(ca_fault(admin.cert, admin.key), "no CA"));
}

static void test_damage(void)
{
	CASE("a letter changed anywhere in a CA's certificate or key is seen")
	{
		size_t start = strlen("-----BEGIN CERTIFICATE-----\n");
		size_t end = (size_t)(strstr(ca.cert, "-----END") - ca.cert);

		/* The last letters may hold bits that are no part of the value. */
		for (size_t i = start; i < end - 5; i++)
			if (ca.cert[i] != '\n' && !*ca_fault(damaged(ca.cert, i), ca.key))
				CHECK_FAILED("certificate: letter %zu", i);
		CHECK(*ca_fault(arena_strndup(ca.cert, end), ca.key));
		CHECK(*ca_fault(ca.cert, arena_strndup(ca.key, strlen(ca.key) / 2)));
		CHECK(*ca_fault(ca.cert, damaged(ca.key, strlen("-----BEGIN EC PRIVATE KEY-----\n") + 20)));
	}
}

static void test_client(void)
{
	struct key_pair pair;

	CASE("a made client certificate passes")
	CHECK_STR(client_fault(&admin, &ca), "");
	CASE("a client certificate of another CA is refused")
	CHECK(strstr(client_fault(&admin, &other_ca), "not signed by"));
	CASE("a client certificate with another name or group is refused")
	{
		CHECK_ERR(pki_make_client(&ca, "system:admin", "system:nodes", day, &pair, &e), 0);
		CHECK(strstr(client_fault(&pair, &ca), "O=system:masters"));
		CHECK_ERR(pki_make_client(&ca, "root", "system:masters", day, &pair, &e), 0);
		CHECK(strstr(client_fault(&pair, &ca), "CN=system:admin"));
	}
	CASE("a client certificate that outlives its CA is refused")
	{
		CHECK_ERR(pki_make_client(&ca, "system:admin", "system:masters", longer, &pair, &e), 0);
		CHECK(strstr(client_fault(&pair, &ca), "longer than the CA"));
	}
	CASE("a CA is no client certificate")
	CHECK(strstr(client_fault(&ca, &ca), "clientAuth"));
}

static void test_rsa(void)
{
	const char *pem = NULL;

	CASE("the service account key is RSA in PKCS#1 form")
	{
		CHECK_ERR(pki_make_rsa_key(&pem, &e), 0);
		CHECK(pem && starts_with(pem, "-----BEGIN RSA PRIVATE KEY-----\n"));
		CHECK_ERR(pki_check_rsa_key(pem, &e), 0);
	}
	CASE("an RSA key with a letter changed is refused")
	for (size_t i = 60; pem && i < 1600; i += 97)
		if (pem[i] != '\n' && pki_check_rsa_key(damaged(pem, i), &e) == 0)
			CHECK_FAILED("letter %zu", i);
	CASE("a key of another kind, or none, is refused")
	{
		CHECK_ERR(pki_check_rsa_key(ca.key, &e), EINVAL);
		CHECK(strstr(e.msg, "RSA key of 2048 bits"));
		CHECK_ERR(pki_check_rsa_key("nothing", &e), EINVAL);
	}
}

static void test_random(void)
{
	const char *a = NULL, *b = NULL;

	CASE("random text is hex, of full length, and never twice the same")
	{
		CHECK_ERR(random_hex(32, &a, &e), 0);
		CHECK_ERR(random_hex(32, &b, &e), 0);
		CHECK(sha256_valid(a) && sha256_valid(b) && !streq(a, b));
	}
	CASE("without randomness of the kernel there is an error and no value")
	{
		a = NULL;
		no_randomness = true;
		CHECK_ERR(random_hex(32, &a, &e), ENOSYS);
		CHECK(!a);
		no_randomness = false;
	}
}

int main(void)
{
	if (pki_make_ca("test-ca@1", day, &ca, &e) < 0 || pki_make_ca("test-ca@1", day, &other_ca, &e) < 0 ||
	    pki_make_client(&ca, "system:admin", "system:masters", day, &admin, &e) < 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	test_ca();
	test_damage();
	test_client();
	test_rsa();
	test_random();
	CASE("base64 is one line with padding")
	{
		CHECK_STR(pki_base64(""), "");
		CHECK_STR(pki_base64("a"), "YQ==");
		CHECK_STR(pki_base64("abc\n"), "YWJjCg==");
	}
	arena_done();
	return check_done();
}
