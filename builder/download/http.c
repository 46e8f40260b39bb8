/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS requests on libcurl's multi interface, and its adapter to our errors. What is fetched or sent is not this
 * file's business; it decides what may be spoken (https only, TLS 1.2 or newer, no credentials but those it is given,
 * no cookies) and whether a failure is worth another try.
 */
#include <curl/curl.h>
#include <errno.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "download/http.h"

enum { MAX_REDIRECTS = 10, CONNECT_SECONDS = 15, STALL_SECONDS = 30, STALL_RATE = 1024, MAX_REASON = 4096 };

struct request {
	struct http *http;
	struct request *next;
	CURL *easy;
	struct curl_slist *headers;
	const struct source *from;
	const struct http_caller *caller;
	const struct http_sink *sink;
	void *arg;
	struct http_body body;
	uint64_t sent; /* of the body */
	bool sends;    /* POST, PUT, PATCH */
	bool head_told, stopped;
	size_t keep;
	struct strbuf text; /* of the answer; of what sends the reason of an error */
	char error[CURL_ERROR_SIZE];
};

struct http {
	CURLM *multi;
	struct request *requests;
};

/* ---- verdicts ---- */

struct curl_row {
	CURLcode code;
	enum http_verdict verdict;
	const char *words; /* NULL = libcurl's own */
};

static const char cut_words[] = "the connection was cut before the end";

static const struct curl_row curl_rows[] = {
	{ CURLE_COULDNT_RESOLVE_PROXY, HTTP_UNREACHABLE, "the name of the proxy cannot be resolved" },
	{ CURLE_COULDNT_RESOLVE_HOST, HTTP_UNREACHABLE, "its name cannot be resolved; is the network up?" },
	{ CURLE_COULDNT_CONNECT, HTTP_UNREACHABLE, NULL },
	{ CURLE_PARTIAL_FILE, HTTP_TRANSIENT, cut_words },
	{ CURLE_GOT_NOTHING, HTTP_TRANSIENT, "the connection was cut before an answer" },
	{ CURLE_UNSUPPORTED_PROTOCOL, HTTP_REFUSED, "it redirects to an address that is not https://" },
	{ CURLE_LOGIN_DENIED, HTTP_REFUSED, "it redirects to an address with a user name, which is not followed" },
	{ CURLE_URL_MALFORMAT, HTTP_REFUSED, NULL },
	{ CURLE_TOO_MANY_REDIRECTS, HTTP_REFUSED, "it redirects more than 10 times" },
	{ CURLE_SSL_CACERT_BADFILE, HTTP_REFUSED, "the CA file cannot be used" },
	{ CURLE_OUT_OF_MEMORY, HTTP_REFUSED, NULL },
	{ CURLE_ABORTED_BY_CALLBACK, HTTP_REFUSED, "what is to be sent cannot be read any more" },
};

struct status_row {
	long status;
	const char *words;
};

static const struct status_row status_rows[] = {
	{ 301, " (a redirect, which is not followed with what is sent)" },
	{ 302, " (a redirect, which is not followed with what is sent)" },
	{ 307, " (a redirect, which is not followed with what is sent)" },
	{ 308, " (a redirect, which is not followed with what is sent)" },
	{ 401, " (it wants a login)" },
	{ 403, " (forbidden)" },
	{ 404, " (not found)" },
	{ 407, " (the proxy wants a login)" },
	{ 410, " (gone)" },
	{ 413, " (too much at once)" },
	{ 429, " (too many requests)" },
	{ 503, " (busy)" },
	{ 511, " (log in to the network first)" },
};

/* X509_V_ERR_ values of OpenSSL's x509_vfy.h, which have not changed since there is one. */
enum { CERT_NO_ISSUER = 2, CERT_NOT_YET = 9, CERT_EXPIRED = 10, CERT_SELF_SIGNED = 18, CERT_UNVERIFIABLE = 21 };

