/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of this folder. pieces.c cuts the image, target.c has the open disk, write.c brings pieces onto
 * it, verify.c reads them back, flash.c is the order of it all.
 */
#ifndef FLASH_INTERNAL_H
#define FLASH_INTERNAL_H

#include <pthread.h>

#include "base/pool.h"
#include "base/progress.h"
#include "flash/flash.h"

/* A few tries, with a pause: readers lose contact for a moment. */
enum { TRIES = 3, PAUSE_US = 200 * 1000 };

struct piece {
	uint64_t offset;
	uint32_t n;
	bool tail;		 /* zeros behind the image, no part of it */
	bool wanted;		 /* to be written (or read back) in the pass that comes */
	char sha256[SHA256_HEX]; /* "" until the source was read */
};

struct pieces {
	struct piece *v; /* in order; v[0] is the first MiB; on the arena */
	size_t n;
};
void pieces_cut(const struct ranges *ranges, uint64_t image, uint64_t disk, struct pieces *ret);
uint64_t pieces_wanted(const struct pieces *p);
void pieces_want_all(struct pieces *p);

/* Three requests are under way at a time: the disk is never idle while a digest is made. A buffer has PIECE bytes, and
 * as many again for the worker's own use; pool_item.what is the piece. */
#define FLASH_POOL(fn) (&(const struct pool_kind){ .workers = 3, .slots = 6, .size = 2 * PIECE, .work = fn })

/* ---- target.c ---- */

struct flash_target {
	int fd;
	const struct device *device;
	const char *name; /* what it becomes */
	void *head;	  /* PIECE bytes, aligned: the first MiB of the image, written last */
};

/* Opens the disk alone (O_EXCL, no second try) and around the cache. Class REFUSED when it is in use or not the disk
 * that was asked about. */
int target_open(struct flash_target *t, const struct device *asked, struct err *e);
void target_close(struct flash_target *t);
/* "cp-1 on /dev/sda", for progress; on the arena. */
const char *target_label(const struct flash_target *t);
/* Direct, with TRIES; the message names disk and byte. */
int target_write(const struct flash_target *t, const void *buf, size_t n, uint64_t offset, struct err *e);
int target_read(const struct flash_target *t, void *buf, size_t n, uint64_t offset, struct err *e);
int target_flush(const struct flash_target *t, struct err *e);
/* First MiB to zeros and the line of disk/unfinished.h, flushed, read back. *RETRIES grows by the tries beyond the
 * first. */
int target_disarm(const struct flash_target *t, size_t n, unsigned *retries, struct err *e);
/* Discards all but the first MiB; a disk that cannot is warned about. */
int target_discard(const struct flash_target *t, struct err *e);
/* Writes a mark at the end of the disk and looks for it: there, and where a disk of half, a quarter... would put it. */
int target_probe(const struct flash_target *t, uint64_t from, struct err *e);
/* The N bytes of HEAD, flushed, read back; zeros again when that fails. */
int target_arm(const struct flash_target *t, size_t n, unsigned *retries, struct err *e);

/* ---- write.c, verify.c ---- */

struct work {
	struct flash *flash;
	struct flash_target *target;
	struct pieces pieces;
	struct task *task;
	pthread_mutex_t lock; /* of flash->result */
	bool only_hash;
};

/* Every wanted piece from the source to the disk; hashes it, keeps the first one in memory. Then a flush. */
int write_pass(struct work *w, struct err *e);
/* Digests of all pieces, nothing written. */
int hash_pass(struct work *w, struct err *e);
/* Reads every wanted piece back; afterwards those that differ are wanted. */
int verify_pass(struct work *w, const char *what, struct err *e);

#endif
