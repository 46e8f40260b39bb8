/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to trees through libyaml's event parser. libyaml knows no limits and its words are for people who know the
 * YAML specification; both are put right here.
 */
#include "yaml/yaml.h"

#include <errno.h>
#include <yaml.h>

#include "base/file.h"
#include "yaml/internal.h"

#define MAX_FILE   (1 * MIB)
#define MAX_DEPTH  64
#define MAX_NODES  100000
#define MAX_SCALAR (64 * KIB)

struct loader {
	yaml_parser_t parser;
	const char *name;
	const char *text;
	size_t n;
	size_t max_scalar;
	unsigned depth, nodes, documents;
	struct err *e;
};

struct position {
	unsigned line, col;
};

static struct position at_mark(yaml_mark_t m)
{
	return (struct position){ (unsigned)m.line + 1, (unsigned)m.column + 1 };
}

/* Keys are quoted in messages. */
static int parse_fault(struct loader *l, struct position p, const char *what)
{
	return err_at(l->e, l->name, p.line, p.col, "%s", clean_copy(what));
}

/* YAML all the same. */
static int parse_unsupported(struct loader *l, struct position p, const char *what)
{
	parse_fault(l, p, what);
	l->e->code = -EOPNOTSUPP;
	return l->e->code;
}

/* ---- libyaml's words, translated ---- */

