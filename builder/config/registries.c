/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registries section: kinds of its values, and what contradicts itself in it. What K3s makes of it:
 * docs.k3s.io installation/private-registry and installation/registry-mirror, k3s-io/k3s
 * pkg/agent/containerd/config.go.
 */
#include "config/registries.h"

#include <errno.h>

#include "config/check.h"
#include "config/compat.h"
#include "config/kinds.h"
#include "config/values.h"

#define HOST "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
#define PORT "(:[0-9]{1,5})?"

/* Docker Hub's name in images is not the host that answers for it. */
static const char *check_registry(const char *text)
{
	static const char *const hub[] = { "registry-1.docker.io", "index.docker.io", "hub.docker.com", "docker.com" };

	for (size_t i = 0; i < ARRAY_SIZE(hub); i++)
		if (streq(text, hub[i]))
			return "images of Docker Hub are called docker.io/...; write docker.io";
	if (!streq(text, "*") && !strpbrk(text, ".:") && !streq(text, "localhost"))
		return "a registry has a dot or a port in its name, or containerd takes it for a part of Docker Hub";
	return value_port_fault(text);
}

static const char *check_account(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f || *p == ':')
			return "a user name holds no ':' and no control character";
	return NULL;
}

const struct kind kind_registry = {
	.name = "registry",
	.pattern = "^" HOST PORT "$",
	.words =
		"give the registry as it stands before an image's name, such as docker.io or registry.lan:5000, without https:// and without a path",
	.check = check_registry,
};
const struct kind kind_registry_or_all = {
	.name = "registry, or *",
	.pattern = "^([*]|" HOST PORT ")$",
	.words =
		"give the registry as it stands before an image's name, such as docker.io or registry.lan:5000, without https:// and without a path; '*' is every other one",
	.check = check_registry,
};
const struct kind kind_registry_url = {
	.name = "https URL",
	.pattern = "^https://" HOST PORT "(/[A-Za-z0-9._~%/-]*)?$",
	.words = "give an https:// address such as https://mirror.gcr.io, without user name, '?' or '#'",
	.check = value_port_fault,
};
const struct kind kind_account = { .name = "user name", .check = check_account };

const char *registry_host(const char *url)
{
	const char *host = url + strlen("https://");

	return arena_strndup(host, strcspn(host, "/"));
}

bool registries_given(const struct config *c)
{
	return c->registries.share || c->registries.mirrors.n || c->registries.auth.n;
}

const struct registry_mirror *registry_mirror_of(const struct config *c, const char *registry)
{
	const struct registry_mirror *all = NULL;

	vec_foreach (m, &c->registries.mirrors) {
		if (m->from && streq(m->from, registry))
			return m;
		if (m->from && streq(m->from, "*"))
			all = m;
	}
	return all;
}

/* ---- checks ---- */

static const char *mirror_key(const struct config *c, const struct registry_mirror *m, const char *key)
{
	return arena_printf("registries.mirrors[%zu].%s", (size_t)(m - c->registries.mirrors.v), key);
}

static void check_share(const struct check *x)
{
	const struct config *c = x->config;
	const char *k3s = x->versions->k3s;

	if (!c->registries.share)
		return;
	if (k3s && !compat_k3s_shares_images(k3s))
		fault_key(
			x->faults, c, "registries.share",
			"registries.share: K3s %s cannot share images yet; take v1.31.4+k3s1 or later, or write false",
			k3s);
	if (c->nodes.n == 1)
		note_key(x->faults, c, "registries.share",
			 "registries.share: a cluster of one node has nobody to share images with");
}

/* "/v2" is where a registry answers; containerd takes a path as it is. */
static bool path_is_usual(const char *url)
{
	const char *path = strchr(url + strlen("https://"), '/');
	const char *v2 = path ? strstr(path, "/v2") : NULL;

	return !path || streq(path, "/") || (v2 && (!v2[3] || v2[3] == '/'));
}

static void check_endpoint_url(const struct check *x, const struct registry_mirror *m, size_t i)
{
	const struct config *c = x->config;
	const char *url = m->to.v[i], *key = arena_printf("%s[%zu]", mirror_key(c, m, "to"), i);

	if (!url)
		return;
	if (m->from && streq(registry_host(url), m->from))
		fault_key(x->faults, c, key, "%s: this is the registry itself; it is asked last in any case, remove it",
			  key);
	else if (!path_is_usual(url))
		note_key(x->faults, c, key,
			 "%s: the path is taken as it is, and a registry answers below /v2; is it https://%s/v2%s?",
			 key, registry_host(url), strchr(url + strlen("https://"), '/'));
	for (size_t k = 0; k < i; k++)
		if (m->to.v[k] && streq(m->to.v[k], url))
			fault_key(x->faults, c, key, "%s: stands there twice; remove one", key);
}

