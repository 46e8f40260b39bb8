/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/pibuild/release.json: what is on the card, for people, for first boot and for `pibuild inspect`. */
#include <errno.h>

#include "base/json.h"
#include "config/born.h"
#include "node/node.h"

static json_t *release_pin(const struct pin *p)
{
	return json_pack("{s:s, s:s, s:s?}", "name", p->name, "version", p->version, "sha256", p->sha256);
}

static json_t *release_images(const struct tree *t)
{
	json_t *list = json_array();

	vec_foreach (n, &t->entries)
		for (size_t i = 0; n->source == SOURCE_IMAGES && i < n->images->v.n; i++) {
			const struct image_pin *p = &n->images->v.v[i];

			json_array_append_new(list, json_pack("{s:s, s:s*, s:s?}", "name", p->name, "tag", p->tag,
							      "sha256", p->sha256));
		}
	return list;
}

int node_add_release(const struct node_ctx *x, struct tree *t, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	json_t *artifacts = json_array();
	struct pin base;
	char *text;
	int r = artifact_pin_base(&x->set, &base, e);

	if (r < 0)
		return json_decref(artifacts), r;
	vec_foreach (n, &t->entries)
		if (n->source == SOURCE_ARTIFACT)
			json_array_append_new(artifacts, release_pin(&n->pin));
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "apiVersion", "pibuild/v1", "cluster",
		      x->config->cluster.name, "node", x->node->name, "role", role_names[x->node->role], "board",
		      x->board->name, "pibuild", PIBUILD_VERSION, "time", (json_int_t)x->epoch, "base",
		      release_pin(&base), "artifacts", artifacts, "images", release_images(t));
	if (j && x->node->role == ROLE_CONTROL_PLANE)
		json_object_set_new(j, "born", born_json(x->config));
	text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "cannot write release.json");
	tree_add_text(t, "/etc/pibuild/release.json", 0644, "generated: release", arena_printf("%s\n", text));
	free(text);
	return 0;
}
