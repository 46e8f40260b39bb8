/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the encoders: the image on its way in, the compressed file on its way out, both hashed. */
#ifndef ARCHIVE_ENCODE_H
#define ARCHIVE_ENCODE_H

#include "archive/archive.h"

/* Twice the window of either: larger ones save less than 1 % and keep four cores from the promised peak. */
#define ENCODE_JOB	    (8 * MIB)
#define ENCODE_INDEX_MEMORY (16 * MIB)

/* The image is read and hashed by a thread of its own: at its end are zeros, which take longer to hash than to
 * compress, and all others would wait. */
struct encode_stream {
	struct encode *x;
	struct ahead *ahead;
	uint64_t from; /* raw bytes that the thread has read */
	uint64_t at;   /* of those, taken */
	uint64_t put;  /* packed bytes written */
	struct sha256 raw, packed;
};
int encode_begin(struct encode_stream *s, struct err *e);
void encode_end(struct encode_stream *s); /* the digests */
/* The next N bytes of the image, which has so many. Checks for signals. */
int encode_read(struct encode_stream *s, void *buf, size_t n, struct err *e);
int encode_put(struct encode_stream *s, const void *buf, size_t n, struct err *e);
/* How many threads to take when each needs EACH bytes. */
unsigned encode_threads(uint64_t each);

int encode_xz(struct encode_stream *s, struct err *e);

#endif
