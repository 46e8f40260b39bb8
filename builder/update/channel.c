/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which releases there are, as upstreams say it. Outside data: a version is believed only when it is written like the
 * one we know, so nothing else gets into an address.
 *
 * Forms: K3s' channel server (collection of {name, latest}), stable.txt of Cilium's projects, GitHub's REST API
 * (/repos/OWNER/REPO/releases), Helm repositories, the image list of Raspberry Pi Imager (os_list with nested
 * subitems; {url, image_download_size, image_download_sha256, extract_size, extract_sha256}).
 */
#include <errno.h>

#include "update/upstream.h"
#include "catalogue/version.h"
#include "base/json.h"

enum { MAX_DEPTH = 8 };
static const uint64_t max_raw = 64 * GIB;

struct document {
	const struct release_source *from;
	const struct artifact *base;
	const char *like, *text;
	size_t n;
};

static const char *shown(const char *s)
{
	return clean_text(arena_strndup(s, strnlen(s, 80)));
}

static int no_release(const struct document *d, const char *found, struct err *e)
{
	if (!found)
		return err_class(e, CLASS_VERIFY, "%s names no release such as %s", d->from->url, d->like);
	return err_class(e, CLASS_VERIFY, "%s: '%s' is no release such as %s", d->from->url, shown(found), d->like);
}

static int load_json(const struct document *d, size_t flags, json_t **ret, struct err *e)
{
	json_error_t why;

	*ret = json_loadb(d->text, d->n, flags, &why);
	return *ret ? 0 : err_class(e, CLASS_VERIFY, "%s is no JSON: %s (line %d)", d->from->url, why.text, why.line);
}

static void releases_add(struct releases *ret, const char *version)
{
	*vec_push(&ret->list) = (struct release){ .version = arena_strdup(version) };
}

/* ---- K3s' channels ---- */

static const char *latest_of(const json_t *channel)
{
	return str_or(json_string_value(json_object_get(channel, "latest")), "");
}

/* "v1.36": the channel of a minor version. */
static bool is_minor(const char *name)
{
	return version_is_like(name, "v1.1");
}

static int read_k3s(const struct document *d, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *doc = NULL;
	const json_t *list, *x;
	const char *newest = NULL;
	size_t i;
	int r = load_json(d, JSON_REJECT_DUPLICATES, &doc, e);

	if (r < 0)
		return r;
	list = json_object_get(doc, "data");
	for (i = 0; (x = json_array_get(list, i)); i++)
		if (streq(str_or(json_string_value(json_object_get(x, "name")), ""), d->from->name))
			newest = latest_of(x);
	if (!newest)
		return err_class(e, CLASS_VERIFY, "%s has no channel '%s'", d->from->url, d->from->name);
	if (!version_is_like(newest, d->like))
		return no_release(d, newest, e);
	releases_add(ret, newest);
	for (i = 0; (x = json_array_get(list, i)); i++) {
		const char *latest = latest_of(x);

		if (is_minor(str_or(json_string_value(json_object_get(x, "name")), "")) &&
		    version_is_like(latest, d->like) && version_compare(latest, newest) < 0)
			releases_add(ret, latest);
	}
	return 0;
}

/* ---- stable.txt ---- */

static int channel_text(const struct document *d, struct releases *ret, struct err *e)
{
	const char *text = arena_strndup(d->text, d->n), *line = arena_strndup(text, strcspn(text, "\r\n"));
	size_t end = strlen(line) + strspn(text + strlen(line), "\r\n");

	/* Cilium's charts are numbered without the v of its tags. */
	if (*line == 'v' && d->like[0] != 'v')
		line++;
	if (end != d->n || !version_is_like(line, d->like))
		return no_release(d, text, e);
	releases_add(ret, line);
	return 0;
}

/* ---- releases of a GitHub repository ---- */

static int read_github(const struct document *d, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL;
	const json_t *x;
	int r = load_json(d, JSON_REJECT_DUPLICATES, &list, e);

	for (size_t i = 0; r == 0 && (x = json_array_get(list, i)); i++) {
		const char *tag = str_or(json_string_value(json_object_get(x, "tag_name")), "");

		if (version_is_like(tag, d->like) && json_is_false(json_object_get(x, "draft")) &&
		    json_is_false(json_object_get(x, "prerelease")))
			releases_add(ret, tag);
	}
	return r;
}

