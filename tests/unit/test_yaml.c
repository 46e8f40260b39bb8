/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml/yaml.h"

#include "check.h"

static struct err e;

static struct yaml_node *parse(const char *text)
{
	struct yaml_node *n = NULL;

	e = (struct err){ 0 };
	yaml_parse("t.yaml", text, strlen(text), &n, &e);
	return n;
}

static const struct {
	const char *what, *text, *message;
} bad[] = {
	{ "duplicate keys", "a: 1\nb: 2\na: 3\n",
	  "t.yaml:3:1: the key 'a' is already set in line 1; each key may stand once" },
	{ "the first of several duplicates", "a: 1\nz: 1\nz: 1\na: 3\n",
	  "t.yaml:3:1: the key 'z' is already set in line 2; each key may stand once" },
	{ "aliases", "a: *x\n",
	  "t.yaml:1:4: aliases (*name) are not supported; put text that starts with '*' in quotes" },
	{ "anchors", "a: &x 1\n",
	  "t.yaml:1:4: anchors (&name) are not supported; write the value out where it is needed" },
	{ "anchors of maps", "a: &x\n  b: 1\n",
	  "t.yaml:1:4: anchors (&name) are not supported; write the value out where it is needed" },
	{ "tags", "a: !!str 1\n",
	  "t.yaml:1:4: tags (!name) are not supported; put text that starts with '!' in quotes" },
	{ "the tag !", "a: ! 1\n",
	  "t.yaml:1:4: tags (!name) are not supported; put text that starts with '!' in quotes" },
	{ "merge keys", "a:\n  <<: {b: 1}\n", "t.yaml:2:3: merge keys (<<) are not supported; write the keys out" },
	{ "a second document", "a: 1\n---\nb: 1\n",
	  "t.yaml:2:1: a second document starts here (after ---); this file must hold one" },
	{ "keys that are maps", "{a: 1}: 2\n",
	  "t.yaml:1:1: a key must be text; put quotes around text that starts with '{' or '['" },
	{ "duplicates in two spellings", "yes: 1\ntrue: 3\n",
	  "t.yaml:2:1: the key 'true' is already set in line 1, as 'yes'; to YAML both are true" },
	{ "duplicate numbers", "0x10: 1\n\"16\": 3\n",
	  "t.yaml:2:1: the key '16' is already set in line 1, as '0x10'; to YAML both are 16" },
	{ "null as a key", "Null: 1\n", "t.yaml:1:1: the key 'Null' is no text to YAML; put it in quotes" },
	{ "no key after ?", "?", "t.yaml:1:2: a key is missing here" },
	{ "a byte order mark",
	  "\xef\xbb\xbf"
	  "a: 1\n",
	  "t.yaml:1:1: the file starts with a byte order mark; save it as UTF-8 without BOM" },
	{ "UTF-16",
	  "\xff\xfe"
	  "a",
	  "t.yaml:1:1: the file is UTF-16; save it as UTF-8" },
	{ "invalid UTF-8", "a: 1\nb: \xc3\xa4\xff\n",
	  "t.yaml:2:5: this byte is no valid UTF-8; save the file as UTF-8" },
	{ "overlong UTF-8", "\xc0\xaf: 1\n", "t.yaml:1:1: this byte is no valid UTF-8; save the file as UTF-8" },
	{ "surrogates", "a: \xed\xa0\x80\n", "t.yaml:1:4: this byte is no valid UTF-8; save the file as UTF-8" },
	{ "control characters", "a: \x1b[31m\n",
	  "t.yaml:1:4: a control character; inside double quotes write it as \\xNN" },
	{ "an escaped NUL", "a: \"x\\0y\"\n", "t.yaml:1:4: a value cannot hold the escape \\0 (NUL)" },
	{ "tabs as indentation", "a:\n\tb: 1\n", "t.yaml:2:1: a tab; YAML is indented with spaces" },
	{ "tabs after spaces", "a:\n  \tb: 1\n", "t.yaml:2:3: a tab; YAML is indented with spaces" },
	{ "an open quote", "a: 'x\nb: 1\n", "t.yaml:1:4: this quote is never closed" },
	{ "an open double quote", "a: 1\nb: \"x\n", "t.yaml:2:4: this quote is never closed" },
	{ "an open list", "a: [1, 2\nb: 3\n", "t.yaml:1:4: this '[' is not closed: a ']' is missing before line 2" },
	{ "an open map", "a: {b: 2\n", "t.yaml:1:4: this '{' is not closed: a '}' is missing before line 2" },
	{ "two colons", "a: b: c\n",
	  "t.yaml:1:5: a ':' stands where no key can be: check the indentation of this line and the one above, and put "
	  "quotes around text that holds ': '" },
	{ "a key without colon", "a: 1\nb\n", "t.yaml:2:1: no ':' after the key here; write 'KEY: VALUE'" },
	{ "wrong indentation", "a:\n    b: 1\n  c: 2\n",
	  "t.yaml:3:3: expected a key here: the indentation does not fit the lines above" },
	{ "a bad escape", "a: \"\\p\"\n",
	  "t.yaml:1:5: unknown escape after '\\' in double quotes; use single quotes or write '\\\\'" },
	{ "a backquote", "a: `x`\n", "t.yaml:1:4: text cannot start with '`'; put it in quotes" },
	{ "a list on the key's line", "a: - 1\n",
	  "t.yaml:1:4: '- ' cannot stand here: a list starts on a line of its own, below its key" },
	{ "a wildcard without quotes", "a: *.example.com\n",
	  "t.yaml:1:4: text cannot start with '*' or '&'; put it in quotes" },
};

