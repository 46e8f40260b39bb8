/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a text can be the secret it is meant to be. Editors, shells and password managers add to what they are given:
 * byte order marks, carriage returns, quotes, blanks, lines. All of that would reach the access point or the DNS
 * provider, whose answer, days later, is "wrong password". No words here ever hold a part of the secret.
 */
#include <ctype.h>

#include "base/json.h"
#include "config/values.h"

struct form {
	bool lines;	/* as many as it likes, with any line ends and blanks */
	bool any_print; /* blanks and quotes may be a part of it, and so may letters beyond ASCII */
	/* NULL, or why S cannot be it. */
	const char *(*fault)(const char *s, size_t n);
	/* NULL, or why S is most likely not it. */
	const char *(*doubt)(const char *s, size_t n);
};

/* ---- kinds of secrets ---- */

static const char *passphrase_fault(const char *s, size_t n)
{
	if (n == 64 && strspn(s, "0123456789abcdefABCDEF") == n)
		return NULL; /* the key that is computed from it and the network's name */
	if (n == 64)
		return "is no WPA passphrase, which has 8 to 63 characters, and no key, which has 64 hexadecimal digits";
	return n < 8 || n > 63
		       ? arena_printf("is no WPA passphrase: those have 8 to 63 characters, this one has %zu", n)
		       : NULL;
}

/* "CLOUDFLARE_API_TOKEN=...": all capitals or none, as nearly no token starts that has a '=' within. */
static bool is_assignment(const char *s, size_t n)
{
	size_t name = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	name = name ? name : strspn(s, "abcdefghijklmnopqrstuvwxyz_");
	return name >= 4 && name + 1 < n && s[name] == '=' && s[name + 1] != '=';
}

/* Characters that only look like a blank or a quote: no keyboard has them. */
static bool has_lookalike(const char *s, size_t n)
{
	return memmem(s, n, "\xc2\xa0", 2) || memmem(s, n, "\xe2\x80", 2);
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

static const char *passphrase_doubt(const char *s, size_t n)
{
	if (is_quote(s[0]) && s[n - 1] == s[0])
		return "stands in quotes, which will be a part of it; remove them if they are none";
	if (isblank((unsigned char)s[0]) || isblank((unsigned char)s[n - 1]))
		return "has blanks around it, which will be a part of it; remove them if they are none";
	if (is_assignment(s, n) || memmem(s, MIN(n, (size_t)4), "psk=", 4))
		return "is a line NAME=SECRET, as for a shell, and all of it will be the secret; leave what stands behind the '=' if that is it";
	if (has_lookalike(s, n))
		return "holds a blank or a quote that only looks like one, as word processors and web pages have them; type it anew if it is none";
	return NULL;
}

/* ~/.docker/config.json, for a password out of it */
static const char *password_doubt(const char *s, size_t n)
{
	return s[0] == '{' && s[n - 1] == '}'
		       ? "looks like JSON, all of which will be the password; leave the password alone if it is in there"
		       : passphrase_doubt(s, n);
}

/* TCP_MD5SIG_MAXKEYLEN of the kernel (include/uapi/linux/tcp.h), at both ends. */
static const char *tcp_md5_fault(const char *s, size_t n)
{
	return n > 80 ? arena_printf("is longer than the 80 bytes that TCP-MD5 takes: it has %zu", n) : NULL;
}

/* An object of JSON in *RET, or why S is none. */
static const char *json_object_doubt(const char *s, size_t n, json_t **ret)
{
	json_error_t why; /* its text quotes the input */

	*ret = json_loadb(s, n, 0, &why);
	if (!*ret)
		return arena_printf("is no JSON (line %d); the provider takes the file as it was downloaded", why.line);
	return json_is_object(*ret) ? NULL : "is no JSON object; the provider takes the file as it was downloaded";
}

/* golang.org/x/oauth2/google, JWTConfigFromJSON() */
static const char *google_key_doubt(const char *s, size_t n)
{
	_cleanup_json_ json_t *doc = NULL;
	const char *why = json_object_doubt(s, n, &doc), *type = json_string_value(json_object_get(doc, "type"));

	if (why || (streq(str_or(type, ""), "service_account") && json_is_string(json_object_get(doc, "private_key"))))
		return why;
	return "is no key of a service account, which has \"type\": \"service_account\" and a private_key; a new one is made in Google Cloud below IAM, Service accounts, Keys";
}

/* One account for each domain (cert-manager pkg/issuer/acme/dns/acmedns, cpu/goacmedns account.go). */
static const char *acmedns_doubt(const char *s, size_t n)
{
	static const char *const members[] = { "username", "password", "fulldomain", "subdomain" };
	_cleanup_json_ json_t *doc = NULL;
	const char *why = json_object_doubt(s, n, &doc), *domain;
	json_t *account;

	if (why)
		return why;
	json_object_foreach (doc, domain, account)
		for (size_t i = 0; i < ARRAY_SIZE(members); i++)
			if (!json_is_string(json_object_get(account, members[i])))
				return "does not say which domain an account is for; write {\"DOMAIN\": ACCOUNT}, ACCOUNT as acme-dns answered when it was registered";
	return json_object_size(doc) ? NULL : "has no account in it";
}

static const char *cloudflare_doubt(const char *s, size_t n)
{
	return n == 37 && strspn(s, "0123456789abcdef") >= n
		       ? "looks like the global key of an account, which Cloudflare takes with its e-mail address alone; make an API token, with Zone:Read and DNS:Edit"
		       : NULL;
}

/* Ids of keys of Amazon: docs.aws.amazon.com, IAM, "Understanding unique ID prefixes". */
static const char *amazon_doubt(const char *s, size_t n)
{
	return n == 20 && (memcmp(s, "AKIA", 4) == 0 || memcmp(s, "ASIA", 4) == 0)
		       ? "looks like the id of a key of Amazon, and the key itself is wanted here, which has 40 characters; were the two exchanged?"
		       : NULL;
}

static const char *base64_doubt(const char *s, size_t n)
{
	size_t digits = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

	return n % 4 || digits + 2 < n || digits + strspn(s + digits, "=") != n
		       ? "is no base64, as a TSIG key is; give what stands behind `secret` in the server's file, without the quotes"
		       : NULL;
}

static const char *proxy_fault(const char *s, size_t n)
{
	return value_proxy_fault(arena_strndup(s, n), true)
		       ? "is no address of a proxy with a name and password: http://NAME:PASSWORD@HOST:PORT, with %XX for what is no letter, digit or one of . _ ~ ! * + , ; = -"
		       : NULL;
}

/* A key without a passphrase names no cipher: the start of PROTOCOL.key of OpenSSH, in base64. */
static const char *ssh_key_fault(const char *s, size_t n)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----", bare[] = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU",
			  dashes[] = "PRIVATE KEY-----";
	const char *text = arena_strndup(s, n), *first = strstr(text, dashes), *body;

	if (!starts_with(text, "-----BEGIN ") || !first)
		return "is no private key of SSH; give the file without .pub that `ssh-keygen -t ed25519 -N '' -f FILE` makes";
	first += strlen(dashes);
	/* sshkey.c of OpenSSH, private2_uudecode(): MARK_BEGIN and MARK_END have the ends of their lines. */
	if (starts_with(text, begin) && strchr(text, '\r'))
		return "has line ends of Windows (CR LF), with which ssh takes no key; remove them: sed -i 's/\\r$//' FILE";
	if (first[strspn(first, "\r")] != '\n')
		return "has lost the ends of its lines, of which a private key has several; give the file as ssh-keygen made it, by {file: PATH}";
	if (!strstr(first, "\n-----END "))
		return "is cut off: its last line, which begins with -----END, is missing; copy the whole file";
	body = starts_with(text, begin) ? first + strspn(first, "\n") : bare;
	return strstr(text, "ENCRYPTED") || !starts_with(body, bare)
		       ? "has a passphrase, and nobody is there to type it; make a key of its own without one: `ssh-keygen -t ed25519 -N '' -f FILE`"
		       : NULL;
}

