/* SPDX-License-Identifier: Apache-2.0 */
#include "download/download.h"

#include <sys/random.h>

#include "base/log.h"

enum { MAX_MISMATCHES = 2 };
static const double first_pause = 0.5, longest_pause = 60, longest_asked_pause = 300, told_pause = 10, look_again = 0.2;

static const struct source *source_of(const struct download *d)
{
	return &d->sources.list.v[d->at];
}

static uint64_t received(const struct download *d)
{
	return d->text ? d->text->body.n : d->part.n;
}

/* ---- ends of a download ---- */

void download_end(struct download *d, enum download_state state, const char *note)
{
	d->state = state;
	sha256_done(&d->sum);
	part_close(&d->part);
	if (d->reader)
		growing_end(d->reader, state == DOWNLOAD_FINISHED);
	if (d->task && state == DOWNLOAD_FAILED)
		task_fail(d->task, note);
	else if (d->task)
		task_end(d->task, note);
}

static void add_reason(struct download *d, const char *why, bool of_host)
{
	*vec_push(&d->reasons) = (struct reason){ source_of(d)->url, arena_strdup(why), of_host };
}

/* A host that is down is down for every download. */
static bool is_told(const struct download *d, const char *why)
{
	const char *line = arena_printf("%s: %s", url_host(source_of(d)->url), why);

	vec_foreach (t, &d->told->lines)
		if (streq(*t, line))
			return true;
	*vec_push(&d->told->lines) = line;
	return false;
}

/* A failure of this machine, which no other source cures. */
static void fail_here(struct download *d, const struct err *e)
{
	*vec_push(&d->reasons) = (struct reason){ NULL, arena_strdup(e->msg), false };
	d->class = e->class;
	download_end(d, DOWNLOAD_FAILED, "failed");
}

static int restart(struct download *d, struct err *e)
{
	if (d->text) {
		d->text->body.n = 0;
		return 0;
	}
	if (d->reader && d->part.n)
		growing_end(d->reader, false);
	sha256_done(&d->sum);
	sha256_init(&d->sum);
	task_set(d->task, 0);
	return part_restart(&d->part, e);
}

/* ---- what next ---- */

static void wait_for(struct download *d, double seconds)
{
	d->state = DOWNLOAD_WAITING;
	d->due = now_seconds() + seconds;
}

double download_pause(unsigned attempt, double asked)
{
	double pause = MIN(first_pause * (double)(1u << (attempt - 1)), longest_pause);
	unsigned char noise = 0;

	/* Clients that failed together must not come back together. */
	if (getrandom(&noise, 1, 0) == 1)
		pause *= 0.75 + noise / 512.0;
	return MAX(pause, MIN(asked, longest_asked_pause));
}

/* The next place to look, if the answers so far leave one: the address itself stands in for mirrors that are down, not
 * for mirrors that said no. */
static bool has_next_source(const struct download *d, bool definite)
{
	if (d->at + 1 >= d->sources.list.n)
		return false;
	return d->sources.list.v[d->at + 1].is_mirror || d->mirror_down || !definite;
}

static void leave_source(struct download *d, const char *why, bool definite)
{
	bool next = has_next_source(d, definite);

	add_reason(d, why, !definite);
	d->mirror_down |= !definite;
	if (!next) {
		download_end(d, DOWNLOAD_FAILED, "failed");
		return;
	}
	(is_told(d, why) ? log_debug : log_warning)("%s: %s: %s; trying %s", d->label, url_host(source_of(d)->url), why,
						    url_host(d->sources.list.v[d->at + 1].url));
	d->at++;
	d->attempts = d->tokens_asked = 0;
	wait_for(d, 0);
}

static void try_again(struct download *d, const char *why, double asked)
{
	double pause;

	if (d->attempts >= ATTEMPTS_MOST) {
		leave_source(d, arena_printf("%s (%u attempts)", why, d->attempts), false);
		return;
	}
	pause = download_pause(d->attempts, asked);
	/* Nobody should wonder at a long silence. */
	(pause > told_pause && !is_told(d, why) ? log_info : log_debug)("%s: %s: %s; attempt %u of %d in %.1f s",
									d->label, url_host(source_of(d)->url), why,
									d->attempts + 1, ATTEMPTS_MOST, pause);
	wait_for(d, pause);
}

/* Wrong bytes. They are thrown away; a download pieced together gets one whole try, as the pieces may not have been of
 * the same file. */
