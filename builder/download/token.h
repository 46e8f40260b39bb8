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
struct token_ask {
	const struct source *from;
	const char *repository, *challenge;	  /* a Bearer one */
	void (*done)(void *arg, const char *why); /* gets NULL, or why there is none; called from http_run() */
	void *arg;
};
/* Asks the realm of the challenge for a token, without any credentials. */
int token_ask(struct tokens *t, struct http *http, const struct token_ask *ask, struct err *e);

#endif
