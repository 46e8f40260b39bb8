/* SPDX-License-Identifier: Apache-2.0 */
/* build: images, or what they are made again by (--reproduce). */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "build/build.h"
#include "cmd/cmd.h"
#include "companion/leftover.h"
#include "plan/plan.h"

static struct {
	const char *compress, *sign, *reproduce;
	bool sha256;
} build_opt;

static const struct option build_options[] = {
	CMD_OPTION_NODE,
	CMD_OPTION_ROLE,
	CMD_OPTION_GENERIC,
	CMD_OWN("sha256", OPT_FLAG, &build_opt.sha256, NULL, "write a .sha256 of the whole image beside it"),
	CMD_OWN_WORDS("compress", OPT_TEXT, &build_opt.compress, "FORM",
		      "compressed images instead of raw ones: xz or zst", "xz zst"),
	CMD_OWN_WORDS("sign", OPT_TEXT, &build_opt.sign, "KEY", "sign what is built with this private key", "@file"),
	CMD_OWN_WORDS("reproduce", OPT_TEXT, &build_opt.reproduce, "MANIFEST",
		      "build the node of this manifest again, in memory, and compare", "@file"),
};

static int make_output(const char *dir, struct err *e)
{
	return make_dirs(dir, 0777, e) < 0 ? err_wrap(e, "output folder") : 0;
}

/* Before secrets are made, and the first download: can the results be put where they are wanted? Makes no folder. */
static int check_output(const char *dir, struct err *e)
{
	const char *there = dir;
	struct stat st;

	while (file_is_missing(there))
		there = path_dir(there);
	if (stat(there, &st) < 0) {
		file_cannot_open(there, e);
		return err_wrap(e, "output folder");
	}
	if (there != dir && (!S_ISDIR(st.st_mode) || access(there, W_OK | X_OK) < 0))
		return make_output(dir, e); /* says why it cannot be */
	if (!S_ISDIR(st.st_mode)) {
		err_set(e, -ENOTDIR, "%s is no folder: choose another with -o", dir);
		return err_wrap(e, "output folder");
	}
	if (access(there, W_OK | X_OK) < 0)
		return err_errno(e, -errno, "cannot write to the output folder %s (choose another with -o)", dir);
	return 0;
}

/* What a build is refused for is refused before it makes secrets.yaml. */
static int build_before_secrets(const struct config *c, const void *options, struct err *e)
{
	const struct plan_options *o = options;
	int r = plan_check_selection(c, o, e);

	return r < 0 ? r : check_output(o->out, e);
}

static int build_print_images(const struct build *b, bool json, struct err *e)
{
	json_t *a = json_array();
	char size[SIZE_TEXT_MAX], data[SIZE_TEXT_MAX];
	struct stat st;

	vec_foreach (n, &b->plan->nodes) {
		const char *image = build_image_path(b, *n);

		if (stat(image, &st) < 0)
			st = (struct stat){ 0 };
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:I}", (*n)->generic ? "generic" : "node",
						   (*n)->name, "role", role_names[(*n)->node->role], "image", image,
						   "size", (json_int_t)st.st_size));
		if (!json && b->compress)
			printf("%s\t%s, %s compressed\n", image, role_names[(*n)->node->role],
			       size_text((uint64_t)st.st_size, size));
		else if (!json)
			printf("%s\t%s, %s on a card, %s of data\n", image, role_names[(*n)->node->role],
			       size_text((uint64_t)st.st_size, size), size_text((uint64_t)st.st_blocks * 512, data));
	}
	if (json)
		return json_print(a, e);
	json_decref(a);
	return 0;
}

static void build_next(const struct cmd_options *o, const struct build *b, double seconds)
{
	const struct node_plan *first = b->plan->nodes.v[0];
	const char *image = shell_word(build_image_path(b, first));
	size_t n = b->plan->nodes.n;

	if (!o->json)
		log_info("%zu %s in %s, after %.1f s", n, n == 1 ? "image" : "images", o->out, seconds);
	cmd_next(
		o,
		"`pibuild verify %s` proves %s, `pibuild devices` finds the card, `sudo pibuild flash %s%s DISK` writes it",
		image, n == 1 ? "it" : "the first of them", image, first->generic ? " --node NAME" : "");
}

static int choose_form(struct build *b, struct err *e)
{
	b->compress = build_opt.compress != NULL;
	for (int i = 0; build_opt.compress && i < ENCODE_KIND_COUNT; i++)
		if (streq(build_opt.compress, encode_name((enum encode_kind)i))) {
			b->compress_as = (enum encode_kind)i;
			return 0;
		}
	return b->compress ? err_class(e, CLASS_USAGE, "--compress wants xz or zst, not '%s'", build_opt.compress) : 0;
}

static int build(const struct cmd_options *o, struct build *b, double begun, struct err *e)
{
	const struct plan *p = b->plan;
	const struct fetch_options f = { .config = p->project->config, .offline = o->offline, .jobs = o->jobs };
	struct leftovers left = { 0 };
	int r = build_check_host(b, e);

	if (r < 0)
		return r;
	r = cmd_check_values(p, b->cache, &f, e);
	if (r < 0)
		return r;
	build_expect(b, EXPECT_IMAGES);
	r = build_run(b, &f, e);
	if (r < 0)
		return r;
	r = build_print_images(b, o->json, e);
	if (r < 0)
		return r;
	leftovers_find(p->project->config, o->out, &left);
	leftovers_tell(p->project->config, &left);
	build_next(o, b, now_seconds() - begun);
	return 0;
}

static int reproduce(const struct cmd_options *o, struct err *e)
{
	if (o->role || build_opt.sha256 || build_opt.sign || build_opt.compress)
		return err_class(
			e, CLASS_USAGE,
			"--reproduce writes nothing and is of one node: leave out --role, --sha256, --sign and --compress");
	return cmd_reproduce(o, build_opt.reproduce, e);
}

static int cmd_build(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	/* What is for everybody is made without a look at any secret. */
	struct project_options po = cmd_project_options(o, o->generic ? SECRETS_UNUSED : SECRETS_NEEDED);
	const struct plan_options so = cmd_plan_options(o, SECRET_READ);
	_cleanup_(sign_key_freep) struct sign_key *key = NULL;
	struct build b = { .cache = &cache, .sha256 = build_opt.sha256 };
	struct plan *plan = NULL;
	double begun = now_seconds();
	int r = cmd_args(o, 0, 0, "build [--node NAME]... [--role ROLE] [--generic]", e);

	if (r == 0 && build_opt.reproduce)
		return reproduce(o, e);
	if (r < 0)
		return r;
	r = cmd_check_selection(o, e);
	if (r == 0)
		r = choose_form(&b, e);
	if (r == 0 && build_opt.sign)
		r = sign_key_open(build_opt.sign, &key, e);
	if (r < 0)
		return r;
	po.before = build_before_secrets;
	r = cmd_load_plan(&po, &so, &plan, e);
	if (r == 0)
		r = make_output(o->out, e);
	if (r < 0)
		return r;
	b.plan = plan;
	b.key = key;
	r = cache_open(o->cache, &cache, e);
	return r < 0 ? r : build(o, &b, begun, e);
}

const struct command build_command = {
	.name = "build",
	.args = "",
	.help = "build images (the default): one per node",
	.run = cmd_build,
	.options = build_options,
	.n_options = ARRAY_SIZE(build_options),
	.common = "config out lock secrets cache offline jobs json progress",
	.examples = { "pibuild build --node cp-1 --compress xz", "pibuild build --generic --role worker --sign KEY" },
};
