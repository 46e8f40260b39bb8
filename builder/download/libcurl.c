/* SPDX-License-Identifier: Apache-2.0 */
#include "download/libcurl.h"

/* Its checks of types are macros by the names that are defined here; callers have them. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

/* Of the ABI that curl.h of version 7 and 8 describes. */
#define SONAME "libcurl.so.4"

/* Newer headers have it const. */
typedef __typeof__(_Generic(&curl_url_get, CURLUcode (*)(CURLU *, CURLUPart, char **, unsigned)
			    : (CURLU *)NULL, default
			    : (const CURLU *)NULL)) url_to_get;

/* What http.c calls: result, name, parameters, arguments. */
#define FUNCTIONS(X)                                                                                                   \
	X(CURLcode, curl_global_init, (long flags), (flags))                                                           \
	X(void, curl_global_cleanup, (void), ())                                                                       \
	X(void, curl_free, (void *p), (p))                                                                             \
	X(CURL *, curl_easy_init, (void), ())                                                                          \
	X(void, curl_easy_cleanup, (CURL * easy), (easy))                                                              \
	X(CURLHcode, curl_easy_header,                                                                                 \
	  (CURL * easy, const char *name, size_t index, unsigned origin, int request, struct curl_header **ret),       \
	  (easy, name, index, origin, request, ret))                                                                   \
	X(const char *, curl_easy_strerror, (CURLcode code), (code))                                                   \
	X(CURLM *, curl_multi_init, (void), ())                                                                        \
	X(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi))                                                     \
	X(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL * easy), (multi, easy))                               \
	X(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL * easy), (multi, easy))                            \
	X(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running))                              \
	X(CURLMcode, curl_multi_poll,                                                                                  \
	  (CURLM * multi, struct curl_waitfd * fds, unsigned n, int milliseconds, int *ready),                         \
	  (multi, fds, n, milliseconds, ready))                                                                        \
	X(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left))                                  \
	X(const char *, curl_multi_strerror, (CURLMcode code), (code))                                                 \
	X(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *s), (list, s))                \
	X(void, curl_slist_free_all, (struct curl_slist * list), (list))                                               \
	X(CURLU *, curl_url, (void), ())                                                                               \
	X(void, curl_url_cleanup, (CURLU * url), (url))                                                                \
	X(CURLUcode, curl_url_get, (url_to_get url, CURLUPart part, char **ret, unsigned flags),                       \
	  (url, part, ret, flags))                                                                                     \
	X(CURLUcode, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned flags),                    \
	  (url, part, text, flags))

static struct {
#define MEMBER(ret, name, params, args) ret(*name) params;
	FUNCTIONS(MEMBER)
	CURLcode (*curl_easy_setopt)(CURL *easy, CURLoption option, ...);
	CURLcode (*curl_easy_getinfo)(CURL *easy, CURLINFO info, ...);
} theirs;

#define PASS_ON(ret, name, params, args)                                                                               \
	ret name params                                                                                                \
	{                                                                                                              \
		return theirs.name args;                                                                               \
	}
FUNCTIONS(PASS_ON)

/* The third argument is a curl_off_t, or it is a long or pointer, which every ABI of Linux passes alike. */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode r;
	va_list ap;

	va_start(ap, option);
	if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		r = theirs.curl_easy_setopt(easy, option, va_arg(ap, curl_off_t));
	else
		r = theirs.curl_easy_setopt(easy, option, va_arg(ap, void *));
	va_end(ap);
	return r;
}

CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
	CURLcode r;
	va_list ap;

	va_start(ap, info);
	r = theirs.curl_easy_getinfo(easy, info, va_arg(ap, void *));
	va_end(ap);
	return r;
}

/* WORDS of the loader, which gives no errno: it had no memory, no descriptor, or could not read. */
static bool machine_says_no(const char *words)
{
	static const char *const signs[] = {
		"cannot allocate", "cannot map",	  "failed to map",
		"out of memory",   "too many open files", "input/output error",
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (strcasestr(words, signs[i]))
			return true;
	return false;
}

static int no_library(struct err *e)
{
	const char *words = dlerror();

	if (machine_says_no(words))
		return err_set(e, -ENOMEM, "%s cannot be loaded: %s", SONAME, words);
	return err_class(e, CLASS_HOST,
			 "%s cannot be loaded (it asks over the network): %s; install the package libcurl4t64, which "
			 "Debian 12 calls libcurl4",
			 SONAME, words);
}

static int find_functions(struct err *e)
{
#define ROW(ret, name, params, args) { #name, &theirs.name },
	const struct {
		const char *name;
		void *place;
	} rows[] = { { "curl_easy_setopt", &theirs.curl_easy_setopt },
		     { "curl_easy_getinfo", &theirs.curl_easy_getinfo },
		     FUNCTIONS(ROW) };
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return no_library(e);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		void *function = dlsym(library, rows[i].name);

		if (!function)
			return no_library(e);
		*(void **)rows[i].place = function;
	}
	return 0;
}

int libcurl_load(struct err *e)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	int r;

	pthread_mutex_lock(&one_at_a_time);
	r = loaded ? 0 : find_functions(e);
	loaded = r == 0;
	pthread_mutex_unlock(&one_at_a_time);
	return r;
}
