/* SPDX-License-Identifier: Apache-2.0 */
/* The faces of a comparison: every change for people, JSON for programs, one line for a comment. */
#include <sys/stat.h>

#include "inspect/diff.h"

static const struct {
	unsigned bit;
	const char *name;
} differences[] = {
	{ DIFFERS_TYPE, "type" },     { DIFFERS_MODE, "mode" },	      { DIFFERS_OWNER, "owner" },
	{ DIFFERS_TARGET, "target" }, { DIFFERS_CONTENT, "content" }, { DIFFERS_TIME, "time" },
	{ DIFFERS_LINKS, "links" },
};

static const char *type_name(unsigned mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "folder" : S_ISLNK(mode) ? "link" : "special file";
}

/* ---- JSON ---- */

static json_t *entry_json(const struct change *c, const struct fs_stat *st, const char *target, const char *sha256)
{
	json_t *j = json_pack("{s:s, s:o, s:i, s:i, s:I}", "type", type_name(st->mode), "mode",
			      json_sprintf("%04o", st->mode & 07777), "uid", (int)st->uid, "gid", (int)st->gid, "mtime",
			      (json_int_t)st->mtime);

	if (S_ISREG(st->mode) && !c->secret)
		json_object_set_new(j, "size", json_integer((json_int_t)st->size));
	if (target)
		json_object_set_new(j, "target", json_text(target));
	if (*sha256)
		json_object_set_new(j, "sha256", json_string(sha256));
	return j;
}

static json_t *change_json(const struct change *c)
{
	json_t *names = json_array(),
	       *j = json_pack("{s:o, s:s}", "path", json_text(c->path), "change", change_kind_names[c->kind]);

	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (c->differs & differences[i].bit)
			json_array_append_new(names, json_string(differences[i].name));
	json_object_set_new(j, "differs", names);
	json_object_set_new(j, "secret", json_boolean(c->secret));
	if (c->kind != CHANGE_ADDED)
		json_object_set_new(j, "a", entry_json(c, &c->a, c->target_a, c->sha256_a));
	if (c->kind != CHANGE_REMOVED)
		json_object_set_new(j, "b", entry_json(c, &c->b, c->target_b, c->sha256_b));
	if (c->text)
		json_object_set_new(j, "diff", json_string(c->text));
	return j;
}

json_t *image_diff_json(const struct image_diff *d)
{
	json_t *layout = json_array(), *versions = json_array(), *changes = json_array(), *counts = json_object();

	vec_foreach (l, &d->layout)
		json_array_append_new(layout, json_pack("{s:s, s:s, s:s}", "what", l->what, "a", l->a, "b", l->b));
	vec_foreach (v, &d->versions)
		json_array_append_new(versions, json_pack("{s:s, s:s?, s:s?}", "name", v->name, "a", v->a, "b", v->b));
	vec_foreach (c, &d->changes)
		json_array_append_new(changes, change_json(c));
	for (size_t i = 0; i < CHANGE_KIND_COUNT; i++)
		json_object_set_new(counts, change_kind_names[i], json_integer((json_int_t)d->counts[i]));
	return json_pack("{s:s, s:s?, s:s?, s:b, s:o, s:o, s:o, s:o}", "name", d->name, "a", d->a, "b", d->b, "same",
			 image_diff_same(d), "counts", counts, "versions", versions, "layout", layout, "changes",
			 changes);
}

/* ---- text ---- */

static void print_entry(const struct change *c, const struct fs_stat *st, const char *target)
{
	char size[SIZE_TEXT_MAX];

	printf("  %s", type_name(st->mode));
	if (S_ISLNK(st->mode))
		printf(" to %s", target);
	else
		printf(" %04o %u:%u", st->mode & 07777, st->uid, st->gid);
	if (c->secret)
		printf(" (secret)");
	else if (S_ISREG(st->mode))
		printf(" %s", size_text(st->size, size));
}

