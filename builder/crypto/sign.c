/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "crypto/pki_internal.h"

enum { KEY_LIMIT = 16 * 1024 };

struct sign_key {
	EVP_PKEY *pkey;
};

void sign_key_free(struct sign_key *k)
{
	EVP_PKEY_free(k->pkey);
	free(k);
}

/* libcrypto asks at the terminal when it has no such function. */
static int sign_no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static int take_key(EVP_PKEY *pkey, const char *path, const char *what, struct sign_key **ret, struct err *e)
{
	ERR_clear_error();
	if (!pkey || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(pkey);
		return err_class(e, CLASS_CONFIG, "%s is no %s in PEM form; `pibuild sign --new-key FILE` makes a pair",
				 path, what);
	}
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->pkey = pkey;
	return 0;
}

static int sign_check_private(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the key %s", path);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_CONFIG, "the key %s is no regular file", path);
	if (st.st_mode & 077)
		return err_class(
			e, CLASS_REFUSED,
			"the key %s can be read by others: chmod 600 %s, and make a new key if anybody else uses this machine",
			path, shell_word(path));
	return 0;
}

int sign_key_open(const char *path, struct sign_key **ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_bio_ BIO *b = NULL;
	EVP_PKEY *pkey;
	char *text;
	size_t n;
	int r;

	if (fd < 0) {
		err_errno(e, -errno, "the key %s cannot be read", path);
		return err_blame(e, CLASS_CONFIG);
	}
	r = sign_check_private(fd, path, e);
	if (r < 0)
		return r;
	r = file_read_fd(fd, path, KEY_LIMIT, &text, &n, e);
	if (r < 0)
		return r;
	if (strstr(text, "ENCRYPTED")) {
		free(text);
		return err_class(
			e, CLASS_CONFIG,
			"the key %s is encrypted, and pibuild asks for no passphrase: decrypt it with `openssl pkey -in %s -out FILE` into a FILE that only you can read",
			path, shell_word(path));
	}
	b = BIO_new_mem_buf(text, (int)n);
	pkey = b ? PEM_read_bio_PrivateKey(b, NULL, sign_no_passphrase, NULL) : NULL;
	explicit_bzero(text, n);
	free(text);
	return take_key(pkey, path, "private Ed25519 key", ret, e);
}

int sign_pub_open(const char *path, struct sign_key **ret, struct err *e)
{
	_cleanup_bio_ BIO *b = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read(path, KEY_LIMIT, &text, &n, e);

	if (r < 0) {
		err_errno(e, r, "the public key cannot be read: %s", path);
		return err_blame(e, CLASS_CONFIG);
	}
	b = BIO_new_mem_buf(text, (int)n);
	return take_key(b ? PEM_read_bio_PUBKEY(b, NULL, sign_no_passphrase, NULL) : NULL, path, "public Ed25519 key",
			ret, e);
}

static int publish_bio(BIO *b, const char *path, mode_t mode, struct err *e)
{
	char *data;
	long n = BIO_get_mem_data(b, &data);

	return file_publish(path, data, (size_t)n, mode, e);
}

static int write_pair(EVP_PKEY *pkey, const char *path, const char *pub, struct err *e)
{
	_cleanup_bio_ BIO *private = BIO_new(BIO_s_mem()), *public = BIO_new(BIO_s_mem());
	int r;

	if (!private || !public || !PEM_write_bio_PKCS8PrivateKey(private, pkey, NULL, NULL, 0, NULL, NULL) ||
	    !PEM_write_bio_PUBKEY(public, pkey))
		return pki_fault(e, "cannot write the key");
	r = publish_bio(private, path, 0600, e);
	return r < 0 ? r : publish_bio(public, pub, 0644, e);
}

int sign_new_key(const char *path, struct err *e)
{
	const char *const files[] = { path, arena_printf("%s.pub", path) };
	EVP_PKEY *pkey;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		r = file_ask(files[i], e);
		if (r < 0)
			return r;
		if (r > 0)
			return err_class(
				e, CLASS_REFUSED,
				"%s is there already; what was signed with it could no longer be checked: choose another name",
				files[i]);
	}
	pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!pkey)
		return pki_fault(e, "cannot make an Ed25519 key");
	r = write_pair(pkey, path, files[1], e);
	EVP_PKEY_free(pkey);
	return r;
}

int sign_make(const struct sign_key *k, const void *data, size_t n, unsigned char sig[SIGNATURE_SIZE], struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_SIZE;
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
		  EVP_DigestSign(ctx, sig, &len, data, n) == 1 && len == SIGNATURE_SIZE;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : pki_fault(e, "cannot sign");
}

bool sign_valid(const struct sign_key *k, const void *data, size_t n, const void *sig, size_t sig_n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
		  EVP_DigestVerify(ctx, sig, sig_n, data, n) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
