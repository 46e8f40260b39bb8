/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind of k3s.kubelet: fields of KubeletConfiguration. Which there are, and of what kind, says
 * configs/names/kubelet-keys.txt, made from kubernetes/kubelet config/v1beta1/types.go. The kubelet reads strictly:
 * with a field that it does not know, or a number where it wants text, it ends, and K3s with it, at every start. What
 * is a structure of its own is handed on as it stands.
 */
#include "config/kubelet.h"

#include <errno.h>

#include "config/check.h"
#include "config/compat.h"
#include "config/kinds.h"
#include "config/names.h"
#include "config/settings.h"

/* ---- fields that pibuild or K3s own ---- */

static const char is_k3s_business[] = "K3s makes it known to the kubelet itself", leave_field_out[] = "leave it out";

static const struct owned_field {
	const char *name, *why, *instead;
} owned_fields[] = {
	{ "apiVersion", "pibuild writes it", leave_field_out },
	{ "kind", "pibuild writes it", leave_field_out },
	{ "address", is_k3s_business, leave_field_out },
	{ "port", "the API, Cilium and metrics look for it at 10250", leave_field_out },
	{ "authentication", is_k3s_business, leave_field_out },
	{ "authorization", is_k3s_business, leave_field_out },
	{ "tlsCertFile", is_k3s_business, leave_field_out },
	{ "tlsPrivateKeyFile", is_k3s_business, leave_field_out },
	{ "rotateCertificates", "K3s makes its certificates", leave_field_out },
	{ "serverTLSBootstrap", "K3s makes its certificates", leave_field_out },
	{ "clusterDNS", is_k3s_business, "set cluster-dns below k3s.server" },
	{ "clusterDomain", "Hubble and what charts bring count on cluster.local", leave_field_out },
	{ "resolvConf", "pods ask the name servers that the nodes ask", "set network.nameservers" },
	{ "staticPodPath", is_k3s_business, leave_field_out },
	{ "staticPodURL", "what a node runs would be another machine's to say", leave_field_out },
	{ "containerRuntimeEndpoint", is_k3s_business, leave_field_out },
	{ "imageServiceEndpoint", is_k3s_business, leave_field_out },
	{ "cgroupDriver", is_k3s_business, leave_field_out },
	{ "cgroupRoot", is_k3s_business, leave_field_out },
	{ "podCIDR", "Cilium gives nodes their networks", "set cluster.podCIDR" },
	{ "providerID", is_k3s_business, leave_field_out },
	{ "registerNode", "the cluster has to know the node", leave_field_out },
	{ "registerWithTaints", "every node would have the same", "set nodes[].taints" },
	{ "enableServer", "the API asks the kubelet for logs and shells", leave_field_out },
	{ "protectKernelDefaults", "the kernel has to be set for it too",
	  "set protect-kernel-defaults below k3s.server and k3s.agent" },
};

static const struct owned_field *owned_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned_fields); i++)
		if (streq(owned_fields[i].name, name))
			return &owned_fields[i];
	return NULL;
}

/* ---- values ---- */

static struct yaml_node *kubelet_number(struct reading *l, const struct yaml_node *n, const char *path)
{
	const enum yaml_kind kind = yaml_value(n).kind;
	struct yaml_node *v;

	if (n->type != YAML_SCALAR || (kind != YAML_INT && kind != YAML_FLOAT)) {
		schema_fault(l, n, path, "must be a number, without quotes");
		return yaml_int(0);
	}
	v = yaml_str(yaml_word(n));
	v->plain = true;
	return v;
}

static struct yaml_node *map_of(struct reading *l, const struct yaml_node *n, const char *path, setting_fn read)
{
	struct yaml_node *map = yaml_map();

	if (n->type != YAML_MAP || !n->count)
		schema_fault(l, n, path, "must hold keys (name: value)");
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++)
		yaml_set(map, n->keys[i]->text, read(l, n->items[i], schema_path(path, n->keys[i]->text)));
	return map;
}

static struct yaml_node *map_of_texts(struct reading *l, const struct yaml_node *n, const char *path)
{
	return map_of(l, n, path, setting_text);
}

static struct yaml_node *map_of_booleans(struct reading *l, const struct yaml_node *n, const char *path)
{
	return map_of(l, n, path, setting_bool);
}

static struct yaml_node *kubelet_structure(struct reading *l, const struct yaml_node *n, const char *path)
{
	if (n->type == YAML_SCALAR)
		schema_fault(l, n, path,
			     "must be a map or a list, as the documentation of KubeletConfiguration has it");
	return unconst(n);
}

