/* SPDX-License-Identifier: Apache-2.0 */
#include "companion/leftover.h"

#include "base/file.h"
#include "base/log.h"
#include "companion/internal.h"

/* C may have faults, as flash takes it. */
static bool leftover_has_card(const struct config *c, const char *node)
{
	const struct node_config *n = config_find_node(c, node);

	return n && !config_is_external(n);
}

const char *leftover_node(const struct config *c, const char *image)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *j = NULL;
	struct err ignored = { 0 };
	const char *node;
	size_t size;

	if (file_read(companion_path(image, COMPANION_MANIFEST), MANIFEST_LIMIT, &text, &size, &ignored) < 0)
		return NULL;
	j = json_loadb(text, size, 0, NULL);
	node = json_get_text(j, "node");
	if (!*node || !streq(json_get_text(j, "cluster"), str_or(c->cluster.name, "")) || leftover_has_card(c, node))
		return NULL;
	return arena_strdup(node);
}

static void leftover_add_file(struct text_list *files, const char *path)
{
	vec_foreach (have, files)
		if (streq(*have, path))
			return;
	if (!file_is_missing(path))
		*vec_push(files) = path;
}

static void leftover_add_files(struct text_list *files, const char *stem)
{
	const char *image;

	for (size_t i = 0; (image = image_form(stem, i)); i++) {
		leftover_add_file(files, image);
		for (size_t c = 0; c < COMPANION_COUNT; c++)
			leftover_add_file(files, companion_path(image, (enum companion)c));
	}
}

void leftovers_find(const struct config *c, const char *out, struct leftovers *ret)
{
	const char *suffix = companion_rows[COMPANION_MANIFEST].suffix;
	const char *const *names = NULL;
	struct err ignored = { 0 };
	size_t n = 0;

	if (folder_names(out, &names, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct leftover x = { 0 };
		const char *stem;

		if (!ends_with(names[i], suffix))
			continue;
		stem = path_join(out, arena_strndup(names[i], strlen(names[i]) - strlen(suffix)));
		x.node = leftover_node(c, image_form(stem, 0));
		if (!x.node || !image_find(stem))
			continue;
		leftover_add_files(&x.files, stem);
		*vec_push(&ret->v) = x;
	}
}

void leftovers_tell(const struct config *c, const struct leftovers *all)
{
	vec_foreach (x, &all->v) {
		_cleanup_strbuf_ struct strbuf files = { 0 };

		vec_foreach (f, &x->files)
			strbuf_item(&files, " ", shell_word(*f));
		log_warning(
			"%s is of %s, which %s has no card for (any more): it holds keys of %s, and a card of it joins as %s; `rm %s` removes it",
			x->files.v[0], x->node, c->path, c->cluster.name, x->node, files.s);
	}
}

json_t *leftovers_json(const struct leftovers *all)
{
	json_t *list = json_array();

	vec_foreach (x, &all->v) {
		json_t *files = json_array();

		vec_foreach (f, &x->files)
			json_array_append_new(files, json_text(*f));
		json_array_append_new(list, json_pack("{s:o, s:o}", "node", json_text(x->node), "files", files));
	}
	return list;
}
