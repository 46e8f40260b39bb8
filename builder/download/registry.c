/* SPDX-License-Identifier: Apache-2.0 */
#include "download/registry.h"

#include <errno.h>

#include "base/log.h"
#include "base/progress.h"
#include "base/sig.h"
#include "download/download.h"
#include "download/login.h"
#include "oci/oci.h"

static const uint64_t part_size = 16 * MIB;
static const double look_often = 0.2;

int registry_open(struct registry *ret, const struct config *config, const char *name, const char *actions,
		  struct err *e)
{
	*ret = (struct registry){ .name = name, .tokens = { .config = config, .logins = true, .actions = actions } };
	return http_open(&ret->http, e);
}

void registry_close(struct registry *g)
{
	http_close(g->http);
	g->http = NULL;
}

void registry_text_done(struct registry_text *t)
{
	strbuf_done(&t->text);
}

/* ---- one request ---- */

struct exchange {
	struct registry *registry;
	struct source from;
	struct http_ask ask;
	struct strbuf *body;  /* of the answer; NULL = of no interest */
	bool once;	      /* who asks tries again in a way of his own */
	long expected;	      /* a no that is an answer; 0 = none */
	struct http_result r; /* of the last try; its texts are on the arena */
	bool done, token_done;
	const char *token_why;
};

static void exchange_on_done(void *arg, const struct http_result *r)
{
	struct exchange *x = arg;

	x->r = *r;
	x->r.text = NULL;
	x->done = true;
	if (!x->body)
		return;
	x->body->n = 0;
	strbuf_add(x->body, r->text, r->text_n);
}

static const struct http_sink exchange_sink = { .done = exchange_on_done };

static void exchange_on_token(void *arg, const char *why)
{
	struct exchange *x = arg;

	x->token_why = why;
	x->token_done = true;
}

static int run_until(struct exchange *x, const bool *done, struct err *e)
{
	int r = 0;

	while (r == 0 && !*done) {
		r = sig_check(e);
		if (r == 0)
			r = http_run(x->registry->http, look_often, e);
	}
	return r;
}

static int exchange_fail(const struct exchange *x, const char *why, struct err *e)
{
	const char *host = url_host(x->from.url);
	struct login login = { 0 };
	struct err ignored;

	if ((x->r.status == 401 || x->r.status == 403) && !strstr(why, "log in") &&
	    login_find(host, image_repository(x->registry->name), &login, &ignored) == 0)
		why = arena_printf("%s%s", why,
				   login.authorization ? arena_printf("; the login is that of %s", login.file)
						       : login.why_none);
	return err_set(e, -EPROTO, "%s: %s", host, why);
}

/* Once, and once more with each token that is wanted. */
static int exchange_try(struct exchange *x, struct err *e)
{
	const char *repository = image_repository(x->registry->name);
	struct tokens *tokens = &x->registry->tokens;
	int r;

	for (unsigned asked = 0;; asked++) {
		x->done = x->token_done = false;
		x->ask.authorization = token_find(tokens, &x->from, repository);
		if (x->ask.body.task)
			task_set(x->ask.body.task, x->ask.body.start);
		r = http_send(x->registry->http, &x->from, &x->ask, &exchange_sink, x, e);
		if (r == 0)
			r = run_until(x, &x->done, e);
		if (r < 0 || x->r.status != 401 || !x->r.challenge || asked == TOKENS_MOST)
			return r;
		r = token_ask(tokens, x->registry->http,
			      &(struct token_ask){ &x->from, repository, x->r.challenge, x->ask.authorization,
						   exchange_on_token, x },
			      e);
		if (r < 0)
			return e->class == CLASS_FAILED ? exchange_fail(x, arena_strdup(e->msg), e) : r;
		r = run_until(x, &x->token_done, e);
		if (r < 0)
			return r;
		if (x->token_why)
			return exchange_fail(x, x->token_why, e);
	}
}