static const struct kubelet_kind {
	const char *name;
	setting_fn read;
	const char *json;
} kubelet_kinds[] = {
	{ "boolean", setting_bool, "{\"type\": \"boolean\"}" },
	{ "number", kubelet_number, "{\"type\": \"number\"}" },
	{ "text", setting_text, "{\"type\": [\"string\", \"number\"]}" },
	{ "duration", setting_duration, "{\"type\": \"string\"}" },
	{ "list", setting_list, "{\"type\": \"array\", \"items\": {\"type\": [\"string\", \"number\"]}}" },
	{ "texts", map_of_texts,
	  "{\"type\": \"object\", \"additionalProperties\": {\"type\": [\"string\", \"number\"]}}" },
	{ "booleans", map_of_booleans, "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"boolean\"}}" },
	{ "structure", kubelet_structure, "{\"type\": [\"object\", \"array\"]}" },
};

static const struct kubelet_kind *kubelet_kind(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(kubelet_kinds); i++)
		if (streq(kubelet_kinds[i].name, word))
			return &kubelet_kinds[i];
	return NULL;
}

/* ---- the map ---- */

static const char *nearest_field(const char *text)
{
	const struct name *all = NULL;
	struct err ignored = { 0 };
	const char **words;
	size_t n = 0, count = 0;

	if (names_all(NAMES_KUBELET_KEYS, &all, &n, &ignored) < 0)
		return NULL;
	words = arena_alloc((n + 1) * sizeof(*words));
	for (size_t i = 0; i < n; i++)
		if (!owned_field(all[i].name))
			words[count++] = all[i].name;
	return nearest_word(text, words, count);
}

static void read_field(struct reading *l, const struct yaml_node *key, const struct yaml_node *n, const char *path,
		       struct yaml_node *ret)
{
	const struct owned_field *owned = owned_field(key->text);
	const struct kubelet_kind *kind;
	const struct name *found = NULL;
	struct err e = { 0 };
	const char *near;

	if (owned)
		return schema_fault(l, key, path, "cannot be set here: %s; %s", owned->why, owned->instead);
	if (names_find(NAMES_KUBELET_KEYS, key->text, &found, &e) < 0)
		return schema_fault(l, key, path, "%s", faults_reason(l->faults, &e));
	kind = found ? kubelet_kind(str_or(found->instead, "")) : NULL;
	near = kind ? NULL : nearest_field(key->text);
	if (kind)
		yaml_set(ret, key->text, kind->read(l, n, path));
	else if (near)
		schema_fault(l, key, path, "KubeletConfiguration has no such field; did you mean '%s'?", near);
	else
		schema_fault(l, key, path, "KubeletConfiguration has no such field; %s lists those there are",
			     names_path(NAMES_KUBELET_KEYS));
}

static void kubelet_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			 void *dst)
{
	struct yaml_node *map = yaml_map();

	if (schema_is_null(n))
		return;
	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must hold fields of KubeletConfiguration (name: value), not %s",
				    n->type == YAML_SEQ ? "a list" : "a single value");
	for (size_t i = 0; i < n->count; i++)
		read_field(l, n->keys[i], n->items[i], schema_path(path, n->keys[i]->text), map);
	*(const struct yaml_node **)dst = map;
}

static void kubelet_schema(const struct field *f, json_t *out)
{
	json_t *properties = json_object();
	const struct name *all = NULL;
	struct err ignored = { 0 };
	size_t n = 0;

	if (names_all(NAMES_KUBELET_KEYS, &all, &n, &ignored) < 0)
		n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kubelet_kinds); i++) {
		_cleanup_strbuf_ struct strbuf names = { 0 };

		for (size_t k = 0; k < n; k++)
			if (streq(str_or(all[k].instead, ""), kubelet_kinds[i].name) && !owned_field(all[k].name))
				strbuf_addf(&names, "%s%s", names.n ? "|" : "", all[k].name);
		if (names.n)
			json_object_set_new(properties, arena_printf("^(%s)$", names.s),
					    json_loads(kubelet_kinds[i].json, 0, NULL));
	}
	json_object_set_new(out, "type", json_pack("[s, s]", "object", "null"));
	json_object_set_new(out, "patternProperties", properties);
	json_object_set_new(out, "additionalProperties", json_boolean(n == 0));
}