/* ---- index.yaml of a Helm repository ---- */

static int read_index(const struct document *d, struct releases *ret, struct err *e)
{
	const struct yaml_node *list, *v;
	int r = upstream_chart(d->from->url, d->text, d->n, d->from->name, &list, e);

	for (size_t i = 0; r == 0 && list && list->type == YAML_SEQ && i < list->count; i++) {
		v = list->items[i]->type == YAML_MAP ? yaml_get(list->items[i], "version") : NULL;
		if (v && v->type == YAML_SCALAR && version_is_like(v->text, d->like))
			releases_add(ret, v->text);
	}
	return r;
}

/* ---- the list of Raspberry Pi Imager ---- */

static const char *digest_of(const json_t *image, const char *key)
{
	const char *s = str_or(json_string_value(json_object_get(image, key)), "");

	return sha256_valid(s) ? arena_strdup(s) : NULL;
}

static uint64_t size_of(const json_t *image, const char *key, uint64_t limit)
{
	json_int_t n = json_integer_value(json_object_get(image, key));

	return n > 0 && (uint64_t)n <= limit ? (uint64_t)n : 0;
}

static int add_image(const struct document *d, const json_t *image, struct releases *ret, struct err *e)
{
	const char *url = str_or(json_string_value(json_object_get(image, "url")), "");
	const char *version = artifact_url_version(d->base, url, d->like);
	struct release x = { .version = version };

	if (!version)
		return 0;
	x.url = arena_strdup(url);
	x.sha256 = digest_of(image, "image_download_sha256");
	x.size = size_of(image, "image_download_size", d->base->max_size);
	x.raw_sha256 = digest_of(image, "extract_sha256");
	x.raw_size = size_of(image, "extract_size", max_raw);
	if (!x.sha256 || !x.size || !x.raw_sha256 || !x.raw_size)
		return err_class(e, CLASS_VERIFY, "%s states no sound sizes and digests for %s", d->from->url, url);
	*vec_push(&ret->list) = x;
	return 0;
}

static int walk_images(const struct document *d, const json_t *list, unsigned depth, struct releases *ret,
		       struct err *e)
{
	const json_t *x;
	int r = 0;

	if (depth > MAX_DEPTH)
		return err_class(e, CLASS_VERIFY, "%s nests its lists more than %d deep", d->from->url, MAX_DEPTH);
	for (size_t i = 0; r == 0 && (x = json_array_get(list, i)); i++) {
		r = add_image(d, x, ret, e);
		if (r == 0)
			r = walk_images(d, json_object_get(x, "subitems"), depth + 1, ret, e);
	}
	return r;
}

static int read_images(const struct document *d, struct releases *ret, struct err *e)
{
	_cleanup_json_ json_t *doc = NULL;
	/* It has entries of many projects: a key that one of them repeats is no matter of ours. */
	int r = load_json(d, 0, &doc, e);

	return r < 0 ? r : walk_images(d, json_object_get(doc, "os_list"), 0, ret, e);
}

typedef int (*read_fn)(const struct document *d, struct releases *ret, struct err *e);

static const struct {
	read_fn read;
	uint64_t limit;
} forms[CHANNEL_FORM_COUNT] = {
	[CHANNEL_K3S] = { read_k3s, MIB },
	[CHANNEL_TEXT] = { channel_text, KIB },
	[CHANNEL_GITHUB] = { read_github, 16 * MIB },
	[CHANNEL_HELM_INDEX] = { read_index, 16 * MIB },
	[CHANNEL_RASPIOS_LIST] = { read_images, 8 * MIB },
};

uint64_t channel_limit(enum channel_form form)
{
	return forms[form].limit;
}

static int newest_first(const void *a, const void *b)
{
	const struct release *x = a, *y = b;

	return version_compare(y->version, x->version);
}

int channel_read(const struct release_source *from, const struct artifact *base, const char *like, const char *text,
		 size_t n, struct releases *ret, struct err *e)
{
	const struct document d = { from, base, like, str_or(text, ""), n };
	struct releases found = { 0 };
	int r = forms[from->form].read(&d, &found, e);

	if (r < 0)
		return r;
	if (!found.list.n)
		return no_release(&d, NULL, e);
	vec_foreach (x, &found.list)
		*vec_push(&ret->list) = *x;
	qsort(ret->list.v, ret->list.n, sizeof(*ret->list.v), newest_first);
	return 0;
}