/* 0: done, or said no with the status that was expected. -EAGAIN: worth another try, which ONCE left to the caller. */
static int exchange_run(struct exchange *x, struct err *e)
{
	int r = 0;

	for (unsigned tries = 1;; tries++) {
		double wait;

		r = exchange_try(x, e);
		if (r < 0 || x->r.verdict == HTTP_OK || (x->expected && x->r.status == x->expected))
			return r;
		if (x->r.verdict == HTTP_STOPPED)
			return err_class(e, CLASS_VERIFY, "%s: its answer has more than 4 MiB", url_host(x->from.url));
		r = exchange_fail(x, x->r.why, e);
		if (x->r.verdict != HTTP_TRANSIENT && x->r.verdict != HTTP_UNREACHABLE)
			return r;
		x->registry->asked_pause = x->r.retry_after;
		if (x->once)
			return -EAGAIN;
		if (tries == ATTEMPTS_MOST)
			return err_set(e, r, "%s: %s (%u attempts)", url_host(x->from.url), x->r.why, tries);
		wait = download_pause(tries, x->r.retry_after);
		log_debug("%s: %s; attempt %u of %d in %.1f s", url_host(x->from.url), x->r.why, tries + 1,
			  ATTEMPTS_MOST, wait);
		r = sig_pause(wait, e);
		if (r < 0)
			return r;
	}
}

static int exchange_start(struct exchange *x, struct registry *g, const char *url, struct err *e)
{
	struct sources s = { 0 };
	int r = url_sources(g->tokens.config, url, &s, e);

	x->registry = g;
	x->ask.keep = OCI_MAX_DOCUMENT;
	if (r == 0)
		x->from = s.list.v[0];
	return r;
}

/* ---- documents ---- */

int registry_get(struct registry *g, const char *kind, const char *reference, struct strbuf *ret, struct err *e)
{
	static const char digest[] = "sha256:";
	struct exchange x = { .body = ret, .expected = 404, .ask = { .accept = oci_accept("manifests") } };
	char sha256[SHA256_HEX];
	int r = exchange_start(&x, g, image_url(g->name, kind, reference), e);

	if (r == 0)
		r = exchange_run(&x, e);
	if (r == 0 && x.r.status == 404)
		return err_set(e, -ENOENT, "%s has no %s%c%s", url_host(x.from.url), image_repository(g->name),
			       starts_with(reference, digest) ? '@' : ':', reference);
	if (r < 0 || !streq(kind, "manifests") || !starts_with(reference, digest))
		return r;
	sha256_bytes(str_or(ret->s, ""), ret->n, sha256);
	if (streq(sha256, reference + strlen(digest)))
		return 0;
	return err_class(e, CLASS_VERIFY, "%s: what it sent as %s has the sha256 %s", url_host(x.from.url), reference,
			 sha256);
}

int registry_put_manifest(struct registry *g, const char *reference, const struct registry_text *t,
			  bool *knows_subjects, struct err *e)
{
	const char *digest = arena_printf("sha256:%s", t->sha256);
	struct exchange x = { .ask = { .method = "PUT",
				       .content_type = t->media_type,
				       .body = { .bytes = t->text.s, .size = t->text.n } } };
	int r = exchange_start(&x, g, image_url(g->name, "manifests", str_or(reference, digest)), e);

	if (r == 0)
		r = exchange_run(&x, e);
	if (r < 0)
		return r;
	if (x.r.digest && !streq(x.r.digest, digest))
		return err_class(e, CLASS_VERIFY,
				 "%s: it keeps what was sent under another digest, %.80s instead of %s",
				 url_host(x.from.url), clean_copy(x.r.digest), digest);
	if (knows_subjects)
		*knows_subjects = x.r.subject;
	return 0;
}

/* ---- blobs ---- */

static int has_blob(struct registry *g, const struct registry_blob *b, bool *ret, struct err *e)
{
	struct exchange x = { .ask = { .method = "HEAD" }, .expected = 404 };
	int r = exchange_start(&x, g, image_url(g->name, "blobs", arena_printf("sha256:%s", b->sha256)), e);

	if (r == 0)
		r = exchange_run(&x, e);
	*ret = r == 0 && x.r.status != 404;
	return r;
}

