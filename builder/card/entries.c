/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a card: how each kind comes into the tree, and what a later one of the same path takes over. */
#include "card/card.h"

const char *const entry_kind_names[ENTRY_KIND_COUNT] = { "dir", "file", "symlink", "remove", "edit", "unpack" };

struct entry *tree_find(const struct tree *t, const char *path)
{
	vec_foreach (n, &t->entries)
		if (streq(n->path, path))
			return n;
	return NULL;
}

/* The place of PATH: an earlier entry of that path starts anew. */
static struct entry *entry_place(struct tree *t, const char *path, enum entry_kind kind, unsigned mode,
				 const char *origin)
{
	struct entry *n = tree_find(t, path);

	if (!n) {
		n = vec_push(&t->entries);
		*n = (struct entry){ .path = arena_strdup(path) };
	} else {
		/* What takes the place of a secret is one too, and no more readable. */
		*n = (struct entry){ .path = n->path, .secret = n->secret, .mode = n->secret ? n->mode : 07777 };
		mode &= n->mode;
	}
	n->kind = kind;
	n->mode = mode;
	n->layer = LAYER_NODE;
	n->origin = arena_strdup(origin);
	return n;
}

struct entry *tree_add_file(struct tree *t, const char *path, unsigned mode, const char *origin, const void *bytes,
			    size_t size)
{
	struct entry *n = entry_place(t, path, ENTRY_FILE, mode, origin);

	n->source = SOURCE_BYTES;
	n->bytes = arena_strndup(bytes, size);
	n->size = size;
	sha256_bytes(bytes, size, n->sha256);
	return n;
}

struct entry *tree_add_text(struct tree *t, const char *path, unsigned mode, const char *origin, const char *text)
{
	return tree_add_file(t, path, mode, origin, text, strlen(text));
}

struct entry *tree_add_host_file(struct tree *t, const char *path, unsigned mode, const char *origin,
				 const char *host_file, uint64_t size, const char sha256[SHA256_HEX])
{
	struct entry *n = entry_place(t, path, ENTRY_FILE, mode, origin);

	n->source = SOURCE_HOST_FILE;
	n->host_file = arena_strdup(host_file);
	n->size = size;
	memcpy(n->sha256, sha256, SHA256_HEX);
	return n;
}

struct entry *tree_add_dir(struct tree *t, const char *path, unsigned mode, const char *origin)
{
	return entry_place(t, path, ENTRY_DIR, mode, origin);
}

struct entry *tree_add_symlink(struct tree *t, const char *path, const char *origin, const char *target)
{
	struct entry *n = entry_place(t, path, ENTRY_SYMLINK, 0777, origin);

	n->bytes = arena_strdup(target);
	n->size = strlen(target);
	return n;
}

struct need *tree_need(struct tree *t, const char *path, const char *word, const char *words)
{
	struct need *need = vec_push(&t->needs);

	*need = (struct need){
		.path = arena_strdup(path),
		.word = word ? arena_strdup(word) : NULL,
		.words = arena_strdup(words),
	};
	return need;
}

struct entry *tree_add_remove(struct tree *t, const char *path, const char *origin)
{
	return entry_place(t, path, ENTRY_REMOVE, 0, origin);
}

struct entry *tree_add_edit(struct tree *t, const char *path, unsigned mode, const char *origin, edit_fn edit,
			    const void *arg, const char *what)
{
	struct entry *n = entry_place(t, path, ENTRY_EDIT, mode, origin);

	n->edit = edit;
	n->edit_arg = arg;
	n->edit_what = arena_strdup(what);
	return n;
}

struct entry *tree_add_artifact(struct tree *t, const struct pin *pin)
{
	bool unpack = pin->artifact->install.as == INSTALL_UNPACK;
	struct entry *n = entry_place(t, pin->artifact->install.path, unpack ? ENTRY_UNPACK : ENTRY_FILE,
				      pin->artifact->install.mode,
				      arena_printf("artifact: %s %s", pin->name, pin->version));

	n->layer = LAYER_ROLE;
	n->source = SOURCE_ARTIFACT;
	n->pin = *pin;
	n->size = pin->size;
	if (pin->artifact->install.as == INSTALL_FILE && pin->sha256)
		memcpy(n->sha256, pin->sha256, SHA256_HEX);
	return n;
}

struct entry *tree_add_images(struct tree *t, const char *path, const struct images *images)
{
	struct entry *n = entry_place(t, path, ENTRY_FILE, 0644, arena_printf("%zu container images", images->v.n));

	n->layer = LAYER_ROLE;
	n->source = SOURCE_IMAGES;
	n->images = images;
	return n;
}

void tree_sort(struct tree *t)
{
	vec_sort_by(&t->entries, path);
}
