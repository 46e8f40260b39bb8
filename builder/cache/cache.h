/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verified downloads on disk, by digest. Nothing enters under its final name (objects/ab/<sha256>) before its digest
 * was seen to match.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "lock/pin.h"

struct cache {
	const char *dir;
	int fd;
};
/* --cache DIR, else $PIBUILD_CACHE, else $XDG_CACHE_HOME/pibuild, else ~/.cache/pibuild; 0700. Temporary files that
 * no run has touched for a week are removed; younger ones are downloads that go on where they stopped. */
int cache_open(const char *dir, struct cache *ret, struct err *e);
/* As above for looking only: writes nothing; -ENOENT when there is no cache yet. */
int cache_peek(const char *dir, struct cache *ret, struct err *e);
void cache_close(struct cache *c);
/* Opens the verified object (or the file of a base by path) read-only. -ENOENT when it is not there.
 * The caller hashes what it reads; on a mismatch it calls cache_evict() and fails with class VERIFY. */
int cache_object(const struct cache *c, const struct pin *pin, int *ret_fd, struct err *e);
bool cache_has(const struct cache *c, const struct pin *pin);
void cache_evict(const struct cache *c, const struct pin *pin);

/* Path of an object below the cache's folder. */
const char *cache_object_name(const char *sha256);

/* A download in progress: tmp/<sha256>.part, locked as long as it is open. */
struct part {
	const struct cache *cache;
	const char *name; /* <sha256>.part */
	int fd;
	uint64_t n; /* bytes in it */
};
/* The versions of clang-format disagree on these braces. */
/* clang-format off */
#define PART_INIT { .fd = -1 }
/* clang-format on */
enum part_state { PART_OPEN, PART_BUSY, PART_DONE };

/* OPEN: ours, with the bytes an earlier run left. BUSY: another process is at it. DONE: the object is there. */
int part_open(const struct cache *c, const char *sha256, struct part *ret, enum part_state *state, struct err *e);
/* Its bytes for another reader, from their start; -1 where that cannot be. */
int part_reader(const struct part *p);
int part_write(struct part *p, const void *data, size_t n, struct err *e);
int part_restart(struct part *p, struct err *e);
/* Its digest matched: fsync, rename into objects/, fsync of the folder. */
int part_publish(struct part *p, const char *sha256, struct err *e);
/* Lets go; what was downloaded stays for the next run. */
void part_close(struct part *p);

#endif
