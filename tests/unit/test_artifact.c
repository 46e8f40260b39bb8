/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no network: addresses, mirrors, checksum files, the files of the cache. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cache/cache.h"
#include "catalogue/url.h"
#include "catalogue/version.h"
#include "check.h"
#include "crypto/digest.h"
#include "update/upstream.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void addresses(void)
{
	static const char *const good[] = { "https://a/b", "https://a:8443/b?c=d@e", "https://[::1]/x%20y",
					    "https://a" };
	static const char *const bad[] = { "http://a/b",    "HTTPS://a/b",   "https://",      "https:///b",
					   "https://u@a/b", "https://u:p@a", "https://a/b c", "https://a/b\n",
					   "https://a\\b",  "https://a/#f",  "file:///etc",   "",
					   "https://a/\x80" };

	CASE("https addresses are accepted")
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (url_fault(good[i]))
			CHECK_FAILED("%s: %s", good[i], url_fault(good[i]));
	CASE("other schemes, logins and characters that do not belong are refused")
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!url_fault(bad[i]))
			CHECK_FAILED("%s", bad[i]);
	CASE("versions are percent-encoded as a path segment")
	{
		CHECK_STR(expand_version("https://a/{version}/{version}.gz", "v1.2+k3s1", true),
			  "https://a/v1.2%2Bk3s1/v1.2%2Bk3s1.gz");
		CHECK_STR(expand_version("{version}", "../x?y#z", true), "..%2Fx%3Fy%23z");
		CHECK_STR(expand_version("k-{version}", "v1+2", false), "k-v1+2");
		CHECK_STR(expand_version("plain", "v1", true), "plain");
	}
}

static struct sources sources_of(struct mirror *mirrors, size_t n, const char *url)
{
	struct config c = { 0 };
	struct sources s = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		*vec_push(&c.mirrors) = mirrors[i];
	if (url_sources(&c, url, &s, &e) < 0)
		CHECK_FAILED("%s", e.msg);
	return s;
}

static void mirror_rules(void)
{
	struct mirror two[] = { { "https://a.b/", "https://m1/x", "ca" }, { "https://a.b", "https://m2/", NULL } };
	struct mirror same = { "https://a.b/", "https://a.b/", "ca" };
	struct sources s;

	CASE("mirrors come in order, then the address itself")
	{
		s = sources_of(two, 2, "https://a.b/c/d");
		CHECK_INT(s.list.n, 3);
		CHECK_STR(s.list.v[0].url, "https://m1/x/c/d");
		CHECK_STR(s.list.v[0].ca_file, "ca");
		CHECK_STR(s.list.v[1].url, "https://m2/c/d");
		CHECK(!s.list.v[1].ca_file && s.list.v[1].is_mirror);
		CHECK_STR(s.list.v[2].url, "https://a.b/c/d");
		CHECK(!s.list.v[2].is_mirror);
	}
	CASE("a prefix ends at a slash")
	{
		CHECK_INT(sources_of(two, 2, "https://a.bc/d").list.n, 1);
		CHECK_INT(sources_of(two, 2, "https://a.b.evil/d").list.n, 1);
	}
	CASE("a mirror onto itself replaces the address, so that its CA counts")
	{
		s = sources_of(&same, 1, "https://a.b/c");
		CHECK_INT(s.list.n, 1);
		CHECK_STR(s.list.v[0].ca_file, "ca");
	}
}

/* The digest found, or the message. */
static const char *find(enum checksum_form form, const char *text, const char *entry)
{
	struct upstream u;
	struct err e = { 0 };

	if (upstream_find(form, &(struct document){ "URL", text, strlen(text) }, entry, "1.2.3", &u, &e) < 0)
		return arena_strdup(e.msg);
	return arena_strdup(u.sha256);
}

