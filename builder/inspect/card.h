/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished image opened for reading, and what is in it: both partitions as one tree of paths, the boot partition
 * below BOOT_DIR, and the manifest with its records.
 */
#ifndef INSPECT_CARD_H
#define INSPECT_CARD_H

#include "build/build.h"

struct card {
	const char *path; /* of the raw image: what was given, or what it was unpacked to */
	bool unpacked;
	int fd; /* of the unpacked one */
	struct disk disk;
	struct ext4 *root;
	struct cow *image; /* of the same, for BOOT */
	struct fat *boot;
};

/* The table alone, with neither file system open. A compressed image is unpacked into a file that is gone when it is
 * closed. */
int card_open_table(const char *path, struct card *ret, struct err *e);
/* The table and the root file system. */
int card_open(const char *path, struct card *ret, struct err *e);
/* The boot partition of a table that is open; card_open() does it. */
int card_open_boot(struct card *c, struct err *e);
void card_close(struct card *c);
const struct partition *card_boot_part(const struct card *c);
const struct partition *card_root_part(const struct card *c);

/* A file of either partition, whole; -ENOENT when it is missing. */
int card_read(struct card *c, const char *path, uint64_t limit, struct strbuf *out, struct err *e);
int card_digest(struct card *c, const char *path, char sha256[SHA256_HEX], struct err *e);

/* ---- everything that is there ---- */

struct seen {
	const char *path;
	struct fs_stat st;	 /* on the boot partition: type and size alone */
	char sha256[SHA256_HEX]; /* of files of the boot partition; else "" */
};
struct listing {
	VEC(struct seen) v; /* sorted by path */
};

static inline bool on_boot(const char *path)
{
	return starts_with(path, BOOT_DIR "/");
}
/* With digests of the boot partition when BOOT_DIGESTS is among FLAGS. */
enum { BOOT_DIGESTS = 1 << 0 };
int card_list(struct card *c, unsigned flags, struct listing *ret, struct err *e);
const struct seen *listing_find(const struct listing *l, const char *path);
/* Everybody may read it: its own mode and that of every folder above says so. */
bool listing_is_public(const struct listing *l, const struct seen *x);

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
int card_compare(struct card *a, const struct seen *x, struct card *b, const struct seen *y, unsigned *ret,
		 struct err *e);

/* ---- the manifest ---- */

/* A card without one leaves *RET NULL. Class VERIFY when it is none that can be read. TEXT (may be NULL) gets it as it
 * is. */
int card_manifest(struct card *c, json_t **ret, struct records *records, struct strbuf *text, struct err *e);

enum record_state { STATE_OK, STATE_CHANGED, STATE_MISSING, STATE_UNCHECKED, RECORD_STATE_COUNT };
extern const char *const record_state_names[RECORD_STATE_COUNT];
/* Is it still so? WHY says what is not, for CHANGED and MISSING. */
enum record_state record_check(struct card *c, const struct record *x, const char **ret_why);

/* Paths that differ from the image BASE and that no record speaks of. FILES is the card's, with BOOT_DIGESTS. */
struct paths {
	VEC(const char *) v;
};
int card_undeclared(struct card *c, const struct listing *files, const struct records *records, const char *base,
		    struct paths *ret, struct err *e);

#endif