static void explain_certificate(const struct request *q, struct http_result *r)
{
	long verify = 0;

	curl_easy_getinfo(q->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	if (verify == CERT_EXPIRED || verify == CERT_NOT_YET)
		snprintf(r->why, sizeof(r->why),
			 "its certificate %s, or the clock of this machine is wrong: it says %s; check that first",
			 verify == CERT_EXPIRED ? "has expired" : "is not valid yet",
			 utc_as("%Y-%m-%d %H:%M UTC", time(NULL)));
	else if (q->caller)
		snprintf(
			r->why, sizeof(r->why),
			"its certificate is not by the CA that it has to be by, so it is another one than was asked for: %s",
			q->error);
	else if (verify == CERT_NO_ISSUER || (verify >= CERT_SELF_SIGNED && verify <= CERT_UNVERIFIABLE))
		snprintf(
			r->why, sizeof(r->why),
			"its certificate is of an unknown CA%s%s; if the server is yours, name its CA with caFile under `mirrors` (push and pull: --ca FILE)",
			q->from->ca_file ? " (not the one in " : "",
			q->from->ca_file ? arena_printf("%s)", q->from->ca_file) : "");
	else
		snprintf(r->why, sizeof(r->why), "its certificate is not accepted: %s", q->error);
}

static void explain_status(struct http_result *r, const char *who)
{
	const char *words = "";

	for (size_t i = 0; i < ARRAY_SIZE(status_rows); i++)
		if (status_rows[i].status == r->status)
			words = status_rows[i].words;
	snprintf(r->why, sizeof(r->why), "%s answers HTTP %ld%s", who, r->status, words);
}

static bool is_transient_status(long status)
{
	return status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501 && status != 511);
}

/* A registry's own words: {"errors": [{"code": "DENIED", "message": "..."}]}. */
static void add_reason_of_server(const struct request *q, struct http_result *r)
{
	_cleanup_json_ json_t *j = q->text.n ? json_loadb(q->text.s, q->text.n, 0, NULL) : NULL;
	const json_t *first = json_array_get(json_object_get(j, "errors"), 0);
	const char *code = json_get_text(first, "code"), *message = json_get_text(first, "message");
	size_t n = strlen(r->why);

	if (*code)
		snprintf(r->why + n, sizeof(r->why) - n, ": %.40s%s%.200s", clean_copy(code), *message ? " " : "",
			 clean_copy(message));
}

static void judge_status(const struct request *q, struct http_result *r)
{
	curl_off_t wait = 0;

	curl_easy_getinfo(q->easy, CURLINFO_RETRY_AFTER, &wait);
	r->verdict = is_transient_status(r->status) ? HTTP_TRANSIENT : HTTP_REFUSED;
	r->retry_after = wait > 0 ? (double)wait : 0;
	explain_status(r, "it");
	add_reason_of_server(q, r);
}

static void judge_timeout(const struct request *q, struct http_result *r)
{
	curl_off_t connected = 0;

	curl_easy_getinfo(q->easy, CURLINFO_APPCONNECT_TIME_T, &connected);
	r->verdict = connected ? HTTP_TRANSIENT : HTTP_UNREACHABLE;
	if (connected)
		snprintf(r->why, sizeof(r->why), "it stalled: less than %d bytes/s for %d s", STALL_RATE,
			 STALL_SECONDS);
	else
		snprintf(r->why, sizeof(r->why), "no connection within %d s", CONNECT_SECONDS);
}

static bool judge_proxy(const struct request *q, struct http_result *r)
{
	long status = 0;

	curl_easy_getinfo(q->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status < 300)
		return false;
	r->status = status;
	r->verdict = is_transient_status(status) ? HTTP_TRANSIENT : HTTP_REFUSED;
	explain_status(r, "the proxy");
	return true;
}

/* "Failed to connect to HOST port 443 after 12 ms: ...": the same words for the same trouble. */
static void drop_milliseconds(char *words)
{
	char *at = strstr(words, " after "), *end;

	if (!at)
		return;
	strtoul(at + strlen(" after "), &end, 10);
	if (end > at + strlen(" after ") && starts_with(end, " ms"))
		memmove(at, end + strlen(" ms"), strlen(end + strlen(" ms")) + 1);
}

