/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of authorized_keys: "TYPE BASE64 [COMMENT]". The blob is a row of strings, each with a 32-bit big-endian
 * length before it; the first repeats the type (RFC 4253 6.6). Walking it to its end finds keys cut off by a paste.
 */
#include <ctype.h>

#include "config/values.h"
#include "crypto/digest.h"

static const struct {
	const char *type;
	unsigned strings; /* in the blob, type included */
} key_types[] = {
	{ "ssh-ed25519", 2 },
	{ "ssh-rsa", 3 },
	{ "ecdsa-sha2-nistp256", 3 },
	{ "ecdsa-sha2-nistp384", 3 },
	{ "ecdsa-sha2-nistp521", 3 },
	{ "sk-ssh-ed25519@openssh.com", 3 },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", 4 },
};

static const char damaged[] = "the key is cut off or damaged; copy the whole line of the .pub file";

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* False unless the N characters are whole base64; OUT takes N / 4 * 3 bytes. */
static bool base64_decode(const char *s, size_t n, unsigned char *out, size_t *ret_n)
{
	size_t len = 0;

	if (!n || n % 4)
		return false;
	for (size_t i = 0; i < n; i += 4) {
		unsigned pad = i + 4 == n ? (unsigned)(s[i + 3] == '=') + (s[i + 3] == '=' && s[i + 2] == '=') : 0;
		uint32_t v = 0;

		for (unsigned k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : base64_digit(s[i + k]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		for (unsigned k = 0; k < 3 - pad; k++)
			out[len++] = (unsigned char)(v >> (16 - 8 * k));
	}
	*ret_n = len;
	return true;
}

/* Keys that stood in pibuild's own configs/ once, by the SHA-256 of the blob, which `ssh-keygen -lf` prints in base64.
 * Who copied such a file would let their owners in. */
static const struct {
	const char *sha256, *whose;
} example_keys[] = {
	/* SHA256:4qQV7VbacVFqotHtcJV3FfKqQrDRiPlZHBK8cYWM48Y */
	{ "e2a415ed56da71516aa2d1ed70957715f2aa42b0d188f9591c12bc71858ce3c6", "homelab.yaml and its like" },
	/* SHA256:If1dNzRSP796TTz+EvUb0zq8rkAKwJ41OynjW8yKBQs */
	{ "21fd5d3734523fbf7a4d3cfe12f51bd33abcae400ac09e353b29e35bcc8a050b", "demo.yaml" },
};

static const char *example_fault(const unsigned char *blob, size_t n)
{
	char sha256[SHA256_HEX];

	sha256_bytes(blob, n, sha256);
	for (size_t i = 0; i < ARRAY_SIZE(example_keys); i++)
		if (streq(sha256, example_keys[i].sha256))
			return arena_printf("this is no key of yours but that of an example of pibuild (%s), whose "
					    "owner could log in; give your own: {file: ~/.ssh/id_ed25519.pub}, made "
					    "by `ssh-keygen -t ed25519`",
					    example_keys[i].whose);
	return NULL;
}

static const char *blob_fault(const unsigned char *blob, size_t n, const char *type, unsigned strings)
{
	for (unsigned i = 0; i < strings; i++) {
		size_t len;

		if (n < 4)
			return damaged;
		len = (size_t)blob[0] << 24 | (size_t)blob[1] << 16 | (size_t)blob[2] << 8 | blob[3];
		if (len > n - 4)
			return damaged;
		if (i == 0 && (len != strlen(type) || memcmp(blob + 4, type, len) != 0))
			return "the key inside is of another type than the word before it; copy the whole line again";
		if (i == 1 && streq(type, "ssh-ed25519") && len != 32)
			return damaged;
		blob += 4 + len;
		n -= 4 + len;
	}
	return n ? damaged : NULL;
}

static const char *base64_fault(const char *b64, const char *type, unsigned strings)
{
	size_t len = strcspn(b64, " \t"), n;
	_cleanup_free_ unsigned char *blob = xmalloc(len + 4);
	const char *why;

	if (!base64_decode(b64, len, blob, &n))
		return damaged;
	why = blob_fault(blob, n, type, strings);
	return why ? why : example_fault(blob, n);
}

const char *value_ssh_key_fault(const char *line)
{
	size_t n = strcspn(line, " \t");

	if (strstr(line, "PRIVATE KEY"))
		return "this is a private key, which must never leave your computer; give the .pub file beside it";
	for (const char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return "one key per entry, on one line";
	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++) {
		const char *type = key_types[i].type;

		if (strlen(type) == n && strncmp(line, type, n) == 0)
			return base64_fault(line + n + strspn(line + n, " \t"), type, key_types[i].strings);
	}
	if (starts_with(line, "ssh-dss "))
		return "DSA keys are no longer accepted by OpenSSH; make a new one: ssh-keygen -t ed25519";
	return "expected 'ssh-ed25519 AAAA... comment' (or ssh-rsa, ecdsa-sha2-*, sk-*), without options before it";
}