/* libyaml counts characters, we need bytes: the ASCII part before the mark is what matters for tabs. */
static bool tab_in_indent(const struct loader *l, unsigned line)
{
	const char *p = l->text, *end = p + l->n;

	for (unsigned i = 1; i < line && p; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	for (; p && p < end && (*p == ' ' || *p == '-'); p++)
		;
	return p && p < end && *p == '\t';
}

static const char *translate(const char *problem)
{
	static const struct {
		const char *libyaml, *words;
	} table[] = {
		{ "mapping values are not allowed",
		  "a ':' stands where no key can be: check the indentation of this line and the one above, and put quotes around text that holds ': '" },
		{ "did not find expected key", "expected a key here: the indentation does not fit the lines above" },
		{ "could not find expected ':'", "a key without ':' after it (or a quote that is never closed)" },
		{ "did not find expected '-' indicator",
		  "expected '- ' here: the indentation does not fit the list above" },
		{ "did not find expected ',' or ']'", "expected ',' or ']' in the list that '[' opened" },
		{ "did not find expected ',' or '}'", "expected ',' or '}' in the map that '{' opened" },
		{ "found unexpected end of stream", "the quote opened before is never closed" },
		{ "found unexpected document indicator", "the quote opened before is never closed" },
		{ "block sequence entries are not allowed",
		  "'- ' cannot stand here: a list starts on a line of its own, below its key" },
		{ "block mapping keys are not allowed", "a key cannot stand here" },
		{ "found unknown escape character",
		  "unknown escape after '\\' in double quotes; use single quotes or write '\\\\'" },
		{ "did not find expected hexdecimal number",
		  "bad escape in double quotes: hexadecimal digits expected" },
		{ "found invalid Unicode character escape code", "this escape is no Unicode character" },
		{ "did not find expected alphabetic or numeric character",
		  "text cannot start with '*' or '&'; put it in quotes" },
		{ "found character that cannot start any token",
		  "text cannot start with this character; put it in quotes" },
		{ "found undefined tag handle",
		  "tags (!name) are not supported; put text that starts with '!' in quotes" },
		{ "did not find expected <document start>",
		  "'...' or '---' has ended the document above; this file must hold one: remove that line" },
		{ "did not find expected node content", "a value is missing here" },
		{ "did not find expected comment or line break", "only a comment may follow here" },
		{ "found a tab character", "a tab; YAML is indented with spaces" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (starts_with(problem, table[i].libyaml))
			return table[i].words;
	return problem;
}

static int tell_parser_fault(struct loader *l)
{
	const yaml_parser_t *p = &l->parser;
	struct position at = at_mark(p->problem_mark), context;
	struct yaml_diagnosis d;

	if (p->error == YAML_MEMORY_ERROR || !p->problem)
		out_of_memory();
	if (tab_in_indent(l, at.line))
		return parse_fault(l, at, "a tab; YAML is indented with spaces");
	/* The opening quote is what the reader has to find. */
	if (p->context && strstr(p->context, "quoted scalar") && strstr(p->problem, "unexpected"))
		return parse_fault(l, at_mark(p->context_mark), "this quote is never closed");
	if (p->context && (strstr(p->context, "alias") || strstr(p->context, "anchor")))
		at = at_mark(p->context_mark);
	context = at_mark(p->context_mark);
	d = yaml_diagnose(l->text, l->n, p->problem, (struct yaml_place){ at.line, at.col },
			  (struct yaml_place){ context.line, context.col });
	if (d.words)
		return parse_fault(l, (struct position){ d.line, d.col }, d.words);
	return parse_fault(l, at, translate(p->problem));
}

static int parser_fault(struct loader *l)
{
	tell_parser_fault(l);
	l->e->code = -EILSEQ;
	return l->e->code;
}

/* ---- what is refused before libyaml sees it ---- */

static struct position position_of(const char *text, size_t index)
{
	struct position p = { 1, 1 };

	for (size_t i = 0; i < index; i++) {
		if (text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n')) {
			p.line++;
			p.col = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			p.col++;
		}
	}
	return p;
}

static int parse_check_text(struct loader *l)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *words;
	} marks[] = {
		{ "\xef\xbb\xbf", 3, "the file starts with a byte order mark; save it as UTF-8 without BOM" },
		{ "\xff\xfe", 2, "the file is UTF-16; save it as UTF-8" },
		{ "\xfe\xff", 2, "the file is UTF-16; save it as UTF-8" },
	};
	const char *what;
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (l->n >= marks[i].n && memcmp(l->text, marks[i].bytes, marks[i].n) == 0)
			return parse_fault(l, (struct position){ 1, 1 }, marks[i].words);
	what = yaml_withheld(l->text, l->n, NULL);
	if (what)
		return parse_fault(l, (struct position){ 1, 1 }, what);
	at = yaml_text_fault(l->text, l->n, &what);
	if (at < l->n)
		return parse_fault(l, position_of(l->text, at), what);
	at = yaml_conflict_mark(l->text, l->n);
	return at < l->n ? parse_fault(l, position_of(l->text, at), yaml_conflict_words) : 0;
}

/* ---- events to nodes ---- */

static int next(struct loader *l, yaml_event_t *event)
{
	return yaml_parser_parse(&l->parser, event) ? 0 : parser_fault(l);
}

static int make(struct loader *l, const yaml_event_t *event, enum yaml_type type, const yaml_char_t *anchor,
		const yaml_char_t *tag, struct yaml_node **ret)
{
	struct position p = at_mark(event->start_mark);
	struct yaml_node *n;

	if (anchor)
		return parse_unsupported(l, p,
					 "anchors (&name) are not supported; write the value out where it is needed");
	if (tag)
		return parse_unsupported(l, p,
					 "tags (!name) are not supported; put text that starts with '!' in quotes");
	if (++l->nodes > MAX_NODES)
		return parse_fault(l, p, "more than 100000 values; this is no configuration file");
	n = yaml_new(type);
	n->file = l->name;
	n->line = p.line;
	n->col = p.col;
	*ret = n;
	return 0;
}

static int make_scalar(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
	size_t n = event->data.scalar.length;
	int r;

	if (n > l->max_scalar)
		return parse_fault(l, at_mark(event->start_mark), "a single value of more than 64 KiB");
	r = make(l, event, YAML_SCALAR, event->data.scalar.anchor, event->data.scalar.tag, ret);
	if (r < 0)
		return r;
	if (memchr(event->data.scalar.value, 0, n))
		return parse_fault(l, at_mark(event->start_mark), "a value cannot hold the escape \\0 (NUL)");
	(*ret)->text = arena_strndup((const char *)event->data.scalar.value, n);
	(*ret)->n = n;
	(*ret)->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int read_node(struct loader *l, const yaml_event_t *event, struct yaml_node **ret);

static int read_seq(struct loader *l, struct yaml_node *seq)
{
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
		struct yaml_node *item;
		int r = next(l, &event);

		if (r < 0)
			return r;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		r = read_node(l, &event, &item);
		if (r < 0)
			return r;
		yaml_push(seq, NULL, item);
	}
}

struct key_place {
	const struct yaml_node *key;
	const char *word; /* two spellings of one key are the same key to whoever reads the file next */
	size_t index;
};

static int compare_places(const void *a, const void *b)
{
	const struct key_place *x = a, *y = b;
	int r = strcmp(x->word, y->word);

	return r ? r : (x->index > y->index) - (x->index < y->index);
}

/* By sorting, so that a map of 50,000 keys is no attack. The first duplicate of the file is the one named. */
static int check_duplicates(struct loader *l, const struct yaml_node *map)
{
	_cleanup_free_ struct key_place *places = xcalloc(map->count, sizeof(*places));
	const struct yaml_node *first = NULL, *second = NULL;
	size_t lowest = map->count;

	for (size_t i = 0; i < map->count; i++)
		places[i] = (struct key_place){ map->keys[i], yaml_word(map->keys[i]), i };
	qsort(places, map->count, sizeof(*places), compare_places);
	for (size_t i = 1; i < map->count; i++) {
		if (!streq(places[i - 1].word, places[i].word) || places[i].index >= lowest)
			continue;
		lowest = places[i].index;
		first = places[i - 1].key;
		second = places[i].key;
	}
	if (!second)
		return 0;
	return parse_fault(
		l, (struct position){ second->line, second->col },
		streq(first->text, second->text)
			? arena_printf("the key '%s' is already set in line %u; each key may stand once", second->text,
				       first->line)
			: arena_printf("the key '%s' is already set in line %u, as '%s'; to YAML both are %s",
				       second->text, first->line, first->text, yaml_word(second)));
}

static int parse_read_key(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
	struct position p = at_mark(event->start_mark);
	int r;

	if (event->type == YAML_ALIAS_EVENT)
		return parse_unsupported(l, p,
					 "aliases (*name) are not supported; put text that starts with '*' in quotes");
	if (event->type == YAML_MAPPING_START_EVENT && event->start_mark.index &&
	    l->text[event->start_mark.index] == '{' && l->text[event->start_mark.index - 1] == '{')
		return parse_fault(l, p, "{{...}} is for a program that fills in templates: put the value itself here");
	if (event->type != YAML_SCALAR_EVENT)
		return parse_fault(l, p, "a key must be text; put quotes around text that starts with '{' or '['");
	r = make_scalar(l, event, ret);
	if (r < 0)
		return r;
	if ((*ret)->plain && !(*ret)->n)
		return parse_fault(l, p, "a key is missing here");
	if (yaml_value(*ret).kind == YAML_NULL)
		return parse_fault(l, p,
				   arena_printf("the key '%s' is no text to YAML; put it in quotes", (*ret)->text));
	if ((*ret)->plain && streq((*ret)->text, "<<"))
		return parse_unsupported(l, p, "merge keys (<<) are not supported; write the keys out");
	return 0;
}

static int read_map(struct loader *l, struct yaml_node *map)
{
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t key_event = { 0 }, event = { 0 };
		struct yaml_node *key, *item;
		int r = next(l, &key_event);

		if (r < 0)
			return r;
		if (key_event.type == YAML_MAPPING_END_EVENT)
			return check_duplicates(l, map);
		r = parse_read_key(l, &key_event, &key);
		if (r < 0)
			return r;
		r = next(l, &event);
		if (r < 0)
			return r;
		r = read_node(l, &event, &item);
		if (r < 0)
			return r;
		yaml_push(map, key, item);
	}
}

