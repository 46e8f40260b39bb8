/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished image proved: one table of checks (verify.c), each of which names all that it finds. Meant for images as
 * they were built: a card that has booted holds keys and files of its own.
 */
#ifndef INSPECT_VERIFY_H
#define INSPECT_VERIFY_H

#include "base/findings.h"
#include "inspect/files.h"

struct verify_options {
	const char *image;
	const char *key;	 /* a public key that must have signed it; NULL = signatures are not looked at */
	const char *base;	 /* the raw image it was built from; NULL = undeclared changes are not looked for */
	const struct lock *lock; /* NULL = pins are not looked at */
};

/* What one check came to. */
struct verify_line {
	const char *name, *proves;
	size_t looked; /* at so many ... */
	const char *things;
	size_t findings;
	const char *skipped; /* why it could not look; NULL = it did */
};
struct verify_report {
	const char *image, *node, *role, *cluster; /* all but the image NULL when there is no manifest */
	VEC(struct verify_line) lines;
	struct findings findings;
};

/* 0 whatever was found: that is in RET. Negative when a check could not be made at all (class HOST: a tool that is
 * missing). */
int image_verify(const struct verify_options *o, struct verify_report *ret, struct err *e);
json_t *verify_report_json(const struct verify_report *r);
void verify_report_print(const struct verify_report *r);

#endif
