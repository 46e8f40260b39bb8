/* SPDX-License-Identifier: Apache-2.0 */
#include "base/findings.h"

#include <stdio.h>
#include <stdlib.h>

void finding_add(struct findings *f, const char *check, const char *where, const char *fmt, ...)
{
	struct finding *x = vec_push(&f->v);
	va_list ap;

	va_start(ap, fmt);
	*x = (struct finding){ arena_strdup(check), clean_copy(where), clean_text(arena_vprintf(fmt, ap)) };
	va_end(ap);
}

json_t *findings_json(const struct findings *f)
{
	json_t *list = json_array();

	vec_foreach (x, &f->v)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "check", x->check, "where",
						      json_text(x->where), "text", json_text(x->text)));
	return list;
}

void findings_print(const struct findings *f)
{
	vec_foreach (x, &f->v)
		printf("%s: %s: %s\n", x->check, x->where, x->text);
}
