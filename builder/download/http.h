/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS requests, many at once: downloads, and what a registry is told. Its implementation is the one file that
 * includes libcurl. */
#ifndef DOWNLOAD_HTTP_H
#define DOWNLOAD_HTTP_H

#include "catalogue/url.h"

struct http; /* many requests at once */

enum http_verdict {
	HTTP_OK,	  /* the server says that this is all, or that it took what was sent */
	HTTP_TRANSIENT,	  /* worth another try: cut, stalled, 503 */
	HTTP_UNREACHABLE, /* as transient, but no server answered */
	HTTP_REFUSED,	  /* a definite no: 404, bad certificate, redirect to http */
	HTTP_STOPPED,	  /* the sink wanted no more */
};

struct http_result {
	enum http_verdict verdict;
	long status;	    /* 0 = no answer */
	double retry_after; /* seconds the server asked for; 0 = none */
	char why[768];	    /* unless OK, or STOPPED by the sink */
	/* What was kept of an answer that is OK; NUL terminated, valid during the call. */
	const char *text;
	size_t text_n;
	/* Of a registry's answer, on the arena; NULL = it has none. */
	const char *challenge; /* WWW-Authenticate of a 401: the Bearer one, else the Basic one */
	const char *location;  /* whole: what is relative is taken from where the answer came from */
	const char *digest;    /* Docker-Content-Digest */
	bool subject;	       /* OCI-Subject: it knows what refers to what */
};

/* What is sent: bytes of memory, or of a file from START on. */
struct http_body {
	const char *bytes; /* NULL = of FD */
	int fd;
	uint64_t start, size;
	struct task *task; /* told how much of the file went out; NULL = none */
};

/* Who asks a server that knows its callers by certificate. PEM texts, which stay until the answer. */
struct http_caller {
	const char *cert, *key;
	const char *ca; /* the server's certificate is by this CA and no other */
};

struct http_ask {
	uint64_t offset;		  /* > 0: the rest from there */
	const char *accept;		  /* media types; NULL = any */
	const char *authorization;	  /* told to this host alone; NULL = none */
	const struct http_caller *caller; /* NULL = nobody; else no redirect is followed, and no proxy asked */
	size_t keep; /* for a sink without `data`: the answer is a text of so many bytes at most, else STOPPED */

	/* NULL = GET; else HEAD, or POST, PUT or PATCH, which follow no redirect and take every 2xx for OK */
	const char *method;
	struct http_body body; /* of the last three */
	const char *content_type, *content_range;
};

/* What the answer says about itself. */
struct http_answer {
	bool partial;	      /* 206 */
	uint64_t start;	      /* of a partial answer; UINT64_MAX = makes no sense */
	int64_t length;	      /* bytes that are to come; -1 = not said */
	const char *encoding; /* Content-Encoding; NULL = none. Valid during the call */
};

/* All three are called from http_run(). `head` comes once, before the first `data`; an empty body has neither. Who
 * wants the answer as a text has `done` alone. */
struct http_sink {
	bool (*head)(void *arg, const struct http_answer *a); /* false = stop: verdict STOPPED */
	bool (*data)(void *arg, const void *data, size_t n);
	void (*done)(void *arg, const struct http_result *result);
};

int http_open(struct http **ret, struct err *e);
/* Drops requests that are not done. NULL is fine. */
void http_close(struct http *h);
int http_send(struct http *h, const struct source *from, const struct http_ask *ask, const struct http_sink *sink,
	      void *arg, struct err *e);
/* Moves bytes and ends requests; returns after SECONDS at the latest. */
int http_run(struct http *h, double seconds, struct err *e);

#endif
