/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows which JSON library is used: jansson. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/err.h"

/* Prints VALUE with a newline to stdout, keys in the order they were set, and drops the reference. */
int json_print(json_t *value, struct err *e);
/* The same on one line, as other programs take it for a value. */
int json_print_line(json_t *value, struct err *e);

#define _cleanup_json_ __attribute__((cleanup(json_decrefp)))

#endif