static void sum_files(void)
{
	CASE("the line is found by its whole second field")
	{
		CHECK_STR(find(CHECKSUM_SHA256SUM, ZEROS "  k3s\n" ABC "  k3s-arm64\n" ONES "  k3s-arm64.sig\n",
			       "k3s-arm64"),
			  ABC);
		CHECK_STR(find(CHECKSUM_SHA256SUM, ABC " *f", "f"), ABC);
		CHECK_STR(find(CHECKSUM_SHA256SUM, ABC "\tf\r\n", "f"), ABC);
		CHECK(strstr(find(CHECKSUM_SHA256SUM, ABC "  dir/f\n", "f"), "does not list f 1.2.3"));
	}
	CASE("a digest alone counts only when it is the only line")
	{
		CHECK_STR(find(CHECKSUM_SHA256SUM, "\n" ABC "\n\n", "f"), ABC);
		CHECK(strstr(find(CHECKSUM_SHA256SUM, ABC "\n" ONES "\n", "f"), "does not list"));
		CHECK(strstr(find(CHECKSUM_SHA256SUM, "<html>\n", "f"), "is no sha256"));
	}
	CASE("equal lines agree, different ones do not")
	{
		CHECK_STR(find(CHECKSUM_SHA256SUM, ABC "  f\n" ABC "  f\n", "f"), ABC);
		CHECK(strstr(find(CHECKSUM_SHA256SUM, ABC "  f\n" ONES "  f\n", "f"), "two different digests"));
	}
	CASE("nothing, blanks and lines without end are no digest")
	{
		CHECK(strstr(find(CHECKSUM_SHA256SUM, "", "f"), "does not list"));
		CHECK(strstr(find(CHECKSUM_SHA256SUM, " \n\t\n", "f"), "does not list"));
		CHECK(strstr(find(CHECKSUM_SHA256SUM, ABC "0  f", "f"), "is no sha256"));
	}
}

static void other_forms(void)
{
	CASE("a chart is found by name and version")
	{
		CHECK_STR(find(CHECKSUM_HELM_INDEX,
			       "entries:\n  c:\n  - {version: 1.2.4, digest: " ONES
			       "}\n  - {version: 1.2.3, digest: \"" ABC "\"}\n",
			       "c"),
			  ABC);
		CHECK(strstr(find(CHECKSUM_HELM_INDEX, "entries: {d: [{version: 1.2.3}]}", "c"), "does not list"));
		CHECK(strstr(find(CHECKSUM_HELM_INDEX, "entries: {c: [{version: 1.2.3}]}", "c"), "no digest"));
		CHECK(strstr(find(CHECKSUM_HELM_INDEX, "entries: [", "c"), "URL"));
		CHECK(strstr(find(CHECKSUM_HELM_INDEX, "- a", "c"), "does not list"));
		CHECK(strstr(find(CHECKSUM_HELM_INDEX, "entries: {c: [1, [2], {version: [1.2.3]}]}", "c"),
			     "does not list"));
	}
	CASE("an asset is found by name")
	{
		CHECK_STR(find(CHECKSUM_GITHUB, "{\"assets\":[{\"name\":\"f\",\"digest\":\"sha256:" ABC "\"}]}", "f"),
			  ABC);
		CHECK(strstr(find(CHECKSUM_GITHUB, "{\"assets\":[{\"name\":\"f\"}]}", "f"), "no sha256"));
		CHECK(strstr(find(CHECKSUM_GITHUB, "{\"assets\":[{\"name\":\"f\",\"digest\":\"sha1:12\"}]}", "f"),
			     "no sha256"));
		CHECK(strstr(find(CHECKSUM_GITHUB, "{\"assets\":7}", "f"), "does not list"));
		CHECK(strstr(find(CHECKSUM_GITHUB, "[1,2]", "f"), "does not list"));
		CHECK(strstr(find(CHECKSUM_GITHUB, "{", "f"), "no JSON"));
	}
}

