/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the encoders: the image on its way in, the compressed file on its way out, both hashed. */
#ifndef ARCHIVE_ENCODE_H
#define ARCHIVE_ENCODE_H

#include "archive/archive.h"

/* Twice the window of either: larger ones save less than 1 % and keep four cores from the promised peak. */
#define ENCODE_JOB	    (8 * MIB)
#define ENCODE_INDEX_MEMORY (16 * MIB)

struct encode_stream {
	struct encode *x;
	uint64_t at;  /* raw bytes read */
	uint64_t put; /* packed bytes written */
	struct sha256 packed;
};
int encode_cannot_read(const struct encode *x, int r, struct err *e); /* returns R */
/* The next N bytes of the image, which has so many. Checks for signals. */
int encode_read(struct encode_stream *s, void *buf, size_t n, struct err *e);
/* The same bytes, when nobody wants to see them. */
int encode_skip(struct encode_stream *s, uint64_t n, struct err *e);
int encode_put(struct encode_stream *s, const void *buf, size_t n, struct err *e);
/* How many threads to take when each needs EACH bytes. */
unsigned encode_threads(uint64_t each);

int encode_xz(struct encode_stream *s, struct err *e);

#endif
