/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image onto a disk, so that it is right or the disk does not boot. Order of what reaches the disk:
 *
 *	first MiB := zeros and a line that says what it is to become, flush
 *						from here until the end nothing can boot half
 *	discard of all the rest, when asked for
 *	probe of the capacity, last MiB := zeros	(an old GPT keeps its copy there)
 *	all the rest of the image, flush
 *	everything read back around the cache and compared; what differs is written again
 *	first MiB, flush, read back
 *
 * What is not written: holes of the image that its own filesystems call free. Old bytes of the disk stay there
 * unless they are discarded.
 *
 *	source_open(&s, "out/cp-1.img", e);		// or source_cow()
 *	flash_run(&job, e);
 */
#ifndef FLASH_FLASH_H
#define FLASH_FLASH_H

#include "base/cow.h"
#include "crypto/digest.h"
#include "flash/device.h"
#include "image/image.h"

/* The unit of reading, hashing and writing; the first one is the boot sector's. */
enum { PIECE = 1024 * 1024 };

/* ---- source.c: where the bytes come from ---- */

struct flash_source {
	const char *name;
	uint64_t size;	   /* bytes of the image; whole sectors */
	struct cow *image; /* NULL = compressed, in FD */
	int fd;
	int64_t mtime; /* of the file, nanoseconds */
};

/* Opens an image: raw, or .xz, .gz, .zst told by its first bytes. A compressed one is decoded once, to nowhere: its
 * size, and that it is whole, are known before a disk is touched. */
int source_open(const char *path, struct flash_source *ret, struct err *e);
/* Takes over an image with changes. */
int source_cow(struct cow *image, struct flash_source *ret, struct err *e);
/* -ESTALE when the file was written to since it was opened. */
int source_check(const struct flash_source *s, struct err *e);
void source_close(struct flash_source *s);

/* What of the image must be on the disk, in order; the first MiB always. On the arena. */
int source_ranges(const struct flash_source *s, struct ranges *ret, struct err *e);

/* ---- flash.c ---- */

enum {
	FLASH_UPDATE = 1 << 0, /* write only what differs from the disk; verified all the same */
	FLASH_DISCARD =
		1 << 1, /* give the whole disk back to its controller first: old bytes are gone (not with UPDATE) */
};

struct flash_result {
	uint64_t written, zeros, verified; /* bytes; ZEROS were on the disk already */
	double write_seconds, verify_seconds;
	unsigned rewritten;	 /* pieces that differed when read back and were written again */
	bool unchanged;		 /* with UPDATE: the disk held it all, nothing was written */
	char sha256[SHA256_HEX]; /* of the lines "OFFSET LENGTH SHA256" of all pieces */
};

struct flash {
	const struct flash_source *source;
	const struct device *device;			 /* as it was shown to the user */
	const char *name;				 /* what it becomes, for people: "cp-1" */
	void (*begun)(const struct flash *f, void *arg); /* before the first write; may be NULL */
	void *begun_arg;
	unsigned flags;
	struct flash_result result;
};

/* Class REFUSED before any write; VERIFY when the disk does not give back what was written. */
int flash_run(struct flash *f, struct err *e);

#endif
