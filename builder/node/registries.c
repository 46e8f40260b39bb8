/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/rancher/k3s/registries.yaml: where containerd gets images from, on every node the same. K3s reads it at its
 * start (docs.k3s.io installation/private-registry). With `share` every registry is asked for among the other nodes
 * first (installation/registry-mirror): servers say embedded-registry, every node has the mirror '*'.
 */
#include "config/registries.h"

#include "base/file.h"
#include "node/cluster.h"

static const char origin[] = "generated: registries";

#define CA_DIR "/etc/rancher/k3s/registry-ca"

/* KEY is a host, whose dots are part of it. */
static struct yaml_node *map_at(struct yaml_node *map, const char *key)
{
	struct yaml_node *found = yaml_get(map, key);

	return found ? found : yaml_set(map, key, yaml_map());
}

static struct yaml_node *registry_mirrors(const struct config *c)
{
	struct yaml_node *map = yaml_map();

	vec_foreach (m, &c->registries.mirrors) {
		struct yaml_node *endpoints = yaml_set(map_at(map, m->from), "endpoint", yaml_seq());

		vec_foreach (url, &m->to)
			yaml_append(endpoints, yaml_str(*url));
	}
	if (c->registries.share)
		map_at(map, "*");
	return map;
}

/* One file on the card per mirror that has one, by its place in cluster.yaml. */
static int add_registry_ca(const struct config *c, const struct registry_mirror *m, struct yaml_node *configs,
			   struct tree *t, struct err *e)
{
	const char *path = arena_printf(CA_DIR "/%zu.pem", (size_t)(m - c->registries.mirrors.v));
	_cleanup_free_ char *pem = NULL;
	size_t n;
	int r;

	if (!m->ca_file)
		return 0;
	r = file_read(m->ca_file, MIB, &pem, &n, e);
	if (r < 0)
		return r;
	tree_add_dir(t, CA_DIR, 0700, origin);
	tree_add_file(t, path, 0600, origin, pem, n);
	vec_foreach (url, &m->to)
		yaml_set(map_at(map_at(configs, registry_host(*url)), "tls"), "ca_file", yaml_str(path));
	return 0;
}

static int add_registry_auth(const struct node_ctx *x, const struct registry_auth *a, struct yaml_node *configs,
			     struct err *e)
{
	struct yaml_node *auth = map_at(map_at(configs, a->registry), "auth");
	const char *text;
	size_t n;
	int r = secret_resolve(&a->password, x->secret_use, &text, &n, e);

	if (r < 0)
		return err_wrap(e, "registries.auth of %s", a->registry);
	yaml_set(auth, "username", yaml_str(a->username));
	yaml_set(auth, "password", yaml_strn(text, n));
	return 0;
}

int node_add_registries(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;
	struct yaml_node *doc = yaml_map(), *configs = yaml_map();
	int r = 0;

	if (!registries_given(c))
		return 0;
	vec_foreach (m, &c->registries.mirrors)
		if (r == 0)
			r = add_registry_ca(c, m, configs, t, e);
	vec_foreach (a, &c->registries.auth)
		if (r == 0)
			r = add_registry_auth(x, a, configs, e);
	if (r < 0)
		return r;
	if (c->registries.mirrors.n || c->registries.share)
		yaml_set(doc, "mirrors", registry_mirrors(c));
	if (configs->count)
		yaml_set(doc, "configs", configs);
	cluster_add_yaml(t, "/etc/rancher/k3s/registries.yaml", 0600, origin, &doc, 1)->secret = c->registries.auth.n >
												 0;
	return 0;
}