static int read_node(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	int r;

	if (event->type == YAML_SCALAR_EVENT)
		return make_scalar(l, event, ret);
	if (event->type == YAML_ALIAS_EVENT)
		return parse_unsupported(l, at_mark(event->start_mark),
					 "aliases (*name) are not supported; put text that starts with '*' in quotes");
	if (++l->depth > MAX_DEPTH)
		return parse_fault(l, at_mark(event->start_mark), "nested deeper than 64 levels");
	r = map ? make(l, event, YAML_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag, ret)
		: make(l, event, YAML_SEQ, event->data.sequence_start.anchor, event->data.sequence_start.tag, ret);
	if (r == 0)
		r = map ? read_map(l, *ret) : read_seq(l, *ret);
	l->depth--;
	return r;
}

/* *RET is NULL at the end of the stream. */
static int parse_read_document(struct loader *l, bool first_only, struct yaml_node **ret)
{
	_cleanup_(yaml_event_delete) yaml_event_t start = { 0 }, root = { 0 }, end = { 0 };
	int r = next(l, &start);

	*ret = NULL;
	if (r < 0 || start.type == YAML_STREAM_END_EVENT)
		return r;
	if (first_only && l->documents++)
		return parse_fault(l, at_mark(start.start_mark),
				   "a second document starts here (after ---); this file must hold one");
	if (start.data.document_start.tag_directives.start != start.data.document_start.tag_directives.end)
		return parse_unsupported(l, at_mark(start.start_mark), "tags (%TAG) are not supported");
	r = next(l, &root);
	if (r < 0)
		return r;
	r = read_node(l, &root, ret);
	return r < 0 ? r : next(l, &end);
}

