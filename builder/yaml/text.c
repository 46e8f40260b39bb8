/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What counts as text: UTF-8 by RFC 3629, without NUL and without control characters other than tab and line ends; and
 * text that is no YAML of people's, by how it begins.
 */
#include "yaml/internal.h"

/* Length of the UTF-8 character at S, 0 when it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char first, last; /* of the lead byte */
		unsigned char low, high;   /* of the second byte: keeps out overlong forms and surrogates */
		size_t length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		if (forms[i].length > n)
			return 0;
		if (forms[i].length > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

size_t yaml_text_fault(const char *text, size_t n, const char **what)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;

	while (i < n) {
		size_t length = utf8_length(s + i, n - i);

		*what = !length	    ? "this byte is no valid UTF-8; save the file as UTF-8"
			: s[i] == 0 ? "a NUL byte; the file must be plain UTF-8 text (is it UTF-16?)"
			: (s[i] < 0x20 && !strchr("\t\n\r", s[i])) || s[i] == 0x7f
				? "a control character; inside double quotes write it as \\xNN"
			: (length == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0 && s[i + 1] != 0x85)
				? "a control character; inside double quotes write it as \\uNNNN"
				: NULL;
		if (*what)
			return i;
		i += length;
	}
	return n;
}

bool yaml_is_text(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;

	for (size_t i = 0, length; i < n; i += length) {
		length = u[i] ? utf8_length(u + i, n - i) : 0;
		if (!length)
			return false;
	}
	return true;
}

const char *yaml_withheld(const char *text, size_t n, bool *ret_git)
{
	static const struct {
		const char *begin;
		size_t n;
		bool git;
		const char *words;
	} forms[] = {
#define BEGINS(text, ...) { text, sizeof(text) - 1, __VA_ARGS__ }
		BEGINS("-----BEGIN AGE ENCRYPTED FILE-----", false, "the file is encrypted by age; decrypt it first"),
		BEGINS("age-encryption.org/", false, "the file is encrypted by age; decrypt it first"),
		BEGINS("$ANSIBLE_VAULT;", false, "the file is encrypted by Ansible's vault; decrypt it first"),
		BEGINS("-----BEGIN PGP MESSAGE-----", false, "the file is encrypted by GnuPG; decrypt it first"),
		BEGINS("\0GITCRYPT", true, "the file is encrypted by git-crypt; unlock the repository first"),
		BEGINS("version https://git-lfs.github.com/spec/", true,
		       "the file only says where Git LFS has its content; run git lfs pull"),
#undef BEGINS
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (n < forms[i].n || memcmp(text, forms[i].begin, forms[i].n) != 0)
			continue;
		if (ret_git)
			*ret_git = forms[i].git;
		return forms[i].words;
	}
	return NULL;
}

const char yaml_conflict_words[] =
	"git left two versions of the file here; keep one, and remove the lines of <, = and > around them";

size_t yaml_conflict_mark(const char *text, size_t n)
{
	static const char *const marks[] = { "<<<<<<< ", ">>>>>>> " };

	for (size_t at = 0; at < n; at++) {
		const char *newline = memchr(text + at, '\n', n - at);

		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (n - at > strlen(marks[i]) && memcmp(text + at, marks[i], strlen(marks[i])) == 0)
				return at;
		if (!newline)
			break;
		at = (size_t)(newline - text);
	}
	return n;
}
