/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as text: what is refused, versions filled in, mirrors applied. */
#ifndef CATALOGUE_URL_H
#define CATALOGUE_URL_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "schema/schema.h"

/* NULL for an https URL that is safe to use, else why it is none. */
const char *url_fault(const char *url);
extern const struct kind kind_https; /* what url_fault() lets pass */
/* TEMPLATE with {version} replaced, on the arena; ENCODE percent-encodes the version as a path segment. */
const char *expand_version(const char *template, const char *version, bool encode);
/* "files.example.org" of a URL, on the arena. */
const char *url_host(const char *url);

/* Where to try in turn: the mirrors that match, in order, then the URL itself. */
struct source {
	const char *url;
	const char *ca_file; /* NULL = the system's */
	bool is_mirror;
};
struct sources {
	VEC(struct source) list;
};
int url_sources(const struct config *c, const char *url, struct sources *ret, struct err *e);

#endif
