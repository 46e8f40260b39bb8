/* SPDX-License-Identifier: Apache-2.0 */
#include "config/manifest.h"

#include <errno.h>

#include "base/util.h"
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

/* An object has all three; a list says of its items what they are. */
static const char *object_fault(const struct yaml_node *doc)
{
	const char *kind = yaml_text_at(doc, "kind"), *api = yaml_text_at(doc, "apiVersion");

	if (doc->type != YAML_MAP)
		return "is no object of Kubernetes, which has apiVersion, kind and metadata";
	if (starts_with(api, "kustomize.config.k8s.io/"))
		return "is for Kustomize; give what it makes: `kubectl kustomize DIR >FILE.yaml`";
	if (yaml_get(doc, "sops"))
		return others[0].why;
	if (*kind && *api)
		return ends_with(kind, "List") || *yaml_text_at(doc, "metadata.name") ||
				       *yaml_text_at(doc, "metadata.generateName")
			       ? NULL
			       : arena_printf("has a %s without metadata.name, which the cluster would refuse", kind);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (yaml_get(doc, others[i].key))
			return others[i].why;
	return arena_printf("has no %s, without which it is no object of Kubernetes", *kind ? "apiVersion" : "kind");
}

const char *manifest_fault(const char *name, const char *text, size_t n)
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
		why = object_fault(docs[i]);
		if (why)
			return why;
	}
	return any ? NULL : "has no object in it";
}
