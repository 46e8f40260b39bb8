/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of authorized_keys: "TYPE BASE64 [COMMENT]". The blob is a row of strings, each with a 32-bit big-endian
 * length before it; the first repeats the type (RFC 4253 6.6). Walking it to its end finds keys cut off by a paste.
 */
#include <ctype.h>

#include "base/file.h"
#include "config/values.h"
#include "crypto/digest.h"

/* What a string of the blob holds, in the order of "Public Key Algorithms" of RFC 4253, 5656, 8709 and OpenSSH's
 * PROTOCOL.u2f. */
enum key_part { PART_END, PART_ANY, PART_TEXT, PART_32, PART_POINT, PART_MODULUS };

struct key_type {
	const char *type;
	enum key_part parts[4]; /* after the type */
	const char *curve;	/* PART_TEXT */
	size_t point;		/* bytes of an uncompressed point */
};
static const struct key_type key_types[] = {
	{ "ssh-ed25519", { PART_32 }, NULL, 0 },
	{ "ssh-rsa", { PART_ANY, PART_MODULUS }, NULL, 0 },
	{ "ecdsa-sha2-nistp256", { PART_TEXT, PART_POINT }, "nistp256", 65 },
	{ "ecdsa-sha2-nistp384", { PART_TEXT, PART_POINT }, "nistp384", 97 },
	{ "ecdsa-sha2-nistp521", { PART_TEXT, PART_POINT }, "nistp521", 133 },
	{ "sk-ssh-ed25519@openssh.com", { PART_32, PART_ANY }, NULL, 0 },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", { PART_TEXT, PART_POINT, PART_ANY }, "nistp256", 65 },
};

/* sshd refuses what is below its RequiredRSASize, whose default is 1024 (sshd_config(5) of OpenSSH 9.2 and 10.0). More
 * than 16384 it cannot hold (SSHBUF_MAX_BIGNUM in sshbuf.h). */
enum { RSA_REFUSED = 1024, RSA_WEAK = 2048, RSA_MOST = 16384 };

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
			return arena_printf(
				"this is no key of yours but that of an example of pibuild (%s), whose owner could log in; give your own: {file: ~/.ssh/id_ed25519.pub}, made by `ssh-keygen -t ed25519`",
				example_keys[i].whose);
	return NULL;
}

/* The N bytes as a positive number without its leading zeros. */
static size_t bits_of(const unsigned char *s, size_t n)
{
	size_t bits;

	for (; n && !*s; n--)
		s++;
	bits = n * 8;
	for (unsigned top = 0x80; n && top && !(*s & top); top >>= 1)
		bits--;
	return bits;
}

struct blob {
	const unsigned char *s;
	size_t n;
};

/* The string at the start of B, which moves behind it. */
static bool next_string(struct blob *b, struct blob *ret)
{
	size_t len;

	if (b->n < 4)
		return false;
	len = (size_t)b->s[0] << 24 | (size_t)b->s[1] << 16 | (size_t)b->s[2] << 8 | b->s[3];
	if (len > b->n - 4)
		return false;
	*ret = (struct blob){ b->s + 4, len };
	b->s += 4 + len;
	b->n -= 4 + len;
	return true;
}

static bool is_word(struct blob b, const char *word)
{
	return b.n == strlen(word) && !memcmp(b.s, word, b.n);
}

static const char *part_fault(const struct key_type *k, enum key_part part, struct blob b, size_t *ret_bits)
{
	switch (part) {
	case PART_32:
		return b.n == 32 ? NULL : damaged;
	case PART_TEXT:
		return is_word(b, k->curve) ? NULL : damaged;
	case PART_POINT:
		return b.n == k->point && b.s[0] == 4 ? NULL : damaged;
	case PART_MODULUS:
		*ret_bits = bits_of(b.s, b.n);
		if (*ret_bits > RSA_MOST)
			return damaged;
		return *ret_bits >= RSA_REFUSED
			       ? NULL
			       : arena_printf(
					 "sshd refuses RSA keys below %d bits, and this one has %zu; make a new one: ssh-keygen -t ed25519",
					 RSA_REFUSED, *ret_bits);
	case PART_ANY:
	case PART_END:
		break;
	}
	return NULL;
}

static const char *blob_fault(const struct key_type *k, struct blob rest, size_t *ret_bits)
{
	const char *why = NULL;
	struct blob b;

	if (!next_string(&rest, &b))
		return damaged;
	if (!is_word(b, k->type))
		return "the key inside is of another type than the word before it; copy the whole line again";
	for (size_t i = 0; i < ARRAY_SIZE(k->parts) && k->parts[i] && !why; i++)
		why = next_string(&rest, &b) ? part_fault(k, k->parts[i], b, ret_bits) : damaged;
	return !why && rest.n ? damaged : why;
}

static const char *base64_fault(const struct key_type *k, const char *b64, size_t *ret_bits)
{
	size_t len = strcspn(b64, " \t");
	_cleanup_free_ unsigned char *bytes = xmalloc(len + 4);
	struct blob b = { bytes, 0 };
	const char *why;

	if (!base64_decode(b64, len, bytes, &b.n))
		return damaged;
	why = blob_fault(k, b, ret_bits);
	return why ? why : example_fault(b.s, b.n);
}

/* The type whose name the word at LINE is. */
static const struct key_type *type_at(const char *line)
{
	size_t n = strcspn(line, " \t");

	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++)
		if (strlen(key_types[i].type) == n && !strncmp(line, key_types[i].type, n))
			return &key_types[i];
	return NULL;
}

