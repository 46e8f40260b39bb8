/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of the certManager section: the issuers wanted, and DNS-01 by the provider's own keys. */
#include "config/dns01.h"
#include "config/internal.h"

/* ---- issuers ---- */

const char *const issuer_names[ISSUER_COUNT] = { "letsencrypt-staging", "letsencrypt-production", "ca" };

enum issuer config_default_issuer(const struct config *c)
{
	static const enum issuer best_first[] = { ISSUER_PRODUCTION, ISSUER_CA, ISSUER_STAGING };

	for (size_t i = 0; i < ARRAY_SIZE(best_first); i++)
		if (c->cert_manager.issuers[best_first[i]])
			return best_first[i];
	return ISSUER_COUNT;
}

bool config_is_gateway_zone(const struct config *c, const char *zone)
{
	vec_foreach (z, &c->gateway.zones)
		if (streq(*z, zone))
			return c->gateway.enabled;
	return false;
}

enum issuer config_zone_issuer(const struct config *c, const char *zone)
{
	if (c->cert_manager.issuers[ISSUER_CA] && name_is_private(zone))
		return ISSUER_CA;
	return config_is_gateway_zone(c, zone) ? c->gateway.issuer : config_default_issuer(c);
}

struct text_list config_certificate_zones(const struct config *c)
{
	struct text_list list = { 0 };

	if (config_default_issuer(c) == ISSUER_COUNT)
		return list;
	vec_foreach (zone, &c->cert_manager.zones)
		if (c->cert_manager.wildcard && !config_is_gateway_zone(c, *zone))
			*vec_push(&list) = *zone;
	vec_foreach (zone, &c->gateway.zones)
		if (c->gateway.enabled)
			*vec_push(&list) = *zone;
	return list;
}

/* "letsencrypt-prod" is what guides call it. */
static const char *issuer_meant(const char *text)
{
	for (size_t i = 0; strlen(text) > strlen("letsencrypt-") && i < ISSUER_COUNT; i++)
		if (starts_with(issuer_names[i], text))
			return issuer_names[i];
	return nearest_word(text, issuer_names, ISSUER_COUNT);
}

static void issuers_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			 void *dst)
{
	struct config *c = l->root;

	if (n->type != YAML_SEQ) {
		schema_fault(l, n, path, "must be a list, such as [letsencrypt-staging, letsencrypt-production]");
		return;
	}
	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *item = n->items[i];
		size_t k;

		for (k = 0; k < ISSUER_COUNT; k++)
			if (item->type == YAML_SCALAR && streq(item->text, issuer_names[k]))
				break;
		if (k == ISSUER_COUNT)
			schema_fault(l, item, arena_printf("%s[%zu]", path, i),
				     "must be letsencrypt-staging, letsencrypt-production or ca%s",
				     did_you_mean("; ", issuer_meant(str_or(item->text, ""))));
		else
			c->cert_manager.issuers[k] = true;
	}
}

static void issuers_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", json_pack("{s:o}", "enum", schema_json_names(issuer_names, ISSUER_COUNT)));
}

const struct kind kind_issuers = { .name = "list", .node = issuers_node, .schema = issuers_schema };

/* ---- dns01 ---- */

static void provider_fault(struct reading *l, const struct yaml_node *n, const char *path, const char *text)
{
	const char *names[16], *near;
	struct strbuf all = { 0 };

	for (size_t i = 0; i < dns01_providers_count; i++) {
		names[i] = dns01_providers[i].name;
		strbuf_item(&all, ", ", names[i]);
	}
	near = text ? nearest_word(text, names, dns01_providers_count) : NULL;
	if (near)
		schema_fault(l, n, path, "no provider '%s'; did you mean '%s'? (there are %s)", text, near, all.s);
	else if (text)
		schema_fault(
			l, n, path,
			"cert-manager has no provider '%s' of its own; where somebody made a webhook for it, write provider: webhook and add its chart to apps (there are %s)",
			text, all.s);
	else
		schema_fault(l, n, path, "must be one of %s", all.s);
	strbuf_done(&all);
}

