/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as text: what is refused, versions filled in, mirrors applied. */
#include "catalogue/catalogue.h"
#include "catalogue/url.h"
#include "catalogue/version.h"

static const char scheme[] = "https://";
static const char version_mark[] = "{version}";

const char *url_fault(const char *url)
{
	const char *authority;
	size_t n;

	if (!starts_with(url, scheme))
		return "only https:// addresses are used";
	if (strlen(url) > 2000)
		return "longer than 2000 characters";
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`|#", *p))
			return "it holds a character that an address cannot have; percent-encode it";
	authority = url + strlen(scheme);
	n = strcspn(authority, "/?");
	if (!n)
		return "the host is missing";
	if (memchr(authority, '@', n))
		return "a user name or password in the address is refused";
	return NULL;
}

const struct kind kind_https = { .name = "https URL",
				 .editor_pattern = "^https://[^ @#/]+[^ #]*$",
				 .check = url_fault };

const char *url_host(const char *url)
{
	const char *authority = url + strlen(scheme);

	return arena_strndup(authority, strcspn(authority, "/?"));
}

const char *expand_version(const char *template, const char *version, bool encode)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	const char *at;

	while ((at = strstr(template, version_mark))) {
		strbuf_add(&out, template, (size_t)(at - template));
		strbuf_adds(&out, encode ? percent_encoded(version, UNRESERVED) : version);
		template = at + strlen(version_mark);
	}
	strbuf_adds(&out, template);
	return arena_strdup(out.s);
}

const char *artifact_url(const struct artifact *a, const char *version)
{
	return expand_version(a->url, version, true);
}

const char *artifact_purl(const struct artifact *a, const char *version)
{
	return a->purl ? expand_version(a->purl, version, true) : NULL;
}

const char *artifact_url_version(const struct artifact *a, const char *url, const char *like)
{
	const char *template = a->url, *version = NULL;
	const size_t n = strlen(like);

	while (*template) {
		if (!starts_with(template, version_mark)) {
			if (*template ++ != *url++)
				return NULL;
			continue;
		}
		version = strnlen(url, n) == n ? arena_strndup(url, n) : "";
		if (!version_is_like(version, like))
			return NULL;
		template += strlen(version_mark);
		url += n;
	}
	return *url ? NULL : version;
}

/* Length of S without slashes at its end, so that "https://a/" and "https://a" mean the same prefix. */
static size_t prefix_length(const char *s)
{
	size_t n = strlen(s);

	while (n && s[n - 1] == '/')
		n--;
	return n;
}

/* URL with the prefix FROM replaced, or NULL. A prefix ends at a slash: "https://a.b" is none of "https://a.bc/". */
static const char *mirrored(const struct mirror *m, const char *url)
{
	size_t n = prefix_length(m->from);

	if (strncmp(url, m->from, n) != 0 || (url[n] != '/' && url[n] != '\0'))
		return NULL;
	return arena_printf("%.*s%s", (int)prefix_length(m->to), m->to, url + n);
}

int url_sources(const struct config *c, const char *url, struct sources *ret, struct err *e)
{
	bool same = false;

	vec_foreach (m, &c->mirrors) {
		const char *to = mirrored(m, url), *why;

		if (!to)
			continue;
		why = url_fault(to);
		if (why)
			return err_class(e, CLASS_CONFIG, "mirrors: '%s': %s", m->to, why);
		*vec_push(&ret->list) = (struct source){ to, m->ca_file, true };
		same |= streq(to, url);
	}
	/* A mirror onto itself only names another CA: without it the address would fail again. */
	if (!same)
		*vec_push(&ret->list) = (struct source){ url, NULL, false };
	return 0;
}
