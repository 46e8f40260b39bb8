/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image file by handle. Changes stay in memory (what was written is read back, the file is never touched) or, opened
 * by cow_open_direct(), go into the file at once. In memory they are kept in blocks of 4 KiB; they hold secrets, so
 * they live in memory that has no name in any folder.
 */
#ifndef BASE_COW_H
#define BASE_COW_H

#include "base/err.h"
#include "base/util.h"

enum { COW_BLOCK = 4096 };

struct cow;

/* Takes over FD, also on failure. NAME is for messages. */
int cow_open(int fd, const char *name, struct cow **ret, struct err *e);
/* Reads and writes the file or block device itself. FD stays the caller's and must outlive it. */
int cow_open_direct(int fd, const char *name, struct cow **ret, struct err *e);
/* PATH opened for reading, or for writing in place. */
int cow_open_path(const char *path, bool writable, struct cow **ret, struct err *e);
void cow_close(struct cow *c);
static inline void cow_closep(struct cow **c)
{
	if (*c)
		cow_close(*c);
}

uint64_t cow_size(const struct cow *c);
const char *cow_name(const struct cow *c);

/* 0 or -errno; -ENODATA past the end. Reads may run side by side while nobody writes. */
int cow_read(const struct cow *c, void *buf, size_t n, uint64_t offset);
int cow_write(struct cow *c, const void *buf, size_t n, uint64_t offset);
/* N zeros, as a hole where the file can have one. */
int cow_zero(struct cow *c, uint64_t n, uint64_t offset);
/* Of one that was opened direct: the file gets this size; what is new is zeros and counts as unchanged. */
int cow_resize(struct cow *c, uint64_t size, struct err *e);

/* The file below, without the changes. Stays the cow's. */
int cow_file(const struct cow *c);

/* Every range that is a hole in the file and unchanged, in order. FN returns negative to stop. */
typedef int (*cow_range_fn)(void *arg, uint64_t start, uint64_t end);
int cow_holes(const struct cow *c, cow_range_fn fn, void *arg, struct err *e);
/* Every range that was changed, in memory or in the file since it was opened, in order. */
int cow_changes(const struct cow *c, cow_range_fn fn, void *arg);
/* Writes every such range to the same place of FD, which is called NAME in messages. Checks for signals. */
int cow_give_changes(const struct cow *c, int fd, const char *name, struct err *e);
/* Of one that was opened direct: somebody else may have changed this range of the file. */
void cow_note(struct cow *c, uint64_t start, uint64_t end);

#endif
