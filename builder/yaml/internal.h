/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#ifndef YAML_INTERNAL_H
#define YAML_INTERNAL_H

#include "yaml/yaml.h"

struct yaml_node *yaml_new(enum yaml_type type);
/* Appends without looking for an equal key. KEY is NULL for a sequence. */
void yaml_push(struct yaml_node *parent, struct yaml_node *key, struct yaml_node *item);

/* Position of the first byte that is not text (no valid UTF-8, NUL, a control character), or N. WHAT says why. */
size_t yaml_text_fault(const char *text, size_t n, const char **what);

struct yaml_place {
	unsigned line, col;
};
struct yaml_diagnosis {
	unsigned line, col;
	const char *words; /* NULL: nothing is known that libyaml does not say */
};
/* Of TEXT, where libyaml stopped AT a place with PROBLEM; CONTEXT is where what it was reading began. */
struct yaml_diagnosis yaml_diagnose(const char *text, size_t n, const char *problem, struct yaml_place at,
				    struct yaml_place context);

#endif
