/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: everything a build needs into the cache, so that it can go on --offline. */
#include "base/json.h"
#include "cmd/cmd.h"
#include "oci/oci.h"
#include "plan/plan.h"

static const struct option fetch_options[] = {
	CMD_OPTION_NODE,
	CMD_OPTION_ROLE,
};

static json_t *fetch_print_images(const struct cmd_options *o, const struct images *images, const bool *had)
{
	json_t *list = json_array();

	vec_foreach (p, &images->v) {
		const char *state = *had++ ? "cached" : "downloaded";

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", p->name, "tag", p->tag, "sha256",
						      p->sha256, "state", state));
		if (!o->json)
			printf("%-46s  %.12s  %s\n", image_ref(p), p->sha256, state);
	}
	return list;
}

static int fetch_print(const struct cmd_options *o, const struct plan *p, const struct cache *c, const bool *had,
		       struct err *e)
{
	json_t *list = json_array(), *images;
	char size[SIZE_TEXT_MAX];

	for (size_t i = 0; i < p->pins.n; i++) {
		const struct pin *pin = &p->pins.v[i];
		const char *state = pin->kind == PIN_FILE	? "local"
				    : pin->kind == PIN_PACKAGES ? "made by build"
				    : had[i]			? "cached"
								: "downloaded";

		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:s}", "name", pin->name, "version",
						      pin->version, "size", (json_int_t)plan_pin_size(pin, c), "sha256",
						      pin->sha256, "state", state));
		if (!o->json)
			printf("%-18s %-16s %10s  %.12s  %s\n", pin->name, pin->version,
			       size_text(plan_pin_size(pin, c), size), pin->sha256, state);
	}
	images = fetch_print_images(o, &p->images, had + p->pins.n);
	if (o->json)
		return json_print(json_pack("{s:s, s:o, s:o}", "cache", c->dir, "artifacts", list, "images", images),
				  e);
	json_decref(list);
	json_decref(images);
	return 0;
}

static int fetch(const struct cmd_options *o, const struct plan *p, const struct cache *c, struct err *e)
{
	const struct fetch_options f = { .config = p->project->config, .offline = o->offline, .jobs = o->jobs };
	bool *had = arena_alloc((p->pins.n + p->images.v.n) * sizeof(*had) + 1);
	int r;

	for (size_t i = 0; i < p->pins.n; i++)
		had[i] = cache_has(c, &p->pins.v[i]);
	for (size_t i = 0; i < p->images.v.n; i++)
		had[p->pins.n + i] = cache_has_image(c, &p->images.v.v[i]);
	r = fetch_all(c, p->pins.v, p->pins.n, &p->images, &f, e);
	return r < 0 ? r : fetch_print(o, p, c, had, e);
}

static int cmd_fetch(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	const struct project_options po = cmd_project_options(o, SECRETS_UNUSED);
	const struct plan_options so = cmd_plan_options(o, SECRET_SKIP);
	struct plan *plan = NULL;
	int r = cmd_args(o, 0, 0, "fetch [--node NAME]... [--role ROLE]", e);

	if (r < 0)
		return r;
	r = cmd_make_plan(&po, &so, &plan, e);
	if (r < 0)
		return r;
	r = cache_open(o->cache, &cache, e);
	return r < 0 ? r : fetch(o, plan, &cache, e);
}

const struct command fetch_command = {
	.name = "fetch",
	.args = "",
	.help = "fill the cache, for --offline",
	.run = cmd_fetch,
	.options = fetch_options,
	.n_options = ARRAY_SIZE(fetch_options),
	.common = "config lock cache offline jobs json progress",
	.examples = { "pibuild fetch", "pibuild fetch --role worker --jobs 8" },
};
