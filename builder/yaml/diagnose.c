/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person did where libyaml could read no further. It stops where the grammar breaks, which is mostly a line
 * below the mistake: "user:pi" is text, and text goes on in the next line until a ':' stands there.
 */
#include <ctype.h>

#include "yaml/internal.h"

/* A line without the blanks and dashes before its text. */
struct yaml_line {
	const char *s; /* a copy, "" when there is no such line */
	unsigned number;
	unsigned indent;
};

static struct yaml_line yaml_line_at(const char *text, size_t n, unsigned line)
{
	const char *p = text, *end = text + n, *stop;
	struct yaml_line l = { .s = "", .number = line };

	for (unsigned i = 1; i < line && p; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	if (!p || !line)
		return l;
	for (stop = p; stop < end && *stop && *stop != '\n' && *stop != '\r'; stop++)
		;
	while (p < stop && (*p == ' ' || (*p == '-' && stop - p > 1 && p[1] == ' ')))
		p++, l.indent++;
	while (stop > p && stop[-1] == ' ')
		stop--;
	l.s = arena_strndup(p, (size_t)(stop - p));
	return l;
}

/* The nearest line above with anything but a comment. */
static struct yaml_line yaml_line_above(const char *text, size_t n, unsigned line)
{
	struct yaml_line l = { .s = "" };

	while (line > 1 && (!*l.s || *l.s == '#'))
		l = yaml_line_at(text, n, --line);
	return l;
}

static bool has_value(const char *line)
{
	const char *colon = strstr(line, ": ");

	return colon && colon[2 + strspn(colon + 2, " ")] != '#';
}

static bool has_colon(const char *line)
{
	return strstr(line, ": ") || (*line && line[strlen(line) - 1] == ':');
}

static bool is_key_letter(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* NULL when LINE is no key whose ':' went wrong. *AT is where. */
static const char *diagnose_colon(const struct yaml_line *l, unsigned *at)
{
	size_t key = 0;
	const char *rest, *value;

	while (is_key_letter(l->s[key]))
		key++;
	rest = l->s + key;
	value = rest + strspn(rest, " :,=");
	*at = l->indent + (unsigned)key + 1;
	if (!key || has_colon(l->s))
		return NULL;
	/* No word of the line is repeated: what stands where a key belongs may be a part of a secret. */
	if (*rest == ':' && *value && !starts_with(rest, "://"))
		return "a blank is missing after the ':' here; write 'KEY: VALUE'";
	if (*rest == ',' || starts_with(rest, " ,"))
		return "',' where ':' belongs; write 'KEY: VALUE'";
	if (*rest == '=' || starts_with(rest, " ="))
		return "'=' where ':' belongs; write 'KEY: VALUE'";
	*at = l->indent + 1;
	return *rest == ' ' || !*rest ? "no ':' after the key here; write 'KEY: VALUE'" : NULL;
}

static const char *diagnose_blank(const struct yaml_line *l)
{
	if (starts_with(l->s, "\xc2\xa0") || starts_with(l->s, "\xe3\x80\x80"))
		return "a blank of another kind (non-breaking, from a web page?): YAML is indented with plain ones";
	if (l->s[0] == '-' && l->s[1] && !strchr(" -", l->s[1]))
		return "a blank is missing after the '-' of this entry";
	return NULL;
}

static bool diagnose_line(const struct yaml_line *l, struct yaml_diagnosis *d)
{
	unsigned at = l->indent + 1;
	const char *words = diagnose_blank(l);

	if (!words)
		words = diagnose_colon(l, &at);
	if (!words)
		return false;
	*d = (struct yaml_diagnosis){ l->number, at, words };
	return true;
}

static bool diagnose_indent(const struct yaml_line *above, const struct yaml_line *l, struct yaml_diagnosis *d)
{
	if (!*l->s || l->indent <= above->indent || !has_value(above->s) || above->s[0] == '{')
		return false;
	*d = (struct yaml_diagnosis){
		l->number, l->indent + 1,
		arena_printf(
			"this line is indented deeper than line %u, whose key has a value already; keys of one section start in one column",
			above->number)
	};
	return true;
}

/* An open { or [, at OPEN, that something else came in the way of. */
static bool diagnose_bracket(const struct yaml_line *open, char bracket, unsigned line, unsigned col,
			     struct yaml_diagnosis *d)
{
	if (open->number >= line)
		return false;
	*d = (struct yaml_diagnosis){ open->number, col,
				      arena_printf("this '%c' is not closed: a '%c' is missing before line %u", bracket,
						   bracket == '{' ? '}' : ']', line) };
	return true;
}

struct yaml_diagnosis yaml_diagnose(const char *text, size_t n, const char *problem, struct yaml_place at,
				    struct yaml_place context)
{
	struct yaml_line l = yaml_line_at(text, n, at.line), above = yaml_line_above(text, n, at.line);
	struct yaml_line open = yaml_line_at(text, n, context.line);
	const char *stop = at.col > l.indent && at.col - l.indent - 1 < strlen(l.s) ? l.s + at.col - l.indent - 1 : "";
	struct yaml_diagnosis d = { 0 };

	if (strstr(problem, "',' or '}'") && diagnose_bracket(&open, '{', at.line, context.col, &d))
		return d;
	if (strstr(problem, "',' or ']'") && diagnose_bracket(&open, '[', at.line, context.col, &d))
		return d;
	if (*stop == '}' || *stop == ']')
		d = (struct yaml_diagnosis){ at.line, at.col,
					     arena_printf("a '%c' too many: none is open here", *stop) };
	else if (strstr(problem, "cannot start any token") && *stop)
		d = (struct yaml_diagnosis){ at.line, at.col,
					     arena_printf("text cannot start with '%c'; put it in quotes", *stop) };
	else if (!diagnose_line(&l, &d) && !diagnose_line(&above, &d) && *above.s == '{')
		d = (struct yaml_diagnosis){ above.number, above.indent + 1,
					     "this {...} stands where a key belongs: is '- ' missing before it?" };
	else if (!d.words)
		diagnose_indent(&above, &l, &d);
	return d;
}