/* Two files for one host: K3s takes one. */
static void check_ca_of_host(const struct check *x, const struct registry_mirror *m, const char *host)
{
	const struct config *c = x->config;

	for (const struct registry_mirror *other = c->registries.mirrors.v; other < m; other++)
		vec_foreach (url, &other->to)
			if (*url && other->ca_file && !streq(other->ca_file, m->ca_file) &&
			    streq(registry_host(*url), host))
				fault_key(x->faults, c, mirror_key(c, m, "caFile"),
					  "%s: %s has another one in %s; one host has one", mirror_key(c, m, "caFile"),
					  host, mirror_key(c, other, "caFile"));
}

static void check_mirror(const struct check *x, const struct registry_mirror *m)
{
	const struct config *c = x->config;
	const struct yaml_node *to = config_node(c, mirror_key(c, m, "to"));

	if (!m->to.n && to && to->type == YAML_SEQ)
		fault_key(x->faults, c, mirror_key(c, m, "to"), "%s: there is nothing in it; give an address",
			  mirror_key(c, m, "to"));
	for (size_t i = 0; i < m->to.n; i++)
		check_endpoint_url(x, m, i);
	for (const struct registry_mirror *other = c->registries.mirrors.v; m->from && other < m; other++)
		if (other->from && streq(other->from, m->from))
			fault_key(x->faults, c, mirror_key(c, m, "from"),
				  "%s: %s has its mirrors in mirrors[%zu] already; add to that list",
				  mirror_key(c, m, "from"), m->from, (size_t)(other - c->registries.mirrors.v));
	vec_foreach (url, &m->to)
		if (*url && m->ca_file)
			check_ca_of_host(x, m, registry_host(*url));
}

void check_registries(const struct check *x)
{
	const struct config *c = x->config;

	check_share(x);
	vec_foreach (m, &c->registries.mirrors)
		check_mirror(x, m);
	vec_foreach (b, &c->registries.auth)
		for (const struct registry_auth *a = c->registries.auth.v; a < b; a++)
			if (a->registry && b->registry && streq(a->registry, b->registry)) {
				const char *key = arena_printf("registries.auth[%zu].registry",
							       (size_t)(b - c->registries.auth.v));

				fault_key(x->faults, c, key, "%s: %s has a user name already; a node has one for all",
					  key, b->registry);
			}
}

/* ---- registries.yaml itself ---- */

static const struct kind kind_written_secret = { .name = "text", .secret = true, .blank = true };

/* rancher/wharfie pkg/registries/types.go. What is of another kind there ends K3s; other keys are passed over. */
struct file_mirror {
	const char *name;
	const struct yaml_node *endpoint, *rewrite;
};
struct file_config {
	const char *name, *text;
	bool skip;
};
#define AT(member) offsetof(struct file_mirror, member)
static const struct field file_mirror_fields[] = {
	FIELD("endpoint", texts, AT(endpoint)),
	FIELD("rewrite", node, AT(rewrite)),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct file_config, member)
static const struct field file_auth_fields[] = {
	FIELD("username", any_text, AT(text)),
	FIELD("password", written_secret, AT(text)),
	FIELD("auth", written_secret, AT(text)),
	FIELD("identity_token", written_secret, AT(text)),
	{ 0 },
};
static const struct field file_tls_fields[] = {
	FIELD("ca_file", any_text, AT(text)),
	FIELD("cert_file", any_text, AT(text)),
	FIELD("key_file", any_text, AT(text)),
	FIELD("insecure_skip_verify", bool, AT(skip)),
	{ 0 },
};
static const struct field file_config_fields[] = {
	FIELD("auth", map, 0, .sub = file_auth_fields),
	FIELD("tls", map, 0, .sub = file_tls_fields),
	{ 0 },
};
#undef AT
struct registries_file {
	VEC(struct file_mirror) mirrors;
	VEC(struct file_config) configs;
};
#define AT(member) offsetof(struct registries_file, member)
static const struct field registries_file_fields[] = {
	FIELD("mirrors", keyed, AT(mirrors), ITEMS(file_mirror_fields, file_mirror),
	      .name_at = offsetof(struct file_mirror, name)),
	FIELD("configs", keyed, AT(configs), ITEMS(file_config_fields, file_config),
	      .name_at = offsetof(struct file_config, name)),
	{ 0 },
};
#undef AT

const char *registries_file_fault(const char *name, const char *text)
{
	struct registries_file ignored = { 0 };
	struct faults faults = { 0 };
	struct reading l = { .faults = &faults };
	const struct fault *first;
	struct yaml_node *doc;
	struct err e = { 0 };

	if (yaml_parse(name, text, strlen(text), &doc, &e) < 0)
		return e.code == -EOPNOTSUPP
			       ? NULL
			       : arena_printf("is no YAML that K3s can read (%s): it does not start", e.msg);
	for (size_t i = 0; i < doc->count; i++) /* "*": stands for {} */
		for (size_t k = 0; doc->items[i]->type == YAML_MAP && k < doc->items[i]->count; k++)
			if (schema_is_null(doc->items[i]->items[k]))
				doc->items[i]->items[k] = yaml_map();
	schema_read(&l, registries_file_fields, doc, "", &ignored);
	first = faults_first_in(&faults, name);
	return first ? arena_printf("has in line %u what K3s does not start with, or passes over: %s", first->line,
				    first->msg)
		     : NULL;
}
