/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <errno.h>
#include <openssl/evp.h>

#include "base/sig.h"

/* Fetching the algorithm or an allocation failed: there is no digest to go on with, as with no memory. */
static void must(int ok)
{
	if (ok == 1)
		return;
	fputs("pibuild: libcrypto cannot compute SHA-256\n", stderr);
	_exit(1);
}

void sha256_init(struct sha256 *s)
{
	s->ctx = EVP_MD_CTX_new();
	must(s->ctx != NULL);
	must(EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL));
}

void sha256_copy(struct sha256 *to, const struct sha256 *from)
{
	to->ctx = EVP_MD_CTX_new();
	must(to->ctx != NULL);
	must(EVP_MD_CTX_copy_ex(to->ctx, from->ctx));
}

void sha256_update(struct sha256 *s, const void *data, size_t n)
{
	must(EVP_DigestUpdate(s->ctx, data, n));
}

void sha256_final(struct sha256 *s, char hex[SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	must(EVP_DigestFinal_ex(s->ctx, md, &n));
	must(n == SHA256_HEX / 2);
	for (unsigned i = 0; i < n; i++) {
		hex[2 * i] = digits[md[i] >> 4];
		hex[2 * i + 1] = digits[md[i] & 15];
	}
	hex[2 * n] = '\0';
	sha256_done(s);
}

void sha256_done(struct sha256 *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

void sha256_bytes(const void *data, size_t n, char hex[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, data, n);
	sha256_final(&s, hex);
}

int sha256_add_fd(struct sha256 *s, int fd, uint64_t size, const char *name, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(MIB);
	uint64_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, buf, MIN(size - at, MIB), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "cannot read %s", name);
		if (n == 0)
			break;
		sha256_update(s, buf, (size_t)n);
		at += (uint64_t)n;
		if (sig_check(e) < 0)
			return -EINTR;
	}
	return 0;
}

int sha256_fd(int fd, const char *name, char hex[SHA256_HEX], struct err *e)
{
	_cleanup_(sha256_done) struct sha256 s;
	int r;

	sha256_init(&s);
	r = sha256_add_fd(&s, fd, UINT64_MAX, name, e);
	if (r < 0)
		return r;
	sha256_final(&s, hex);
	return 0;
}

bool sha256_valid(const char *hex)
{
	return strlen(hex) == SHA256_HEX - 1 && strspn(hex, "0123456789abcdef") == SHA256_HEX - 1;
}
