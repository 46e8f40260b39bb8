/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two images compared file by file over both partitions, and by what their manifests say is in them. What is secret on
 * either is only said to differ. Bytes that belong to no file are not compared.
 */
#ifndef INSPECT_DIFF_H
#define INSPECT_DIFF_H

#include "inspect/files.h"

enum change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_CHANGED, CHANGE_TIME, CHANGE_KIND_COUNT };
extern const char *const change_kind_names[CHANGE_KIND_COUNT];

struct change {
	enum change_kind kind; /* TIME: nothing but the time of last change differs */
	const char *path;
	struct fs_stat a, b; /* of the side that has it */
	unsigned differs;    /* DIFFERS_*, of CHANGED */
	bool secret;	     /* no size, digest or text of it is known here */
	const char *target_a, *target_b;
	char sha256_a[SHA256_HEX], sha256_b[SHA256_HEX]; /* when contents differ; else "" */
	const char *text;				 /* unified diff; NULL = no text, or too long */
};

/* A line of its own: size, disk id, partitions. */
struct layout_change {
	const char *what, *a, *b;
};
/* An artifact, the base or a container image; NULL = that side has none. */
struct version_change {
	const char *name, *a, *b;
};

struct image_diff {
	const char *name;  /* "cp-1" */
	const char *a, *b; /* paths; NULL = only the other folder has it */
	VEC(struct layout_change) layout;
	VEC(struct change) changes; /* by path */
	VEC(struct version_change) versions;
	size_t counts[CHANGE_KIND_COUNT];
};

/* DIFF_BRIEF: no digests and no texts, which the counts need not. */
enum { DIFF_BRIEF = 1 << 0 };
/* RET has NAME, A and B; the rest is filled in. Class HOST when diff(1) is missing. */
int image_diff(struct image_diff *ret, unsigned flags, struct err *e);
bool image_diff_same(const struct image_diff *d);

json_t *image_diff_json(const struct image_diff *d);
void image_diff_print(const struct image_diff *d);
/* One line. */
void image_diff_print_brief(const struct image_diff *d);

#endif
