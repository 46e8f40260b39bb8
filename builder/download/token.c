/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries let anybody read a public image, but only with a token: a 401 names the realm that hands it out. What is
 * sent there is the name of the image, and for push and pull the user's login. A token is used for the host that asked
 * for it and the image it was asked for, and lives as long as the run.
 */
#include <errno.h>

#include "base/json.h"
#include "download/http.h"
#include "download/login.h"
#include "download/token.h"

enum { MAX_TOKEN_ANSWER = 64 * 1024, MAX_TOKEN = 16 * 1024 };

struct token_request {
	struct tokens *tokens;
	struct token_ask ask;
	const char *for_whom;
	struct source realm;
};

static const char *token_key_of(const struct source *from, const char *repository)
{
	return arena_printf("%s %s", url_host(from->url), repository);
}

const char *token_find(const struct tokens *t, const struct source *from, const char *repository)
{
	const char *key = token_key_of(from, repository), *found = NULL;

	vec_foreach (x, &t->v)
		if (streq(x->for_whom, key))
			found = x->text; /* the newest: they expire */
	return found;
}

/* The value of NAME="..." in a challenge, or NULL. */
static const char *parameter(const char *challenge, const char *name)
{
	const char *p = challenge, *end;
	size_t n = strlen(name);

	while ((p = strcasestr(p, name))) {
		bool starts = p > challenge && strchr(" ,\t", p[-1]);

		p += n;
		if (!starts || p[0] != '=' || p[1] != '"')
			continue;
		end = strchr(p + 2, '"');
		return end ? arena_strndup(p + 2, (size_t)(end - p - 2)) : NULL;
	}
	return NULL;
}

static const char *token_url(const char *realm, const char *service, const char *scope)
{
	return arena_printf("%s%c%s%s%sscope=%s", realm, strchr(realm, '?') ? '&' : '?', service ? "service=" : "",
			    service ? percent_encoded(service, UNRESERVED) : "", service ? "&" : "",
			    percent_encoded(scope, UNRESERVED));
}

/* Only what can stand in a header. */
static bool is_token(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n && n <= MAX_TOKEN;
}

static void token_on_done(void *arg, const struct http_result *r)
{
	struct token_request *q = arg;
	_cleanup_json_ json_t *j = NULL;
	const char *text;

	if (r->verdict != HTTP_OK) {
		q->ask.done(q->ask.arg, arena_printf("no token from %s: %s", url_host(q->realm.url), r->why));
		return;
	}
	j = json_loadb(r->text, r->text_n, 0, NULL);
	text = json_string_value(json_object_get(j, "token"));
	if (!text)
		text = json_string_value(json_object_get(j, "access_token"));
	if (!text || !is_token(text)) {
		q->ask.done(q->ask.arg, arena_printf("what %s sent is no token", url_host(q->realm.url)));
		return;
	}
	*vec_push(&q->tokens->v) = (struct token){ q->for_whom, arena_printf("Bearer %s", text) };
	q->ask.done(q->ask.arg, NULL);
}

static const struct http_sink sink = { .done = token_on_done };

/* Where to ask: a realm on the host that asked is reached as that host is, another one as mirrors say. */
static int find_realm(const struct tokens *t, const struct source *from, const char *url, struct source *ret,
		      struct err *e)
{
	struct sources s = { 0 };
	int r;

	*ret = (struct source){ url, from->ca_file, from->is_mirror };
	if (streq(url_host(url), url_host(from->url)))
		return 0;
	r = url_sources(t->config, url, &s, e);
	if (r < 0)
		return r;
	*ret = s.list.v[0];
	return 0;
}

/* A name and a password in every request. */
static int answer_basic(struct tokens *t, const struct token_ask *ask, const struct login *login, struct err *e)
{
	if (!login->authorization)
		return err_set(e, -EACCES, "it answers HTTP 401 (it wants a login)%s",
			       t->logins ? login->why_none : "");
	if (ask->refused && streq(ask->refused, login->authorization))
		return err_set(e, -EACCES, "it does not take the login that %s has for it; log in again", login->file);
	*vec_push(&t->v) = (struct token){ token_key_of(ask->from, ask->repository), login->authorization };
	ask->done(ask->arg, NULL);
	return 0;
}

int token_ask(struct tokens *t, struct http *http, const struct token_ask *ask, struct err *e)
{
	struct token_request *q = arena_new(struct token_request);
	const char *realm = parameter(ask->challenge, "realm"), *service = parameter(ask->challenge, "service");
	const char *scope = parameter(ask->challenge, "scope"), *why, *url;
	struct login login = { 0 };
	int r = t->logins ? login_find(url_host(ask->from->url), ask->repository, &login, e) : 0;

	if (r < 0)
		return r;
	if (strncasecmp(ask->challenge, "Basic", strlen("Basic")) == 0)
		return answer_basic(t, ask, &login, e);
	if (!scope || t->actions)
		scope = arena_printf("repository:%s:%s", ask->repository, str_or(t->actions, "pull"));
	if (!realm)
		return err_set(e, -EPROTO, "it wants a login and does not say where");
	url = token_url(realm, service, scope);
	why = url_fault(url);
	if (why)
		return err_set(e, -EPROTO, "it sends us to '%.200s' for a token: %s", realm, why);
	*q = (struct token_request){
		.tokens = t,
		.ask = *ask,
		.for_whom = token_key_of(ask->from, ask->repository),
	};
	r = find_realm(t, ask->from, url, &q->realm, e);
	if (r < 0)
		return r;
	return http_send(http, &q->realm,
			 &(struct http_ask){ .authorization = login.authorization, .keep = MAX_TOKEN_ANSWER }, &sink, q,
			 e);
}
