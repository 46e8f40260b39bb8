/* SPDX-License-Identifier: Apache-2.0 */
/* One cluster into a kubeconfig that has others: its entries replaced or added, all else kept. */
#include "cmd/kubeconfig.h"

/* A list of {name, WHAT}. */
static const struct list {
	const char *key, *what;
} clusters = { "clusters", "cluster" }, users = { "users", "user" }, contexts = { "contexts", "context" };

/* An empty one is made where there is none, or nothing. */
static struct yaml_node *list_of(struct yaml_node *doc, const struct list *l)
{
	struct yaml_node *n = yaml_get(doc, l->key);

	if (!n || (n->type == YAML_SCALAR && yaml_value(n).kind == YAML_NULL) || (n->type == YAML_SEQ && !n->count))
		return yaml_set(doc, l->key, yaml_seq());
	return n;
}

static struct yaml_node *entry_named(const struct yaml_node *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (streq(yaml_text_at(list->items[i], "name"), name))
			return list->items[i];
	return NULL;
}

static void merge_put_entry(struct yaml_node *list, const struct list *l, const char *name, struct yaml_node *value)
{
	struct yaml_node *entry = entry_named(list, name);

	if (!entry) {
		entry = yaml_append(list, yaml_map());
		yaml_set(entry, "name", yaml_str(name));
	}
	yaml_set(entry, l->what, value);
}

static struct yaml_node *only_value(const struct yaml_node *own, const struct list *l)
{
	return yaml_get(yaml_get(own, l->key)->items[0], l->what);
}

static const char *only_name(const struct yaml_node *own, const struct list *l)
{
	return yaml_text_at(yaml_get(own, l->key)->items[0], "name");
}

static bool leads_here(const struct yaml_node *entry, const struct yaml_node *cluster)
{
	static const char *const marks[] = { "server", "certificate-authority-data" };
	const struct yaml_node *there = yaml_get(entry, clusters.what);

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (*yaml_text_at(cluster, marks[i]) &&
		    streq(yaml_text_at(there, marks[i]), yaml_text_at(cluster, marks[i])))
			return true;
	return false;
}

/* "homelab", else "homelab-192.168.1.10"; NULL = both are other clusters'. */
static const char *free_name(const struct yaml_node *list, const char *name, const struct yaml_node *cluster)
{
	const char *host = yaml_text_at(cluster, "server");
	const char *names[2] = { name, NULL };

	host += starts_with(host, "https://") ? strlen("https://") : 0;
	names[1] = arena_printf("%s-%.*s", name, (int)strcspn(host, ":/"), host);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct yaml_node *there = entry_named(list, names[i]);

		if (!there || leads_here(there, cluster))
			return names[i];
	}
	return NULL;
}

/* A person may have named the context as they like: one that leads to our cluster as our user will do. */
static const char *context_of(const struct yaml_node *list, const char *cluster, const char *user)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *c = yaml_get(list->items[i], contexts.what);

		if (streq(yaml_text_at(c, "cluster"), cluster) && streq(yaml_text_at(c, "user"), user))
			return yaml_text_at(list->items[i], "name");
	}
	return NULL;
}

static int check_shape(struct yaml_node *all, const char *name, struct err *e)
{
	static const struct list *const lists[] = { &clusters, &users, &contexts };
	const char *kind = yaml_text_at(all, "kind");
	bool fits = all->type == YAML_MAP && (!all->count || streq(kind, "Config"));

	for (size_t i = 0; fits && i < ARRAY_SIZE(lists); i++) {
		struct yaml_node *list = list_of(all, lists[i]);

		fits = list->type == YAML_SEQ;
		for (size_t k = 0; fits && k < list->count; k++)
			fits = list->items[k]->type == YAML_MAP;
	}
	if (fits)
		return 0;
	return err_class(e, CLASS_REFUSED, "%s is no kubeconfig, so nothing is put into it: name another file with -o",
			 name);
}

int kubeconfig_merge(struct yaml_node *all, const struct yaml_node *own, const char *name, struct kubeconfig_names *ret,
		     struct err *e)
{
	struct yaml_node *cluster = only_value(own, &clusters), *context = yaml_map();
	bool fresh = all->type == YAML_MAP && !all->count;
	int r = check_shape(all, name, e);

	if (r < 0)
		return r;
	if (fresh) {
		yaml_set(all, "apiVersion", yaml_str("v1"));
		yaml_set(all, "kind", yaml_str("Config"));
	}
	ret->cluster = free_name(yaml_get(all, clusters.key), only_name(own, &clusters), cluster);
	if (!ret->cluster)
		return err_class(
			e, CLASS_REFUSED,
			"%s has other clusters called %s already: rename them there, or write to another file with -o",
			name, only_name(own, &clusters));
	ret->user = arena_printf("admin@%s", ret->cluster);
	ret->context = context_of(yaml_get(all, contexts.key), ret->cluster, ret->user);
	merge_put_entry(yaml_get(all, clusters.key), &clusters, ret->cluster, cluster);
	merge_put_entry(yaml_get(all, users.key), &users, ret->user, only_value(own, &users));
	if (!ret->context) {
		ret->context = ret->cluster;
		if (entry_named(yaml_get(all, contexts.key), ret->context))
			ret->context = ret->user;
		yaml_set(context, "cluster", yaml_str(ret->cluster));
		yaml_set(context, "user", yaml_str(ret->user));
		merge_put_entry(yaml_get(all, contexts.key), &contexts, ret->context, context);
	}
	if (!*yaml_text_at(all, "current-context"))
		yaml_set(all, "current-context", yaml_str(ret->context));
	ret->current = streq(yaml_text_at(all, "current-context"), ret->context);
	return 0;
}
