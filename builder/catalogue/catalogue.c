/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "catalogue/catalogue.h"
#include "catalogue/rows.h"
#include "base/data.h"

static const char *const install_names[] = {
	[INSTALL_NONE] = "none", [INSTALL_FILE] = "file", [INSTALL_MEMBER] = "member", [INSTALL_UNPACK] = "unpack"
};
static const char *const form_names[CHECKSUM_FORM_COUNT] = {
	[CHECKSUM_SHA256SUM] = "sha256sum", [CHECKSUM_HELM_INDEX] = "helm-index", [CHECKSUM_GITHUB] = "github"
};
static const char *const channel_names[CHANNEL_FORM_COUNT] = {
	[CHANNEL_K3S] = "k3s",
	[CHANNEL_TEXT] = "text",
	[CHANNEL_GITHUB] = "github",
	[CHANNEL_HELM_INDEX] = "helm-index",
	[CHANNEL_RASPIOS_LIST] = "raspios-list",
};
/* In the order of the FOR_ bits. */
static const char *const audience_names[] = { "control-plane", "worker", "airgap" };

#define AT(member) offsetof(struct artifact, member)
static const struct row checksum_rows[] = {
	{ "form", ROW_NAME, AT(checksum.form), true, form_names, NULL, ARRAY_SIZE(form_names) },
	{ "url", ROW_URL, AT(checksum.url), true, NULL, NULL, 0 },
	{ "file", ROW_TEXT, AT(checksum.entry), false, NULL, NULL, 0 },
	{ "chart", ROW_TEXT, AT(checksum.entry), false, NULL, NULL, 0 },
};
static const struct row install_rows[] = {
	{ "as", ROW_NAME, AT(install.as), true, install_names, NULL, ARRAY_SIZE(install_names) },
	{ "path", ROW_TEXT, AT(install.path), true, NULL, NULL, 0 },
	{ "member", ROW_TEXT, AT(install.member), false, NULL, NULL, 0 },
	{ "mode", ROW_MODE, AT(install.mode), true, NULL, NULL, 0 },
};
static const struct row artifact_rows[] = {
	{ "name", ROW_TEXT, AT(name), true, NULL, NULL, 0 },
	{ "version", ROW_TEXT, AT(version_key), true, NULL, NULL, 0 },
	{ "base", ROW_TRUE, AT(base), false, NULL, NULL, 0 },
	{ "url", ROW_URL, AT(url), true, NULL, NULL, 0 },
	{ "purl", ROW_TEXT, AT(purl), false, NULL, NULL, 0 },
	{ "checksum", ROW_MAP, 0, true, NULL, checksum_rows, ARRAY_SIZE(checksum_rows) },
	{ "maxSize", ROW_MIB, AT(max_size), true, NULL, NULL, 0 },
	{ "install", ROW_MAP, 0, false, NULL, install_rows, ARRAY_SIZE(install_rows) },
	{ "for", ROW_NAMES, AT(for_whom), false, audience_names, NULL, ARRAY_SIZE(audience_names) },
};
#undef AT
#define AT(member) offsetof(struct image, member)
static const struct row image_rows[] = {
	{ "name", ROW_TEXT, AT(name), true, NULL, NULL, 0 },
	{ "version", ROW_TEXT, AT(version_key), true, NULL, NULL, 0 },
	{ "tag", ROW_TEXT, AT(tag), false, NULL, NULL, 0 },
	{ "chart", ROW_TEXT, AT(chart), false, NULL, NULL, 0 },
	{ "values", ROW_TEXT, AT(values), false, NULL, NULL, 0 },
	{ "when", ROW_TEXT, AT(when), false, NULL, NULL, 0 },
};
#undef AT
#define AT(member) offsetof(struct channel, member)
static const struct row release_rows[] = {
	{ "form", ROW_NAME, AT(others.form), true, channel_names, NULL, ARRAY_SIZE(channel_names) },
	{ "url", ROW_URL, AT(others.url), true, NULL, NULL, 0 },
	{ "name", ROW_TEXT, AT(others.name), false, NULL, NULL, 0 },
};
static const struct row channel_rows[] = {
	{ "form", ROW_NAME, AT(newest.form), true, channel_names, NULL, ARRAY_SIZE(channel_names) },
	{ "url", ROW_URL, AT(newest.url), true, NULL, NULL, 0 },
	{ "name", ROW_TEXT, AT(newest.name), false, NULL, NULL, 0 },
	{ "releases", ROW_MAP, 0, false, NULL, release_rows, ARRAY_SIZE(release_rows) },
	{ "follows", ROW_TEXT, AT(follows), false, NULL, NULL, 0 },
};
#undef AT

