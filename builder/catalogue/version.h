/* SPDX-License-Identifier: Apache-2.0 */
/* Versions as text from outside: what may be one, and which is newer. */
#ifndef CATALOGUE_VERSION_H
#define CATALOGUE_VERSION_H

#include "base/util.h"

/* Short, of characters that versions have, and beginning with one. */
bool version_valid(const char *s);
/* S is written like the release LIKE, digits aside: no pre-release, nothing moving. */
bool version_is_like(const char *s, const char *like);
/* Of two versions of one form: negative, 0 or positive, by their numbers from left to right. */
int version_compare(const char *a, const char *b);
/* A version with another number in front may break what goes with it; dates have no such number. */
bool version_same_major(const char *a, const char *b);

#endif
