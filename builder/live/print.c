/* SPDX-License-Identifier: Apache-2.0 */
/* A difference for people and for programs. */
#include "live/live.h"

static const char *const kind_names[] = {
	[DELTA_ADDED] = "added", [DELTA_CHANGED] = "changed", [DELTA_REMOVED] = "removed"
};
static const char *const kind_marks[] = { [DELTA_ADDED] = "+", [DELTA_CHANGED] = "~", [DELTA_REMOVED] = "-" };

json_t *delta_json(const struct delta *d)
{
	json_t *files = json_array(), *effects = json_array(), *versions = json_array();

	vec_foreach (i, &d->items)
		json_array_append_new(files,
				      json_pack("{s:s, s:s, s:s, s:b}", "path", i->path, "change", kind_names[i->kind],
						"effect", effect_text(i->effect), "byHand", i->by_hand));
	vec_foreach (x, &d->effects)
		json_array_append_new(effects, json_string(effect_text(*x)));
	vec_foreach (v, &d->versions)
		json_array_append_new(versions, json_string(*v));
	return json_pack("{s:b, s:o, s:o, s:o, s:s?, s:s?}", "same", delta_empty(d), "files", files, "effects", effects,
			 "versions", versions, "base", d->base, "refused", d->skew);
}

/* "/usr/share/pibuild/charts/cilium"; NULL for what is in no chart. */
static const char *chart_dir(const char *path)
{
	static const char charts[] = "/usr/share/pibuild/charts/";
	const char *name = starts_with(path, charts) ? path + strlen(charts) : NULL;

	return name ? arena_strndup(path, (size_t)(name - path) + strcspn(name, "/")) : NULL;
}

/* How many items from N on are files of one chart: hundreds at once, of which none says more than all of them. */
static size_t chart_files(const struct delta *d, size_t n)
{
	const char *dir = chart_dir(d->items.v[n].path);
	size_t end = n + 1;

	while (dir && end < d->items.n && streq(dir, str_or(chart_dir(d->items.v[end].path), "")))
		end++;
	return end - n;
}

static void print_item(const struct delta_item *i)
{
	bool unknown = effect_unknown(i->path) && i->effect.kind == EFFECT_NONE && i->how != HOW_DIR;

	printf("  %s %s\t%s%s\n", kind_marks[i->kind], i->path,
	       unknown ? "nothing that pibuild knows of" : effect_text(i->effect),
	       i->by_hand ? ", changed by hand" : "");
}

void delta_print(const struct delta *d)
{
	vec_foreach (v, &d->versions)
		printf("  %s\n", *v);
	for (size_t n = 0; n < d->items.n;) {
		const struct delta_item *i = &d->items.v[n];
		size_t files = chart_files(d, n);

		if (files > 1)
			printf("  ~ %s/\t%s, %zu files\n", chart_dir(i->path), effect_text(i->effect), files);
		else
			print_item(i);
		n += files;
	}
	if (d->manifest_only)
		printf("  ~ %s\tnothing\n", MANIFEST_PATH);
	if (d->base)
		printf("  = the base stays, %s: packages of the base are apt's on a node that runs\n", d->base);
	for (size_t n = 0; n < d->effects.n; n++)
		printf("%s%s%s", n ? ", " : "  then ", effect_text(d->effects.v[n]), n + 1 == d->effects.n ? "\n" : "");
}