static void judge_failure(const struct request *q, CURLcode code, struct http_result *r)
{
	const char *words = NULL;

	r->verdict = HTTP_TRANSIENT;
	for (size_t i = 0; i < ARRAY_SIZE(curl_rows); i++)
		if (curl_rows[i].code == code) {
			r->verdict = curl_rows[i].verdict;
			words = curl_rows[i].words;
		}
	/* CURLE_PARTIAL_FILE until curl 8, over TLS. */
	if (code == CURLE_RECV_ERROR && strstr(q->error, "unexpected eof"))
		words = cut_words;
	if (!words)
		words = *q->error ? q->error : curl_easy_strerror(code);
	snprintf(r->why, sizeof(r->why), "%s", words);
	drop_milliseconds(r->why);
}

/* A mirror is known by the address in the config; where it sent us is what the reader of the message lacks. */
static void add_redirect(const struct request *q, struct http_result *r)
{
	char *url = NULL;
	size_t n = strlen(r->why);

	curl_easy_getinfo(q->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (url && !url_fault(url) && !streq(url_host(url), url_host(q->from->url)))
		snprintf(r->why + n, sizeof(r->why) - n, " (redirected to %s)", url_host(url));
}

static bool is_good_status(const struct request *q, long status)
{
	return status == 200 || status == 206 || (q->sends && status >= 200 && status < 300);
}

static void http_judge(const struct request *q, CURLcode code, struct http_result *r)
{
	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &r->status);
	if (q->stopped) {
		r->verdict = HTTP_STOPPED;
		if (!q->sink->data)
			snprintf(r->why, sizeof(r->why), "its answer is too long");
		return;
	}
	if (code == CURLE_OK && is_good_status(q, r->status)) {
		r->verdict = HTTP_OK;
		return;
	}
	if (judge_proxy(q, r))
		return;
	if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR) {
		judge_status(q, r);
	} else if (code == CURLE_PEER_FAILED_VERIFICATION) {
		r->verdict = HTTP_REFUSED;
		explain_certificate(q, r);
	} else if (code == CURLE_OPERATION_TIMEDOUT) {
		judge_timeout(q, r);
	} else {
		judge_failure(q, code, r);
	}
	add_redirect(q, r);
}

/* ---- one request ---- */