static void cache_files(const char *dir)
{
	struct cache c = { .fd = -1 };
	struct part one = PART_INIT, two = PART_INIT;
	const struct pin pin = { .name = "x", .sha256 = ABC };
	enum part_state state;
	struct err e = { 0 };
	int fd = -1;

	CASE("looking into a cache that is not there makes none")
	{
		CHECK_INT(cache_peek(dir, &c, &e), -ENOENT);
		CHECK(access(dir, F_OK) < 0);
	}
	CASE("a part is for one at a time, and keeps what was written")
	{
		CHECK_INT(cache_open(dir, &c, &e), 0);
		CHECK_INT(part_open(&c, ABC, &one, &state, &e), 0);
		CHECK_INT(state, PART_OPEN);
		CHECK_INT(part_open(&c, ABC, &two, &state, &e), 0);
		CHECK_INT(state, PART_BUSY);
		CHECK_INT(part_write(&one, "ab", 2, &e), 0);
		part_close(&one);
		CHECK_INT(part_open(&c, ABC, &two, &state, &e), 0);
		CHECK_INT(state, PART_OPEN);
		CHECK_INT(two.n, 2);
	}
	CASE("an object is there once it is published, and not before")
	{
		CHECK(!cache_has(&c, &pin));
		CHECK_INT(cache_object(&c, &pin, &fd, &e), -ENOENT);
		CHECK(strstr(e.msg, "is not in the cache: run `pibuild fetch`"));
		CHECK_INT(part_write(&two, "c", 1, &e), 0);
		CHECK_INT(part_publish(&two, ABC, &e), 0);
		part_close(&two);
		CHECK(cache_has(&c, &pin));
		CHECK_INT(part_open(&c, ABC, &one, &state, &e), 0);
		CHECK_INT(state, PART_DONE);
		CHECK_INT(cache_object(&c, &pin, &fd, &e), 0);
		closep(&fd);
	}
	CASE("an evicted object is gone, an empty part leaves nothing")
	{
		cache_evict(&c, &pin);
		CHECK(!cache_has(&c, &pin));
		CHECK_INT(part_open(&c, ABC, &one, &state, &e), 0);
		CHECK_INT(state, PART_OPEN);
		part_close(&one);
		CHECK(faccessat(c.fd, "tmp/" ABC ".part", F_OK, 0) < 0);
	}
	cache_close(&c);
}

static void pins(void)
{
	struct catalogue *cat;
	struct lock *l;
	struct config c = { .dir = "/nowhere", .os = { .base = "raspios" } };
	struct release_set set;
	struct pin p;
	struct err e = { 0 };

	CASE("a version that the lock lacks is a pin without digest, with the address it would have")
	{
		unsetenv("PIBUILD_LOCK");
		CHECK_INT(catalogue_load(&cat, &e), 0);
		CHECK_INT(lock_load(NULL, &c, &l, &e), 0);
		set = (struct release_set){ cat, l, &c };
		*vec_push(&c.versions) = (struct version_pin){ "k3s", "v9.9.9+k3s1" };
		CHECK_INT(artifact_pin(&set, "k3s", &p, &e), 0);
		CHECK(!p.sha256);
		CHECK_STR(p.url, "https://github.com/k3s-io/k3s/releases/download/v9.9.9%2Bk3s1/k3s-arm64");
	}
	CASE("the base of the catalogue comes with the size of its image")
	{
		CHECK_INT(artifact_pin_base(&set, &p, &e), 0);
		CHECK_STR(p.version, "2026-09-15");
		CHECK(p.raw_size > p.size && sha256_valid(p.raw_sha256));
	}
	CASE("a base by path is used in place, a base by address is downloaded")
	{
		c.os.base = "/proc/self/exe";
		c.os.sha256 = ABC;
		CHECK_INT(artifact_pin_base(&set, &p, &e), 0);
		CHECK_INT(p.kind, PIN_FILE);
		CHECK_STR(p.file, "/proc/self/exe");
		CHECK_STR(p.version, "ba7816bf8f01");
		CHECK(p.size > 0 && !p.url);
		c.os.base = "https://a/b.img.xz";
		CHECK_INT(artifact_pin_base(&set, &p, &e), 0);
		CHECK_STR(p.url, "https://a/b.img.xz");
		CHECK(p.kind == PIN_URL && p.max_size > 0);
	}
	CASE("a base that is missing or has no digest is a fault of the config")
	{
		c.os.base = "/none.img";
		CHECK(artifact_pin_base(&set, &p, &e) < 0 && e.class == CLASS_CONFIG);
		c.os.base = "https://a/b.img.xz";
		c.os.sha256 = NULL;
		CHECK(artifact_pin_base(&set, &p, &e) < 0 && strstr(e.msg, "os.sha256"));
	}
}