static void mismatch(struct download *d, const char *why, struct err *e)
{
	bool pieced = d->offset > 0;

	d->class = CLASS_VERIFY;
	d->mismatches++;
	if (restart(d, e) < 0) {
		fail_here(d, e);
		return;
	}
	if (!pieced && has_next_source(d, true)) {
		leave_source(d, why, true);
		return;
	}
	if (d->mismatches >= MAX_MISMATCHES || d->attempts >= ATTEMPTS_MOST) {
		add_reason(d, why, false);
		download_end(d, DOWNLOAD_FAILED, "failed");
		return;
	}
	log_debug("%s: %s: %s; once more from the start", d->label, url_host(source_of(d)->url), why);
	wait_for(d, pieced ? 0 : first_pause);
}

static const char *hint(const struct download *d)
{
	if (d->html)
		return "; what came is a web page: a login page of the network, or an error page";
	if (*d->encoding)
		return arena_printf("; it was sent with Content-Encoding: %s, which nobody asked for", d->encoding);
	return "";
}

static void wrong_length(struct download *d, uint64_t offered, struct err *e)
{
	mismatch(d,
		 arena_printf("it has %llu bytes, the lock says %llu%s", (unsigned long long)offered,
			      (unsigned long long)d->size, hint(d)),
		 e);
}

/* ---- callbacks of a request ---- */

static bool download_on_head(void *arg, const struct http_answer *a)
{
	struct download *d = arg;
	struct err e;

	d->answered = true;
	d->length = a->length;
	snprintf(d->encoding, sizeof(d->encoding), "%s", str_or(a->encoding, ""));
	if (a->partial && a->start != d->offset) {
		d->stop = STOP_RANGE;
		return false;
	}
	if (d->offset && !a->partial) {
		/* The server does not do ranges and sends all of it. */
		d->offset = 0;
		if (restart(d, &e) < 0) {
			fail_here(d, &e);
			d->stop = STOP_WRITE;
			return false;
		}
	}
	d->wrong_length = d->size && a->length >= 0 && d->offset + (uint64_t)a->length != d->size;
	if (d->task && !d->size && a->length > 0)
		task_total(d->task, d->offset + (uint64_t)a->length);
	return true;
}

static bool is_html(const char *data, size_t n)
{
	while (n && strchr(" \t\r\n", *data)) {
		data++;
		n--;
	}
	return n && *data == '<';
}

static bool download_on_data(void *arg, const void *data, size_t n)
{
	struct download *d = arg;
	struct err e;

	if (received(d) == 0)
		d->html = is_html(data, n);
	if (d->wrong_length)
		d->stop = STOP_LENGTH;
	else if (received(d) + n > d->limit)
		d->stop = STOP_LIMIT;
	if (d->stop)
		return false;
	if (d->text) {
		strbuf_add(&d->text->body, data, n);
		return true;
	}
	if (part_write(&d->part, data, n, &e) < 0) {
		fail_here(d, &e);
		d->stop = STOP_WRITE;
		return false;
	}
	if (d->reader)
		growing_to(d->reader, d->part.n);
	sha256_update(&d->sum, data, n);
	task_add(d->task, n);
	return true;
}

static void on_stopped(struct download *d, struct err *e)
{
	char limit[SIZE_TEXT_MAX];

	switch (d->stop) {
	case STOP_LENGTH:
		wrong_length(d, d->offset + (uint64_t)d->length, e);
		break;
	case STOP_LIMIT:
		if (d->size)
			mismatch(d,
				 arena_printf("it has more than the %llu bytes the lock says%s",
					      (unsigned long long)d->size, hint(d)),
				 e);
		else if (restart(d, e) < 0)
			fail_here(d, e);
		else
			leave_source(d,
				     arena_printf("it is larger than the limit of %s%s", size_text(d->limit, limit),
						  hint(d)),
				     true);
		break;
	case STOP_RANGE:
		if (restart(d, e) < 0)
			fail_here(d, e);
		else
			try_again(d, "it sent another part of the file than was asked for", 0);
		break;
	case STOP_WRITE: /* has failed already */
	case STOP_NONE:
		break;
	}
}

static void download_finish(struct download *d, struct err *e)
{
	char sha256[SHA256_HEX];

	if (d->text) {
		download_end(d, DOWNLOAD_FINISHED, NULL);
		return;
	}
	if (d->size && d->part.n < d->size && d->length < 0 && d->answered && !d->html) {
		try_again(d, "the connection was cut before the end", 0);
		return;
	}
	if (d->size && d->part.n != d->size) {
		wrong_length(d, d->part.n, e);
		return;
	}
	sha256_final(&d->sum, sha256);
	if (!streq(sha256, d->sha256))
		mismatch(d, arena_printf("its sha256 is %s, expected %s%s", sha256, d->sha256, hint(d)), e);
	else if (part_publish(&d->part, d->sha256, e) < 0)
		fail_here(d, e);
	else
		download_end(d, DOWNLOAD_FINISHED, NULL);
}