static const char *header(const struct request *q, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(q->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

/* Of several the one that can be answered without a password, else the one that a password answers. */
static const char *challenge(const struct request *q)
{
	static const char *const schemes[] = { "Bearer ", "Basic " };
	struct curl_header *h;

	for (size_t s = 0; s < ARRAY_SIZE(schemes); s++)
		for (size_t i = 0; curl_easy_header(q->easy, "WWW-Authenticate", i, CURLH_HEADER, -1, &h) == CURLHE_OK;
		     i++)
			if (strncasecmp(h->value, schemes[s], strlen(schemes[s])) == 0)
				return arena_strdup(h->value);
	return NULL;
}

/* Location, which may be relative (RFC 9110, 10.2.2). */
static const char *location(const struct request *q)
{
	const char *to = header(q, "Location"), *whole = NULL;
	CURLU *u = to ? curl_url() : NULL;
	char *base = NULL, *text = NULL;

	curl_easy_getinfo(q->easy, CURLINFO_EFFECTIVE_URL, &base);
	if (u && base && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
		whole = arena_strdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return whole;
}

static void read_headers(const struct request *q, struct http_result *r)
{
	const char *digest = header(q, "Docker-Content-Digest");

	if (r->status == 401)
		r->challenge = challenge(q);
	if (!q->sends)
		return;
	r->digest = digest ? arena_strdup(digest) : NULL;
	r->subject = header(q, "OCI-Subject") != NULL;
	r->location = location(q);
}

/* "bytes 100-199/200" */
static uint64_t range_start(const char *text)
{
	static const char unit[] = "bytes ";
	unsigned long long start;
	char *end;

	if (!text || strncasecmp(text, unit, strlen(unit)) != 0)
		return UINT64_MAX;
	text += strlen(unit);
	errno = 0;
	start = strtoull(text, &end, 10);
	return errno || end == text || *end != '-' || *text == '-' ? UINT64_MAX : start;
}

static void http_read_answer(const struct request *q, struct http_answer *a)
{
	curl_off_t length = -1;
	long status = 0;

	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(q->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	a->partial = status == 206;
	a->start = a->partial ? range_start(header(q, "Content-Range")) : 0;
	a->length = length;
	a->encoding = header(q, "Content-Encoding");
}

static bool keep_text(struct request *q, const char *data, size_t n, size_t most)
{
	if (q->text.n + n > most)
		return false;
	strbuf_add(&q->text, data, n);
	return true;
}

static void hand_on(struct request *q, const char *data, size_t n)
{
	struct http_answer a;

	if (!q->head_told) {
		q->head_told = true;
		http_read_answer(q, &a);
		q->stopped = !q->sink->head(q->arg, &a);
	}
	if (!q->stopped)
		q->stopped = !q->sink->data(q->arg, data, n);
}

static size_t http_on_data(char *data, size_t size, size_t n, void *arg)
{
	struct request *q = arg;
	long status = 0;

	n *= size;
	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	if (q->sends)
		keep_text(q, data, n, MAX_REASON);
	else if (status != 200 && status != 206)
		; /* the text of an error page */
	else if (q->sink->data)
		hand_on(q, data, n);
	else
		q->stopped = !keep_text(q, data, n, q->keep);
	return q->stopped ? 0 : n;
}

static size_t http_on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct request *q = arg;
	const struct http_body *b = &q->body;

	n = (size_t)MIN(n * size, b->size - q->sent);
	if (b->bytes)
		memcpy(buf, b->bytes + q->sent, n);
	else if (pread_all(b->fd, buf, n, b->start + q->sent) < 0)
		return CURL_READFUNC_ABORT;
	q->sent += n;
	if (b->task)
		task_add(b->task, n);
	return n;
}

/* It asks for another start when a connection it took up again turned out to be dead. */
static int http_on_seek(void *arg, curl_off_t offset, int origin)
{
	struct request *q = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > q->body.size)
		return CURL_SEEKFUNC_FAIL;
	q->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void request_free(struct request *q)
{
	struct request **at = &q->http->requests;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	curl_multi_remove_handle(q->http->multi, q->easy);
	curl_easy_cleanup(q->easy);
	curl_slist_free_all(q->headers);
	strbuf_done(&q->text);
	free(q);
}

static CURLcode set_safety(CURL *easy)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");

	r = r ? r : curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	r = r ? r : curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	return r;
}

/* libcurl does not look whether its fcntl() made a socket that never blocks, and one that does stops all downloads. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	return socket(a->family, a->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->protocol);
}

static CURLcode set_manners(CURL *easy)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_USERAGENT, "pibuild/" PIBUILD_VERSION);

	r = r ? r : curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_RATE);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256 * 1024L);
	return r;
}

static CURLcode add_header(struct request *q, const char *name, const char *value)
{
	_cleanup_free_ char *line = xasprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(q->headers, line);

	if (!longer)
		return CURLE_OUT_OF_MEMORY;
	q->headers = longer;
	return CURLE_OK;
}

/* libcurl sends an Authorization of ours to the first host only, not to where that redirects. */
static CURLcode set_headers(struct request *q, const struct http_ask *ask)
{
	CURLcode r = CURLE_OK;

	if (ask->accept)
		r = add_header(q, "Accept", ask->accept);
	if (ask->authorization)
		r = r ? r : add_header(q, "Authorization", ask->authorization);
	if (ask->content_type)
		r = r ? r : add_header(q, "Content-Type", ask->content_type);
	if (ask->content_range)
		r = r ? r : add_header(q, "Content-Range", ask->content_range);
	return r ? r : curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers);
}

static CURLcode set_blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = { .data = unconst(text), .len = strlen(text), .flags = CURL_BLOB_NOCOPY };

	return curl_easy_setopt(easy, option, &blob);
}

static CURLcode set_caller(CURL *easy, const struct http_caller *caller)
{
	CURLcode r = set_blob(easy, CURLOPT_SSLCERT_BLOB, caller->cert);

	r = r ? r : set_blob(easy, CURLOPT_SSLKEY_BLOB, caller->key);
	r = r ? r : set_blob(easy, CURLOPT_CAINFO_BLOB, caller->ca);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	r = r ? r : curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return r;
}