static void test_bad(void)
{
	static const char nul[] = "a: 1\0b";
	struct yaml_node *n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CASE(arena_printf("refuses %s", bad[i].what))
		{
			CHECK(parse(bad[i].text) == NULL);
			CHECK_STR(e.msg, bad[i].message);
			CHECK_INT(e.class, CLASS_CONFIG);
		}
	}
	CASE("refuses NUL bytes")
	{
		e = (struct err){ 0 };
		CHECK(yaml_parse("t.yaml", nul, sizeof(nul) - 1, &n, &e) < 0);
		CHECK_STR(e.msg, "t.yaml:1:5: a NUL byte; the file must be plain UTF-8 text (is it UTF-16?)");
	}
}

static char *repeat(const char *s, size_t times)
{
	struct strbuf b = { 0 };

	for (size_t i = 0; i < times; i++)
		strbuf_adds(&b, s);
	return b.s;
}

static void test_limits(void)
{
	CASE("takes 64 levels and refuses 65")
	{
		_cleanup_free_ char *open = repeat("[", 64), *close = repeat("]", 64);

		CHECK(parse(arena_printf("%s%s", open, close)) != NULL);
		CHECK(parse(arena_printf("[%s%s]", open, close)) == NULL);
		CHECK_STR(e.msg, "t.yaml:1:65: nested deeper than 64 levels");
	}
	CASE("refuses a bomb of a million brackets at once")
	{
		_cleanup_free_ char *bomb = repeat("[", 1000000);
		double start = now_seconds();

		CHECK(parse(bomb) == NULL);
		CHECK(now_seconds() - start < 1);
	}
	CASE("takes a value of 64 KiB and refuses one byte more")
	{
		_cleanup_free_ char *text = repeat("x", 65536);

		CHECK(parse(arena_printf("a: %s", text)) != NULL);
		CHECK(parse(arena_printf("a: %sx", text)) == NULL);
		CHECK_STR(e.msg, "t.yaml:1:4: a single value of more than 64 KiB");
	}
	CASE("refuses more than 100000 values")
	{
		_cleanup_free_ char *text = repeat("- 1\n", 100000);

		CHECK(parse(text) == NULL);
		CHECK_STR(e.msg, "t.yaml:100000:3: more than 100000 values; this is no configuration file");
	}
	CASE("refuses more than 1 MiB")
	{
		_cleanup_free_ char *text = repeat("# comment\n", 110000);

		CHECK(parse(text) == NULL);
		CHECK_STR(e.msg, "t.yaml: larger than 1 MiB; this is no configuration file");
	}
	CASE("reads a map of 40000 keys in less than a second")
	{
		struct strbuf b = { 0 };
		double start = now_seconds();

		for (int i = 0; i < 40000; i++)
			strbuf_addf(&b, "key%d: 1\n", i);
		CHECK(parse(b.s) != NULL);
		CHECK(now_seconds() - start < 1);
		strbuf_done(&b);
	}
}

