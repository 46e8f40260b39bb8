/* SPDX-License-Identifier: Apache-2.0 */
/* The token a registry wants even from those who have no account. */
#ifndef DOWNLOAD_TOKEN_H
#define DOWNLOAD_TOKEN_H

#include "catalogue/url.h"

struct http;
struct source;

struct token {
	const char *for_whom; /* host and repository */
	const char *text;
};
struct tokens {
	const struct config *config; /* mirrors */
	VEC(struct token) v;
};
/* NULL when none was needed so far. */
const char *token_find(const struct tokens *t, const struct source *from, const char *repository);
/* Answers CHALLENGE (a Bearer one) of FROM: asks its realm for a token, without any credentials. DONE gets NULL, or why
 * there is none; it is called from http_run(). */
int token_ask(struct tokens *t, struct http *http, const struct source *from, const char *repository,
	      const char *challenge, void (*done)(void *arg, const char *why), void *arg, struct err *e);

#endif