const struct kind kind_kubelet = {
	.name = "fields of KubeletConfiguration",
	.node = kubelet_node,
	.schema = kubelet_schema,
};

/* ---- checks ---- */

/* Cilium gives each node a /24 for its pods. */
enum { MOST_PODS = 250 };

static bool kubelet_ms(const struct config *c, const char *key, uint64_t *ret)
{
	const struct yaml_node *n = c->k3s.kubelet ? yaml_get(c->k3s.kubelet, key) : NULL;

	return n && value_duration(n->text, ret) == 0;
}

struct kubelet_grace kubelet_grace(const struct config *c)
{
	struct kubelet_grace g = { .all = 60000 };

	kubelet_ms(c, "shutdownGracePeriod", &g.all);
	if (!kubelet_ms(c, "shutdownGracePeriodCriticalPods", &g.critical))
		g.critical = MIN(g.all / 3, (uint64_t)20000);
	return g;
}

/* Swap is on wherever the base has it, into memory at least. */
static bool has_swap(const struct config *c)
{
	return c->os.swap != SWAP_OFF && !streq(str_or(c->os.base, ""), "debian");
}

static const char *swap_fault(const struct config *c, const char *value)
{
	return streq(value, "true") && has_swap(c)
		       ? "with true the kubelet ends where there is swap, and K3s with it, at every start; set os.swap: off, or leave it out"
		       : NULL;
}

static const char *pods_fault(const char *value)
{
	unsigned most;

	return value_unsigned(value, &most) == 0 && most > MOST_PODS
		       ? arena_printf(
				 "a node has addresses for some %d pods, a /24 of cluster.podCIDR; %u would wait for one",
				 MOST_PODS, most)
		       : NULL;
}

/* "resolv-conf" is resolvConf. */
static bool flag_is_field(const char *flag, const char *field)
{
	_cleanup_strbuf_ struct strbuf bare = { 0 };

	for (; *flag; flag++)
		if (*flag != '-')
			strbuf_add(&bare, flag, 1);
	return strcasecmp(str_or(bare.s, ""), field) == 0;
}

/* A value of a flag that is none of the kind of its field: the kubelet ends. */
static const char *flag_kind_fault(const char *kind, const struct yaml_node *value)
{
	enum yaml_kind is = yaml_value(value).kind;
	uint64_t ms;

	if (streq(kind, "number") && is != YAML_INT && is != YAML_FLOAT)
		return "the kubelet takes a number";
	if (streq(kind, "duration") && !streq(value->text, "0") && value_duration(value->text, &ms) < 0)
		return "the kubelet takes a time such as 30s or 1m";
	return NULL;
}

/* Of a flag that is called as a field is. */
static const char *kubelet_flag_value_fault(const char *flag, const char *value, struct faults *f)
{
	struct yaml_node *n = yaml_str(value);
	const struct name *all = NULL;
	struct err e = { 0 };
	size_t count = 0;

	n->plain = true; /* a number, if it is one */
	if (names_all(NAMES_KUBELET_KEYS, &all, &count, &e) < 0)
		return faults_reason(f, &e);
	for (size_t i = 0; i < count; i++) {
		const char *why = NULL;

		if (!flag_is_field(flag, all[i].name))
			continue;
		why = flag_kind_fault(str_or(all[i].instead, ""), n);
		why = why ? why : kubelet_value_fault(all[i].name, n);
		return why ? why : kubelet_amounts_fault(all[i].name, value);
	}
	return NULL;
}

const char *kubelet_flag_fault(const struct config *c, const char *flag, const char *value, struct faults *f)
{
	const char *why = streq(flag, "fail-swap-on") ? swap_fault(c, value)
			  : streq(flag, "max-pods")   ? pods_fault(value)
						      : NULL;

	if (why)
		return arena_printf("cannot be %s: %s", value, why);
	for (size_t i = 0; i < ARRAY_SIZE(owned_fields); i++)
		if (flag_is_field(flag, owned_fields[i].name))
			return arena_printf("cannot be set here: %s; %s", owned_fields[i].why, owned_fields[i].instead);
	why = kubelet_flag_value_fault(flag, value, f);
	return why ? arena_printf("cannot be %s: %s", value, why) : NULL;
}