static void test_good(void)
{
	struct yaml_node *n;

	CASE("gives text, position and whether it was quoted")
	{
		n = parse("a:\n  - yes\n  - 'no'\n");
		CHECK_STR(yaml_get(n, "a")->items[0]->text, "yes");
		CHECK(yaml_get(n, "a")->items[0]->plain);
		CHECK_STR(yaml_get(n, "a")->items[1]->text, "no");
		CHECK(!yaml_get(n, "a")->items[1]->plain);
		CHECK_INT(yaml_get(n, "a")->items[1]->line, 3);
		CHECK_INT(yaml_get(n, "a")->items[1]->col, 5);
		CHECK_STR(yaml_get(n, "a")->items[1]->file, "t.yaml");
	}
	CASE("reads files with CRLF")
	{
		n = parse("a: x\r\nb: |\r\n  1\r\n  2\r\n");
		CHECK_STR(yaml_get(n, "a")->text, "x");
		CHECK_STR(yaml_get(n, "b")->text, "1\n2\n");
	}
	CASE("takes an empty file and one of comments as an empty map")
	{
		CHECK_INT(parse("")->type, YAML_MAP);
		CHECK_INT(parse("# nothing\n")->type, YAML_MAP);
		CHECK_INT(parse("---\n")->count, 0);
	}
	CASE("finds values by dotted path")
	{
		n = parse("a: {b: {c: 7}}\n");
		CHECK_STR(yaml_find(n, "a.b.c")->text, "7");
		CHECK(yaml_find(n, "a.x.c") == NULL);
		CHECK(yaml_find(n, "a.b.c.d") == NULL);
	}
	CASE("merges maps deeply and replaces all else")
	{
		struct strbuf out = { 0 };

		n = parse("a: {b: 1, c: [1, 2]}\nd: x\n");
		yaml_merge(n, parse("a: {c: [3], e: 4}\nd: {f: 5}\n"));
		yaml_emit(n, NULL, &out);
		CHECK_STR(out.s, "a:\n  b: 1\n  c:\n  - 3\n  e: 4\nd:\n  f: 5\n");
		strbuf_done(&out);
	}
}

static const struct {
	const char *value, *emitted;
} styles[] = {
	{ "plain", "plain" },
	{ "two words", "two words" },
	{ "/usr/local/bin", "/usr/local/bin" },
	{ "10.42.0.0/16", "10.42.0.0/16" },
	{ "quay.io/cilium/cilium:v1.20.0", "quay.io/cilium/cilium:v1.20.0" },
	{ "15s", "15s" },
	{ "", "\"\"" },
	{ "true", "\"true\"" },
	{ "False", "\"False\"" },
	{ "yes", "\"yes\"" },
	{ "No", "\"No\"" },
	{ "on", "\"on\"" },
	{ "y", "\"y\"" },
	{ "~", "\"~\"" },
	{ "null", "\"null\"" },
	{ "012", "\"012\"" },
	{ "0o17", "\"0o17\"" },
	{ "0x1F", "\"0x1F\"" },
	{ "1e3", "\"1e3\"" },
	{ "1_000", "\"1_000\"" },
	{ "1:30", "\"1:30\"" },
	{ "1.20", "\"1.20\"" },
	{ ".5", "\".5\"" },
	{ "-1", "\"-1\"" },
	{ "+1", "\"+1\"" },
	{ ".inf", "\".inf\"" },
	{ "2026-09-15", "\"2026-09-15\"" },
	{ "2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\"" },
	{ "=", "\"=\"" },
	{ "<<", "\"<<\"" },
	{ "- x", "\"- x\"" },
	{ "a: b", "\"a: b\"" },
	{ "a #b", "\"a #b\"" },
	{ "a:", "\"a:\"" },
	{ "trailing ", "\"trailing \"" },
	{ "{x}", "\"{x}\"" },
	{ "it's", "\"it's\"" },
	{ "say \"x\"", "\"say \\\"x\\\"\"" },
	{ "M\xc3\xbcller", "\"M\xc3\xbcller\"" },
	{ "tab\there", "\"tab\\there\"" },
	{ "esc\x1b", "\"esc\\e\"" },
	{ "one\ntwo\n", "|\n  one\n  two" },
	{ "one\ntwo", "|-\n  one\n  two" },
	{ "one\n\n", "\"one\\n\\n\"" },
	{ " one\ntwo\n", "\" one\\ntwo\\n\"" },
	{ "one \ntwo\n", "\"one \\ntwo\\n\"" },
	{ "one\r\ntwo\r\n", "\"one\\r\\ntwo\\r\\n\"" },
};

