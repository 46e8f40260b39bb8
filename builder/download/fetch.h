/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache lacks, brought into it, many at once; and small files wanted in memory.
 */
#ifndef DOWNLOAD_FETCH_H
#define DOWNLOAD_FETCH_H

#include "cache/cache.h"

struct fetch_options {
	const struct config *config; /* mirrors */
	bool offline;
	unsigned jobs; /* downloads at once; 0 = 4 */
};
/* Brings every pin and every image into the cache, many at once. Offline: one message that lists all that is missing.
 * Class VERIFY when digests differ, a pin has none or a signature is asked for and not good; every failed artifact is
 * named. What could be had stays in the
 * cache. */
int fetch_all(const struct cache *c, const struct pin *pins, size_t n, const struct images *images,
	      const struct fetch_options *o, struct err *e);

/* A small file wanted in memory, whatever its digest. */
struct text {
	const char *label, *url;
	const char *accept, *repository; /* of a registry; else NULL */
	uint64_t limit;			 /* bytes; 0 = 16 MiB */
	struct strbuf body;
};
int fetch_texts(struct text *texts, size_t n, const struct fetch_options *o, struct err *e);

/* Texts to be had together, each address once. */
struct texts {
	VEC(struct text) list;
	size_t fetched; /* of them */
};
/* Index of the text at URL. */
size_t texts_want(struct texts *t, const char *label, const char *url, uint64_t limit);
int texts_fetch(struct texts *t, const struct fetch_options *o, struct err *e);
void texts_done(struct texts *t);

#endif
