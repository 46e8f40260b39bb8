/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an image in the background, around the page cache, to one or more files at once: filling the page cache costs
 * three times as much as the write itself. Runs of zero bytes are not written, so they stay holes.
 *
 *	writer_start(&w, fds, n, watch);	// new, empty files; who sees the bytes too, or NULL
 *	while ((buf = writer_buffer(w))) {	// WRITER_BUFFER bytes, aligned; waits for a free one
 *		... fill buf ...
 *		writer_submit(w, n, offset);
 *	}
 *	writer_finish(w, size, e);		// waits, sets the length, gives the first error
 *
 * Falls back to ordinary writes where the filesystem cannot go around its cache.
 */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include "base/err.h"
#include "base/util.h"

#define WRITER_BUFFER (4 * MIB)
enum { WRITER_MAX_FILES = 4 };

struct writer;

/* Sees the data of an image as it passes by, from the writer's thread: in order, with gaps where there are holes. */
struct image_watch {
	void (*see)(void *arg, const void *buf, size_t n, uint64_t offset);
	void *arg;
};
int writer_start(struct writer **ret, const int *fds, unsigned n, const struct image_watch *watch, struct err *e);
/* Gives everything to FN, in order, zeros too; FN returns 0 or a negative errno, which ends the writing. */
typedef int (*writer_fn)(void *arg, const void *buf, size_t n, uint64_t offset);
int writer_start_fn(struct writer **ret, writer_fn fn, void *arg, struct err *e);
/* NULL once a write failed: call writer_finish() for the reason. */
void *writer_buffer(struct writer *w);
/* Hands the buffer back with N bytes for OFFSET; both multiples of 4096 but for the end of the file. */
void writer_submit(struct writer *w, size_t n, uint64_t offset);
/* Ends the thread and frees W. The files get SIZE bytes of length. */
int writer_finish(struct writer *w, uint64_t size, struct err *e);

/* Makes the N files of DSTS (empty, same length afterwards) equal to SRC: reflink, else only the data extents, so
 * that holes stay holes. WATCH may be NULL; with N 0 it is all that gets anything. NAME is for messages. Checks for
 * signals. */
int clone_sparse(int src, const int *dsts, unsigned n, const char *name, const struct image_watch *watch,
		 struct err *e);
/* Whether clone_sparse() from SRC to DST, both empty, would only share blocks. */
bool clone_shares(int src, int dst);

#endif