/* ---- what people give instead of a line ---- */

static const char no_private[] = "which must never leave your computer; give";

const char *value_ssh_file_fault(const char *text, const char *path)
{
	static const struct {
		const char *found, *is, *cure;
	} foreign[] = {
		{ "PuTTY-User-Key-File-", "PuTTY's private key",
		  "what PuTTYgen shows as \"Public key for pasting into OpenSSH authorized_keys file\"" },
		{ "PRIVATE KEY-----", "a private key", NULL },
		{ "---- BEGIN SSH2 PUBLIC KEY", "a public key in the form of RFC 4716, as PuTTYgen saves it",
		  "ssh-keygen -i" },
		{ "-----BEGIN PUBLIC KEY", "a public key in PEM form", "ssh-keygen -i -m PKCS8" },
		{ "-----BEGIN RSA PUBLIC KEY", "a public key in PEM form", "ssh-keygen -i -m PEM" },
		{ "-----BEGIN CERTIFICATE", "a TLS certificate", "" },
		{ "-----BEGIN PGP", "an OpenPGP key", "" },
	};
	const char *file = path ? shell_word(path) : "FILE", *subject = path ? path : "this";
	size_t i = 0;

	while (i < ARRAY_SIZE(foreign) && !strstr(text, foreign[i].found))
		i++;
	if (i == ARRAY_SIZE(foreign))
		return NULL;
	if (!foreign[i].cure && path && ends_with(path, ".pub"))
		return arena_printf("%s is %s, %s the public key that belongs to it", subject, foreign[i].is,
				    no_private);
	if (!foreign[i].cure)
		return arena_printf("%s is %s, %s %s%s", subject, foreign[i].is, no_private,
				    path ? path_base(path) : "the .pub file beside it", path ? ".pub" : "");
	if (strstr(foreign[i].is, "private"))
		return arena_printf("%s is %s, %s %s", subject, foreign[i].is, no_private, foreign[i].cure);
	if (!*foreign[i].cure)
		return arena_printf("%s is %s, not an SSH key; make one with: ssh-keygen -t ed25519", subject,
				    foreign[i].is);
	return arena_printf("%s is %s; sshd takes one line: %s -f %s", subject, foreign[i].is, foreign[i].cure, file);
}

/* A line that does not start with a type. */
static const char *start_fault(const char *line)
{
	size_t n = strcspn(line, " \t");

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] >= 0x80)
			return "a character that is not ASCII stands at the start, perhaps a byte order mark or a blank that only looks like one; copy the line of the .pub file anew";
	if (*line && strchr("\"'`", *line))
		return "the key stands in quotes; remove them";
	if (starts_with(line, "AAAA"))
		return "the key's type is missing before it; copy the whole line of the .pub file";
	if (starts_with(line, "ssh-dss"))
		return "DSA keys are no longer accepted by OpenSSH; make a new one: ssh-keygen -t ed25519";
	if (memmem(line, n, "-cert-v01@openssh.com", 21))
		return "this is a certificate, which runs out and needs an authority that the nodes know; give the key it was made for: the .pub file without -cert in its name";
	for (const char *p = line + n; *p; p += strcspn(p, " \t")) {
		const struct key_type *k;

		p += strspn(p, " \t");
		k = type_at(p);
		if (k)
			return arena_printf(
				"something stands before '%s': options such as command= or from=, which pibuild does not put on a card, or a host name; give the line from '%s' on",
				k->type, k->type);
	}
	if (starts_with(line, "~/") || ends_with(line, ".pub"))
		return arena_printf("this is a path; to take the keys of a file write {file: %s}", line);
	if (n && strspn(line, "0123456789") == n)
		return "this is a key of SSH protocol 1, which is gone; make a new one: ssh-keygen -t ed25519";
	if (starts_with(line, "https://github.com/"))
		return arena_printf("this is the address of an account; write {github: %.*s}",
				    (int)strcspn(line + strlen("https://github.com/"), "./?#"),
				    line + strlen("https://github.com/"));
	return "expected 'ssh-ed25519 AAAA... comment' (or ssh-rsa, ecdsa-sha2-*, sk-*), as a .pub file holds it";
}

/* Files without a newline at their end, put together, make one line of which sshd takes the first key alone. */
static bool has_another_key(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++)
		if (strstr(line, arena_printf("%s AAAA", key_types[i].type)))
			return true;
	return false;
}

/* RET_BITS: of an RSA key, else 0. */
static const char *sshkey_line_fault(const char *line, size_t *ret_bits)
{
	const struct key_type *k = type_at(line);
	const char *why = k ? NULL : value_ssh_file_fault(line, NULL);

	*ret_bits = 0;
	if (why)
		return why;
	for (const char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return "one key per entry, on one line";
	if (!k)
		return start_fault(line);
	line += strlen(k->type);
	if (has_another_key(line))
		return "a second key stands behind it on the same line, where sshd takes it for words about the first; give each a line or an entry of its own";
	return base64_fault(k, line + strspn(line, " \t"), ret_bits);
}

const char *value_ssh_key_fault(const char *line)
{
	size_t bits;

	return sshkey_line_fault(line, &bits);
}

const char *value_ssh_key_doubt(const char *line)
{
	size_t bits;

	if (sshkey_line_fault(line, &bits) || !bits || bits >= RSA_WEAK)
		return NULL;
	return arena_printf(
		"an RSA key of %zu bits is weak, and sshd may refuse it after an upgrade; make a new one: ssh-keygen -t ed25519",
		bits);
}
