/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of small YAML maps into structs, by a table of rows: unknown keys (with the nearest known one),
 * missing keys and wrong values are errors of class CONFIG with file:line:col.
 */
#ifndef CATALOGUE_ROWS_H
#define CATALOGUE_ROWS_H

#include "yaml/yaml.h"

enum row_kind {
	ROW_TEXT,   /* const char * */
	ROW_URL,    /* const char *: https, no user info */
	ROW_SHA256, /* const char *: 64 lower-case hex digits */
	ROW_NUMBER, /* uint64_t */
	ROW_MIB,    /* uint64_t: written in MiB, kept in bytes */
	ROW_MODE,   /* unsigned: octal text */
	ROW_TRUE,   /* bool */
	ROW_NAME,   /* int: index into names */
	ROW_NAMES,  /* unsigned: a list of names, bit n for names[n] */
	ROW_MAP,    /* a map, read by rows into the same struct */
	ROW_NODE,   /* const struct yaml_node *: as it is */
	ROW_DIGEST, /* const char *: written sha256:..., kept without the prefix */
};

struct row {
	const char *key;
	enum row_kind kind;
	size_t offset;
	bool required;
	const char *const *names;
	const struct row *rows;
	size_t count; /* of names or rows */
};

/* Reads MAP into DST, which starts zeroed. */
int rows_read(const struct yaml_node *map, const struct row *rows, size_t n, void *dst, struct err *e);

/* Class CONFIG with the position of NODE. */
int rows_fault(struct err *e, const struct yaml_node *node, const char *fmt, ...) _printf_(3, 4);

/* A time written like 2026-10-07T00:00:00Z, in seconds since 1970. */
int rows_read_time(const struct yaml_node *node, int64_t *ret, struct err *e);

/* Refuses a document that is not `apiVersion: pibuild/v1` and `kind: KIND`. */
int rows_check_kind(const struct yaml_node *doc, const char *kind, struct err *e);

/* Refuses keys that are none of NAMES. */
int rows_check_keys(const struct yaml_node *map, const char *const *names, size_t n, struct err *e);

#endif
