/* SPDX-License-Identifier: Apache-2.0 */
#include "download/download.h"

#include <errno.h>
#include <sys/random.h>

#include "base/log.h"

enum { MAX_ATTEMPTS = 5, MAX_MISMATCHES = 2 };
static const double first_pause = 0.5, longest_pause = 60, longest_asked_pause = 300, told_pause = 10, look_again = 0.2;

static const struct source *source_of(const struct job *j)
{
	return &j->sources.list.v[j->at];
}

static uint64_t received(const struct job *j)
{
	return j->text ? j->text->body.n : j->part.n;
}

/* ---- ends of a job ---- */

void job_end(struct job *j, enum job_state state, const char *note)
{
	j->state = state;
	sha256_done(&j->sum);
	part_close(&j->part);
	if (j->task)
		task_end(j->task, note);
}

static void add_reason(struct job *j, const char *why, bool of_host)
{
	*vec_push(&j->reasons) = (struct reason){ source_of(j)->url, arena_strdup(why), of_host };
}

/* A host that is down is down for every download. */
static bool is_told(const struct job *j, const char *why)
{
	const char *line = arena_printf("%s: %s", url_host(source_of(j)->url), why);

	vec_foreach (t, &j->told->lines)
		if (streq(*t, line))
			return true;
	*vec_push(&j->told->lines) = line;
	return false;
}

/* A failure of this machine, which no other source cures. */
static void fail_here(struct job *j, const struct err *e)
{
	*vec_push(&j->reasons) = (struct reason){ NULL, arena_strdup(e->msg), false };
	j->class = e->class;
	job_end(j, JOB_FAILED, "failed");
}

static int restart(struct job *j, struct err *e)
{
	if (j->text) {
		j->text->body.n = 0;
		return 0;
	}
	sha256_done(&j->sum);
	sha256_init(&j->sum);
	task_set(j->task, 0);
	return part_restart(&j->part, e);
}

/* ---- what next ---- */

static void wait_for(struct job *j, double seconds)
{
	j->state = JOB_WAITING;
	j->due = now_seconds() + seconds;
}

static double pause_before(unsigned attempt, double asked)
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
static bool has_next_source(const struct job *j, bool definite)
{
	if (j->at + 1 >= j->sources.list.n)
		return false;
	return j->sources.list.v[j->at + 1].is_mirror || j->mirror_down || !definite;
}

static void leave_source(struct job *j, const char *why, bool definite)
{
	bool next = has_next_source(j, definite);

	add_reason(j, why, !definite);
	j->mirror_down |= !definite;
	if (!next) {
		job_end(j, JOB_FAILED, "failed");
		return;
	}
	(is_told(j, why) ? log_debug : log_warning)("%s: %s: %s; trying %s", j->label, url_host(source_of(j)->url), why,
						    url_host(j->sources.list.v[j->at + 1].url));
	j->at++;
	j->attempts = j->tokens_asked = 0;
	wait_for(j, 0);
}

static void try_again(struct job *j, const char *why, double asked)
{
	double pause;

	if (j->attempts >= MAX_ATTEMPTS) {
		leave_source(j, arena_printf("%s (%u attempts)", why, j->attempts), false);
		return;
	}
	pause = pause_before(j->attempts, asked);
	/* Nobody should wonder at a long silence. */
	(pause > told_pause && !is_told(j, why) ? log_info : log_debug)("%s: %s: %s; attempt %u of %d in %.1f s",
									j->label, url_host(source_of(j)->url), why,
									j->attempts + 1, MAX_ATTEMPTS, pause);
	wait_for(j, pause);
}

/* Wrong bytes. They are thrown away; a download pieced together gets one whole try, as the pieces may not have been of
 * the same file. */
static void mismatch(struct job *j, const char *why, struct err *e)
{
	bool pieced = j->offset > 0;

	j->class = CLASS_VERIFY;
	j->mismatches++;
	if (restart(j, e) < 0) {
		fail_here(j, e);
		return;
	}
	if (!pieced && has_next_source(j, true)) {
		leave_source(j, why, true);
		return;
	}
	if (j->mismatches >= MAX_MISMATCHES || j->attempts >= MAX_ATTEMPTS) {
		add_reason(j, why, false);
		job_end(j, JOB_FAILED, "failed");
		return;
	}
	log_debug("%s: %s: %s; once more from the start", j->label, url_host(source_of(j)->url), why);
	wait_for(j, pieced ? 0 : first_pause);
}

