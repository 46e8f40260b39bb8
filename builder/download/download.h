/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One download. It goes through its sources (mirrors, then the address itself), each source through a few attempts:
 *
 *	waiting --due--> running --done--> finished		digest matched, published
 *	   ^                |-----------> waiting		worth another try, after a pause
 *	   |                |-----------> next source		this one said no, or is down, or is wrong
 *	   '----------------'-----------> failed		nothing left to try
 *
 * A registry that wants a token gets the download to ask for one while it counts as running.
 *
 * What came so far stays in the part across attempts, sources and runs; only a matching digest gets it out of there.
 */
#ifndef DOWNLOAD_DOWNLOAD_H
#define DOWNLOAD_DOWNLOAD_H

#include "base/growing.h"
#include "base/progress.h"
#include "cache/cache.h"
#include "crypto/digest.h"
#include "download/fetch.h"
#include "download/http.h"
#include "download/token.h"

enum download_state { DOWNLOAD_WAITING, DOWNLOAD_RUNNING, DOWNLOAD_FINISHED, DOWNLOAD_FAILED };
enum stop_reason { STOP_NONE, STOP_LENGTH, STOP_LIMIT, STOP_RANGE, STOP_WRITE };

/* Why a source was left. */
struct reason {
	const char *url; /* NULL = it is this machine's failure */
	const char *why;
	bool of_host; /* no definite answer: likely the same for all that is there */
};

/* What was said of a host in this run: once is enough. */
struct download_report {
	VEC(const char *) lines;
};

struct download {
	/* what */
	const char *label, *sha256; /* sha256 NULL: a text */
	uint64_t size, limit;	    /* size 0 = not known */
	struct text *text;
	struct sources sources;
	const char *accept;	      /* media types; NULL = any */
	const char *repository;	      /* of a registry; else NULL */
	struct tokens *tokens;	      /* of the run */
	struct growing *reader;	      /* who reads it while it comes; NULL = nobody */
	struct download_report *told; /* of the run */

	/* how far */
	enum download_state state;
	double due;				     /* waiting: not before */
	size_t at;				     /* source */
	unsigned attempts, mismatches, tokens_asked; /* attempts and tokens: of this source */
	bool mirror_down; /* one gave no definite answer, so the address itself is worth a try */
	bool told_busy;
	struct part part;
	struct sha256 sum; /* of the part so far */
	struct task *task;

	/* the request that runs */
	struct http *http;
	const char *authorization; /* that it has; NULL = none */
	uint64_t offset;
	enum stop_reason stop;
	bool answered, wrong_length, html;
	int64_t length;
	char encoding[32];

	/* why it failed */
	VEC(struct reason) reasons; /* in the order of the sources */
	enum exit_class class;
};

/* Called when a waiting one is due: claims its part and sends the next request. */
void download_start(struct download *d, struct http *http, const struct cache *cache);
/* Of one source; uploads have as many. */
enum { ATTEMPTS_MOST = 5 };
/* Seconds to wait after so many attempts, when the server ASKED for some (0 = it did not). */
double download_pause(unsigned attempt, double asked);
/* Lets go of all it holds. NOTE is for the progress display; NULL = none. */
void download_end(struct download *d, enum download_state state, const char *note);

#endif
