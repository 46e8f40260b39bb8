/* SPDX-License-Identifier: Apache-2.0 */
#include "config/manifest.h"

#include <errno.h>

#include "base/file.h"
#include "base/util.h"
#include "config/api_values.h"
#include "yaml/yaml.h"

/* Files that lie where manifests do, and what they are, by keys of their top. First match wins. */
static const struct {
	const char *key, *why;
} others[] = {
	{ "sops",
	  "is encrypted by SOPS, which neither kubectl nor K3s can read: give the app `secrets`, or let Flux decrypt it" },
	{ "services", "is for Docker Compose, which Kubernetes does not know: write a Deployment and a Service" },
	{ "resources", "is for Kustomize; give what it makes: `kubectl kustomize DIR >FILE.yaml`" },
	{ "dependencies", "is of a chart; install that by chart" },
};

/* What Kubernetes has no more (kubernetes/website deprecation-guide.md): kubectl then knows no such kind. */
static const struct {
	const char *api, *kind; /* KIND: NULL = all of it */
	const char *since, *instead;
} removed_apis[] = {
	{ "extensions/v1beta1", "Ingress", "1.22", "networking.k8s.io/v1" },
	{ "extensions/v1beta1", "NetworkPolicy", "1.16", "networking.k8s.io/v1" },
	{ "extensions/v1beta1", "PodSecurityPolicy", "1.16", NULL },
	{ "extensions/v1beta1", NULL, "1.16", "apps/v1" },
	{ "apps/v1beta1", NULL, "1.16", "apps/v1" },
	{ "apps/v1beta2", NULL, "1.16", "apps/v1" },
	{ "policy/v1beta1", "PodSecurityPolicy", "1.25", NULL },
	{ "policy/v1beta1", NULL, "1.25", "policy/v1" },
	{ "batch/v1beta1", NULL, "1.25", "batch/v1" },
	{ "batch/v2alpha1", NULL, "1.21", "batch/v1" },
	{ "networking.k8s.io/v1beta1", "Ingress", "1.22", "networking.k8s.io/v1" },
	{ "networking.k8s.io/v1beta1", "IngressClass", "1.22", "networking.k8s.io/v1" },
	{ "rbac.authorization.k8s.io/v1beta1", NULL, "1.22", "rbac.authorization.k8s.io/v1" },
	{ "rbac.authorization.k8s.io/v1alpha1", NULL, "1.22", "rbac.authorization.k8s.io/v1" },
	{ "apiextensions.k8s.io/v1beta1", NULL, "1.22", "apiextensions.k8s.io/v1" },
	{ "apiregistration.k8s.io/v1beta1", NULL, "1.22", "apiregistration.k8s.io/v1" },
	{ "admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", "1.22",
	  "admissionregistration.k8s.io/v1" },
	{ "admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", "1.22",
	  "admissionregistration.k8s.io/v1" },
	{ "scheduling.k8s.io/v1beta1", NULL, "1.22", "scheduling.k8s.io/v1" },
	{ "storage.k8s.io/v1beta1", "StorageClass", "1.22", "storage.k8s.io/v1" },
	{ "storage.k8s.io/v1beta1", "CSIDriver", "1.22", "storage.k8s.io/v1" },
	{ "autoscaling/v2beta1", NULL, "1.25", "autoscaling/v2" },
	{ "autoscaling/v2beta2", NULL, "1.26", "autoscaling/v2" },
	{ "discovery.k8s.io/v1beta1", NULL, "1.25", "discovery.k8s.io/v1" },
	{ "node.k8s.io/v1beta1", NULL, "1.25", "node.k8s.io/v1" },
};

static const char *removed_api_fault(const char *api, const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(removed_apis); i++)
		if (streq(removed_apis[i].api, api) && (!removed_apis[i].kind || streq(removed_apis[i].kind, kind)))
			return arena_printf("has a %s of %s, which Kubernetes has no more since %s; %s%s", kind, api,
					    removed_apis[i].since,
					    removed_apis[i].instead ? "write " : "leave it out, nothing took its place",
					    str_or(removed_apis[i].instead, ""));
	return NULL;
}

static bool is_base64(const char *text)
{
	size_t digits = 0, padding = 0;

	for (; *text; text++) {
		if (*text == '\n' || *text == '\r')
			continue;
		if (*text == '=')
			padding++;
		else if (padding || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *text))
			return false;
		else
			digits++;
	}
	return (digits + padding) % 4 == 0 && padding < 3;
}

/* What lies in it is text, and that of a Secret's data is base64. */
static const char *content_fault(const struct yaml_node *doc, const char *kind)
{
	static const char *const places[] = { "data", "stringData" };
	bool secret = streq(kind, "Secret");

	if (!secret && !streq(kind, "ConfigMap"))
		return NULL;
	for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
		const struct yaml_node *map = yaml_get(doc, places[p]);

		for (size_t i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
			const struct yaml_node *v = map->items[i];
			const char *at = arena_printf("%s.%s", places[p], map->keys[i]->text);

			if (v->type == YAML_SCALAR && yaml_value(v).kind == YAML_NULL)
				continue;
			if (v->type != YAML_SCALAR || yaml_value(v).kind != YAML_TEXT)
				return arena_printf(
					"has a %s whose %s is no text, and the cluster refuses it: put it in quotes",
					kind, at);
			if (secret && p == 0 && !is_base64(v->text))
				return arena_printf(
					"has a Secret whose %s is no base64, and the cluster refuses it: write it below stringData, which takes text",
					at);
		}
	}
	return NULL;
}

