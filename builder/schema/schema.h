/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema engine: a field is a row of a table, a kind says which values it takes. From the rows come parsing,
 * defaults, unknown-key faults and JSON Schemas, for every file that pibuild reads: cluster.yaml (config/fields.c, and
 * its reference page), boards, catalogue, lock, secrets, the first-boot report. The tree is that of yaml/yaml.h,
 * whether it was YAML or JSON.
 */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include "base/json.h"
#include "schema/faults.h"

struct field;

/* A word as other programs call it; of several, the first whose MEANT is among those that there are. */
struct synonym {
	const char *written, *meant;
};
struct synonyms {
	const struct synonym *v;
	size_t n;
};
/* A key that there is not, and what does it instead; the first that fits. */
struct key_advice {
	const char *path;    /* of the map; NULL = any */
	const char *written; /* NULL = any that is near no key: said behind the keys that there are */
	const char *advice;
};
/* Keys and words of choices that people know from elsewhere, and from elsewhere in the file. */
struct foreign_keys {
	const struct field *top; /* of the whole file, so that a key is told where it belongs */
	struct synonyms keys, words;
	const struct key_advice *advice;
	size_t advice_count;
};

/* One read: where faults go and where relative paths start. */
struct reading {
	struct faults *faults;
	const char *dir;
	void *root; /* what is filled as a whole, for kinds that fill more than their own member */
	const struct foreign_keys *foreign; /* NULL = nothing is known of such keys */
	bool typed; /* as JSON is: a text is no number and no boolean, and the other way round */
};

/* NODE reads it, else PARSE, which makes a value of its text, else the text is kept as it is, once CHECK takes it. A
 * pattern may stand before all of them but NODE. */
struct kind {
	const char *name; /* "IPv4 network" as the reference page shows it */

	const char *pattern; /* ERE that is an ECMA regular expression too; goes into the JSON Schema */
	const char *words;   /* what the pattern asks for */
	/* ECMA regular expression for the JSON Schema alone, where the functions below say more about a wrong value. */
	const char *editor_pattern;
	/* NULL when TEXT will do, else why not. Runs after the pattern. */
	const char *(*check)(const char *text);
	/* As check, and fills DST. */
	const char *(*parse)(const struct reading *l, const char *text, void *dst);
	void (*node)(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst);

	void (*schema)(const struct field *f, json_t *out); /* NULL: a string with the pattern */
	/* What there is to choose from, when that is known at run time only. */
	int (*there_is)(const char *const **ret, size_t *ret_n, struct err *e);
	bool secret; /* the text is never repeated in messages */
	bool number; /* what JSON writes without quotes */
	bool blank;  /* an empty text will do */
};

enum { REQUIRED = 1 << 0 };

struct field {
	const char *key; /* NULL ends a table; "" is the map itself, for whoever judges it later */
	const struct kind *kind;
	size_t offset; /* in the struct the table fills */
	unsigned flags;
	const char *def;      /* default as written in the file; NULL = none */
	const char *def_text; /* default in words, for the reference page */
	const char *help;
	const char *example; /* YAML */

	const struct field *sub;       /* map, list of maps: fields of it */
	const struct field *item;      /* list of anything else: its item (key unused, offset in the item's memory) */
	size_t size;		       /* list: of an item in memory */
	size_t name_at;		       /* keyed: offset of the key in an item's memory, a const char * */
	const struct kind *names_kind; /* keyed: what a key has to be; NULL = any text */
	size_t max;		       /* items of a list or map, characters of a text; 0 = no bound */
	const char *const *names;      /* choice, word, flags, constant */
	size_t names_count;
};
/* clang-format off */
/* A row without words for people: FIELD("size", number, offsetof(...), .flags = REQUIRED). */
#define FIELD(name, of, at, ...) { .key = name, .kind = &kind_##of, .offset = at, __VA_ARGS__ }
#define NAMES(list) .names = list, .names_count = ARRAY_SIZE(list)
#define ITEMS(table, type) .sub = table, .size = sizeof(struct type)
/* clang-format on */

