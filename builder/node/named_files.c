/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that flags of K3s's programs name, and that nothing brings onto the card: the program ends at once, and K3s
 * with it, at every start. An audit policy, say, that a guide writes by hand on a server that runs.
 */
#include "node/node.h"

static const struct {
	const char *key, *flag;
} named[] = {
	{ "kube-apiserver-arg", "admission-control-config-file" },
	{ "kube-apiserver-arg", "audit-policy-file" },
	{ "kube-apiserver-arg", "audit-webhook-config-file" },
	{ "kube-apiserver-arg", "authentication-config" },
	{ "kube-apiserver-arg", "authentication-token-webhook-config-file" },
	{ "kube-apiserver-arg", "authorization-config" },
	{ "kube-apiserver-arg", "authorization-webhook-config-file" },
	{ "kube-apiserver-arg", "oidc-ca-file" },
	{ "kube-apiserver-arg", "tracing-config-file" },
	{ "kube-scheduler-arg", "config" },
};

/* What ARG names when it is such a flag, on the card and not of the base; NULL = nothing. */
static const char *named_file(const char *key, const char *arg)
{
	static const char *const of_base[] = { "/usr/", "/etc/ssl/", "/etc/ca-certificates" };
	const char *flag = arg + strspn(arg, "-"), *value = strchr(flag, '=');

	for (size_t i = 0; value && i < ARRAY_SIZE(named); i++) {
		if (!streq(key, named[i].key) || strncmp(flag, named[i].flag, (size_t)(value - flag)) != 0 ||
		    named[i].flag[value - flag] || value[1] != '/')
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(of_base); k++)
			if (starts_with(value + 1, of_base[k]))
				return NULL;
		return value + 1;
	}
	return NULL;
}

/* CARD is what is on it, made for the first that asks. */
static void check_named(const struct node_ctx *x, struct tree *card, const char *key, size_t i, const char *arg,
			struct faults *f)
{
	const char *path = named_file(key, arg);
	struct err ignored = { 0 }; /* whoever builds is told */

	if (!path || (!card->entries.n && node_render(x, card, &ignored) < 0) || tree_find(card, path))
		return;
	fault_key(
		f, x->config, arena_printf("k3s.server.%s[%zu]", key, i),
		"k3s.server.%s[%zu]: %s: nothing brings %s onto the card of %s, and K3s does not start without it; put it into overlays/control-plane%s",
		key, i, arg, path, x->node->name, path);
}

void node_check_named_files(const struct node_ctx *nodes, size_t n, struct faults *f)
{
	const struct node_ctx *x = NULL;
	struct tree card = { 0 };

	for (size_t i = 0; i < n && !x; i++)
		if (node_is_first_server(&nodes[i]))
			x = &nodes[i];
	if (!x || !config_base_named(x->config->os.base))
		return; /* an image of one's own may have it */
	vec_foreach (s, &x->config->k3s.server)
		for (size_t i = 0; s->value->type == YAML_SEQ && i < s->value->count; i++)
			check_named(x, &card, s->key, i, str_or(s->value->items[i]->text, ""), f);
}