void check_kubelet(const struct check *x)
{
	const struct config *c = x->config;
	const struct kubelet_grace grace = kubelet_grace(c);
	const struct yaml_node *pods, *swap;
	const char *why;

	if (!c->k3s.kubelet)
		return;
	if (x->versions->k3s && !compat_k3s_kubelet_dropins(x->versions->k3s))
		fault_key(
			x->faults, c, "k3s.kubelet",
			"k3s.kubelet: K3s %s does not read it; take 1.32 or later, or pass kubelet-arg below k3s.server and k3s.agent",
			x->versions->k3s);
	if (grace.critical > grace.all)
		fault_key(
			x->faults, c, "k3s.kubelet",
			"k3s.kubelet: of a shutdownGracePeriod of %llus, %llus are for critical pods (shutdownGracePeriodCriticalPods), and the kubelet ends when they are more; make them fewer",
			(unsigned long long)grace.all / 1000, (unsigned long long)grace.critical / 1000);
	if (yaml_get(c->k3s.kubelet, "shutdownGracePeriodByPodPriority") &&
	    yaml_get(c->k3s.kubelet, "shutdownGracePeriod"))
		fault_key(
			x->faults, c, "k3s.kubelet.shutdownGracePeriodByPodPriority",
			"k3s.kubelet.shutdownGracePeriodByPodPriority: the kubelet takes this or shutdownGracePeriod; remove one");
	pods = yaml_get(c->k3s.kubelet, "maxPods");
	why = pods ? pods_fault(pods->text) : NULL;
	if (why)
		fault_key(x->faults, c, "k3s.kubelet.maxPods", "k3s.kubelet.maxPods: %s", why);
	swap = yaml_get(c->k3s.kubelet, "failSwapOn");
	why = swap ? swap_fault(c, yaml_word(swap)) : NULL;
	if (why)
		fault_key(x->faults, c, "k3s.kubelet.failSwapOn", "k3s.kubelet.failSwapOn: %s", why);
	check_kubelet_values(x);
}

/* ---- a file of the drop-in folder ---- */

/* MAP with the keys of OVER, each as a whole, in their place. */
static struct yaml_node *fields_over(const struct yaml_node *map, const struct yaml_node *over)
{
	struct yaml_node *both = yaml_map();
	const struct yaml_node *const maps[] = { map, over };

	for (size_t m = 0; m < ARRAY_SIZE(maps); m++)
		for (size_t i = 0; maps[m] && maps[m]->type == YAML_MAP && i < maps[m]->count; i++)
			yaml_set(both, maps[m]->keys[i]->text, maps[m]->items[i]);
	return both;
}

/* kubernetes/kubernetes pkg/kubelet/kubeletconfig/configfiles: read strictly, and an empty file is an error. */
const char *kubelet_drop_in_fault(const struct config *c, const struct cluster_versions *versions, const char *name,
				  const char *text)
{
	struct faults faults = { 0 };
	struct reading l = { .faults = &faults };
	struct yaml_node *doc, *fields = yaml_map(), *all = yaml_map();
	const struct yaml_node *read = NULL;
	const struct fault *first;
	struct config both = *c;
	struct err e = { 0 };
	const char *words;

	if (yaml_parse(name, text, strlen(text), &doc, &e) < 0)
		return e.code == -EOPNOTSUPP ? NULL : arena_printf("is no YAML that the kubelet can read (%s)", e.msg);
	if (!streq(yaml_text_at(doc, "apiVersion"), "kubelet.config.k8s.io/v1beta1") ||
	    !streq(yaml_text_at(doc, "kind"), "KubeletConfiguration"))
		return "does not say both apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration, and without them the kubelet ends, and K3s with it, at every start; write them at its top";
	for (size_t i = 0; i < doc->count; i++)
		if (!streq(doc->keys[i]->text, "apiVersion") && !streq(doc->keys[i]->text, "kind")) {
			yaml_set(fields, doc->keys[i]->text, doc->items[i]);
			fields->keys[fields->count - 1] = doc->keys[i];
		}
	kubelet_node(&l, NULL, fields, "", &read);
	both.k3s.kubelet = fields_over(c->k3s.kubelet, read);
	both.doc = all;
	yaml_set_path(all, "k3s.kubelet", fields_over(yaml_find(c->doc, "k3s.kubelet"), fields));
	if (!faults.errors)
		check_kubelet(&(struct check){ &both, versions, &faults });
	first = faults_first_in(&faults, name);
	if (!first)
		return NULL;
	words = first->msg + (starts_with(first->msg, "k3s.kubelet.") ? strlen("k3s.kubelet.") : 0);
	return arena_printf("has in line %u what the kubelet does not go with: %s", first->line, words);
}