static void on_token(void *arg, const char *why)
{
	struct download *d = arg;

	if (why) {
		if (d->tokens_asked == TOKENS_MOST)
			leave_source(d, why, true);
		else
			try_again(d, why, 0);
		return;
	}
	d->attempts--; /* being asked for a token is no failure */
	wait_for(d, 0);
}

static void on_refused(struct download *d, const struct http_result *r, struct err *e)
{
	if (r->challenge && d->repository && d->tokens_asked < TOKENS_MOST) {
		const struct token_ask ask = {
			source_of(d), d->repository, r->challenge, d->authorization, on_token, d
		};

		d->tokens_asked++;
		if (token_ask(d->tokens, d->http, &ask, e) < 0)
			leave_source(d, e->msg, true);
	} else if (r->status == 416 && d->offset && restart(d, e) == 0) {
		try_again(d, "it has no such part of the file", 0);
	} else {
		leave_source(d, r->why, true);
	}
}

static void download_on_done(void *arg, const struct http_result *r)
{
	struct download *d = arg;
	struct err e;

	switch (r->verdict) {
	case HTTP_OK:
		download_finish(d, &e);
		break;
	case HTTP_STOPPED:
		on_stopped(d, &e);
		break;
	case HTTP_TRANSIENT:
		try_again(d, r->why, r->retry_after);
		break;
	case HTTP_UNREACHABLE:
		if (has_next_source(d, false))
			leave_source(d, r->why, false);
		else
			try_again(d, r->why, 0);
		break;
	case HTTP_REFUSED:
		on_refused(d, r, &e);
		break;
	}
}

static const struct http_sink sink = { download_on_head, download_on_data, download_on_done };

/* ---- start of a download ---- */

static bool matches_so_far(const struct download *d)
{
	_cleanup_(sha256_done) struct sha256 sum;
	char sha256[SHA256_HEX];

	sha256_copy(&sum, &d->sum);
	sha256_final(&sum, sha256);
	return streq(sha256, d->sha256);
}

/* What an earlier run left: hashed, so that it can be continued; all of it may be there already. */
static int take_up(struct download *d, struct err *e)
{
	int r = 0;

	if (d->part.n > d->limit)
		r = part_restart(&d->part, e);
	if (r == 0 && d->reader)
		growing_open(d->reader, part_reader(&d->part), d->part.n);
	sha256_init(&d->sum);
	if (r == 0 && d->part.n)
		r = sha256_add_fd(&d->sum, d->part.fd, d->part.n, d->label, e);
	d->task = task_begin("download", d->label, d->size);
	if (r < 0 || !d->part.n)
		return r;
	task_set(d->task, d->part.n);
	if (!d->size || d->part.n == d->size) {
		if (matches_so_far(d)) {
			r = part_publish(&d->part, d->sha256, e);
			if (r < 0)
				return r;
			download_end(d, DOWNLOAD_FINISHED, "was complete");
			return 0;
		}
		if (d->size)
			return restart(d, e);
	}
	log_debug("%s: going on at byte %llu", d->label, (unsigned long long)d->part.n);
	return 0;
}

/* The part is ours afterwards, or the download is waiting for another process, or it is finished. */
static int claim(struct download *d, const struct cache *cache, struct err *e)
{
	enum part_state state;
	int r = part_open(cache, d->sha256, &d->part, &state, e);

	if (r < 0)
		return r;
	if (state == PART_OPEN)
		return take_up(d, e);
	if (state == PART_DONE) {
		download_end(d, DOWNLOAD_FINISHED, NULL);
		return 0;
	}
	if (!d->told_busy)
		log_info("%s: another pibuild is downloading it; waiting", d->label);
	d->told_busy = true;
	wait_for(d, look_again);
	return 0;
}

static int send_request(struct download *d, struct http *http, struct err *e)
{
	struct http_ask ask = { .offset = d->offset, .accept = d->accept };

	d->http = http;
	d->authorization = d->repository ? token_find(d->tokens, source_of(d), d->repository) : NULL;
	ask.authorization = d->authorization;
	return http_send(http, source_of(d), &ask, &sink, d, e);
}

void download_start(struct download *d, struct http *http, const struct cache *cache)
{
	bool claimed = d->text || d->part.fd >= 0;
	struct err e = { 0 };

	if (!claimed && claim(d, cache, &e) < 0) {
		fail_here(d, &e);
		return;
	}
	if (d->state != DOWNLOAD_WAITING || (!d->text && d->part.fd < 0))
		return;
	if (d->text)
		d->text->body.n = 0;
	d->offset = received(d);
	d->stop = STOP_NONE;
	d->answered = d->wrong_length = d->html = false;
	d->length = -1;
	d->encoding[0] = '\0';
	d->attempts++;
	d->state = DOWNLOAD_RUNNING;
	if (send_request(d, http, &e) < 0)
		fail_here(d, &e);
}