static void keep_first(void *arg, const struct yaml_node *n, const char *path, const char *why)
{
	const char **first = arg;

	if (!*first)
		*first = arena_printf("has a fault at %s: %s", path, why);
}

static const char *service_fault(const struct yaml_node *doc)
{
	static const char *const types[] = { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" };
	const char *type = yaml_text_at(doc, "spec.type");

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!*type || streq(types[i], type))
			return NULL;
	return arena_printf(
		"has a Service whose spec.type is '%s', which the cluster refuses%s; there are ClusterIP, NodePort, LoadBalancer and ExternalName",
		type, did_you_mean("; ", nearest_word(type, types, ARRAY_SIZE(types))));
}

const char *chart_of_pibuild(const char *chart)
{
	static const struct {
		const char *chart, *instead;
	} owned[] = {
		{ "cilium", "cilium.valuesFile has values for it, versions.cilium its version" },
		{ "cert-manager", "certManager installs it, versions.certManager has its version" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		if (streq(chart, owned[i].chart))
			return owned[i].instead;
	return NULL;
}

/* K3s's controller would install it over what is there, with other values. */
static const char *helm_chart_fault(const struct yaml_node *doc)
{
	const char *chart = path_base(yaml_text_at(doc, "spec.chart")), *instead = chart_of_pibuild(chart);

	return instead ? arena_printf("has a HelmChart of %s, which pibuild installs itself; %s", chart, instead)
		       : NULL;
}

/* Kinds of Kubernetes's own; what those of others hold is their business. */
static const char *values_fault(const struct yaml_node *doc, const char *api)
{
	const char *first = NULL;

	if (streq(api, "v1") || streq(api, "apps/v1") || streq(api, "batch/v1"))
		api_values_check(doc, keep_first, &first);
	return first;
}

/* An object has all three; a list says of its items what they are. */
static const char *object_fault(const struct yaml_node *doc, const char *namespace)
{
	const char *kind = yaml_text_at(doc, "kind"), *api = yaml_text_at(doc, "apiVersion"), *why, *in;

	if (doc->type != YAML_MAP)
		return "is no object of Kubernetes, which has apiVersion, kind and metadata";
	if (starts_with(api, "kustomize.config.k8s.io/"))
		return "is for Kustomize; give what it makes: `kubectl kustomize DIR >FILE.yaml`";
	if (yaml_get(doc, "sops"))
		return others[0].why;
	if (*kind && *api && !ends_with(kind, "List") && !*yaml_text_at(doc, "metadata.name") &&
	    !*yaml_text_at(doc, "metadata.generateName"))
		return arena_printf("has a %s without metadata.name, which the cluster would refuse", kind);
	in = yaml_text_at(doc, "metadata.namespace");
	if (namespace && *in && !streq(in, namespace))
		return arena_printf(
			"has a %s in the namespace %s, which kubectl refuses where the app has namespace: %s; leave one of the two out",
			kind, in, namespace);
	if (*kind && *api) {
		why = removed_api_fault(api, kind);
		why = why ? why : manifest_kind_fault(api, kind);
		why = why ? why : content_fault(doc, kind);
		why = why || !streq(kind, "Service") || !streq(api, "v1") ? why : service_fault(doc);
		why = why || !streq(kind, "HelmChart") ? why : helm_chart_fault(doc);
		return why ? why : values_fault(doc, api);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (yaml_get(doc, others[i].key))
			return others[i].why;
	return arena_printf("has no %s, without which it is no object of Kubernetes", *kind ? "apiVersion" : "kind");
}

const char *manifest_fault(const char *name, const char *namespace, const char *text, size_t n)
{
	struct yaml_node **docs = NULL;
	struct err e = { 0 };
	size_t count = 0;
	bool any = false;

	if (yaml_parse_all(name, text, n, &docs, &count, &e) < 0) {
		if (e.code != -EOPNOTSUPP && memmem(text, n, "{{", 2))
			return "is a template of a chart, which only Helm can read ({{ ... }}); install the chart by chart";
		return e.code == -EILSEQ ? arena_printf("is no YAML that any program can read (%s)", e.msg) : NULL;
	}
	for (size_t i = 0; i < count; i++) {
		const char *why;

		if (docs[i]->type == YAML_MAP ? !docs[i]->count : docs[i]->type == YAML_SCALAR && !docs[i]->n)
			continue; /* "---" twice, comments alone */
		any = true;
		why = object_fault(docs[i], namespace);
		if (why)
			return why;
	}
	return any ? NULL : "has no object in it";
}
