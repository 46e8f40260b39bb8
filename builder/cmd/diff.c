/* SPDX-License-Identifier: Apache-2.0 */
/* diff: two images, or with --live a node that runs and the card that it would get now. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/json.h"
#include "cmd/apply.h"
#include "companion/companion.h"
#include "inspect/diff.h"

static struct {
	bool brief;
	const char *live;
} diff_opt;

static const struct option diff_options[] = {
	CMD_OWN("brief", OPT_FLAG, &diff_opt.brief, NULL, "a line for each image: counts, and versions that changed"),
	CMD_OWN_WORDS("live", OPT_TEXT, &diff_opt.live, "NODE",
		      "instead of images: the files of this node, which runs, against cluster.yaml", "@node"),
};

struct pairs {
	VEC(struct image_diff) v;
};

static const char *pair_name(const char *a, const char *b)
{
	const char *old = image_stem(path_base(a)), *new = image_stem(path_base(b));

	return streq(old, new) ? old : arena_printf("%s -> %s", old, new);
}

static int only_images(const struct dirent *d)
{
	return image_is_named(d->d_name);
}

/* The images of the folder A, each with its namesake in B; of those without one B stays NULL. */
static int add_folder(const char *a, const char *b, struct pairs *ret, struct err *e)
{
	struct dirent **names = NULL;
	int n = scandir(a, &names, only_images, alphasort);

	if (n < 0)
		return err_errno(e, -errno, "cannot list %s", a);
	for (int i = 0; i < n; i++) {
		const char *name = image_stem(names[i]->d_name);

		*vec_push(&ret->v) = (struct image_diff){ .name = name,
							  .a = path_join(a, names[i]->d_name),
							  .b = image_find(path_join(b, name)) };
		free(names[i]);
	}
	free(names);
	return 0;
}

static int pair_folders(const char *a, const char *b, struct pairs *ret, struct err *e)
{
	struct pairs other = { 0 };
	int r = add_folder(a, b, ret, e);

	if (r < 0)
		return r;
	r = add_folder(b, a, &other, e);
	if (r < 0)
		return r;
	vec_foreach (x, &other.v)
		if (!x->b)
			*vec_push(&ret->v) = (struct image_diff){ .name = x->name, .b = x->a };
	if (!ret->v.n)
		return err_set(e, -ENOENT, "there is no image in %s or %s", a, b);
	return 0;
}

static int pair_up(const char *a, const char *b, struct pairs *ret, struct err *e)
{
	const char *paths[] = { a, b };
	bool folder[2];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct stat st;

		if (stat(paths[i], &st) < 0)
			return file_cannot_open(paths[i], e);
		folder[i] = S_ISDIR(st.st_mode);
	}
	if (folder[0] != folder[1])
		return err_class(e, CLASS_USAGE, "give two images or two folders, not one of each: %s and %s", a, b);
	if (folder[0])
		return pair_folders(a, b, ret, e);
	*vec_push(&ret->v) = (struct image_diff){ .name = pair_name(a, b), .a = a, .b = b };
	return 0;
}

static int diff_print_json(const struct pairs *p, bool same, const char *a, const char *b, struct err *e)
{
	json_t *list = json_array();

	vec_foreach (d, &p->v)
		json_array_append_new(list, image_diff_json(d));
	return json_print(json_pack("{s:s, s:s, s:b, s:o}", "a", a, "b", b, "same", same, "images", list), e);
}

/* ---- a node that runs ---- */

static int diff_live(const struct cmd_options *o, struct err *e)
{
	_cleanup_(rollout_done) struct rollout x = { .o = o, .cache.fd = -1 };
	const struct target *t;
	bool same;
	int r = cmd_args(o, 0, 0, "diff --live NODE [--json]", e);

	if (r == 0)
		r = caller_become(e); /* root's rights were for disks */
	if (r == 0)
		r = rollout_load(&x, diff_opt.live, e);
	if (r == 0)
		r = rollout_read(&x, LIVE_WHOLE, e);
	if (r < 0)
		return r;
	t = &x.targets.v[0];
	if (t->off) {
		*e = t->said;
		return t->asked;
	}
	same = delta_empty(&t->delta);
	if (o->json)
		r = json_print(delta_json(&t->delta), e);
	else
		delta_print(&t->delta);
	return r < 0 || same ? r : err_class(e, CLASS_FAILED, "%s", "");
}

static int cmd_diff(const struct cmd_options *o, struct err *e)
{
	struct pairs pairs = { 0 };
	bool same = true;
	int r;

	if (diff_opt.live)
		return diff_live(o, e);
	r = cmd_args(o, 2, 2, "diff IMAGE|DIR IMAGE|DIR [--brief] [--json]", e);
	if (r == 0)
		r = pair_up(o->args.v[0], o->args.v[1], &pairs, e);
	for (size_t i = 0; i < pairs.v.n && r == 0; i++) {
		struct image_diff *d = &pairs.v.v[i];

		r = d->a && d->b ? image_diff(d, diff_opt.brief ? DIFF_BRIEF : 0, e) : 0;
		same &= r == 0 && image_diff_same(d);
		if (r == 0 && !o->json)
			(diff_opt.brief ? image_diff_print_brief : image_diff_print)(d);
	}
	if (r == 0 && o->json)
		r = diff_print_json(&pairs, same, o->args.v[0], o->args.v[1], e);
	/* As diff(1): the differences say it all. */
	return r < 0 || same ? r : err_class(e, CLASS_FAILED, "%s", "");
}

const struct command diff_command = {
	.name = "diff",
	.args = "IMAGE|DIR IMAGE|DIR",
	.help = "what differs between two images, or a node and cluster.yaml",
	.run = cmd_diff,
	.reads_disks = true,
	.options = diff_options,
	.n_options = ARRAY_SIZE(diff_options),
	.common = "config lock secrets cache offline jobs json progress",
	.words = { "@image @dir" },
	.examples = { "pibuild diff --brief old out", "pibuild diff --live cp-1" },
};
