/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a tree: parsed from outside text with limits, or built node by node and emitted. The only folder that
 * includes libyaml; nothing here knows what the keys mean. Nodes live on the arena of the run.
 *
 * Parsing is strict: UTF-8 without BOM, one document, at most 1 MiB, depth 64, 100,000 nodes, scalars of 64 KiB;
 * duplicate keys (two spellings of one too: yes and true), null as a key, aliases, anchors, tags, merge keys and
 * non-scalar keys are refused, each with line and column.
 *
 * Scalars are text. `plain` says that it was written without quotes: only then "true", "12" or "~" may be read as a
 * boolean, a number or nothing; what a key accepts is the schema's business.
 */
#ifndef YAML_YAML_H
#define YAML_YAML_H

#include "base/err.h"
#include "base/json.h"
#include "base/util.h"

enum yaml_type { YAML_SCALAR, YAML_SEQ, YAML_MAP };

struct yaml_node {
	enum yaml_type type;
	const char *file;   /* for messages; NULL when built */
	unsigned line, col; /* 1-based; 0 when built */

	/* scalar */
	const char *text;
	size_t n; /* bytes of text; may hold no NUL */
	bool plain;

	/* sequence: items; map: keys[i] -> items[i], in the order written */
	struct yaml_node **keys;
	struct yaml_node **items;
	size_t count, cap;

	bool flow; /* written on one line: {a: 1, b: 2} */
};

/* Parses TEXT; NAME is the file's name for messages ("cluster.yaml:3:7: ..."). Class CONFIG on any fault,
 * with -EILSEQ when no YAML program could read it, -EOPNOTSUPP for what others take (anchors, tags). An empty document
 * gives an empty map. */
int yaml_parse(const char *name, const char *text, size_t n, struct yaml_node **ret, struct err *e);
/* The bytes of PATH, or of FD when that is not negative and PATH its name in messages, on the arena. Class CONFIG when
 * they cannot be had. */
int yaml_read(const char *path, int fd, const char **ret, size_t *ret_n, struct err *e);
int yaml_load(const char *path, struct yaml_node **ret, struct err *e);

/* Several documents of one file, for looking into manifests; same limits, but files of LIMIT bytes. */
int yaml_parse_all(const char *name, const char *text, size_t n, struct yaml_node ***ret, size_t *ret_n, struct err *e);
int yaml_load_all(const char *path, size_t limit, struct yaml_node ***ret, size_t *ret_n, struct err *e);

/* What Helm, and with it a chart, makes of a scalar; maps and lists are YAML_TEXT. */
enum yaml_kind {
	YAML_NULL,
	YAML_BOOL,
	YAML_INT, /* a whole number, however it is written: 1000, 1_000, 1e3, 0x3E8 */
	YAML_FLOAT,
	YAML_TEXT,
	YAML_NO_JSON, /* .inf, .nan: Helm refuses the whole file */
};
struct yaml_value {
	enum yaml_kind kind;
	bool truth;	 /* YAML_BOOL */
	bool negative;	 /* numbers */
	bool exact;	 /* NUMBER holds the digits before the point; else FRACTION alone has it */
	uint64_t number; /* without sign */
	double fraction; /* with sign; 0 for what is written as an integer */
};
struct yaml_value yaml_value(const struct yaml_node *n);
/* One word for all spellings of a scalar: "true" for yes, "1000" for 1_000, "" for null; text is its own word. */
const char *yaml_word(const struct yaml_node *n);
/* N (may be NULL) is a scalar of this word. */
bool yaml_is(const struct yaml_node *n, const char *word);

/* Value of KEY in a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* Value at "a.b.c", or NULL. */
struct yaml_node *yaml_find(const struct yaml_node *map, const char *dotted);
/* The text of the scalar there; "" when MAP, which may be NULL or no map, has none. */
const char *yaml_text_at(const struct yaml_node *map, const char *dotted);
/* N is WORD without quotes, as true and null are written. */
bool yaml_is_plain(const struct yaml_node *n, const char *word);

/* Building. Strings are copied and always come back as strings, whatever they look like ("true", "0644"). */
struct yaml_node *yaml_map(void);
struct yaml_node *yaml_seq(void);
struct yaml_node *yaml_str(const char *s);
struct yaml_node *yaml_strn(const char *s, size_t n);
struct yaml_node *yaml_strf(const char *fmt, ...) _printf_(1, 2);
struct yaml_node *yaml_bool(bool v);
struct yaml_node *yaml_int(int64_t v);
/* Sets KEY (replacing an earlier value) and returns VALUE, so that maps can be built top down. */
struct yaml_node *yaml_set(struct yaml_node *map, const char *key, struct yaml_node *value);
/* As yaml_set with the path "a.b.c", making the maps between. */
struct yaml_node *yaml_set_path(struct yaml_node *map, const char *dotted, struct yaml_node *value);
struct yaml_node *yaml_append(struct yaml_node *seq, struct yaml_node *value);

/* J as a tree without places; only texts are not plain. */
struct yaml_node *yaml_of_json(const json_t *j);

/* Deep merge as Helm does it: maps merge, everything else of OVER replaces. BASE is changed; nodes are shared. */
void yaml_merge(struct yaml_node *base, const struct yaml_node *over);

/* True when S is valid UTF-8 without NUL: what a scalar can hold. Strings given to the emitter must be. */
bool yaml_is_text(const char *s, size_t n);

/* Of the bytes of a file whose content is not in it, as they begin: words about who has it; NULL of any other. *RET_GIT
 * (may be NULL): git puts the content there, so that nobody wants this file as it is. */
const char *yaml_withheld(const char *text, size_t n, bool *ret_git);
/* The first line that `git merge` put in, or N. At the beginning of a line no YAML of people's starts so. */
size_t yaml_conflict_mark(const char *text, size_t n);
extern const char yaml_conflict_words[];

/* Appends the document(s) as text. COMMENT (may be NULL) becomes "# ..." lines at the top. */
void yaml_emit(const struct yaml_node *doc, const char *comment, struct strbuf *out);
void yaml_emit_all(struct yaml_node *const *docs, size_t n, const char *comment, struct strbuf *out);

#endif
