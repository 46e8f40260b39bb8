/* SPDX-License-Identifier: Apache-2.0 */
/*
 * airgap: the container images of Cilium, cert-manager and kube-vip in one archive, those of each app in one of its
 * own, which K3s imports before the kubelet starts. Every node holds all of them: which pod runs where is decided
 * later. K3s's own images come as an artifact.
 */
#include "node/cluster.h"

#define ARCHIVE	    "/var/lib/rancher/k3s/agent/images/pibuild-images.tar"
#define APP_ARCHIVE "/var/lib/rancher/k3s/agent/images/pibuild-app-%s.tar"

/* A key that neither we nor the user set is up to the chart: rather too many images than one too few. */
static bool wants_image(const struct node_ctx *x, const struct yaml_node *values, const struct image *i)
{
	const struct yaml_node *v = i->when ? yaml_find(values, i->when) : NULL;

	return cluster_wants(x, i->for_whom) && !yaml_is(v, "false");
}

int node_images(const struct node_ctx *x, struct images *ret, struct err *e)
{
	const struct yaml_node *values = cilium_values(x, NULL);

	vec_foreach (i, &x->set.catalogue->images) {
		struct image_pin p = { .name = i->name };
		struct err unknown = { 0 };

		if (!wants_image(x, values, i))
			continue;
		if (image_pin(&x->set, i, &p, &unknown) < 0 && x->config->airgap) {
			*e = unknown;
			return e->code;
		}
		*vec_push(&ret->v) = p;
	}
	return 0;
}

/* One that is in an earlier archive is not in this one. */
static struct images *images_beside(const struct images *images, const struct images *before)
{
	struct images *ret = arena_new(struct images);

	vec_foreach (i, &images->v) {
		bool there = false;

		vec_foreach (b, &before->v)
			there |= streq(image_ref(i), image_ref(b));
		if (!there)
			*vec_push(&ret->v) = *i;
	}
	return ret;
}

static int images_add_app(const struct node_ctx *x, const struct images *before, struct tree *t, struct err *e)
{
	struct images all = { 0 };

	vec_foreach (i, &before->v)
		*vec_push(&all.v) = *i;
	vec_foreach (a, &x->config->apps) {
		struct images found = { 0 }, *own;
		int r = app_images(&x->set, a, &found, e);

		if (r < 0)
			return r;
		own = images_beside(&found, &all);
		if (own->v.n)
			tree_add_images(t, arena_printf(APP_ARCHIVE, a->name), own);
		vec_foreach (i, &own->v)
			*vec_push(&all.v) = *i;
	}
	return 0;
}

int node_add_images(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct images *images = arena_new(struct images);
	int r;

	if (!x->config->airgap)
		return 0;
	r = node_images(x, images, e);
	if (r < 0)
		return r;
	if (images->v.n)
		tree_add_images(t, ARCHIVE, images);
	return images_add_app(x, images, t, e);
}
