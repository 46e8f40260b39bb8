/* SPDX-License-Identifier: Apache-2.0 */
/* The detached signature of a base, checked once per key. */
#ifndef DOWNLOAD_SIGNATURE_H
#define DOWNLOAD_SIGNATURE_H

#include "cache/cache.h"

/* KEY has been seen to have signed the image before. */
int signature_known(const struct cache *c, const struct pin *pin, const char *key, bool *ret, struct err *e);
/* Of the image in the cache. Class VERIFY when it is none by KEY, HOST without gpgv. */
int signature_check(const struct cache *c, const struct pin *pin, const char *key, const struct strbuf *signature,
		    struct err *e);

#endif