static void versions(void)
{
	CASE("a version is written like another when all but its digits is the same")
	{
		CHECK(version_is_like("v1.36.10+k3s2", "v1.36.4+k3s1"));
		CHECK(version_is_like("2026-10-06", "2026-09-15"));
		CHECK(!version_is_like("v1.36.5-rc1+k3s1", "v1.36.4+k3s1"));
		CHECK(!version_is_like("1.36.5+k3s1", "v1.36.4+k3s1"));
		CHECK(!version_is_like("v1.36", "v1.36.4"));
		CHECK(!version_is_like("v1.36.4.5", "v1.36.4"));
		CHECK(!version_is_like("v1..4", "v1.36.4"));
		CHECK(!version_is_like("v1.36.4/../../x", "v1.36.4"));
		CHECK(!version_is_like("v1.36.999999999", "v1.36.4"));
		CHECK(!version_is_like("", "v1.36.4"));
	}
	CASE("versions are compared number by number")
	{
		CHECK(version_compare("v1.9.0", "v1.10.0") < 0);
		CHECK(version_compare("v1.36.4+k3s2", "v1.36.4+k3s1") > 0);
		CHECK(version_compare("2026-10-06", "2026-09-30") > 0);
		CHECK(version_compare("1.20.0", "1.20.0") == 0);
	}
	CASE("a date has no major version")
	{
		CHECK(version_same_major("v1.36.4", "v1.2.0"));
		CHECK(!version_same_major("v4.0.0", "v3.22.0"));
		CHECK(version_same_major("2027-01-01", "2026-09-15"));
	}
	CASE("what a lock may choose")
	{
		CHECK(version_valid("v1.36.4+k3s1") && version_valid("2026-09-15"));
		CHECK(!version_valid("") && !version_valid("../x") && !version_valid(".x") && !version_valid("a b"));
		CHECK(!version_valid("1234567890123456789012345678901234567890123456789012345678901234567890"));
	}
}

static const char *version_at(const char *url)
{
	const struct artifact os = { .url = "https://h/os-{version}/{version}.xz" };

	return str_or(artifact_url_version(&os, url, "2026-09-15"), "none");
}

static void url_versions(void)
{
	CASE("the version of an address is the last one in it")
	{
		CHECK_STR(version_at("https://h/os-2026-10-07/2026-10-06.xz"), "2026-10-06");
		CHECK_STR(version_at("https://h/os-2026-10-06/2026-10-06.xz"), "2026-10-06");
	}
	CASE("an address of another form has none")
	{
		CHECK_STR(version_at("https://evil/os-2026-10-07/2026-10-06.xz"), "none");
		CHECK_STR(version_at("https://h/os-2026-10-07/2026-10-06.xz?x"), "none");
		CHECK_STR(version_at("https://h/os-2026-10-07/2026-10-06.x"), "none");
		CHECK_STR(version_at("https://h/os-2026-10-07/2026-10-0"), "none");
		CHECK_STR(version_at("https://h/os-../../../x/2026-10-06.xz"), "none");
		CHECK_STR(version_at(""), "none");
	}
}

/* "v3 v2 v1" or what is wrong. */
static const char *releases_of(enum channel_form form, const char *name, const char *text)
{
	const struct artifact os = { .url = "https://h/os-{version}/{version}.xz", .max_size = 1000 };
	const struct release_source from = { form, "URL", name };
	const char *like = form == CHANNEL_RASPIOS_LIST ? "2026-09-15" : "v1.2.3", *all = "";
	struct releases found = { 0 };
	struct err e = { 0 };

	if (channel_read(&from, &os, like, &(struct document){ "URL", text, strlen(text) }, &found, &e) < 0)
		return arena_strdup(e.msg);
	vec_foreach (r, &found.list)
		all = arena_printf("%s%s%s", all, *all ? " " : "", r->version);
	return all;
}