static void print_content(const struct change *c)
{
	if (c->secret)
		printf("  content differs (secret)");
	else if (c->text)
		printf("  content");
	else
		printf("  content: %llu -> %llu bytes, sha256 %.12s... -> %.12s...", (unsigned long long)c->a.size,
		       (unsigned long long)c->b.size, c->sha256_a, c->sha256_b);
}

static void print_differences(const struct change *c)
{
	if (c->differs & DIFFERS_TYPE)
		printf("  %s -> %s", type_name(c->a.mode), type_name(c->b.mode));
	if (c->differs & DIFFERS_MODE)
		printf("  mode %04o -> %04o", c->a.mode & 07777, c->b.mode & 07777);
	if (c->differs & DIFFERS_OWNER)
		printf("  owner %u:%u -> %u:%u", c->a.uid, c->a.gid, c->b.uid, c->b.gid);
	if (c->differs & DIFFERS_TARGET)
		printf("  to %s -> %s", c->target_a, c->target_b);
	if (c->differs & DIFFERS_LINKS)
		printf("  names %u -> %u", c->a.links, c->b.links);
	if (c->differs & DIFFERS_CONTENT)
		print_content(c);
}

/* From the images, which may be anybody's: nothing that commands a terminal. */
static void diff_print_text(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);

	text_foreach (line, copy, "\n") {
		for (char *tab = line; (tab = strchr(tab, '\t')); tab++)
			*tab = ' ';
		printf("      %s\n", clean_text(line));
	}
}

static void print_change(const struct change *c)
{
	printf("%-8s %s", change_kind_names[c->kind], clean_copy(c->path));
	switch (c->kind) {
	case CHANGE_ADDED:
		print_entry(c, &c->b, c->target_b);
		break;
	case CHANGE_REMOVED:
		print_entry(c, &c->a, c->target_a);
		break;
	case CHANGE_CHANGED:
		print_differences(c);
		break;
	case CHANGE_TIME:
		printf("  %s -> %s", utc_text(c->a.mtime), utc_text(c->b.mtime));
		break;
	case CHANGE_KIND_COUNT:
		break;
	}
	printf("\n");
	if (c->text)
		diff_print_text(c->text);
}

static void diff_print_version(const struct version_change *v, const char *before)
{
	if (v->a && v->b)
		printf("%s%s %s -> %s", before, v->name, v->a, v->b);
	else
		printf("%s%s %s %s", before, v->name, v->a ? v->a : v->b, v->a ? "gone" : "new");
}

void image_diff_print_brief(const struct image_diff *d)
{
	const char *before = "; ";

	if (image_diff_same(d)) {
		printf("%s: same\n", d->name);
		return;
	}
	if (!d->a || !d->b) {
		printf("%s: only %s\n", d->name, d->a ? d->a : d->b);
		return;
	}
	printf("%s: %zu added, %zu changed, %zu removed", d->name, d->counts[CHANGE_ADDED], d->counts[CHANGE_CHANGED],
	       d->counts[CHANGE_REMOVED]);
	if (d->counts[CHANGE_TIME])
		printf(", %zu by time alone", d->counts[CHANGE_TIME]);
	if (d->layout.n)
		printf(", %zu in the layout", d->layout.n);
	vec_foreach (v, &d->versions) {
		diff_print_version(v, before);
		before = ", ";
	}
	printf("\n");
}

void image_diff_print(const struct image_diff *d)
{
	if (d->a && d->b && !image_diff_same(d))
		printf("a: %s\nb: %s\n\n", d->a, d->b);
	vec_foreach (v, &d->versions) {
		diff_print_version(v, "version  ");
		printf("\n");
	}
	vec_foreach (l, &d->layout)
		printf("layout   %s  %s -> %s\n", l->what, l->a, l->b);
	vec_foreach (c, &d->changes)
		print_change(c);
	if (d->changes.n || d->layout.n || d->versions.n)
		printf("\n");
	image_diff_print_brief(d);
}
