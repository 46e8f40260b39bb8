/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Lower files know nothing of higher ones: url < version < lock < cache <
 * signature < oci < http < registry < job < fetch < upstream < channel < choose < chart < resolve. */
#ifndef CATALOGUE_INTERNAL_H
#define CATALOGUE_INTERNAL_H

#include "catalogue/artifact.h"

/* A base that was given by path or URL takes the place of the catalogue's. */
static inline bool artifact_in_force(const struct artifact *a, const struct config *c)
{
	return !a->base || streq(a->name, c->os.base);
}

/* ---- url.c ---- */

/* NULL for an https URL that is safe to use, else why it is none. */
const char *url_fault(const char *url);
/* TEMPLATE with {version} replaced, on the arena; ENCODE percent-encodes the version as a path segment. */
const char *expand_version(const char *template, const char *version, bool encode);
/* "files.example.org" of a URL, on the arena. */
const char *url_host(const char *url);
const char *artifact_url(const struct artifact *a, const char *version);

/* The last {version} of the artifact's address as URL has it, on the arena; NULL when URL is none of its addresses.
 * Versions there have as many characters as LIKE, whose form they share. */
const char *artifact_url_version(const struct artifact *a, const char *url, const char *like);

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

/* ---- version.c: versions as text from outside ---- */

/* Short, of characters that versions have, and beginning with one. */
bool version_valid(const char *s);
/* S is written like the release LIKE, digits aside: no pre-release, nothing moving. */
bool version_is_like(const char *s, const char *like);
/* Of two versions of one form: negative, 0 or positive, by their numbers from left to right. */
int version_compare(const char *a, const char *b);
/* A version with another number in front may break what goes with it; dates have no such number. */
bool version_same_major(const char *a, const char *b);

/* ---- lock.c ---- */

int lock_load_file(const char *path, struct lock **ret, struct err *e);
int lock_load_shipped(struct lock **ret, struct err *e);
/* "2026-10-07T00:00:00Z", on the arena. */
const char *lock_time_text(int64_t t);
struct yaml_node;
int lock_read_time(const struct yaml_node *node, int64_t *ret, struct err *e);

/* ---- cache.c ---- */

/* Path of an object below the cache's folder. */
const char *cache_object_name(const char *sha256);

/* A download in progress: tmp/<sha256>.part, locked as long as it is open. */
struct part {
	const struct cache *cache;
	const char *name; /* <sha256>.part */
	int fd;
	uint64_t n; /* bytes in it */
};
/* The versions of clang-format disagree on these braces. */
/* clang-format off */
#define PART_INIT { .fd = -1 }
/* clang-format on */
enum part_state { PART_OPEN, PART_BUSY, PART_DONE };

/* OPEN: ours, with the bytes an earlier run left. BUSY: another process is at it. DONE: the object is there. */
int part_open(const struct cache *c, const char *sha256, struct part *ret, enum part_state *state, struct err *e);
int part_write(struct part *p, const void *data, size_t n, struct err *e);
int part_restart(struct part *p, struct err *e);
/* Its digest matched: fsync, rename into objects/, fsync of the folder. */
int part_publish(struct part *p, const char *sha256, struct err *e);
/* Lets go; what was downloaded stays for the next run. */
void part_close(struct part *p);

/* ---- signature.c ---- */

/* KEY has been seen to have signed the image before. */
int signature_known(const struct cache *c, const struct pin *pin, const char *key, bool *ret, struct err *e);
/* Of the image in the cache. Class VERIFY when it is none by KEY, HOST without gpgv. */
int signature_check(const struct cache *c, const struct pin *pin, const char *key, const struct strbuf *signature,
		    struct err *e);

/* ---- http.c: the one file that includes libcurl ---- */

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

struct http_ask {
	uint64_t offset;    /* > 0: the rest from there */
	const char *accept; /* media types; NULL = any */
	const char *bearer; /* token, told to this host alone; NULL = none */
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

/* ---- fetch.c ---- */

/* A small file wanted in memory, whatever its digest. */
struct text {
	const char *label, *url;
	const char *accept, *repository; /* of a registry; else NULL */
	uint64_t limit;			 /* bytes; 0 = 16 MiB */
	struct strbuf body;
};
int fetch_texts(struct text *texts, size_t n, const struct fetch_options *o, struct err *e);

/* ---- upstream.c: checksum files of the three forms; TEXT is outside data ---- */

struct upstream {
	char sha256[SHA256_HEX];
	uint64_t size; /* 0 = not said */
};
/* `entries.CHART` of a Helm repository's index.yaml; *RET is NULL when there is no such chart. */
int upstream_chart(const char *url, const char *text, size_t n, const char *chart, const struct yaml_node **ret,
		   struct err *e);
int upstream_find(enum checksum_form form, const char *url, const char *text, size_t n, const char *entry,
		  const char *version, struct upstream *ret, struct err *e);

/* Texts to be had together, each address once. */
struct texts {
	VEC(struct text) list;
	size_t fetched; /* of them */
};
/* Index of the text at URL. */
size_t texts_want(struct texts *t, const char *label, const char *url, uint64_t limit);
int texts_fetch(struct texts *t, const struct fetch_options *o, struct err *e);
void texts_done(struct texts *t);

/* ---- channel.c: which releases there are, by documents of five forms; TEXT is outside data ---- */

struct release {
	const char *version;
	/* Of a list that states them; else NULL and 0. */
	const char *url, *sha256, *raw_sha256;
	uint64_t size, raw_size;
};
struct releases {
	VEC(struct release) list; /* newest first */
};
/* The most bytes a document of this form may have. */
uint64_t channel_limit(enum channel_form form);
/* Adds the releases written like LIKE: the newest as the channel has it, and what else the document lists. BASE is for
 * the form raspios-list. Class VERIFY when the document is none or lists no such release. */
int channel_read(const struct release_source *from, const struct artifact *base, const char *like, const char *text,
		 size_t n, struct releases *ret, struct err *e);

/* ---- choose.c: which version to go to ---- */

/* Of "NAME" or "NAME=VERSION". */
struct wish {
	const char *name, *version; /* VERSION may be NULL */
};
struct wish wish_of(const char *word);

/* A chosen release whose digest its channel states. */
struct stated {
	const char *key, *source;
	struct release release;
};
struct choice {
	struct lock lock; /* OLD with the version of every key in use */
	VEC(struct stated) releases;
};
/* What the channels say is fetched into TEXTS. */
int choose_versions(const struct catalogue *cat, const struct lock *old, const struct config *c,
		    const struct lock_options *o, struct texts *texts, struct lock_report *report, struct choice *ret,
		    struct err *e);

/* ---- chart.c: what a chart says about its images ---- */

/* Repository and tag at KEY of the values in the .tgz BODY, which has to have the digest SHA256. Class VERIFY when it
 * has another one, or when IMAGE is not what it names. */
int chart_image_tag(const char *label, const struct strbuf *body, const char *sha256, const struct artifact *chart,
		    const struct image *image, const char **ret, struct err *e);

#endif
