/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows which JSON library is used: jansson. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "base/util.h"

/* Prints VALUE with a newline to stdout, keys in the order they were set, and drops the reference. */
int json_print(json_t *value, struct err *e);
/* The same on one line, as other programs take it for a value. */
int json_print_line(json_t *value, struct err *e);

/* Appends VALUE as the files that we write have it, by lines, and drops the reference. */
int json_add(json_t *value, struct strbuf *out, struct err *e);

/* The text that OBJECT has under KEY; "" when it has none. Borrowed. */
const char *json_get_text(const json_t *object, const char *key);
/* The same for people, out of what may be anybody's: cleaned (clean_text()), on the arena; "?" or FALLBACK, which may
 * be NULL, when there is none. */
const char *json_clean(const json_t *object, const char *key);
const char *json_clean_or(const json_t *object, const char *key, const char *fallback);
/* The first object of the array LIST that has NAME under "name"; NULL = none. Borrowed. */
const json_t *json_named(const json_t *list, const char *name);

/* A string value of any bytes, such as names in an image: what is no UTF-8 has '?' for every byte beyond ASCII. */
json_t *json_text(const char *s);

#define _cleanup_json_ __attribute__((cleanup(json_decrefp)))

#endif