static void test_emit(void)
{
	_cleanup_strbuf_ struct strbuf plain = { 0 };
	const struct yaml_node *n;

	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		struct strbuf out = { 0 };
		struct yaml_node *map = yaml_map();

		CASE(arena_printf("string %zu of the table stays the string it is", i))
		{
			yaml_set(map, "k", yaml_str(styles[i].value));
			yaml_emit(map, NULL, &out);
			CHECK_STR(out.s, arena_printf("k: %s\n", styles[i].emitted));
			CHECK_STR(yaml_get(parse(out.s), "k")->text, styles[i].value);
		}
		strbuf_done(&out);
	}
	CASE("writes numbers, booleans, nothing, empty lists and maps as such")
	{
		struct strbuf out = { 0 };
		struct yaml_node *map = parse("n:\nt: ~\n");

		yaml_set(map, "i", yaml_int(-7));
		yaml_set(map, "b", yaml_bool(true));
		yaml_set(map, "s", yaml_seq());
		yaml_set_path(map, "m.x", yaml_map());
		yaml_emit(map, "first\n\nsecond", &out);
		CHECK_STR(out.s, "# first\n#\n# second\nn: null\nt: ~\ni: -7\nb: true\ns: []\nm:\n  x: {}\n");
		strbuf_done(&out);
	}
	CASE("quotes what at the beginning of a line would make the file refused as encrypted or in conflict")
	{
		static const char *const values[] = { "age-encryption.org/v1", "$ANSIBLE_VAULT;1.1", "<<<<<<< main",
						      ">>>>>>> x\ny", "-----BEGIN PGP MESSAGE-----" };

		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			_cleanup_strbuf_ struct strbuf out = { 0 };

			yaml_emit(yaml_str(values[i]), NULL, &out);
			CHECK_STR(parse(out.s)->text, values[i]);
		}
		n = parse(" age-encryption.org/;");
		CHECK_INT(n->plain, true);
		yaml_emit(n, NULL, &plain);
		CHECK_STR(parse(plain.s)->text, "age-encryption.org/;");
	}
	CASE("writes several documents")
	{
		struct strbuf out = { 0 };
		struct yaml_node *docs[] = { parse("a: 1"), parse("b: |\n  x\n  y\n") };

		yaml_emit_all(docs, 2, "top", &out);
		CHECK_STR(out.s, "# top\na: 1\n---\nb: |\n  x\n  y\n");
		strbuf_done(&out);
	}
}

