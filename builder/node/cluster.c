/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cluster.h"

#include <stdarg.h>

#include "config/labels.h"

const char *cluster_version(const struct node_ctx *x, const char *key)
{
	return str_or(artifact_version(&x->set, key), "");
}

bool cluster_wants(const struct node_ctx *x, unsigned for_whom)
{
	return catalogue_wanted(for_whom, x->config) && (!(for_whom & FOR_GATEWAY_API) || cilium_gateway_on(x));
}

bool cluster_runs_envoy(const struct node_ctx *x)
{
	for (size_t i = 0; i < x->config->nodes.n; i++)
		if (!board_runs_envoy(x->boards[i], x->config->os.base))
			return false;
	return true;
}

static bool feature_on(const struct node_ctx *x, enum tristate wanted)
{
	return wanted != STATE_OFF && cluster_runs_envoy(x);
}

bool cilium_ingress_on(const struct node_ctx *x)
{
	return feature_on(x, x->config->cilium.ingress);
}

bool cilium_gateway_on(const struct node_ctx *x)
{
	return feature_on(x, x->config->cilium.gateway_api);
}

/* ---- labels and taints ---- */

struct text_list cluster_labels(const struct node_config *n, const struct board *board, bool registered)
{
	struct text_list list = { 0 };

	*vec_push(&list) = arena_printf("pibuild/board=%s", board->name);
	if (n->role == ROLE_WORKER && !registered)
		*vec_push(&list) = LABEL_WORKER "=true";
	vec_foreach (l, &n->labels)
		if (!registered || label_kubelet_may_set(l->key))
			*vec_push(&list) = arena_printf("%s=%s", l->key, l->value);
	return list;
}

struct text_list cluster_taints(const struct config *c, const struct node_config *n)
{
	struct text_list list = { 0 };

	if (n->role == ROLE_CONTROL_PLANE && config_taints_servers(c))
		*vec_push(&list) = TAINT_SERVER ":NoSchedule";
	vec_foreach (t, &n->taints)
		*vec_push(&list) = arena_printf("%s%s%s:%s", t->key, *t->value ? "=" : "", t->value, t->effect);
	return list;
}

uint64_t cluster_pool_size(const struct config *c)
{
	uint64_t n = 0;

	vec_foreach (p, &c->lb.pools)
		n += (uint64_t)p->range.last - p->range.first + 1;
	return n;
}

/* ---- YAML ---- */

struct entry *cluster_add_yaml(struct tree *t, const char *path, unsigned mode, const char *origin,
			       struct yaml_node *const *docs, size_t n)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };

	yaml_emit_all(docs, n, NULL, &text);
	return tree_add_file(t, path, mode, origin, text.s, text.n);
}

struct yaml_node *cluster_strings(const char *first, ...)
{
	struct yaml_node *seq = yaml_seq();
	va_list ap;

	va_start(ap, first);
	for (const char *s = first; s; s = va_arg(ap, const char *))
		yaml_append(seq, yaml_str(s));
	va_end(ap);
	return seq;
}

struct yaml_node *cluster_object(const char *api_version, const char *kind, const char *name, const char *namespace)
{
	struct yaml_node *doc = yaml_map(), *metadata;

	yaml_set(doc, "apiVersion", yaml_str(api_version));
	yaml_set(doc, "kind", yaml_str(kind));
	metadata = yaml_set(doc, "metadata", yaml_map());
	yaml_set(metadata, "name", yaml_str(name));
	if (namespace)
		yaml_set(metadata, "namespace", yaml_str(namespace));
	return doc;
}

static struct yaml_node *label_matches(struct yaml_node *spec, const char *key, const char *operator)
{
	struct yaml_node *expression = yaml_append(yaml_set_path(spec, "nodeSelector.matchExpressions", yaml_seq()),
						   yaml_map());

	yaml_set(expression, "key", yaml_str(key));
	yaml_set(expression, "operator", yaml_str(operator));
	return expression;
}

void cluster_select_nodes(struct yaml_node *spec, const struct config *c,
			  bool (*chosen)(const struct config *c, const struct node_config *n, const void *arg),
			  const void *arg)
{
	unsigned some[ROLE_COUNT] = { 0 }, all[ROLE_COUNT] = { 0 };
	struct yaml_node *names = yaml_seq();
	bool whole_servers, whole_workers;

	vec_foreach (n, &c->nodes) {
		all[n->role]++;
		if (!chosen(c, n, arg))
			continue;
		some[n->role]++;
		yaml_append(names, yaml_str(n->name));
	}
	whole_servers = some[ROLE_CONTROL_PLANE] == all[ROLE_CONTROL_PLANE];
	whole_workers = some[ROLE_WORKER] == all[ROLE_WORKER];
	if (whole_servers && whole_workers)
		return;
	if (whole_workers && !some[ROLE_CONTROL_PLANE])
		label_matches(spec, ROLE_LABEL, "DoesNotExist");
	else if (whole_servers && !some[ROLE_WORKER])
		label_matches(spec, ROLE_LABEL, "Exists");
	else
		yaml_set(label_matches(spec, "kubernetes.io/hostname", "In"), "values", names);
}
