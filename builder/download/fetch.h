/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache lacks, brought into it, many at once; and small files wanted in memory.
 */
#ifndef DOWNLOAD_FETCH_H
#define DOWNLOAD_FETCH_H

#include <stdatomic.h>

#include "base/growing.h"
#include "cache/cache.h"

struct fetch_options {
	const struct config *config; /* mirrors */
	bool offline;
	unsigned jobs; /* downloads at once; 0 = 4 */
	bool logins;   /* the user's are shown to registries that want one */
};
/* Brings every pin and every image into the cache, many at once. Offline: one message that lists all that is missing.
 * Class VERIFY when digests differ, a pin has none or a signature is asked for and not good; every failed artifact is
 * named. What could be had stays in the cache. */
int fetch_all(const struct cache *c, const struct pin *pins, size_t n, const struct images *images,
	      const struct fetch_options *o, struct err *e);

/*
 * The same by a thread of its own, while the first pin is read already.
 *
 *	struct fetching f = { c, pins, n, images, &options };
 *	fetch_begin(&f, e);	// all is done, or failed, or bytes of the first are there
 *	fetching_growing(&f);	// the first as it comes; NULL = fetch_wait(), then it is in the cache
 *	fetch_wait(&f, e);	// ends as fetch_all() does; as often as one likes
 *	fetch_end(&f);		// also before that: what came stays for the next run
 */
struct fetching {
	const struct cache *cache;
	const struct pin *pins;
	size_t n;
	const struct images *images;
	const struct fetch_options *options;
	/* private */
	struct growing growing;
	pthread_t thread;
	bool begun;
	pthread_mutex_t join; /* nodes that are made together wait together */
	atomic_bool joined, stop;
	int result;   /* what the thread ends with */
	struct err e; /* why, when that is negative; else what was looked for in vain may stand there */
};
int fetch_begin(struct fetching *f, struct err *e);
struct growing *fetching_growing(struct fetching *f);
/* F may be NULL: everything is in the cache. */
int fetch_wait(struct fetching *f, struct err *e);
/* What fetch_wait() told was a failure. */
bool fetching_failed(const struct fetching *f);
void fetch_end(struct fetching *f);

/* A small file wanted in memory, whatever its digest. */
struct text {
	const char *label, *url;
	const char *accept, *repository; /* of a registry; else NULL */
	uint64_t limit;			 /* bytes; 0 = 16 MiB */
	struct strbuf body;
};

/* Texts to be had together, each address once. */
struct texts {
	VEC(struct text) list;
	size_t fetched; /* of them */
};
/* Index of X, or of the one that is wanted from its address already. */
size_t texts_want(struct texts *t, struct text x);
int texts_fetch(struct texts *t, const struct fetch_options *o, struct err *e);
void texts_done(struct texts *t);

#endif