static const char *hint(const struct job *j)
{
	if (j->html)
		return "; what came is a web page: a login page of the network, or an error page";
	if (*j->encoding)
		return arena_printf("; it was sent with Content-Encoding: %s, which nobody asked for", j->encoding);
	return "";
}

static void wrong_length(struct job *j, uint64_t offered, struct err *e)
{
	mismatch(j,
		 arena_printf("it has %llu bytes, the lock says %llu%s", (unsigned long long)offered,
			      (unsigned long long)j->size, hint(j)),
		 e);
}

/* ---- callbacks of a request ---- */

static bool on_head(void *arg, const struct http_answer *a)
{
	struct job *j = arg;
	struct err e;

	j->answered = true;
	j->length = a->length;
	snprintf(j->encoding, sizeof(j->encoding), "%s", str_or(a->encoding, ""));
	if (a->partial && a->start != j->offset) {
		j->stop = STOP_RANGE;
		return false;
	}
	if (j->offset && !a->partial) {
		/* The server does not do ranges and sends all of it. */
		j->offset = 0;
		if (restart(j, &e) < 0) {
			fail_here(j, &e);
			j->stop = STOP_WRITE;
			return false;
		}
	}
	j->wrong_length = j->size && a->length >= 0 && j->offset + (uint64_t)a->length != j->size;
	if (j->task && !j->size && a->length > 0)
		task_total(j->task, j->offset + (uint64_t)a->length);
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

static bool on_data(void *arg, const void *data, size_t n)
{
	struct job *j = arg;
	struct err e;

	if (received(j) == 0)
		j->html = is_html(data, n);
	if (j->wrong_length)
		j->stop = STOP_LENGTH;
	else if (received(j) + n > j->limit)
		j->stop = STOP_LIMIT;
	if (j->stop)
		return false;
	if (j->text) {
		strbuf_add(&j->text->body, data, n);
		return true;
	}
	if (part_write(&j->part, data, n, &e) < 0) {
		fail_here(j, &e);
		j->stop = STOP_WRITE;
		return false;
	}
	sha256_update(&j->sum, data, n);
	task_add(j->task, n);
	return true;
}

static void on_stopped(struct job *j, struct err *e)
{
	char limit[SIZE_TEXT_MAX];

	switch (j->stop) {
	case STOP_LENGTH:
		wrong_length(j, j->offset + (uint64_t)j->length, e);
		break;
	case STOP_LIMIT:
		if (j->size)
			mismatch(j,
				 arena_printf("it has more than the %llu bytes the lock says%s",
					      (unsigned long long)j->size, hint(j)),
				 e);
		else if (restart(j, e) < 0)
			fail_here(j, e);
		else
			leave_source(j,
				     arena_printf("it is larger than the limit of %s%s", size_text(j->limit, limit),
						  hint(j)),
				     true);
		break;
	case STOP_RANGE:
		if (restart(j, e) < 0)
			fail_here(j, e);
		else
			try_again(j, "it sent another part of the file than was asked for", 0);
		break;
	case STOP_WRITE: /* has failed already */
	case STOP_NONE:
		break;
	}
}

static void finish(struct job *j, struct err *e)
{
	char sha256[SHA256_HEX];

	if (j->text) {
		job_end(j, JOB_FINISHED, NULL);
		return;
	}
	if (j->size && j->part.n < j->size && j->length < 0 && j->answered && !j->html) {
		try_again(j, "the connection was cut before the end", 0);
		return;
	}
	if (j->size && j->part.n != j->size) {
		wrong_length(j, j->part.n, e);
		return;
	}
	sha256_final(&j->sum, sha256);
	if (!streq(sha256, j->sha256))
		mismatch(j, arena_printf("its sha256 is %s, expected %s%s", sha256, j->sha256, hint(j)), e);
	else if (part_publish(&j->part, j->sha256, e) < 0)
		fail_here(j, e);
	else
		job_end(j, JOB_FINISHED, NULL);
}

static void on_token(void *arg, const char *why)
{
	struct job *j = arg;

	if (why) {
		try_again(j, why, 0);
		return;
	}
	j->attempts--; /* being asked for a token is no failure */
	wait_for(j, 0);
}

/* Twice: the token at hand may have expired. */
static bool can_ask_for_token(const struct job *j, const struct http_result *r)
{
	return r->bearer_challenge && j->repository && j->tokens_asked < 2;
}

static void ask_for_token(struct job *j, const char *challenge, struct err *e)
{
	const struct token_ask ask = { source_of(j), j->repository, challenge, on_token, j };

	j->tokens_asked++;
	if (token_ask(j->tokens, j->http, &ask, e) < 0)
		leave_source(j, e->msg, true);
}

static void on_refused(struct job *j, const struct http_result *r, struct err *e)
{
	if (can_ask_for_token(j, r))
		ask_for_token(j, r->bearer_challenge, e);
	else if (r->status == 416 && j->offset && restart(j, e) == 0)
		try_again(j, "it has no such part of the file", 0);
	else
		leave_source(j, r->why, true);
}

static void on_done(void *arg, const struct http_result *r)
{
	struct job *j = arg;
	struct err e;

	switch (r->verdict) {
	case HTTP_OK:
		finish(j, &e);
		break;
	case HTTP_STOPPED:
		on_stopped(j, &e);
		break;
	case HTTP_TRANSIENT:
		try_again(j, r->why, r->retry_after);
		break;
	case HTTP_UNREACHABLE:
		if (has_next_source(j, false))
			leave_source(j, r->why, false);
		else
			try_again(j, r->why, 0);
		break;
	case HTTP_REFUSED:
		on_refused(j, r, &e);
		break;
	}
}

static const struct http_sink sink = { on_head, on_data, on_done };

/* ---- start of a job ---- */

static bool matches_so_far(const struct job *j)
{
	_cleanup_(sha256_done) struct sha256 sum;
	char sha256[SHA256_HEX];

	sha256_copy(&sum, &j->sum);
	sha256_final(&sum, sha256);
	return streq(sha256, j->sha256);
}

/* What an earlier run left: hashed, so that it can be continued; all of it may be there already. */
static int take_up(struct job *j, struct err *e)
{
	int r = 0;

	if (j->part.n > j->limit)
		r = part_restart(&j->part, e);
	sha256_init(&j->sum);
	if (r == 0 && j->part.n)
		r = sha256_add_fd(&j->sum, j->part.fd, j->part.n, j->label, e);
	j->task = task_begin("download", j->label, j->size);
	if (r < 0 || !j->part.n)
		return r;
	task_set(j->task, j->part.n);
	if (!j->size || j->part.n == j->size) {
		if (matches_so_far(j)) {
			r = part_publish(&j->part, j->sha256, e);
			if (r == 0)
				job_end(j, JOB_FINISHED, "was complete");
			return r;
		}
		if (j->size)
			return restart(j, e);
	}
	log_debug("%s: going on at byte %llu", j->label, (unsigned long long)j->part.n);
	return 0;
}

/* The part is ours afterwards, or the job is waiting for another process, or it is finished. */
static int claim(struct job *j, const struct cache *cache, struct err *e)
{
	enum part_state state;
	int r = part_open(cache, j->sha256, &j->part, &state, e);

	if (r < 0)
		return r;
	if (state == PART_OPEN)
		return take_up(j, e);
	if (state == PART_DONE) {
		job_end(j, JOB_FINISHED, NULL);
		return 0;
	}
	if (!j->told_busy)
		log_info("%s: another pibuild is downloading it; waiting", j->label);
	j->told_busy = true;
	wait_for(j, look_again);
	return 0;
}

static int send_request(struct job *j, struct http *http, struct err *e)
{
	const struct http_ask ask = {
		.offset = j->offset,
		.accept = j->accept,
		.bearer = j->repository ? token_find(j->tokens, source_of(j), j->repository) : NULL,
	};

	j->http = http;
	return http_get(http, source_of(j), &ask, &sink, j, e);
}

void job_start(struct job *j, struct http *http, const struct cache *cache)
{
	bool claimed = j->text || j->part.fd >= 0;
	struct err e = { 0 };

	if (!claimed && claim(j, cache, &e) < 0) {
		fail_here(j, &e);
		return;
	}
	if (j->state != JOB_WAITING || (!j->text && j->part.fd < 0))
		return;
	if (j->text)
		j->text->body.n = 0;
	j->offset = received(j);
	j->stop = STOP_NONE;
	j->answered = j->wrong_length = j->html = false;
	j->length = -1;
	j->encoding[0] = '\0';
	j->attempts++;
	j->state = JOB_RUNNING;
	if (send_request(j, http, &e) < 0)
		fail_here(j, &e);
}
