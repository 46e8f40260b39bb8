/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain scalar is to Helm. Its reader is YAML 1.1 with a few words of 1.2, and JSON comes out of it:
 * sigs.k8s.io/yaml v1.6, which reads with go.yaml.in/yaml/v2 (resolve.go). Tried against Helm 4.2.3, row by row of
 * tests/lib/scalars.tsv.
 */
#include "yaml/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

/* Exactly these spellings: "yEs" is text. */
static const struct {
	const char *word;
	struct yaml_value value;
} words[] = {
	{ "", { .kind = YAML_NULL } },
	{ "~", { .kind = YAML_NULL } },
	{ "null", { .kind = YAML_NULL } },
	{ "Null", { .kind = YAML_NULL } },
	{ "NULL", { .kind = YAML_NULL } },
	{ "true", { .kind = YAML_BOOL, .truth = true } },
	{ "True", { .kind = YAML_BOOL, .truth = true } },
	{ "TRUE", { .kind = YAML_BOOL, .truth = true } },
	{ "yes", { .kind = YAML_BOOL, .truth = true } },
	{ "Yes", { .kind = YAML_BOOL, .truth = true } },
	{ "YES", { .kind = YAML_BOOL, .truth = true } },
	{ "y", { .kind = YAML_BOOL, .truth = true } },
	{ "Y", { .kind = YAML_BOOL, .truth = true } },
	{ "on", { .kind = YAML_BOOL, .truth = true } },
	{ "On", { .kind = YAML_BOOL, .truth = true } },
	{ "ON", { .kind = YAML_BOOL, .truth = true } },
	{ "false", { .kind = YAML_BOOL } },
	{ "False", { .kind = YAML_BOOL } },
	{ "FALSE", { .kind = YAML_BOOL } },
	{ "no", { .kind = YAML_BOOL } },
	{ "No", { .kind = YAML_BOOL } },
	{ "NO", { .kind = YAML_BOOL } },
	{ "n", { .kind = YAML_BOOL } },
	{ "N", { .kind = YAML_BOOL } },
	{ "off", { .kind = YAML_BOOL } },
	{ "Off", { .kind = YAML_BOOL } },
	{ "OFF", { .kind = YAML_BOOL } },
	{ ".inf", { .kind = YAML_NO_JSON } },
	{ ".Inf", { .kind = YAML_NO_JSON } },
	{ ".INF", { .kind = YAML_NO_JSON } },
	{ "+.inf", { .kind = YAML_NO_JSON } },
	{ "+.Inf", { .kind = YAML_NO_JSON } },
	{ "+.INF", { .kind = YAML_NO_JSON } },
	{ "-.inf", { .kind = YAML_NO_JSON } },
	{ "-.Inf", { .kind = YAML_NO_JSON } },
	{ "-.INF", { .kind = YAML_NO_JSON } },
	{ ".nan", { .kind = YAML_NO_JSON } },
	{ ".NaN", { .kind = YAML_NO_JSON } },
	{ ".NAN", { .kind = YAML_NO_JSON } },
};

#define MAX_EXACT 9007199254740992.0 /* above, every double is a whole number */

/* Digits of BASE to the end, at least one, within 64 bits. */
static bool take_digits(const char *s, int base, uint64_t *ret)
{
	char *end;

	if (!isxdigit((unsigned char)*s))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, base);
	return !errno && !*end && !(base == 16 && tolower((unsigned char)s[1]) == 'x');
}

/* 0x1F, 0o17, 0b11, 017 and decimal. "08" is none, but a float. */
static bool take_integer(const char *s, struct yaml_value *ret)
{
	static const struct {
		char letter;
		int base;
	} bases[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };
	uint64_t v = 0;

	ret->negative = *s == '-';
	s += *s == '-' || *s == '+';
	ret->kind = YAML_INT;
	for (size_t i = 0; *s == '0' && i < ARRAY_SIZE(bases); i++) {
		if (tolower((unsigned char)s[1]) != bases[i].letter)
			continue;
		ret->exact = take_digits(s + 2, bases[i].base, &v);
		ret->number = v;
		return ret->exact && (!ret->negative || v <= (uint64_t)INT64_MAX + 1);
	}
	ret->exact = take_digits(s, *s == '0' && s[1] ? 8 : 10, &v);
	ret->number = v;
	return ret->exact && (!ret->negative || v <= (uint64_t)INT64_MAX + 1);
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *s)
{
	size_t whole, part = 0;

	s += *s == '-' || *s == '+';
	s += whole = strspn(s, "0123456789");
	if (*s == '.')
		s += 1 + (part = strspn(s + 1, "0123456789"));
	if (!whole && !part)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!*s)
			return false;
		s += strspn(s, "0123456789");
	}
	return !*s;
}

static bool take_float(const char *s, struct yaml_value *ret)
{
	double v;

	if (!is_float(s))
		return false;
	v = strtod(s, NULL);
	if (!isfinite(v))
		return false;
	/* JSON has no floats of its own: 1.0 and 1e3 come out as 1 and 1000. */
	*ret = (struct yaml_value){ .kind = YAML_INT, .fraction = v, .negative = v < 0 };
	ret->exact = fabs(v) < MAX_EXACT;
	if (ret->exact) {
		ret->number = (uint64_t)fabs(v);
		if ((double)ret->number != fabs(v))
			ret->kind = YAML_FLOAT;
	}
	return true;
}

/* Underscores count for nothing; in what begins with '.', they must stand between digits. */
static bool underscores_fit(const char *s)
{
	for (const char *p = s; *s == '.' && (p = strchr(p, '_')); p++)
		if (!isdigit((unsigned char)p[-1]) || !isdigit((unsigned char)p[1]))
			return false;
	return true;
}

static bool scalar_take_number(const char *s, struct yaml_value *ret)
{
	struct strbuf bare = { 0 };
	bool ok;

	if (!strchr("+-.0123456789", *s) || !underscores_fit(s))
		return false;
	for (const char *p = s; *p; p++)
		if (*p != '_')
			strbuf_add(&bare, p, 1);
	ok = (*s != '.' && take_integer(bare.s, ret)) || take_float(bare.s, ret);
	strbuf_done(&bare);
	return ok;
}

struct yaml_value yaml_value(const struct yaml_node *n)
{
	struct yaml_value v = { .kind = YAML_TEXT };

	if (n->type != YAML_SCALAR || !n->plain)
		return v;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (streq(n->text, words[i].word))
			return words[i].value;
	return scalar_take_number(n->text, &v) ? v : (struct yaml_value){ .kind = YAML_TEXT };
}

const char *yaml_word(const struct yaml_node *n)
{
	struct yaml_value v = yaml_value(n);

	switch (v.kind) {
	case YAML_NULL:
		return "";
	case YAML_BOOL:
		return v.truth ? "true" : "false";
	case YAML_INT:
		if (v.exact)
			return arena_printf("%s%" PRIu64, v.negative && v.number ? "-" : "", v.number);
		return arena_printf("%.17g", v.fraction);
	case YAML_FLOAT:
		return arena_printf("%.8g", v.fraction);
	default:
		return str_or(n->text, "");
	}
}

bool yaml_is(const struct yaml_node *n, const char *word)
{
	return n && n->type == YAML_SCALAR && streq(yaml_word(n), word);
}
