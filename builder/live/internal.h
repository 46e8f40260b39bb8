/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

#include "live/live.h"

/* As root; a node without REMOTE_PROGRAM is told. */
int live_ask(const struct remote *r, struct remote_call call, struct err *e);

/* What REMOTE_PROGRAM of NODE told: TEXT, which is taken apart. RET is the caller's, who ends it, on failure too. */
int live_parse(const char *node, const struct wanted *w, char *text, struct live *ret, struct err *e);

/* NULL when nothing is there. */
struct live_file *live_find(const struct live *l, const char *path);

/* The content of a file that is wanted; the caller clears and frees OUT. */
int wanted_read(struct wanted *w, const char *path, struct strbuf *out, struct err *e);
int wanted_digest(struct wanted *w, const char *path, char sha256[SHA256_HEX], struct err *e);

#endif
