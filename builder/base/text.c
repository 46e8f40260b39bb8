/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people, shells and addresses; the header is util.h. */
#include "base/util.h"

char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	snprintf(buf, SIZE_TEXT_MAX, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return buf;
}

uint32_t next_character(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	uint32_t c = *p < 0xc0 ? *p : *p < 0xe0 ? *p & 0x1f : *p < 0xf0 ? *p & 0xf : *p & 7;

	p += *p != 0;
	for (; (*p & 0xc0) == 0x80; p++)
		c = c << 6 | (*p & 0x3f);
	*s = (const char *)p;
	return c;
}

bool character_unseen(uint32_t c)
{
	return (c >= 0x7f && c <= 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202f) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static char *clean(char *s, const char *kept)
{
	char *to = s;

	for (const char *p = s, *next = s; *p; p = next) {
		uint32_t c = next_character(&next);

		if (c < 0x20 ? !c || !strchr(kept, (int)c) : character_unseen(c)) {
			*to++ = '?';
			continue;
		}
		memmove(to, p, (size_t)(next - p));
		to += next - p;
	}
	*to = '\0';
	return s;
}

char *clean_text(char *s)
{
	return clean(s, "");
}

char *clean_lines(char *s)
{
	return clean(s, "\n\t");
}

char *clean_copy(const char *s)
{
	return clean_text(arena_strdup(s));
}

const char *shell_word(const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,-";
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (*word && strspn(word, plain) == strlen(word))
		return word;
	strbuf_adds(&b, "'");
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			strbuf_adds(&b, "'\\''");
		else
			strbuf_add(&b, p, 1);
	}
	strbuf_adds(&b, "'");
	return arena_strdup(b.s);
}

const char *percent_encoded(const char *text, const char *kept)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };

	for (const char *p = text; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		    strchr(kept, *p))
			strbuf_add(&out, p, 1);
		else
			strbuf_addf(&out, "%%%02X", (unsigned char)*p);
	return arena_strdup(str_or(out.s, ""));
}

bool word_in(const char *list, const char *word, size_t n)
{
	for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (strcspn(at, " ") == n && !memcmp(at, word, n))
			return true;
	return false;
}

static size_t edit_distance(const char *a, const char *b)
{
	enum { LIMIT = 64 };
	size_t n = strlen(a), m = strlen(b), row[LIMIT + 1], before[LIMIT + 1] = { 0 };

	if (n > LIMIT || m > LIMIT)
		return LIMIT;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0], above = 0, corner;

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			/* Two letters that changed places are one slip. */
			corner = above;
			above = before[j - 1];
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, corner + 1);
			before[j - 1] = diagonal;
			diagonal = row[j];
			row[j] = MIN(best, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[m];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
	size_t best = MAX(strlen(word) / 3, 1) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = strcasecmp(word, candidates[i]) == 0 ? 0 : edit_distance(word, candidates[i]);

		if (d < best && *word && *candidates[i]) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}

const char *did_you_mean(const char *separator, const char *near)
{
	return near ? arena_printf("%sdid you mean %s?", separator, near) : "";
}

int text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int text_order_at(const void *a, const void *b, void *offset)
{
	return text_order((const char *)a + *(const size_t *)offset, (const char *)b + *(const size_t *)offset);
}

void sort_by_text(void *v, size_t n, size_t size, size_t offset)
{
	if (n)
		qsort_r(v, n, size, text_order_at, &offset);
}
