/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a look at something finished found wrong: collected, so that one run names everything. CHECK is a short name
 * that scripts may go by ("files", "signature"), WHERE the path or offset, TEXT the sentence with what to do.
 * Strings live on the arena, without control characters: what they name may be anybody's.
 */
#ifndef BASE_FINDINGS_H
#define BASE_FINDINGS_H

#include "base/json.h"
#include "base/util.h"

struct finding {
	const char *check, *where, *text;
};
struct findings {
	VEC(struct finding) v;
};

void finding_add(struct findings *f, const char *check, const char *where, const char *fmt, ...) _printf_(4, 5);
/* [{"check", "where", "text"}], in the order they were added. */
json_t *findings_json(const struct findings *f);
/* A line each on stdout: "check: where: text". */
void findings_print(const struct findings *f);

#endif