/* A failure of what sends keeps its text, and goes nowhere else than it was sent to. */
static CURLcode set_method(struct request *q, const struct http_ask *ask)
{
	CURLcode r = CURLE_OK;

	if (!ask->method)
		return r;
	if (streq(ask->method, "HEAD"))
		return curl_easy_setopt(q->easy, CURLOPT_NOBODY, 1L);
	q->sends = true;
	q->body = ask->body;
	r = curl_easy_setopt(q->easy, CURLOPT_FOLLOWLOCATION, 0L);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_FAILONERROR, 0L);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_UPLOAD, 1L);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_CUSTOMREQUEST, ask->method);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)ask->body.size);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_UPLOAD_BUFFERSIZE, 256 * 1024L);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_READFUNCTION, http_on_read);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_READDATA, q);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_SEEKFUNCTION, http_on_seek);
	return r ? r : curl_easy_setopt(q->easy, CURLOPT_SEEKDATA, q);
}

static CURLcode set_request(struct request *q, const struct http_ask *ask)
{
	char range[32];
	CURLcode r = curl_easy_setopt(q->easy, CURLOPT_URL, q->from->url);

	r = r ? r : set_headers(q, ask);
	r = r ? r : set_method(q, ask);
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)ask->offset);
	if (ask->offset)
		r = r ? r : curl_easy_setopt(q->easy, CURLOPT_RANGE, range);
	if (q->from->ca_file) {
		/* This CA and no other. */
		r = r ? r : curl_easy_setopt(q->easy, CURLOPT_CAINFO, q->from->ca_file);
		r = r ? r : curl_easy_setopt(q->easy, CURLOPT_CAPATH, NULL);
	}
	if (ask->caller)
		r = r ? r : set_caller(q->easy, ask->caller);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, http_on_data);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_ERRORBUFFER, q->error);
	r = r ? r : curl_easy_setopt(q->easy, CURLOPT_PRIVATE, q);
	return r;
}

int http_send(struct http *h, const struct source *from, const struct http_ask *ask, const struct http_sink *sink,
	      void *arg, struct err *e)
{
	struct request *q = xcalloc(1, sizeof(*q));
	CURLcode r = CURLE_FAILED_INIT;

	*q = (struct request){
		.http = h,
		.next = h->requests,
		.from = from,
		.caller = ask->caller,
		.keep = ask->keep,
		.sink = sink,
		.arg = arg,
	};
	h->requests = q;
	q->easy = curl_easy_init();
	if (q->easy)
		r = set_safety(q->easy);
	if (r == CURLE_OK)
		r = set_manners(q->easy);
	if (r == CURLE_OK)
		r = set_request(q, ask);
	if (r == CURLE_OK && curl_multi_add_handle(h->multi, q->easy) == CURLM_OK)
		return 0;
	request_free(q);
	return err_set(e, -EIO, "libcurl: %s", curl_easy_strerror(r));
}

/* ---- all of them ---- */

int http_open(struct http **ret, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, -EIO, "libcurl cannot start");
	h = xcalloc(1, sizeof(*h));
	h->multi = curl_multi_init();
	*ret = h;
	return h->multi ? 0 : err_set(e, -ENOMEM, "libcurl cannot start: out of memory");
}

void http_close(struct http *h)
{
	if (!h)
		return;
	while (h->requests)
		request_free(h->requests);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

static void http_finish(struct http *h, CURL *easy, CURLcode code)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct http_result r = { 0 };
	const struct http_sink *sink;
	struct request *q = NULL;
	void *arg;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&q);
	http_judge(q, code, &r);
	read_headers(q, &r);
	sink = q->sink;
	arg = q->arg;
	text = q->text;
	q->text = (struct strbuf){ 0 };
	r.text = str_or(text.s, "");
	r.text_n = text.n;
	request_free(q);
	sink->done(arg, &r);
}

int http_run(struct http *h, double seconds, struct err *e)
{
	int running, left;
	CURLMsg *m;
	CURLMcode r = curl_multi_perform(h->multi, &running);

	if (r == CURLM_OK && running)
		r = curl_multi_poll(h->multi, NULL, 0, (int)(seconds * 1000), NULL);
	else if (r == CURLM_OK && !h->requests)
		usleep((useconds_t)(seconds * 1e6));
	if (r == CURLM_OK)
		r = curl_multi_perform(h->multi, &running);
	if (r != CURLM_OK)
		return err_set(e, -EIO, "libcurl: %s", curl_multi_strerror(r));
	while ((m = curl_multi_info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE)
			http_finish(h, m->easy_handle, m->data.result);
	return 0;
}