/* Text: const char *. */
extern const struct kind kind_text, kind_any_text, kind_label, kind_sha256, kind_digest;
extern const struct kind kind_constant; /* the one of its names; kept nowhere */
extern const struct kind kind_word;	/* one of its names, kept as text */
/* Why N is no boolean. */
const char *kind_bool_words(const struct yaml_node *n);
/* Values: bool; unsigned; uint64_t, of kind_mib in bytes; unsigned of octal digits; seconds since 1970 as int64_t,
 * with an empty text as 0. */
extern const struct kind kind_bool, kind_unsigned, kind_number, kind_mib, kind_mode, kind_time, kind_time_or_none;
/* An enum with its names: the number of names stands for a wrong word. Bits in the order of the names. */
extern const struct kind kind_choice, kind_flags;
/* A struct of the fields SUB; the same of which exactly one key is given. */
extern const struct kind kind_map, kind_one_of;
/* VEC of items, written as a list or as a map whose keys are the items' names. */
extern const struct kind kind_list, kind_keyed;
/* As they are, const struct yaml_node *: anything; a list of texts, not empty. */
extern const struct kind kind_node, kind_texts;

/* Which of NAMES is meant by TEXT: what S (may be NULL) has for it, else the nearest; NULL = none. */
const char *schema_meant(const struct synonyms *s, const char *text, const char *const *names, size_t n);

/* NULL when K takes TEXT, else why not; DST (may be NULL for kinds that keep the text) is filled on success. */
const char *kind_text_fault(const struct kind *k, const struct reading *l, const char *text, void *dst);

/* Reads MAP by TABLE into DST; PATH ("nodes[1]", "" at the top) stands before keys in messages. */
void schema_read(struct reading *l, const struct field *table, const struct yaml_node *map, const char *path,
		 void *dst);
/* KEY, of the map PATH, is one that F's names_kind takes; else a fault. */
bool schema_key_fits(struct reading *l, const struct field *f, const struct yaml_node *key, const char *path);
/* One value; N is never an absent one. */
void schema_read_value(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
		       void *dst);
/* A file of YAML by TABLE into DST, which starts zeroed. Its lines are shown with faults, which go to L. Negative only
 * when it cannot be read at all. */
int schema_load(struct reading *l, const char *path, const struct field *table, void *dst, struct err *e);
/* N as a list of texts that is not empty, with faults where it is none. */
void schema_texts(struct reading *l, const struct yaml_node *n, const char *path);
/* Faults for keys of MAP that are not among the N names. */
void schema_unknown_keys(struct reading *l, const struct yaml_node *map, const char *path, const char *const *names,
			 size_t n);
const char *schema_path(const char *path, const char *key);
/* Calls FN for what every key of a map has in N, however deep, a map before what is in it; PATH is schema_path()'s,
 * with
 * "[0]" for items of lists. */
void schema_each_key(const struct yaml_node *n,
		     void (*fn)(void *arg, const char *key, const struct yaml_node *value, const char *path),
		     void *arg);
/* "a, b or c" */
const char *schema_alternatives(const char *const *names, size_t n);
/* What a row is for, for people, with what there is to choose from; NULL = it does not say. */
const char *schema_help(const struct field *f);
/* Plain and one of nothing, ~, null. */
bool schema_is_null(const struct yaml_node *n);

/* A fault of the value at N: "PATH: words". */
void schema_fault(struct reading *l, const struct yaml_node *n, const char *path, const char *fmt, ...) _printf_(4, 5);

/* ---- json.c ---- */

/* JSON Schema (draft 2020-12) of a map of TABLE; the caller's. */
json_t *schema_json(const struct field *table);
/* An array of NAMES; the caller's. */
json_t *schema_json_names(const char *const *names, size_t n);
/* Into OUT that of one value. */
void schema_json_value(const struct field *f, json_t *out);
/* As schema_json() with $schema, an $id by NAME ("cluster") and words for people in front. */
json_t *schema_json_file(const struct field *table, const char *name, const char *title, const char *description);

/* ---- write.c ---- */

/* What SRC, which TABLE would fill, is in JSON: rows of texts, numbers, times, words, choices, constants, maps and
 * lists of maps. The caller's. */
json_t *schema_write(const struct field *table, const void *src);

#endif