static int loader_start(struct loader *l)
{
	_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
	int r = parse_check_text(l);

	if (r < 0)
		return r;
	yaml_parser_set_input_string(&l->parser, (const unsigned char *)l->text, l->n);
	yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
	return next(l, &event);
}

static bool is_empty(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && n->plain && !n->n;
}

static int parse_one(struct loader *l, struct yaml_node **ret)
{
	struct yaml_node *doc, *none = NULL;
	int r = loader_start(l);

	if (r < 0)
		return r;
	r = parse_read_document(l, true, &doc);
	if (r == 0 && doc)
		r = parse_read_document(l, true, &none);
	if (r < 0)
		return r;
	if (!doc || is_empty(doc)) {
		doc = yaml_map();
		doc->file = l->name;
		doc->line = doc->col = 1;
	}
	*ret = doc;
	return 0;
}

static struct loader loader_make(const char *name, const char *text, size_t n, struct err *e)
{
	return (struct loader){ .name = arena_strdup(name), .text = text, .n = n, .max_scalar = MAX_SCALAR, .e = e };
}

int yaml_parse(const char *name, const char *text, size_t n, struct yaml_node **ret, struct err *e)
{
	struct loader l = loader_make(name, text, n, e);
	int r;

	if (n > MAX_FILE)
		return err_class(e, CLASS_CONFIG, "%s: larger than 1 MiB; this is no configuration file", name);
	if (!yaml_parser_initialize(&l.parser))
		out_of_memory();
	r = parse_one(&l, ret);
	yaml_parser_delete(&l.parser);
	return r;
}

int yaml_read(const char *path, int fd, const char **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = fd < 0 ? file_read(path, MAX_FILE, &text, ret_n, e) : file_read_fd(fd, path, MAX_FILE, &text, ret_n, e);

	if (r == -E2BIG)
		return err_class(e, CLASS_CONFIG, "%s: larger than 1 MiB; this is no configuration file", path);
	if (r < 0)
		return err_blame(e, CLASS_CONFIG);
	*ret = arena_strndup(text, *ret_n);
	return 0;
}

int yaml_load(const char *path, struct yaml_node **ret, struct err *e)
{
	const char *text = NULL;
	size_t n = 0;
	int r = yaml_read(path, -1, &text, &n, e);

	return r < 0 ? r : yaml_parse(path, text, n, ret, e);
}

static int read_all(struct loader *l, struct yaml_node ***ret, size_t *ret_n)
{
	VEC(struct yaml_node *) docs = { 0 };
	int r = loader_start(l);

	if (r < 0)
		return r;
	for (;;) {
		struct yaml_node *doc;

		r = parse_read_document(l, false, &doc);
		if (r < 0)
			return r;
		if (!doc)
			break;
		if (!is_empty(doc))
			*vec_push(&docs) = doc;
	}
	*ret = docs.v;
	*ret_n = docs.n;
	return 0;
}

int yaml_parse_all(const char *name, const char *text, size_t n, struct yaml_node ***ret, size_t *ret_n, struct err *e)
{
	struct loader l = loader_make(name, text, n, e);
	int r;

	if (!yaml_parser_initialize(&l.parser))
		out_of_memory();
	r = read_all(&l, ret, ret_n);
	yaml_parser_delete(&l.parser);
	return r;
}

int yaml_load_all(const char *path, size_t limit, struct yaml_node ***ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read(path, limit, &text, &n, e);

	if (r < 0)
		return err_blame(e, CLASS_CONFIG);
	return yaml_parse_all(path, text, n, ret, ret_n, e);
}
