/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/drift.h"

const char *const drift_kind_names[DRIFT_KIND_COUNT] = { "added", "changed", "gone" };

static bool same_owner(const struct entry *n, const struct record *x)
{
	return n->mode == x->mode && n->uid == x->uid && n->gid == x->gid;
}

static bool same_content(const struct entry *n, const struct record *x)
{
	if (n->secret)
		return record_is_secret(x);
	return *n->sha256 ? streq(n->sha256, x->sha256) : streq(n->origin, x->origin);
}

static bool same_thing(const struct entry *n, const struct record *x)
{
	if (n->kind == ENTRY_UNPACK)
		return streq(n->origin, x->origin);
	if (n->kind != x->kind)
		return false;
	switch (n->kind) {
	case ENTRY_DIR:
		return n->if_missing || same_owner(n, x);
	case ENTRY_SYMLINK:
		return streq(n->bytes, str_or(x->note, ""));
	case ENTRY_FILE:
		return (entry_on_boot(n) || same_owner(n, x)) && same_content(n, x);
	case ENTRY_EDIT:
		return streq(str_or(n->edit_what, ""), str_or(x->note, ""));
	case ENTRY_REMOVE:
	case ENTRY_UNPACK:
	case ENTRY_KIND_COUNT:
		break;
	}
	return true;
}

/* Unpacked from an archive that the tree has too: its version is compared once, with what stands at its top. */
static bool is_unpacked(const struct tree *t, const char *path)
{
	vec_foreach (n, &t->entries)
		if (n->kind == ENTRY_UNPACK && starts_with(path, n->path))
			return true;
	return false;
}

/* What flash adds to a card, and no plan knows of. */
static bool is_of_flash(const struct record *x)
{
	return streq(x->origin, "generated: birth") || starts_with(x->path, RESTORE_DIR "/");
}

/* Of what an archive holds any record says which version it was. */
static const struct record *drift_record_of(const struct entry *n, const struct records *have)
{
	const struct record *x = records_find(have, n->path);

	if (n->kind != ENTRY_UNPACK)
		return x;
	vec_foreach (r, &have->v)
		if (starts_with(r->path, n->path) && starts_with(r->origin, "artifact:"))
			return r;
	return x;
}

/* By path. HAVE is sorted as records_merge() leaves it. */
static void drift_find(const struct tree *tree, const struct records *have, struct drifts *ret)
{
	vec_foreach (n, &tree->entries) {
		const struct record *x = drift_record_of(n, have);

		/* What the base never had needed no removal, and left no record. */
		if (!x && n->kind == ENTRY_REMOVE)
			continue;
		if (!x || !same_thing(n, x))
			*vec_push(&ret->v) = (struct drift){ x ? DRIFT_CHANGED : DRIFT_ADDED, n->path, n->origin };
	}
	vec_foreach (x, &have->v)
		if (!tree_find(tree, x->path) && !is_unpacked(tree, x->path) && !is_of_flash(x))
			*vec_push(&ret->v) = (struct drift){ DRIFT_GONE, x->path, x->origin };
	vec_sort_by(&ret->v, path);
}

/* Of the same node, or generic and of the same role. */
static int check_whose(const struct node_plan *n, const json_t *manifest, const char *name, struct err *e)
{
	const char *node = json_get_text(manifest, "node"), *role = json_get_text(manifest, "role");

	if (streq(role, role_names[n->node->role]) && (n->generic ? !*node : streq(node, n->name)))
		return 0;
	return err_class(e, CLASS_VERIFY, "%s: is the manifest of %s, not of %s", name,
			 *node ? clean_copy(node) : "another card", n->name);
}

int drift_of_manifest(const struct node_plan *n, const char *text, size_t size, const char *name, struct drifts *ret,
		      struct err *e)
{
	_cleanup_json_ json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	struct records have = { 0 };
	int r;

	if (!j)
		return err_class(e, CLASS_VERIFY, "%s: is no manifest", name);
	r = check_whose(n, j, name, e);
	if (r < 0)
		return r;
	r = records_parse(json_object_get(j, "files"), &have, e);
	if (r < 0)
		return err_class(e, CLASS_VERIFY, "%s: %s", name, arena_strdup(e->msg));
	records_merge(&have);
	drift_find(&n->tree, &have, ret);
	return 0;
}
