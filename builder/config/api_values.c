/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: k8s.io/apimachinery pkg/api/resource/quantity.go; ObjectMeta in pkg/apis/meta/v1/types.go (labels and
 * annotations are maps of text); ValidateResourceRequirements() and service node ports in kubernetes/kubernetes
 * pkg/apis/core/validation; words: pkg/apis/core/types.go, and batch's.
 */
#include "config/api_values.h"

#include <fnmatch.h>

#include "config/values.h"
#include "schema/schema.h"

struct api_check {
	api_value_told told;
	void *arg;
};

/* Null takes away what the chart has there. */
static bool is_scalar_given(const struct yaml_node *n)
{
	return n && n->type == YAML_SCALAR && yaml_value(n).kind != YAML_NULL;
}

/* "128m" of memory is an eighth of a byte. */
static void api_memory(const struct api_check *c, const struct yaml_node *n, const char *path)
{
	double bytes;

	if (!is_scalar_given(n) || value_quantity(n->text, &bytes) < 0 || bytes <= 0 || bytes >= MIB)
		return;
	c->told(c->arg, n, path,
		arena_printf("%s is less than a mebibyte%s, with which no program starts; write 128Mi or such", n->text,
			     ends_with(n->text, "m") ? " (m stands for thousandths)" : ""));
}

static void api_amounts(const struct api_check *c, const struct yaml_node *n, const char *path)
{
	static const char *const kinds[] = { "requests", "limits" };

	for (size_t i = 0; n->type == YAML_MAP && i < ARRAY_SIZE(kinds); i++) {
		const struct yaml_node *map = yaml_get(n, kinds[i]);

		for (size_t k = 0; map && map->type == YAML_MAP && k < map->count; k++) {
			const struct yaml_node *v = map->items[k], *most = yaml_get(n, "limits");
			const char *at = schema_path(schema_path(path, kinds[i]), map->keys[k]->text);
			double value, limit;

			most = most && i == 0 ? yaml_get(most, map->keys[k]->text) : NULL;
			if (!is_scalar_given(v))
				continue;
			if (streq(map->keys[k]->text, "memory"))
				api_memory(c, v, at);
			if (value_quantity(v->text, &value) < 0)
				c->told(c->arg, v, at,
					arena_printf(
						"'%s' is no amount, and the API refuses the pod: write 512Mi, 1Gi, 500m or 0.5",
						v->text));
			else if (is_scalar_given(most) && value_quantity(most->text, &limit) == 0 && value > limit)
				c->told(c->arg, v, at,
					arena_printf("%s is more than the limit, %s, and the API refuses the pod",
						     v->text, most->text));
		}
	}
}

/* What the API takes at a key of this name, wherever it stands. */
static const struct api_words {
	const char *key; /* the end of the path */
	const char *words[5];
} api_words[] = {
	{ "ullPolicy", { "Always", "IfNotPresent", "Never" } },
	{ "ervice.type", { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" } },
	{ "erviceType", { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" } },
	{ "ternalTrafficPolicy", { "Cluster", "Local" } },
	{ "dnsPolicy", { "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None" } },
	{ "restartPolicy", { "Always", "OnFailure", "Never" } },
	{ "concurrencyPolicy", { "Allow", "Forbid", "Replace" } },
	{ "accessMode", { "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod" } },
};

static void api_word(const struct api_check *c, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; is_scalar_given(n) && *n->text && i < ARRAY_SIZE(api_words); i++) {
		const struct api_words *w = &api_words[i];
		_cleanup_strbuf_ struct strbuf all = { 0 };
		size_t count = 0;
		const char *near;

		if (!ends_with(path, w->key))
			continue;
		for (; count < ARRAY_SIZE(w->words) && w->words[count]; count++) {
			if (streq(w->words[count], n->text))
				return;
			strbuf_item(&all, ", ", w->words[count]);
		}
		near = nearest_word(n->text, w->words, count);
		c->told(c->arg, n, path,
			arena_printf("'%s' is refused by the API%s%s, which takes %s", n->text,
				     did_you_mean(" (", near), near ? ")" : "", all.s));
	}
}

/* Of metadata, and what selects by it. */
static void api_texts(const struct api_check *c, const struct yaml_node *n, const char *path)
{
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++)
		if (is_scalar_given(n->items[i]) && yaml_value(n->items[i]).kind != YAML_TEXT)
			c->told(c->arg, n->items[i], path,
				arena_printf("the value of %s must be text, or the API refuses it: put it in quotes",
					     n->keys[i]->text));
}

static void api_node_port(const struct api_check *c, const struct yaml_node *n, const char *path)
{
	unsigned port;

	if (n->type != YAML_SCALAR || yaml_value(n).kind != YAML_INT)
		return; /* a map of settings, a switch, another kind than the chart wants */
	if (value_unsigned(yaml_word(n), &port) == 0 && (!port || (port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST)))
		return;
	c->told(c->arg, n, path,
		arena_printf("%s: ports of nodes are %d to %d, and the API refuses a Service with another", n->text,
			     NODE_PORT_FIRST, NODE_PORT_LAST));
}

static const struct {
	const char *key; /* fnmatch(3) */
	void (*run)(const struct api_check *c, const struct yaml_node *n, const char *path);
} keys[] = {
	{ "resources", api_amounts },
	{ "*[aA]nnotations", api_texts },
	{ "*[lL]abels", api_texts },
	{ "*odePort", api_node_port },
};

static void api_value_at(void *arg, const char *key, const struct yaml_node *n, const char *path)
{
	api_word(arg, n, path);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (fnmatch(keys[i].key, key, 0) == 0)
			keys[i].run(arg, n, path);
}

void api_values_check(const struct yaml_node *values, api_value_told told, void *arg)
{
	schema_each_key(values, api_value_at, &(struct api_check){ told, arg });
}
