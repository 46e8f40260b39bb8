/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that one thread appends to while another reads it from its start. Who reads waits for bytes that are not there
 * yet; whether all of it is what it should be is known at its end.
 *
 *	growing_init(&g);
 *	growing_open(&g, fd, n);		// who writes: N bytes are there already
 *	growing_to(&g, n);			// now N bytes
 *	growing_end(&g, whole);			// it is complete; or broken off, begun anew, or never opened
 *
 *	while ((r = growing_wait(&g, at)) > 0)	// who reads: there is more than AT; 0 = no more; -ESTALE = broken
 *		... read from g.fd ...
 *	growing_done(&g);			// both are at their end
 */
#ifndef BASE_GROWING_H
#define BASE_GROWING_H

#include <pthread.h>

#include "base/util.h"

struct growing {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fd; /* the reader's own; -1 = not there yet */
	uint64_t n;
	bool ended, broken;
};

void growing_init(struct growing *g);
void growing_open(struct growing *g, int fd, uint64_t n); /* takes over FD; -1 = it cannot be read meanwhile */
void growing_to(struct growing *g, uint64_t n);
/* The first word counts. */
void growing_end(struct growing *g, bool whole);
int growing_wait(struct growing *g, uint64_t at);
void growing_done(struct growing *g);

#endif
