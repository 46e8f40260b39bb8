/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS requests, many at once. Its implementation is the one file that includes libcurl. */
#ifndef DOWNLOAD_HTTP_H
#define DOWNLOAD_HTTP_H

#include "catalogue/url.h"

struct http; /* many requests at once */

enum http_verdict {
	HTTP_OK,	  /* the server says that this is all */
	HTTP_TRANSIENT,	  /* worth another try: cut, stalled, 503 */
	HTTP_UNREACHABLE, /* as transient, but no server answered */
	HTTP_REFUSED,	  /* a definite no: 404, bad certificate, redirect to http */
	HTTP_STOPPED,	  /* the sink wanted no more */
};

struct http_result {
	enum http_verdict verdict;
	long status;		      /* 0 = no answer */
	double retry_after;	      /* seconds the server asked for; 0 = none */
	char why[768];		      /* unless OK or STOPPED */
	const char *bearer_challenge; /* WWW-Authenticate of a 401; else NULL. Valid during the call */
};

/* Who asks a server that knows its callers by certificate. PEM texts, which stay until the answer. */
struct http_caller {
	const char *cert, *key;
	const char *ca; /* the server's certificate is by this CA and no other */
};

struct http_ask {
	uint64_t offset;		  /* > 0: the rest from there */
	const char *accept;		  /* media types; NULL = any */
	const char *bearer;		  /* token, told to this host alone; NULL = none */
	const struct http_caller *caller; /* NULL = nobody; else no redirect is followed, and no proxy asked */
};

/* What the answer says about itself. */
struct http_answer {
	bool partial;	      /* 206 */
	uint64_t start;	      /* of a partial answer; UINT64_MAX = makes no sense */
	int64_t length;	      /* bytes that are to come; -1 = not said */
	const char *encoding; /* Content-Encoding; NULL = none. Valid during the call */
};

/* All three are called from http_run(). `head` comes once, before the first `data`; an empty body has neither. */
struct http_sink {
	bool (*head)(void *arg, const struct http_answer *a); /* false = stop: verdict STOPPED */
	bool (*data)(void *arg, const void *data, size_t n);
	void (*done)(void *arg, const struct http_result *result);
};

int http_open(struct http **ret, struct err *e);
/* Drops requests that are not done. NULL is fine. */
void http_close(struct http *h);
int http_get(struct http *h, const struct source *from, const struct http_ask *ask, const struct http_sink *sink,
	     void *arg, struct err *e);
/* Moves bytes and ends requests; returns after SECONDS at the latest. */
int http_run(struct http *h, double seconds, struct err *e);

#endif
