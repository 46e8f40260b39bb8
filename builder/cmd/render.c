/* SPDX-License-Identifier: Apache-2.0 */
/* The exact generated files of one node below a folder, and a list of what artifacts and edits add on the card. */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "plan/plan.h"

static struct {
	bool show_secrets;
} render_opt;

static const struct option render_options[] = {
	CMD_OPTION_NODE,
	CMD_OWN("show-secrets", OPT_FLAG, &render_opt.show_secrets, NULL, "do not mask secrets"),
	CMD_OPTION_FORCE("write into a folder that is not empty"),
};

static int write_content(const char *path, const struct entry *n, struct err *e)
{
	_cleanup_free_ char *buf = NULL;
	size_t size;
	int r;

	if (n->source == SOURCE_BYTES)
		return file_publish(path, n->bytes, n->size, n->mode, e);
	r = file_read(n->host_file, SIZE_MAX / 2, &buf, &size, e);
	return r < 0 ? r : file_publish(path, buf, size, n->mode, e);
}

/* What an edit adds on a base that has no such file yet: for boot files that is what pibuild contributes. */
static int write_edit(const char *path, const struct entry *n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	int r = n->edit(n->edit_arg, NULL, 0, &b, e);

	return r < 0 ? r : file_publish(path, b.s ? b.s : "", b.n, n->mode, e);
}

static int write_entry(const char *dir, const struct entry *n, struct err *e)
{
	const char *path = path_join(dir, n->path + 1);
	int r = make_dirs(path_dir(path), 0755, e);

	if (r < 0)
		return r;
	switch (n->kind) {
	case ENTRY_DIR:
		r = make_dirs(path, n->mode, e);
		if (r == 0 && chmod(path, n->mode) < 0)
			r = err_errno(e, -errno, "cannot set the mode of %s", path);
		return r;
	case ENTRY_SYMLINK:
		unlink(path);
		return symlink(n->bytes, path) < 0 ? err_errno(e, -errno, "cannot create %s", path) : 0;
	case ENTRY_FILE:
		return entry_from_cache(n) ? 0 : write_content(path, n, e);
	case ENTRY_EDIT:
		return entry_on_boot(n) ? write_edit(path, n, e) : 0;
	case ENTRY_REMOVE:
	case ENTRY_UNPACK:
	case ENTRY_KIND_COUNT:
		break;
	}
	return 0;
}

static int render_check_empty(const char *dir, struct err *e)
{
	const char *const *names;
	size_t n;
	int r = folder_names(dir, &names, &n, e);

	return r < 0 || n == 0
		       ? r
		       : err_class(e, CLASS_REFUSED,
				   "%s is not empty: give another folder with -o, or --force to write into it", dir);
}

static const char *supplied_by(const struct entry *n)
{
	if (n->kind == ENTRY_EDIT)
		return n->edit_what;
	if (n->kind == ENTRY_SYMLINK)
		return n->bytes;
	return entry_from_cache(n) ? "on the card only" : "";
}

static void print_tree(const struct tree *t)
{
	vec_foreach (n, &t->entries) {
		char size[SIZE_TEXT_MAX] = "";

		if (n->kind == ENTRY_FILE && n->size)
			size_text(n->size, size);
		printf("%-8s %04o %5u:%-5u %10s  %s%s%s  [%s]\n", entry_kind_names[n->kind], n->mode, n->uid, n->gid,
		       size, n->path, *supplied_by(n) ? " -> " : "", supplied_by(n), n->origin);
	}
}

static int one_node(const struct cmd_options *o, const struct config *c, struct plan_options *so, struct err *e)
{
	if (o->nodes.n == 1 || (o->nodes.n == 0 && c->nodes.n == 1)) {
		so->nodes = o->nodes.n ? o->nodes.v : &c->nodes.v[0].name;
		so->n_nodes = 1;
		return 0;
	}
	return err_class(e, CLASS_USAGE, "render shows one node: pibuild render --node NAME [-o DIR]");
}

static int write_tree(const char *dir, const struct tree *t, struct err *e)
{
	int r = 0;

	vec_foreach (n, &t->entries)
		if (r == 0)
			r = write_entry(dir, n, e);
	return r;
}

/* A folder that was not there is there when all is in it. */
static int write_new(const char *dir, const struct tree *t, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	int r = outfile_create_folder(&out, dir, 0777, e);

	if (r < 0)
		return r;
	if (write_tree(outfile_tmp_path(&out), t, e) < 0)
		return err_rename(e, outfile_tmp_path(&out), dir);
	return outfile_publish(&out, e);
}

static int cmd_render(const struct cmd_options *o, struct err *e)
{
	enum secrets_policy policy = render_opt.show_secrets ? SECRETS_IF_ANY : SECRETS_NONE;
	const struct project_options po = cmd_project_options(o, policy);
	struct plan_options so = { .out = o->out, .secret_use = render_opt.show_secrets ? SECRET_READ : SECRET_PROBE };
	const struct node_plan *n;
	struct project *project;
	struct plan *plan;
	bool missing;
	char *dir;
	int r = cmd_args(o, 0, 0, "render --node NAME [-o DIR]", e);

	if (r < 0)
		return r;
	r = project_load_valid(&po, &project, e);
	if (r < 0)
		return r;
	r = one_node(o, project->config, &so, e);
	if (r < 0)
		return r;
	r = plan_make(project, &so, &plan, e);
	if (r < 0)
		return r;
	if (render_opt.show_secrets && !project->secrets_real)
		log_warning("there is no %s yet, so tokens and keys are masked; `pibuild secrets new` makes it",
			    cmd_secrets_path(o, project->config));
	n = plan->nodes.v[0];
	dir = o->out_given ? arena_strdup(o->out) : path_join(o->out, arena_printf("%s.tree", n->node->name));
	for (char *end = dir + strlen(dir) - 1; end > dir && *end == '/'; end--)
		*end = '\0';
	r = file_ask(dir, e);
	missing = r == 0;
	if (r > 0 && !o->force)
		r = render_check_empty(dir, e);
	if (r < 0)
		return r;
	r = missing ? write_new(dir, &n->tree, e) : write_tree(dir, &n->tree, e);
	if (r < 0)
		return r;
	if (o->json)
		return json_print(plan_json(plan, NULL), e);
	print_tree(&n->tree);
	return 0;
}

const struct command render_command = {
	.name = "render",
	.args = "--node NAME",
	.help = "the files a node would get, below -o DIR",
	.run = cmd_render,
	.options = render_options,
	.n_options = ARRAY_SIZE(render_options),
	.common = "config out lock secrets json",
	.examples = { "pibuild render --node cp-1 -o tree",
		      "pibuild render --node cp-1 -o tree --force --show-secrets" },
};