static void channels(void)
{
	CASE("K3s: the named channel is the newest, those of minor versions are what is older")
	{
		CHECK_STR(releases_of(CHANNEL_K3S, "stable",
				      "{\"data\": [{\"name\": \"v1.1\", \"latest\": \"v1.1.9\"},"
				      "{\"name\": \"v1.3\", \"latest\": \"v1.3.0\"}, {\"name\": \"v1.2-testing\"},"
				      "{\"name\": \"stable\", \"latest\": \"v1.2.4\"}, 7, {\"name\": 1}]}"),
			  "v1.2.4 v1.1.9");
		CHECK(strstr(releases_of(CHANNEL_K3S, "stable", "{\"data\": [{\"name\": \"stable\"}]}"),
			     "is no release"));
		CHECK(strstr(releases_of(CHANNEL_K3S, "stable", "[]"), "has no channel 'stable'"));
	}
	CASE("text: one line, nothing else")
	{
		CHECK_STR(releases_of(CHANNEL_TEXT, NULL, "v1.2.4"), "v1.2.4");
		CHECK_STR(releases_of(CHANNEL_TEXT, NULL, "v1.2.4\r\n"), "v1.2.4");
		CHECK(strstr(releases_of(CHANNEL_TEXT, NULL, "v1.2.4 "), "is no release"));
		CHECK(strstr(releases_of(CHANNEL_TEXT, NULL, "\nv1.2.4\n"), "is no release"));
		CHECK(strstr(releases_of(CHANNEL_TEXT, NULL, "404: Not Found"), "'404: Not Found' is no release"));
	}
	CASE("GitHub: neither drafts nor pre-releases, in the order of their numbers")
	CHECK_STR(releases_of(CHANNEL_GITHUB, NULL,
			      "[{\"tag_name\": \"v1.2.9\", \"draft\": false, \"prerelease\": false},"
			      "{\"tag_name\": \"v1.2.10\", \"draft\": false, \"prerelease\": false},"
			      "{\"tag_name\": \"v1.2.11\", \"draft\": true, \"prerelease\": false},"
			      "{\"tag_name\": \"v1.2.12\", \"draft\": false, \"prerelease\": true},"
			      "{\"tag_name\": \"v1.2.13\"}, {\"tag_name\": \"w1.2.3\"}]"),
		  "v1.2.10 v1.2.9");
	CASE("Helm: the versions of one chart")
	{
		CHECK_STR(
			releases_of(CHANNEL_HELM_INDEX, "c",
				    "entries: {c: [{version: v1.2.3}, {version: v2.0.0-rc.1}, 1, {version: [v9.9.9]}, "
				    "{version: v1.3.0}], d: [{version: v9.0.0}]}"),
			"v1.3.0 v1.2.3");
		CHECK(strstr(releases_of(CHANNEL_HELM_INDEX, "e", "entries: {}"), "names no release such as v1.2.3"));
	}
	CASE("Raspberry Pi Imager: an image at our address, however deep, with sound sizes")
	{
		CHECK_STR(releases_of(CHANNEL_RASPIOS_LIST, NULL,
				      "{\"os_list\": [{\"url\": 1}, {\"subitems\": [{\"url\": "
				      "\"https://h/os-2026-10-07/2026-10-06.xz\", \"image_download_size\": 1000, "
				      "\"image_download_sha256\": \"" ABC "\", \"extract_size\": 2000, "
				      "\"extract_sha256\": \"" ABC "\"}]}]}"),
			  "2026-10-06");
		CHECK(strstr(releases_of(CHANNEL_RASPIOS_LIST, NULL,
					 "{\"os_list\": [{\"url\": \"https://h/os-2026-10-07/2026-10-06.xz\", "
					 "\"image_download_size\": 1001, \"image_download_sha256\": \"" ABC "\", "
					 "\"extract_size\": 2000, \"extract_sha256\": \"" ABC "\"}]}"),
			     "states no sound sizes and digests"));
	}
}

int main(void)
{
	char tmp[] = "/tmp/test_artifact.XXXXXX";
	struct err e;

	setenv("PIBUILD_DATA", ".", 0);
	addresses();
	mirror_rules();
	versions();
	url_versions();
	channels();
	sum_files();
	other_forms();
	if (!mkdtemp(tmp))
		return 1;
	cache_files(path_join(tmp, "cache"));
	remove_tree(tmp, &e);
	pins();
	arena_done();
	return check_done();
}
