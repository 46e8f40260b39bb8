/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a finished image: both partitions as one tree of paths, the boot partition below BOOT_DIR, and the
 * manifest with its records held against it. Both filesystems of an image that is given here are open.
 */
#ifndef INSPECT_FILES_H
#define INSPECT_FILES_H

#include "build/build.h"
#include "image/image.h"

/* ---- everything that is there ---- */

struct listed {
	const char *path;
	struct disk_image *image; /* that it is in */
	struct fs_stat st;	  /* on the boot partition: type and size alone */
	char sha256[SHA256_HEX];  /* of files of the boot partition; else "" */
};
struct listing {
	VEC(struct listed) v; /* sorted by path */
};

/* With digests of the boot partition when BOOT_DIGESTS is among FLAGS. */
enum { BOOT_DIGESTS = 1 << 0 };
int files_list(struct disk_image *c, unsigned flags, struct listing *ret, struct err *e);
const struct listed *listing_find(const struct listing *l, const char *path);
/* Every path of A and of B, in order, with what each has there, NULL where it has nothing. Checks for signals. */
typedef int (*listed_pair_fn)(void *arg, const struct listed *a, const struct listed *b, struct err *e);
int listings_pair(const struct listing *a, const struct listing *b, listed_pair_fn fn, void *arg, struct err *e);
/* Everybody may read it: its own mode and that of every folder above says so. */
bool listing_is_public(const struct listing *l, const struct listed *x);

/* What two entries of one path differ in. */
enum {
	DIFFERS_TYPE = 1 << 0,
	DIFFERS_MODE = 1 << 1,
	DIFFERS_OWNER = 1 << 2,
	DIFFERS_TARGET = 1 << 3, /* of a symbolic link */
	DIFFERS_CONTENT = 1 << 4,
	DIFFERS_TIME = 1 << 5,
	DIFFERS_LINKS = 1 << 6, /* of files: number of names */
};
/* Sizes are compared first, content is read only when they are the same. Both listings with BOOT_DIGESTS. */
int files_compare(const struct listed *a, const struct listed *b, unsigned *ret, struct err *e);

/* ---- the manifest ---- */

/* A card without one leaves *RET NULL. Class VERIFY when it is none that can be read. TEXT (may be NULL) gets it as it
 * is. */
int files_manifest(struct disk_image *c, json_t **ret, struct records *records, struct strbuf *text, struct err *e);

enum record_state { RECORD_OK, RECORD_CHANGED, RECORD_MISSING, RECORD_UNCHECKED, RECORD_STATE_COUNT };
extern const char *const record_state_names[RECORD_STATE_COUNT];
/* Is it still so? WHY says what is not, for CHANGED and MISSING. */
enum record_state record_check(struct disk_image *c, const struct record *x, const char **ret_why);

/* Paths that differ from the image BASE and that no record speaks of. FILES is the card's, with BOOT_DIGESTS. */
int files_undeclared(const struct listing *files, const struct records *records, const char *base,
		     struct text_list *ret, struct err *e);

#endif