/* A new kind of secret is a row here and a value of enum secret_form. */
static const struct form forms[SECRET_FORM_COUNT] = {
	[SECRET_TOKEN] = { 0 },
	[SECRET_PASSPHRASE] = { .any_print = true, .fault = passphrase_fault, .doubt = passphrase_doubt },
	[SECRET_PASSWORD] = { .any_print = true, .doubt = password_doubt },
	[SECRET_TCP_MD5] = { .any_print = true, .fault = tcp_md5_fault, .doubt = passphrase_doubt },
	[SECRET_BASE64] = { .doubt = base64_doubt },
	[SECRET_GOOGLE_KEY] = { .lines = true, .doubt = google_key_doubt },
	[SECRET_ACMEDNS] = { .lines = true, .doubt = acmedns_doubt },
	[SECRET_CLOUDFLARE] = { .doubt = cloudflare_doubt },
	[SECRET_AMAZON] = { .doubt = amazon_doubt },
	[SECRET_SSH_KEY] = { .lines = true, .fault = ssh_key_fault },
	[SECRET_PROXY] = { .fault = proxy_fault },
	[SECRET_TEXT] = { .lines = true, .any_print = true },
};

/* ---- what holds for all of them ---- */

static bool all_blank(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isspace((unsigned char)s[i]))
			return false;
	return true;
}

static const char *secrettext_line_fault(const char *s, size_t n, const char *path)
{
	const char *newline = memchr(s, '\n', n);

	if (memchr(s, '\r', n))
		return arena_printf("has line ends of Windows (CR LF), and the CR would be a part of the secret%s%s",
				    path ? "; remove them: sed -i 's/\\r$//' " : "; remove them",
				    path ? shell_word(path) : "");
	if (newline && (newline == s || all_blank(newline, n - (size_t)(newline - s))))
		return "has empty lines around the secret; leave the one line";
	if (newline)
		return "has more than one line; leave the one that is the secret";
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]))
			return "holds a tab or another control character, which no such secret has; copy it anew";
	return NULL;
}

static const char *token_fault(const char *s, size_t n)
{
	if (is_assignment(s, n))
		return "is a line NAME=SECRET, as for a shell; leave what stands behind the '='";
	if (isblank((unsigned char)s[0]) || isblank((unsigned char)s[n - 1]))
		return "has blanks around the secret, which would be a part of it; remove them";
	if (is_quote(s[0]) || is_quote(s[n - 1]))
		return "has quotes around the secret, which would be a part of it; remove them";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			return "holds a character that is not ASCII, perhaps a blank or a quote that only looks like one; no such secret has any: copy it anew";
	return memchr(s, ' ', n) ? "holds a blank, which no such secret has; give nothing but the secret itself" : NULL;
}

const char *value_secret_fault(enum secret_form form, const char *s, size_t n, const char *path)
{
	const struct form *f = &forms[form];
	const char *why = value_encoding_fault(s, n, path);

	if (!why && all_blank(s, n))
		why = "is empty";
	if (!why && !f->lines)
		why = secrettext_line_fault(s, n, path);
	if (!why && !f->lines && !f->any_print)
		why = token_fault(s, n);
	return !why && f->fault ? f->fault(s, n) : why;
}

const char *value_secret_doubt(enum secret_form form, const char *s, size_t n)
{
	return forms[form].doubt ? forms[form].doubt(s, n) : NULL;
}
