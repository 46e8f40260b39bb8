/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry wants to see: a token even from those who have no account, or a name and a password. */
#ifndef DOWNLOAD_TOKEN_H
#define DOWNLOAD_TOKEN_H

#include "catalogue/url.h"

struct http;
struct source;

struct token {
	const char *for_whom; /* host and repository */
	const char *text;     /* as the header Authorization has it */
};
struct tokens {
	const struct config *config; /* mirrors */
	bool logins;		     /* those of the user are taken, as download/login.h finds them */
	const char *actions;	     /* wanted whatever the challenge names; NULL = those it names */
	VEC(struct token) v;
};
/* What to send as Authorization; NULL when nothing was needed so far. */
const char *token_find(const struct tokens *t, const struct source *from, const char *repository);
/* What a request asks for at most: the one at hand may have expired. */
enum { TOKENS_MOST = 2 };
struct token_ask {
	const struct source *from;
	const char *repository, *challenge;	  /* Bearer or Basic */
	const char *refused;			  /* what was sent and not taken; NULL = nothing was sent */
	void (*done)(void *arg, const char *why); /* gets NULL, or why there is none; called from http_run() */
	void *arg;
};
/* Asks the realm of the challenge for a token, with the user's login if there is one that may be used; a Basic
 * challenge is answered by that login alone. What has been refused already is not tried again. */
int token_ask(struct tokens *t, struct http *http, const struct token_ask *ask, struct err *e);

#endif
