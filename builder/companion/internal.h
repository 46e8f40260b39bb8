/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder: names.c has the facts of each companion, one file each writes and checks one,
 * companion.c writes them all, verify.c checks them all. */
#ifndef COMPANION_INTERNAL_H
#define COMPANION_INTERNAL_H

#include "base/json.h"
#include "companion/bmap.h"
#include "companion/companion.h"

/* What a check has at hand. */
struct look {
	const char *image;
	struct companions files;       /* as read */
	json_t *json[COMPANION_COUNT]; /* those that are JSON; NULL = none, or damaged, which was said */
	struct bmap map;
	bool have_map;
	bool always_hash;	     /* the image as a whole, also when nothing states its digest */
	char sha256[SHA256_HEX];     /* of the file; "" = nobody needs it */
	char raw_sha256[SHA256_HEX]; /* as above */
	struct strbuf card;	     /* the manifest on the card; .s NULL = not looked at */
	const struct sign_key *key;  /* NULL = signatures are not looked at */
	struct findings *f;
};

struct companion_row {
	const char *check;  /* its name in findings */
	const char *suffix; /* after the stem, or with OF_IMAGE after the image's own name */
	bool of_image, json;
	enum { WHEN_ALWAYS, WHEN_HASHED, WHEN_SIGNED } when;
	mode_t mode;
};
extern const struct companion_row companion_rows[COMPANION_COUNT];

/* A finding about companion C. */
void companion_complain(struct look *l, enum companion c, const char *fmt, ...) _printf_(3, 4);
/* Digest of a text that was read or written. */
void text_sha256(const struct strbuf *text, char hex[SHA256_HEX]);

/* Every form that IMAGE can have, raw first; NULL after the last. */
const char *image_form(const char *image, size_t i);

/* Writers append the text to OUT; companions before theirs are in C. */
int sbom_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e);
void sbom_check(struct look *l);
int provenance_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e);
void provenance_check(struct look *l);
/* Of every companion that C holds, after the image of digest SHA256. */
void sums_of(const struct companions *c, const char *sha256, struct strbuf *out);
int sums_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e);
void sums_check(struct look *l);
int sums_sign(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e);
void sums_check_signature(struct look *l);

/* ---- packages.c: what the base consists of ---- */

struct package {
	const char *name, *version, *arch, *maintainer; /* maintainer may be NULL */
};
struct packages {
	VEC(struct package) v; /* sorted */
};
/* The installed ones of dpkg's status file; none when the image has no such file. On the arena. */
int packages_read(struct disk_image *image, struct packages *ret, struct err *e);
/* The same of its text. */
void packages_parse(const struct strbuf *text, struct packages *ret);

#endif