const char *catalogue_version(const struct catalogue *c, const char *key)
{
	vec_foreach (v, &c->versions)
		if (streq(v->name, key))
			return v->version;
	return NULL;
}

const struct artifact *catalogue_find(const struct catalogue *c, const char *name)
{
	vec_foreach (a, &c->artifacts)
		if (streq(a->name, name))
			return a;
	return NULL;
}

static bool all_of(const char *s, size_t n, const char *extra)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || strchr(extra, s[i])))
			return false;
	return n > 0;
}

bool image_name_valid(const char *name)
{
	const char *slash = strchr(name, '/');
	size_t host = slash ? (size_t)(slash - name) : 0;

	/* No part may be ".." or empty: the name becomes part of an address. */
	return host && strlen(name) <= 255 && memchr(name, '.', host) && all_of(name, host, ".-:") &&
	       all_of(slash + 1, strlen(slash + 1), "._-/") && !strstr(slash, "//") && !strstr(name, "..") &&
	       !strstr(slash, "/.") && !ends_with(name, "/");
}

bool image_tag_valid(const char *tag)
{
	return strlen(tag) <= 128 && !strchr(".-", *tag) && all_of(tag, strlen(tag), "._-ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* What no single key can tell. */
static const char *artifact_fault(const struct catalogue *c, const struct artifact *a)
{
	bool needs_member = a->install.as == INSTALL_MEMBER || a->install.as == INSTALL_UNPACK;

	if (catalogue_find(c, a->name))
		return "this name is there twice";
	if (!catalogue_version(c, a->version_key))
		return "its version is not among `versions`";
	if (!a->checksum.entry)
		return "checksum needs `file` or `chart`";
	if (!a->max_size)
		return "maxSize is 0";
	if (a->base ? a->install.as != INSTALL_NONE : a->install.as == INSTALL_NONE)
		return "either `base: true` or `install` is needed";
	if (needs_member != (a->install.member != NULL))
		return "`member` goes with `as: member` and `as: unpack`";
	if (a->install.path && a->install.path[0] != '/')
		return "install.path is not absolute";
	return !a->base && !a->for_whom ? "nobody gets it: `for` is empty" : NULL;
}

static int read_versions(const struct yaml_node *map, struct catalogue *c, struct err *e)
{
	if (map->type != YAML_MAP)
		return rows_fault(e, map, "a map was expected here");
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *v = map->items[i];

		if (v->type != YAML_SCALAR || !v->n)
			return rows_fault(e, v, "a version was expected here");
		*vec_push(&c->versions) = (struct version_pin){ map->keys[i]->text, v->text };
	}
	return 0;
}

static int read_artifacts(const struct yaml_node *list, struct catalogue *c, struct err *e)
{
	if (list->type != YAML_SEQ)
		return rows_fault(e, list, "a list was expected here");
	for (size_t i = 0; i < list->count; i++) {
		struct artifact a = { 0 };
		const char *why;
		int r = rows_read(list->items[i], artifact_rows, ARRAY_SIZE(artifact_rows), &a, e);

		if (r < 0)
			return r;
		why = artifact_fault(c, &a);
		if (why)
			return rows_fault(e, list->items[i], "%s: %s", a.name, why);
		*vec_push(&c->artifacts) = a;
	}
	return 0;
}

static const char *source_fault(const struct release_source *s)
{
	bool needs_name = s->form == CHANNEL_K3S || s->form == CHANNEL_HELM_INDEX;

	if (s->url && needs_name != (s->name != NULL))
		return "`name` goes with the forms k3s and helm-index";
	return NULL;
}

static const char *channel_fault(const struct catalogue *c, const struct channel *x)
{
	const char *why = source_fault(&x->newest);

	if (!catalogue_version(c, x->key) || (x->follows && !catalogue_version(c, x->follows)))
		return "this is not among `versions`";
	return why ? why : source_fault(&x->others);
}

/* The map may be missing: then versions move by hand alone. */
static int read_channels(const struct yaml_node *map, struct catalogue *c, struct err *e)
{
	if (map && map->type != YAML_MAP)
		return rows_fault(e, map, "a map was expected here");
	for (size_t i = 0; map && i < map->count; i++) {
		struct channel x = { 0 };
		const char *why;
		int r = rows_read(map->items[i], channel_rows, ARRAY_SIZE(channel_rows), &x, e);

		if (r < 0)
			return r;
		x.key = map->keys[i]->text;
		why = channel_fault(c, &x);
		if (why)
			return rows_fault(e, map->items[i], "%s: %s", x.key, why);
		*vec_push(&c->channels) = x;
	}
	return 0;
}

static const char *image_fault(const struct catalogue *c, const struct image *i)
{
	if (!image_name_valid(i->name))
		return "an image is named like quay.io/cilium/cilium, with its registry and without a tag";
	vec_foreach (x, &c->images)
		if (streq(x->name, i->name))
			return "this name is there twice";
	if (!catalogue_version(c, i->version_key))
		return "its version is not among `versions`";
	if (!i->tag == !i->chart || !i->chart != !i->values)
		return "either `tag` or `chart` and `values` are needed";
	return i->chart && !catalogue_find(c, i->chart) ? "its chart is not among `artifacts`" : NULL;
}

/* The list may be missing. */
static int read_images(const struct yaml_node *list, struct catalogue *c, struct err *e)
{
	if (list && list->type != YAML_SEQ)
		return rows_fault(e, list, "a list was expected here");
	for (size_t i = 0; list && i < list->count; i++) {
		struct image image = { 0 };
		const char *why;
		int r = rows_read(list->items[i], image_rows, ARRAY_SIZE(image_rows), &image, e);

		if (r < 0)
			return r;
		why = image_fault(c, &image);
		if (why)
			return rows_fault(e, list->items[i], "%s: %s", image.name, why);
		*vec_push(&c->images) = image;
	}
	return 0;
}

static int read_catalogue(const struct yaml_node *doc, struct catalogue *c, struct err *e)
{
	static const char *const keys[] = { "apiVersion", "kind", "versions", "artifacts", "images", "channels" };
	const size_t required = 4;
	int r = rows_check_kind(doc, "Catalogue", e);

	if (r == 0)
		r = rows_check_keys(doc, keys, ARRAY_SIZE(keys), e);
	for (size_t i = 0; r == 0 && i < required; i++)
		if (!yaml_get(doc, keys[i]))
			r = rows_fault(e, doc, "the key '%s' is missing", keys[i]);
	if (r == 0)
		r = read_versions(yaml_get(doc, "versions"), c, e);
	if (r == 0)
		r = read_artifacts(yaml_get(doc, "artifacts"), c, e);
	if (r == 0)
		r = read_channels(yaml_get(doc, "channels"), c, e);
	return r < 0 ? r : read_images(yaml_get(doc, "images"), c, e);
}

int catalogue_load(struct catalogue **ret, struct err *e)
{
	struct catalogue *c = arena_new(struct catalogue);
	struct yaml_node *doc;
	int r = data_path("configs/catalogue.yaml", &c->path, e);

	if (r == 0)
		r = yaml_load(c->path, &doc, e);
	if (r == 0)
		r = read_catalogue(doc, c, e);
	if (r == 0)
		*ret = c;
	return r;
}
