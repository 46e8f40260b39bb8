/* SPDX-License-Identifier: Apache-2.0 */
/* Generic images: a role's layer as a file, and whether it is the one that a node of this cluster starts from. */
#include <errno.h>

#include "build/internal.h"

void generic_close(struct generic *g)
{
	image_close(&g->image);
	json_decref(g->manifest);
	*g = (struct generic){ 0 };
}

static int no_generic(struct err *e)
{
	err_blame(e, CLASS_USAGE);
	if (e->class != CLASS_USAGE)
		return e->code;
	return err_class(e, CLASS_USAGE, "%s (--node wants a generic image: pibuild build --generic)",
			 arena_strdup(e->msg));
}

static int generic_parse(struct generic *g, struct err *e)
{
	const char *name = cow_name(g->image.cow), *text;

	if (manifest_read(&g->image, &text, e) < 0)
		return no_generic(e);
	g->manifest = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!g->manifest || records_parse(json_object_get(g->manifest, "files"), &g->records, e) < 0)
		return err_class(e, CLASS_VERIFY, "%s: its %s is damaged", name, MANIFEST_PATH);
	g->node = json_clean_or(g->manifest, "node", "");
	g->role = json_clean_or(g->manifest, "role", "");
	return 0;
}

int generic_read(const char *path, struct generic *ret, struct err *e)
{
	int r;

	*ret = (struct generic){ 0 };
	r = image_open(path, IMAGE_ROOT, &ret->image, e);
	if (r < 0)
		return ret->image.cow ? no_generic(e) : r;
	return generic_parse(ret, e);
}

int generic_open(const char *path, struct generic *ret, struct err *e)
{
	int r = generic_read(path, ret, e);

	if (r < 0 || !*ret->node)
		return r;
	return err_class(
		e, CLASS_USAGE,
		"%s is the image of the node %s already: flash it without --node, or make generic ones with `pibuild build --generic`",
		path, ret->node);
}

/* ---- why it does not fit ---- */

static void add_difference(struct strbuf *b, const char *what, const char *theirs, const char *ours)
{
	if (!streq(theirs, ours))
		strbuf_addf(b, "%s%s %s, not %s", b->n ? "; " : "", what, *theirs ? theirs : "none", ours);
}

static void generic_compare_pin(struct strbuf *b, const json_t *theirs, const struct pin *ours)
{
	const char *version = json_clean_or(theirs, "version", "");

	add_difference(b, ours->name, version, ours->version);
	if (streq(version, ours->version))
		add_difference(b, arena_printf("sha256 of %s", ours->name),
			       arena_printf("%.12s", json_clean_or(theirs, "sha256", "")),
			       arena_printf("%.12s", str_or(ours->sha256, "none")));
}

static void compare_artifacts(struct strbuf *b, const struct generic *g, const struct tree *tree)
{
	const json_t *theirs = json_object_get(g->manifest, "artifacts");
	size_t ours = 0;

	vec_foreach (t, &tree->entries)
		if (t->source == SOURCE_ARTIFACT) {
			generic_compare_pin(b, json_named(theirs, t->pin.name), &t->pin);
			ours++;
		}
	if (json_array_size(theirs) > ours && !b->n)
		strbuf_adds(b, "it holds artifacts that this cluster does not ask for");
}

int generic_check(const struct generic *g, const struct plan *p, const struct node_plan *n, struct err *e)
{
	const char *role = g->role, *name = cow_name(g->image.cow);
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (streq(json_clean_or(g->manifest, "layer", ""), n->layer->key))
		return 0;
	if (!streq(role, role_names[n->node->role]))
		return err_class(e, CLASS_CONFIG, "%s is for the role %s, and %s is of the role %s", name, role,
				 n->name, role_names[n->node->role]);
	add_difference(&b, "pibuild", json_clean_or(g->manifest, "pibuild", ""), PIBUILD_VERSION);
	generic_compare_pin(&b, json_object_get(g->manifest, "base"), &p->base);
	compare_artifacts(&b, g, &n->tree);
	if (json_integer_value(json_object_get(g->manifest, "time")) != (json_int_t)p->project->epoch)
		strbuf_addf(&b, "%sthe time of the lock", b.n ? "; " : "");
	return err_class(
		e, CLASS_CONFIG,
		"%s was not built from what %s asks for (%s); build it again, or use the lock and the cluster.yaml it came from",
		name, n->name, b.n ? b.s : "files that pibuild ships or your overlays differ");
}
