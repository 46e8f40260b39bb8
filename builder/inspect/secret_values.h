/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that a card's secret files hold (tokens, passwords, keys), and the search for them elsewhere. A value is
 * at least 8 bytes long: a shorter one would be found everywhere by chance.
 */
#ifndef INSPECT_SECRET_VALUES_H
#define INSPECT_SECRET_VALUES_H

#include "base/err.h"
#include "fs/fs.h"

struct value {
	const char *text;
	size_t n;
	const char *from; /* path of the file that holds it */
};
struct values {
	VEC(struct value) v;
	size_t longest;
	unsigned char starts[65536 / 8]; /* a bit for each pair of bytes that a value begins with */
};
struct hit {
	const char *from;
	uint64_t at;
};
/* At most one for each file that a value is from. */
struct hits {
	VEC(struct hit) v;
};

/* Is PATH a file of a kind whose values can be told from its other text? */
bool values_known(const char *path);
/* Adds those of a file; one of no known kind gives the private keys (PEM) in it. */
void values_of_file(struct values *v, const char *path, const char *text, size_t n);
/* Values that begin in the first N of TOTAL bytes at P, which lie at OFFSET. */
void values_search(const struct values *v, const char *p, size_t n, size_t total, uint64_t offset, struct hits *h);
/* In the data of a partition, piece by piece. */
int values_search_part(const struct values *v, const struct fs_place *at, struct hits *h, struct err *e);

#endif
