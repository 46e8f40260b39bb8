/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/source.h"

#include "base/terminal.h"

enum { TAB_WIDTH = 4, MARGIN = 8, USUAL_COLUMNS = 80, LONGEST_LINE = 4096, LONGEST_PLAIN = 24 };

struct source_text {
	const char *name, *text;
	size_t n;
};
static VEC(struct source_text) sources;

struct source_line {
	const char *s;
	size_t n;
};

void source_keep(const char *name, const char *text, size_t n)
{
	*vec_push(&sources) = (struct source_text){ name, text, n };
}

void source_forget(void)
{
	memset(&sources, 0, sizeof(sources));
}

/* Lines end as they do for YAML: \n, \r\n or \r. */
static bool source_line_at(const char *text, size_t n, unsigned line, struct source_line *ret)
{
	const char *p = text, *end = text + n, *stop;

	for (unsigned i = 1;; i++) {
		for (stop = p; stop < end && *stop != '\n' && *stop != '\r'; stop++)
			;
		*ret = (struct source_line){ p, (size_t)(stop - p) };
		if (i >= line)
			return true;
		if (stop == end)
			return false;
		p = stop + (end - stop > 1 && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
	}
}

/* ---- what is not shown ---- */

/* One word of a key: "wifi-psk" and "DNS_TOKEN" have two. */
static bool source_word_is_secret(const char *word)
{
	static const char *const parts[] = {
		"pass", "secret", "token", "private", "credential", "apikey", "accesskey"
	};
	static const char *const words[] = { "kennwort", "psk",	 "pwd",	 "pw",	  "pin",  "key",
					     "auth",	 "wifi", "wlan", "dns01", "proxy" };
	static const char *const misspelt[] = { "passphrase", "password", "passwordHash", "passwd",
						"secret",     "token",	  "private" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcasestr(word, parts[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(word, words[i]) == 0)
			return true;
	return strlen(word) >= 6 && nearest_word(word, misspelt, ARRAY_SIZE(misspelt));
}

/* What a key or token looks like: long, and with digits in it. */
static bool source_word_is_random(const char *word, size_t n)
{
	return n >= 2 * LONGEST_PLAIN || (n >= LONGEST_PLAIN && strcspn(word, "0123456789") < n);
}

static bool source_names_secret(struct source_line l)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	_cleanup_free_ char *text = xasprintf("%.*s", (int)MIN(l.n, (size_t)LONGEST_LINE), l.s);

	if (strcasestr(text, "wi-fi"))
		return true;
	for (char *p = text; *p;) {
		size_t n = strspn(p, letters), whole = n + strspn(p + n, "+/=_");
		char after = p[n];

		if (!n) {
			p++;
			continue;
		}
		while (strspn(p + whole, letters))
			whole += strspn(p + whole, letters), whole += strspn(p + whole, "+/=_");
		if (source_word_is_random(p, whole))
			return true;
		p[n] = '\0';
		if (source_word_is_secret(p))
			return true;
		p[n] = after;
		p += n;
	}
	return false;
}

/* A list may stand as far left as its key. */
static size_t source_indent(struct source_line l)
{
	size_t n = 0;

	while (n < l.n && (l.s[n] == ' ' || l.s[n] == '\t'))
		n++;
	return 2 * n + (n < l.n && l.s[n] == '-');
}

static bool source_is_blank(struct source_line l)
{
	size_t n = source_indent(l) / 2;

	return n == l.n || l.s[n] == '#';
}

/* {a: 1, or [a, whose rest stands in lines that may be indented anyhow. */
static bool source_is_open(struct source_line l)
{
	int depth = 0;

	for (size_t i = 0; i < l.n; i++)
		depth += (l.s[i] == '{' || l.s[i] == '[') - (l.s[i] == '}' || l.s[i] == ']');
	return depth > 0;
}

/* Whether line LINE (from 1) of TEXT may hold a secret: it, or a line that it is indented below, has a key for one
 * (spelt well or not), or there is something like a key or token in it. Rather too often than too seldom: people write
 * a secret where none belongs, which is what the message is about. */
static bool source_is_secret(const char *text, size_t n, unsigned line)
{
	struct source_line l, above;
	size_t indent;

	if (!source_line_at(text, n, line, &l))
		return false;
	if (l.n > LONGEST_LINE || source_names_secret(l))
		return true;
	indent = source_indent(l);
	for (unsigned i = line; --i > 0;) {
		source_line_at(text, n, i, &above);
		if (source_is_blank(above) || (source_indent(above) >= indent && !source_is_open(above)))
			continue;
		if (source_names_secret(above))
			return true;
		indent = MIN(indent, source_indent(above));
	}
	return false;
}

/* ---- the lines ---- */

/* A line as it is shown. MARK and MARK_END are columns of what the message is about. */
struct source_view {
	struct strbuf text;
	unsigned columns, mark, mark_end;
};

static bool source_ends_word(char c)
{
	return !c || strchr(" \t,:]}#", c);
}

/* One character at *S onto V: tabs have a width, and what a terminal would act on does not reach it. */
static void source_add_char(struct source_view *v, const char **s)
{
	const char *at = *s, *p = at;
	unsigned columns = text_columns(s);
	uint32_t c = next_character(&p);
	bool bad = (unsigned char)*at >= 0x80 && ((unsigned char)*at < 0xc2 || *s == at + 1);

	if (c == '\t') {
		strbuf_addf(&v->text, "%*s", TAB_WIDTH, "");
		columns = TAB_WIDTH;
	} else if (c < 0x20 || character_unseen(c) || bad) {
		strbuf_adds(&v->text, "?");
		columns = 1;
	} else {
		strbuf_add(&v->text, at, (size_t)(*s - at));
	}
	v->columns += columns;
}

/* Shows the characters from FIRST on that fit in ROOM; COL is where the mark goes, both counted from 0. */
static struct source_view source_view_from(const char *text, unsigned first, unsigned col, unsigned room)
{
	struct source_view v = { 0 };
	bool in_word = false;
	unsigned i = 0;

	for (const char *p = text; *p; i++) {
		const char *begin = p;

		if (i < first) {
			text_columns(&p);
			continue;
		}
		if (i == first && first)
			strbuf_adds(&v.text, "..."), v.columns = 3;
		if (i == col) {
			v.mark = v.columns;
			in_word = true;
		} else if (in_word && source_ends_word(*begin)) {
			in_word = false;
		}
		if (v.columns + 5 > room && strlen(begin) > 2) {
			strbuf_adds(&v.text, "...");
			break;
		}
		source_add_char(&v, &p);
		if (in_word)
			v.mark_end = v.columns;
	}
	if (i <= col)
		v.mark = v.columns;
	v.mark_end = MAX(v.mark_end, v.mark + 1);
	return v;
}

/* Where to start so that character COL is among what is shown, with something before it. */
static unsigned source_first_shown(unsigned col, unsigned room)
{
	return col + 12 > room ? col - room / 2 : 0;
}

void source_show(struct strbuf *out, const char *name, unsigned line, unsigned col, unsigned columns)
{
	struct source_line l;
	const struct source_text *t = NULL;
	_cleanup_free_ char *text = NULL, *mark = NULL;
	struct source_view v;
	unsigned room = MAX(columns ? columns : USUAL_COLUMNS, 4 * MARGIN) - MARGIN;

	vec_foreach (s, &sources)
		if (name && streq(s->name, name))
			t = s;
	if (!t || !line || !col || !source_line_at(t->text, t->n, line, &l) || source_is_blank(l))
		return;
	if (source_is_secret(t->text, t->n, line))
		return;
	text = xasprintf("%.*s", (int)l.n, l.s);
	v = source_view_from(text, source_first_shown(col - 1, room), col - 1, room);
	mark = xasprintf("^%.*s", (int)(v.mark_end - v.mark - 1),
			 "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
	strbuf_addf(out, "%5u | %s\n%5s | %*s", line, str_or(v.text.s, ""), "", (int)v.mark, "");
	terminal_ink(out, INK_MARK, mark);
	strbuf_adds(out, "\n");
	strbuf_done(&v.text);
}
