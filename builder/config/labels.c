/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of nodes[].labels and nodes[].taints. Syntax: IsQualifiedName and IsValidLabelValue of k8s.io/apimachinery
 * pkg/util/validation; of a taint, parseTaint() of k8s.io/kubectl pkg/cmd/taint. Which labels are somebody else's
 * stands here too.
 */
#include "config/labels.h"

#include "config/internal.h"

#define WORD   "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
#define DOMAIN "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
#define KEY    "(" DOMAIN "/)?" WORD
#define KEY_WORDS                                                                                                      \
	"1 to 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends, after a domain and '/' or not"

static const char *check_label_key(const char *text)
{
	return strcspn(text, "/") > 253 && strchr(text, '/') ? "a domain has at most 253 characters" : NULL;
}

static const struct kind kind_label_key = {
	.name = "label",
	.pattern = "^" KEY "$",
	.words = "a label is " KEY_WORDS,
	.check = check_label_key,
};
static const struct kind kind_label_value = {
	.name = "value of a label",
	.pattern = "^(" WORD ")?$",
	.words =
		"the value of a label is up to 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends; '' for an empty one",
	.blank = true,
};

/* ---- whose a name is ---- */

static const char sets_itself[] = "the node sets it itself", gives_role[] = "K3s gives it to servers",
		  is_ours[] = "pibuild gives it to nodes",
		  controllers_do[] = "Kubernetes sets and removes it by the node's state";

static const struct taken_name {
	const char *name; /* what ends in '/' is all below */
	const char *why;
} taken_labels[] = {
	{ "kubernetes.io/hostname", sets_itself },
	{ "kubernetes.io/arch", sets_itself },
	{ "kubernetes.io/os", sets_itself },
	{ "beta.kubernetes.io/arch", sets_itself },
	{ "beta.kubernetes.io/os", sets_itself },
	{ "node.kubernetes.io/instance-type", sets_itself },
	{ "beta.kubernetes.io/instance-type", sets_itself },
	{ "node-role.kubernetes.io/control-plane", gives_role },
	{ "node-role.kubernetes.io/etcd", gives_role },
	{ "node-role.kubernetes.io/master", gives_role },
	{ LABEL_WORKER, is_ours },
	{ "pibuild/", is_ours },
}, taken_taints[] = {
	{ "node.kubernetes.io/", controllers_do },
	{ "node.cloudprovider.kubernetes.io/", controllers_do },
	{ "node.cilium.io/", "Cilium sets and removes it" },
	{ TAINT_SERVER, "it is what keeps workloads off servers: set cluster.taintServers: true" },
};

static const char *taken_by(const struct taken_name *names, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (ends_with(names[i].name, "/") ? starts_with(key, names[i].name) : streq(key, names[i].name))
			return names[i].why;
	return NULL;
}

static bool is_below_domain(const char *key, const char *domain)
{
	const char *slash = strchr(key, '/');
	size_t n = slash ? (size_t)(slash - key) : 0, m = strlen(domain);

	return n >= m && strncmp(key + n - m, domain, m) == 0 && (n == m || key[n - m - 1] == '.');
}

bool label_kubelet_may_set(const char *key)
{
	/* Of those that taken_labels[] leaves. */
	static const char *const allowed[] = { "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
					       "failure-domain.beta.kubernetes.io/zone",
					       "failure-domain.beta.kubernetes.io/region" };

	if (!is_below_domain(key, "kubernetes.io") && !is_below_domain(key, "k8s.io"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (streq(key, allowed[i]))
			return true;
	return is_below_domain(key, "kubelet.kubernetes.io") || is_below_domain(key, "node.kubernetes.io");
}

/* ---- labels ---- */

static void read_label(struct reading *l, const struct yaml_node *key, const struct yaml_node *n, const char *path,
		       struct node_labels *ret)
{
	const char *why = kind_text_fault(&kind_label_key, l, key->text, NULL);
	const struct field f = { .kind = &kind_label_value };
	struct node_label label = { .key = key->text };
	size_t before = l->faults->errors;

	if (why)
		return schema_fault(l, key, path, "'%s' cannot be used: %s", key->text, why);
	why = taken_by(taken_labels, ARRAY_SIZE(taken_labels), key->text);
	if (why)
		return schema_fault(l, key, path, "'%s' cannot be used: %s; choose another name", key->text, why);
	schema_read_value(l, &f, n, schema_path(path, key->text), &label.value);
	if (l->faults->errors == before)
		*vec_push(ret) = label;
}

static void labels_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	struct node_labels *labels = dst;

	if (schema_is_null(n))
		return;
	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must hold labels (name: value), not %s",
				    n->type == YAML_SEQ ? "a list" : "a single value");
	for (size_t i = 0; i < n->count; i++)
		read_label(l, n->keys[i], n->items[i], path, labels);
}

static void labels_schema(const struct field *f, json_t *out)
{
	const struct field key = { .kind = &kind_label_key };
	json_t *name = json_object();

	schema_json_value(&key, name);
	json_object_set_new(out, "type", json_pack("[s, s]", "object", "null"));
	json_object_set_new(out, "propertyNames", name);
	json_object_set_new(out, "additionalProperties",
			    json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean"));
}

const struct kind kind_labels = { .name = "map of labels", .node = labels_node, .schema = labels_schema };

/* ---- taints ---- */

#define EFFECTS "NoSchedule|PreferNoSchedule|NoExecute"

static const char *parse_taint(const struct reading *l, const char *text, void *dst)
{
	const char *colon = strrchr(text, ':'), *equals = strchr(text, '=');
	struct node_taint t = { .effect = arena_strdup(colon + 1) };
	size_t key = equals ? (size_t)(equals - text) : (size_t)(colon - text);
	const char *why;

	t.key = arena_strndup(text, key);
	t.value = equals ? arena_strndup(equals + 1, (size_t)(colon - equals - 1)) : "";
	why = check_label_key(t.key);
	if (why)
		return why;
	why = taken_by(taken_taints, ARRAY_SIZE(taken_taints), t.key);
	if (why)
		return arena_printf("%s is not for here: %s", t.key, why);
	*(struct node_taint *)dst = t;
	return NULL;
}

const struct kind kind_taint = {
	.name = "KEY=VALUE:EFFECT",
	.pattern = "^" KEY "(=(" WORD ")?)?:(" EFFECTS ")$",
	.words =
		"give KEY=VALUE:EFFECT or KEY:EFFECT, the effect NoSchedule, PreferNoSchedule or NoExecute; a key is " KEY_WORDS,
	.parse = parse_taint,
};
