/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include <sys/stat.h>

#include "base/data.h"
#include "base/file.h"
#include "node/cluster.h"

static const struct {
	const char *name;
	int (*add)(const struct node_ctx *x, struct tree *t, struct err *e);
} contributors[] = {
	{ "host", node_add_host },
	{ "access", node_add_access },
	{ "network", node_add_network },
	{ "proxy", node_add_proxy },
	{ "settings", node_add_settings },
	{ "boot", node_add_boot },
	{ "healing", node_add_healing },
	{ "k3s", node_add_k3s },
	{ "kube-vip", node_add_kube_vip },
	{ "kubelet", node_add_kubelet },
	{ "registries", node_add_registries },
	{ "cilium", node_add_cilium },
	{ "cert-manager", node_add_cert_manager },
	{ "gateway", node_add_gateway },
	{ "apps", node_add_apps },
	{ "packages", node_add_packages },
	{ "data disk", node_add_data_disk },
	{ "images", node_add_images },
	{ "backup", node_add_backup },
	{ "restore", node_add_restore },
	{ "first boot", node_add_first_boot },
	{ "facts", node_add_facts },
	{ "units", node_add_units },
	{ "release", node_add_release }, /* last: lists the others' artifacts */
};

/* By role alone: all nodes of a role share one layer. */
static unsigned audience(const struct node_ctx *x)
{
	return x->node->role == ROLE_WORKER ? FOR_WORKER : FOR_CONTROL_PLANE;
}

static int add_card_artifacts(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct pin pin;
	int r;

	vec_foreach (a, &x->set.catalogue->artifacts) {
		if (!(a->for_whom & audience(x)) || !cluster_wants(x, a->for_whom))
			continue;
		r = artifact_pin(&x->set, a->name, &pin, e);
		if (r < 0)
			return r;
		tree_add_artifact(t, &pin);
	}
	return 0;
}

static int add_shipped_overlays(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const char *const names[] = { "common", role_names[x->node->role] };
	const char *dir;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		r = data_path(arena_printf("overlays/%s", names[i]), &dir, e);
		if (r < 0)
			return r;
		r = tree_add_overlay(t, dir, arena_printf("overlay %s", names[i]), LAYER_ROLE, e);
		if (r < 0)
			return r;
	}
	return 0;
}

bool node_overlays_shipped(const char *dir)
{
	struct err ignored = { 0 };
	struct stat a, b;
	const char *shipped;

	return data_path("overlays", &shipped, &ignored) == 0 && stat(dir, &a) == 0 && stat(shipped, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Where only an overlay brings something into a folder that has to be root's alone. */
static void close_private_dirs(struct tree *t)
{
	for (const char *const *dir = place_private_dirs; *dir; dir++) {
		const char *below = arena_printf("%s/", *dir);
		bool used = false;

		vec_foreach (n, &t->entries)
			used |= starts_with(n->path, below);
		if (used && !tree_find(t, *dir))
			tree_add_dir(t, *dir, 0700, "generated: private");
	}
}

static int add_user_overlays(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const char *const names[] = { "common", role_names[x->node->role], x->node->name };

	if (!x->user_overlays || node_overlays_shipped(x->user_overlays))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *dir = path_join(x->user_overlays, names[i]);
		int r = tree_add_overlay(t, dir, arena_printf("your overlays/%s", names[i]), LAYER_NODE, e);

		if (r < 0)
			return r;
	}
	close_private_dirs(t);
	node_own_home(x->config, t);
	return 0;
}

int node_render_own(const struct node_ctx *x, struct tree *t, struct err *e)
{
	int r = add_shipped_overlays(x, t, e);

	if (r < 0)
		return r;
	r = add_card_artifacts(x, t, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(contributors); i++) {
		r = contributors[i].add(x, t, e);
		if (r < 0)
			return err_wrap(e, "node %s: %s", x->node->name, contributors[i].name);
	}
	return 0;
}

int node_render(const struct node_ctx *x, struct tree *t, struct err *e)
{
	int r = node_render_own(x, t, e);

	if (r < 0)
		return r;
	r = add_user_overlays(x, t, e);
	if (r < 0)
		return r;
	tree_sort(t);
	return 0;
}