/* Where the next bytes go. The login is shown there, so it has to be the same host. */
static int next_place(struct exchange *x, struct err *e)
{
	const char *to = x->r.location, *host = url_host(x->from.url), *why;

	if (!to)
		return err_set(e, -EPROTO, "%s: it does not say where the upload goes: no Location in its answer",
			       host);
	why = url_fault(to);
	if (why)
		return err_set(e, -EPROTO,
			       "%s: it wants the upload at '%.200s': %s; behind a proxy it has to know its own address",
			       host, clean_copy(to), why);
	if (!streq(url_host(to), host))
		return err_set(e, -EPROTO, "%s: it wants the upload at another host, %s, which is not followed", host,
			       url_host(to));
	x->from.url = to;
	return 0;
}

static void set_body(struct exchange *x, const struct registry_blob *b, uint64_t start, uint64_t size)
{
	x->ask.body.bytes = b->bytes ? b->bytes + start : NULL;
	x->ask.body.fd = b->fd;
	x->ask.body.start = start;
	x->ask.body.size = size;
}

static int send_parts(struct exchange *x, const struct registry_blob *b, struct err *e)
{
	int r = 0;

	x->ask.method = "PATCH";
	for (uint64_t at = 0; r == 0 && at < b->size; at += part_size) {
		uint64_t n = MIN(part_size, b->size - at);

		set_body(x, b, at, n);
		x->ask.content_range = arena_printf("%llu-%llu", (unsigned long long)at,
						    (unsigned long long)(at + n - 1));
		r = exchange_run(x, e);
		if (r == 0)
			r = next_place(x, e);
	}
	x->ask.content_range = NULL;
	set_body(x, b, b->size, 0);
	return r;
}

/* A new upload, whole or in parts, to its end. */
static int send_blob(struct registry *g, const struct registry_blob *b, struct task *t, struct err *e)
{
	struct exchange x = { .ask = { .method = "POST" }, .once = true };
	int r = exchange_start(&x, g, image_url(g->name, "blobs", "uploads/"), e);

	if (r == 0)
		r = exchange_run(&x, e);
	if (r == 0)
		r = next_place(&x, e);
	if (r < 0)
		return r;
	x.ask.content_type = "application/octet-stream";
	x.ask.body.task = t;
	if (g->in_parts)
		r = send_parts(&x, b, e);
	else
		set_body(&x, b, 0, b->size);
	if (r < 0)
		return r;
	x.ask.method = "PUT";
	x.expected = 413;
	x.from.url = arena_printf("%s%cdigest=sha256%%3A%s", x.from.url, strchr(x.from.url, '?') ? '&' : '?',
				  b->sha256);
	r = exchange_run(&x, e);
	if (r == 0 && x.r.status == 413) {
		r = exchange_fail(&x, x.r.why, e);
		/* A proxy before it that bounds a request. */
		if (!g->in_parts)
			r = -EAGAIN;
		g->in_parts = true;
	}
	return r;
}

int registry_put_blob(struct registry *g, const struct registry_blob *b, bool *sent, struct err *e)
{
	bool there = false;
	struct task *t;
	int r = has_blob(g, b, &there, e);

	*sent = !there;
	if (r < 0 || there)
		return r;
	t = task_begin("upload", b->label, b->size);
	for (unsigned tries = 1;; tries++) {
		bool in_parts = g->in_parts;

		r = send_blob(g, b, t, e);
		if (r != -EAGAIN || tries == ATTEMPTS_MOST)
			break;
		log_debug("%s: %s; attempt %u of %d", b->label, e->msg, tries + 1, ATTEMPTS_MOST);
		r = in_parts == g->in_parts ? sig_pause(download_pause(tries, g->asked_pause), e) : 0;
		if (r < 0)
			break;
	}
	if (r < 0)
		task_fail(t, "failed");
	else
		task_end(t, NULL);
	if (r == -EAGAIN)
		return err_set(e, -EPROTO, "%s (%d attempts)", arena_strdup(e->msg), ATTEMPTS_MOST);
	return r;
}