static void read_value(struct reading *l, const struct dns01_key *k, const struct yaml_node *n, const char *path)
{
	struct config *c = l->root;
	struct dns01_value v = { .key = k->key };
	struct field f = { .key = k->key, .kind = k->kind };
	size_t before = l->faults->errors;

	if (k->secret_path && (!k->text_path || n->type == YAML_MAP)) {
		f.kind = &kind_secret;
		schema_read_value(l, &f, n, path, &v.secret);
		v.secret.form = k->form;
	} else if (k->kind == &kind_app_values) {
		schema_read_value(l, &f, n, path, &v.map);
	} else {
		schema_read_value(l, &f, n, path, &v.text);
	}
	if (l->faults->errors == before)
		*vec_push(&c->cert_manager.dns01) = v;
}

static void read_keys(struct reading *l, const struct dns01_provider *p, const struct yaml_node *n, const char *path)
{
	const char *names[16] = { "provider" };
	struct config *c = l->root;
	size_t count = 1;

	for (const struct dns01_key *k = p->keys; k->key; k++)
		names[count++] = k->key;
	schema_unknown_keys(l, n, path, names, count);
	for (const struct dns01_key *k = p->keys; k->key; k++) {
		const struct yaml_node *v = yaml_get(n, k->key);

		if (v)
			read_value(l, k, v, schema_path(path, k->key));
		else if (k->required)
			schema_fault(l, n, path, "'%s' is missing: %s, such as %s", k->key, k->help, k->example);
		else if (k->def)
			*vec_push(&c->cert_manager.dns01) = (struct dns01_value){ .key = k->key, .text = k->def };
	}
}

static void dns01_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	const struct yaml_node *name = yaml_get(n, "provider");
	const struct dns01_provider *p;
	struct config *c = l->root;

	if (n->type != YAML_MAP && !schema_is_null(n)) {
		schema_fault(l, n, path, "must hold keys (name: value), not %s",
			     n->type == YAML_SEQ ? "a list" : "a single value");
		return;
	}
	if (!name || name->type != YAML_SCALAR) {
		provider_fault(l, name ? name : n, schema_path(path, "provider"), NULL);
		return;
	}
	p = dns01_provider_find(name->text);
	if (!p) {
		provider_fault(l, name, schema_path(path, "provider"), name->text);
		return;
	}
	c->cert_manager.provider = p->name;
	read_keys(l, p, n, path);
}

static json_t *provider_schema(const struct dns01_provider *p)
{
	json_t *properties = json_object(), *required = json_pack("[s]", "provider");

	json_object_set_new(properties, "provider", json_pack("{s:s}", "const", p->name));
	for (const struct dns01_key *k = p->keys; k->key; k++) {
		struct field f = { .key = k->key, .kind = k->text_path ? k->kind : &kind_secret, .help = k->help };
		json_t *property = json_object();

		schema_json_value(&f, property);
		if (k->text_path && k->secret_path) {
			json_t *secret = json_object();

			f.kind = &kind_secret;
			schema_json_value(&f, secret);
			property = json_pack("{s:[o, o]}", "anyOf", property, secret);
		}
		json_object_set_new(properties, k->key, property);
		if (k->required)
			json_array_append_new(required, json_string(k->key));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
			 "additionalProperties", 0);
}

static void dns01_schema(const struct field *f, json_t *out)
{
	json_t *one_of = json_array();

	for (size_t i = 0; i < dns01_providers_count; i++)
		json_array_append_new(one_of, provider_schema(&dns01_providers[i]));
	json_object_set_new(out, "oneOf", one_of);
}

const struct kind kind_dns01 = { .name = "map", .node = dns01_node, .schema = dns01_schema };
