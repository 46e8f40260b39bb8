/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms in which an image may be compressed: what they are called, how their files end, by which bytes they begin
 * (xz: "The .xz File Format" 1.2.1; gzip: RFC 1952; zstd: RFC 8878). Who reads or writes them is in archive/.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/util.h"

enum codec { CODEC_XZ, CODEC_ZSTD, CODEC_GZIP, CODEC_COUNT };

struct codec_row {
	const char *name, *suffix; /* "xz", ".xz" */
	const char *magic;
	size_t magic_n;
};
extern const struct codec_row codecs[CODEC_COUNT];

/* All suffixes, for people: ".xz .zst .gz"; the arena's. */
const char *codec_suffixes(void);
/* The codec that the N bytes of HEAD begin with; CODEC_COUNT = none. */
enum codec codec_of_head(const void *head, size_t n);
/* The codec whose suffix NAME has; CODEC_COUNT = none. */
enum codec codec_of_name(const char *name);

#endif