/* xorshift: the same strings on every machine */
static uint32_t seed = 2463534242;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static void add_char(struct strbuf *b)
{
	static const char *const nasty[] = { "\n",
					     " ",
					     "\t",
					     "\r",
					     ":",
					     ": ",
					     " #",
					     "-",
					     "- ",
					     "'",
					     "\"",
					     "\\",
					     "{",
					     "}",
					     "[",
					     "]",
					     ",",
					     "&",
					     "*",
					     "!",
					     "|",
					     ">",
					     "%",
					     "@",
					     "`",
					     "~",
					     "?",
					     "=",
					     "<<",
					     "0",
					     "1",
					     "e",
					     ".",
					     "_",
					     "yes",
					     "no",
					     "true",
					     "null",
					     "---",
					     "...",
					     "\x01",
					     "\x1b",
					     "\x7f",
					     "\xc2\x85",
					     "\xc2\xa0",
					     "\xe2\x80\xa8",
					     "\xe2\x80\xa9",
					     "\xef\xbb\xbf",
					     "\xef\xbf\xbe",
					     "\xf0\x9f\x98\x80",
					     "\xc3\xa4",
					     "\xe2\x82\xac" };
	uint32_t c;

	if (rnd(2)) {
		strbuf_adds(b, nasty[rnd(ARRAY_SIZE(nasty))]);
		return;
	}
	do
		c = rnd(4) ? 1 + rnd(0x7f) : 1 + rnd(0x10ffff);
	while (c >= 0xd800 && c <= 0xdfff);
	if (c < 0x80)
		strbuf_addf(b, "%c", (int)c);
	else if (c < 0x800)
		strbuf_addf(b, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
	else if (c < 0x10000)
		strbuf_addf(b, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)),
			    (int)(0x80 | (c & 0x3f)));
	else
		strbuf_addf(b, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
			    (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

static char *random_text(void)
{
	struct strbuf b = { 0 };
	uint32_t n = rnd(rnd(10) ? 12 : 200);

	strbuf_adds(&b, "");
	for (uint32_t i = 0; i < n; i++)
		add_char(&b);
	return b.s;
}

static void test_round_trip(void)
{
	CASE("10000 random strings come back as they were, as keys, values and list items")
	{
		for (int i = 0; i < 10000; i++) {
			_cleanup_free_ char *key = random_text(), *value = random_text(), *item = random_text();
			struct yaml_node *map = yaml_map(), *back;
			struct strbuf out = { 0 };

			yaml_set(map, key, yaml_str(value));
			yaml_append(yaml_set(map, "list, always", yaml_seq()), yaml_str(item));
			yaml_emit(map, NULL, &out);
			back = parse(out.s);
			CHECK_STR(e.msg, "");
			if (!back)
				break;
			CHECK_STR(back->keys[0]->text, key);
			CHECK_STR(back->items[0]->text, value);
			CHECK_STR(yaml_get(back, "list, always")->items[0]->text, item);
			strbuf_done(&out);
		}
	}
}

/* ---- plain scalars: tests/lib/scalars.tsv ---- */

static const char *kind_name(enum yaml_kind kind)
{
	static const char *const names[] = { "null", "bool", "int", "float", "text", "no-json" };

	return names[kind];
}

/* WANT is JSON. Numbers of JSON are doubles here: 12345678901234567000 for ...890. */
static bool word_fits(const char *word, const char *kind, const char *want)
{
	if (streq(kind, "int") || streq(kind, "float"))
		return strtod(word, NULL) == strtod(want, NULL);
	if (streq(kind, "text"))
		return streq(arena_printf("\"%s\"", word), want);
	return streq(kind, "bool") ? streq(word, want) : true;
}

static void test_scalars(void)
{
	FILE *f = fopen("tests/lib/scalars.tsv", "re");
	char line[256];

	CASE("a plain scalar is what Helm makes of it, and text when it is quoted")
	{
		unsigned rows = 0;

		while (f && fgets(line, sizeof(line), f)) {
			char *save = NULL, *text = strtok_r(line, "\t", &save), *kind = strtok_r(NULL, "\t", &save);
			char *json = strtok_r(NULL, "\n", &save);
			struct yaml_node *n;

			if (*line == '#')
				continue;
			rows++;
			n = yaml_get(parse(arena_printf("a: %s\n", text)), "a");
			CHECK_STR(arena_printf("%s is %s", text, kind_name(yaml_value(n).kind)),
				  arena_printf("%s is %s", text, kind));
			if (!word_fits(yaml_word(n), kind, json))
				CHECK_STR(arena_printf("%s is %s", text, yaml_word(n)),
					  arena_printf("%s is %s", text, json));
			n = yaml_get(parse(arena_printf("a: '%s'\n", text)), "a");
			CHECK_INT(yaml_value(n).kind, YAML_TEXT);
		}
		CHECK(rows > 100);
	}
	CASE("what is written back is the same to Helm: strings that look otherwise are quoted, numbers are not")
	{
		struct yaml_node *n = parse("a: 1_000\nb: '1_000'\nc: 127.0.0.1\nd: yes\ne: 'yes'\nf: 1.10\n"
					    "g: '.5'\nh: '+1'\ni: '0o14'\nj: '1e3'\nk: '~'\nl: '.inf'\nm: 'Null'\n");
		struct strbuf out = { 0 };

		yaml_emit(n, NULL, &out);
		CHECK_STR(out.s, "a: 1_000\nb: \"1_000\"\nc: 127.0.0.1\nd: yes\ne: \"yes\"\nf: 1.10\ng: \".5\"\n"
				 "h: \"+1\"\ni: \"0o14\"\nj: \"1e3\"\nk: \"~\"\nl: \".inf\"\nm: \"Null\"\n");
		strbuf_done(&out);
	}
	if (f)
		fclose(f);
}

int main(void)
{
	int r;

	test_bad();
	test_limits();
	test_good();
	test_emit();
	test_round_trip();
	test_scalars();
	r = check_done();
	arena_done();
	return r;
}
