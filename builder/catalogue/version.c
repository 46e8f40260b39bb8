/* SPDX-License-Identifier: Apache-2.0 */
/* Versions as text from outside: what may be one, and which is newer. */
#include "catalogue/version.h"

enum { MAX_VERSION = 64, MAX_DIGITS = 8 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool version_valid(const char *s)
{
	static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+_-";
	size_t n = strspn(s, chars);

	return n && n <= MAX_VERSION && !s[n] && !strchr("._+-", *s);
}

/* The number S begins with; *END is what follows. */
static unsigned long number_at(const char *s, const char **end)
{
	char *p;
	unsigned long n = strtoul(s, &p, 10);

	*end = p;
	return n;
}

bool version_is_like(const char *s, const char *like)
{
	if (strnlen(s, MAX_VERSION + 1) > MAX_VERSION)
		return false;
	while (*s && *like) {
		if (is_digit(*s) && is_digit(*like)) {
			size_t n = strspn(s, "0123456789");

			if (n > MAX_DIGITS)
				return false;
			s += n;
			like += strspn(like, "0123456789");
		} else if (*s++ != *like++) {
			return false;
		}
	}
	return !*s && !*like;
}

int version_compare(const char *a, const char *b)
{
	while (*a && *b) {
		unsigned long x, y;

		if (!is_digit(*a) || !is_digit(*b)) {
			a++;
			b++;
			continue;
		}
		x = number_at(a, &a);
		y = number_at(b, &b);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

bool version_same_major(const char *a, const char *b)
{
	const char *end_a, *end_b;
	unsigned long x = number_at(a + (*a == 'v'), &end_a), y = number_at(b + (*b == 'v'), &end_b);

	return x == y || *end_a != '.' || *end_b != '.';
}
