/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/data.h"
#include "catalogue/catalogue.h"
#include "catalogue/url.h"

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
static const char *const audience_names[] = { "control-plane", "worker",      "airgap", "external-amd64",
					      "cert-manager",  "gateway-api", "vip" };

#define AT(member) offsetof(struct artifact, member)
static const struct field checksum_fields[] = {
	FIELD("form", choice, AT(checksum.form), .flags = REQUIRED, NAMES(form_names)),
	FIELD("url", https, AT(checksum.url), .flags = REQUIRED),
	FIELD("file", text, AT(checksum.entry), .help = "line of the list, or asset"),
	FIELD("chart", text, AT(checksum.entry), .help = "entry of the index"),
	{ 0 },
};
static const struct field install_fields[] = {
	FIELD("as", choice, AT(install.as), .flags = REQUIRED, NAMES(install_names)),
	FIELD("path", text, AT(install.path), .flags = REQUIRED),
	FIELD("member", text, AT(install.member), .help = "of an archive"),
	FIELD("mode", mode, AT(install.mode), .flags = REQUIRED),
	{ 0 },
};
static const struct field artifact_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED),
	FIELD("version", text, AT(version_key), .flags = REQUIRED, .help = "its key of versions"),
	FIELD("base", bool, AT(base)),
	FIELD("url", https, AT(url), .flags = REQUIRED, .help = "with {version}"),
	FIELD("purl", text, AT(purl), .help = "package URL, with {version}"),
	FIELD("checksum", map, 0, .flags = REQUIRED, .sub = checksum_fields),
	FIELD("maxSize", mib, AT(max_size), .flags = REQUIRED, .help = "in MiB; more is not downloaded"),
	FIELD("install", map, 0, .sub = install_fields),
	FIELD("for", flags, AT(for_whom), NAMES(audience_names)),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct image, member)
static const struct field image_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("name", text, AT(name), .flags = REQUIRED),
	FIELD("version", text, AT(version_key), .flags = REQUIRED, .help = "its key of versions"),
	FIELD("tag", text, AT(tag), .help = "with {version}; or chart and values"),
	FIELD("chart", text, AT(chart), .help = "name of the artifact whose values name the tag"),
	FIELD("values", text, AT(values), .help = "where those values have repository and tag"),
	FIELD("when", text, AT(when), .help = "key of Cilium's values that must not be false"),
	FIELD("for", flags, AT(for_whom), NAMES(audience_names)),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct channel, member)
static const struct field release_fields[] = {
	FIELD("form", choice, AT(others.form), .flags = REQUIRED, NAMES(channel_names)),
	FIELD("url", https, AT(others.url), .flags = REQUIRED),
	FIELD("name", text, AT(others.name)),
	{ 0 },
};
static const struct field channel_fields[] = {
	FIELD("", node, AT(where)),
	FIELD("form", choice, AT(newest.form), .flags = REQUIRED, NAMES(channel_names)),
	FIELD("url", https, AT(newest.url), .flags = REQUIRED),
	FIELD("name", text, AT(newest.name), .help = "channel or chart, for the forms k3s and helm-index"),
	FIELD("releases", map, 0, .sub = release_fields, .help = "where all releases are, to name newer ones"),
	FIELD("follows", text, AT(follows), .help = "key of the version that decides this one"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct catalogue, member)
static const char *const versions_of_form[] = { "pibuild/v1" }, *const kinds_of_form[] = { "Catalogue" };
static const struct field version_item = FIELD(NULL, text, offsetof(struct version_pin, version));
const struct field catalogue_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(versions_of_form)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(kinds_of_form)),
	FIELD("versions", keyed, AT(versions), .flags = REQUIRED, .item = &version_item,
	      .size = sizeof(struct version_pin), .name_at = offsetof(struct version_pin, name),
	      .help = "the set that was tested"),
	FIELD("artifacts", list, AT(artifacts), .flags = REQUIRED, ITEMS(artifact_fields, artifact)),
	FIELD("images", list, AT(images), ITEMS(image_fields, image),
	      .help = "container images, for airgap and cluster.vip"),
	FIELD("channels", keyed, AT(channels), ITEMS(channel_fields, channel), .name_at = offsetof(struct channel, key),
	      .help = "where upstream says what is stable"),
	{ 0 },
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

bool catalogue_wanted(unsigned for_whom, const struct config *c)
{
	unsigned off = (c->airgap ? 0 : FOR_AIRGAP) | (c->cert_manager.enabled ? 0 : FOR_CERT_MANAGER) |
		       (c->cilium.gateway_api != STATE_OFF ? 0 : FOR_GATEWAY_API) | (c->cluster.vip ? 0 : FOR_VIP);

	return !(for_whom & off);
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

	if (catalogue_find(c, a->name) != a)
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

static const char *image_fault(const struct catalogue *c, const struct image *i)
{
	if (!image_name_valid(i->name))
		return "an image is named like quay.io/cilium/cilium, with its registry and without a tag";
	vec_foreach (x, &c->images)
		if (x < i && streq(x->name, i->name))
			return "this name is there twice";
	if (!catalogue_version(c, i->version_key))
		return "its version is not among `versions`";
	if (!i->tag == !i->chart || !i->chart != !i->values)
		return "either `tag` or `chart` and `values` are needed";
	return i->chart && !catalogue_find(c, i->chart) ? "its chart is not among `artifacts`" : NULL;
}

static void catalogue_check(const struct catalogue *c, struct faults *f)
{
	const char *why;

	vec_foreach (a, &c->artifacts)
		if ((why = artifact_fault(c, a)))
			fault_at(f, a->where, "%s: %s", a->name, why);
	vec_foreach (x, &c->channels)
		if ((why = channel_fault(c, x)))
			fault_at(f, x->where, "%s: %s", x->key, why);
	vec_foreach (i, &c->images)
		if ((why = image_fault(c, i)))
			fault_at(f, i->where, "%s: %s", i->name, why);
}

int catalogue_load(struct catalogue **ret, struct err *e)
{
	struct catalogue *c = arena_new(struct catalogue);
	struct faults f = { 0 };
	struct reading l = { .faults = &f };
	int r = data_path("configs/catalogue.yaml", &c->path, e);

	if (r < 0)
		return r;
	r = schema_load(&l, c->path, catalogue_fields, c, e);
	if (r < 0)
		return r;
	if (!f.errors)
		catalogue_check(c, &f);
	*ret = c;
	return faults_failure(&f, e);
}
