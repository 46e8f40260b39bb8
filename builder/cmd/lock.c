/* SPDX-License-Identifier: Apache-2.0 */
/* lock: pibuild.lock made anew, moved to newer versions, or judged. */
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "update/update.h"

static struct {
	bool check, update, dry_run;
} lock_opt;

static const struct option lock_options[] = {
	CMD_OWN("check", OPT_FLAG, &lock_opt.check, NULL, "only say whether the lock is stale"),
	CMD_OWN("update", OPT_FLAG, &lock_opt.update, NULL, "move to the stable channels: all, or NAMEs"),
	CMD_OWN("dry-run", OPT_FLAG, &lock_opt.dry_run, NULL, "show it, write nothing"),
};

static json_t *line_json(const struct lock_line *l)
{
	const struct lock_entry *x = &l->entry;
	json_t *j = json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "name", x->name, "version", x->version,
			      "state", lock_change_names[l->change], "from", l->from, "url", x->url, "sha256",
			      x->sha256, "source", x->source);

	if (x->size)
		json_object_set_new(j, "size", json_integer((json_int_t)x->size));
	if (l->why)
		json_object_set_new(j, l->change == LOCK_CHANGED ? "was" : "why", json_string(l->why));
	return j;
}

static json_t *version_json(const struct version_line *v)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "name", v->key, "state",
			 version_state_names[v->state], "from", v->from, "to", v->to, "newest", v->newest, "held",
			 v->held, "source", v->source);
}

static int lock_print_json(const struct lock_report *report, struct err *e)
{
	json_t *versions = json_array(), *list = json_array(), *images = json_array(), *keys = json_array();

	vec_foreach (v, &report->versions)
		json_array_append_new(versions, version_json(v));
	vec_foreach (l, &report->lines)
		json_array_append_new(l->what == LOCK_KEYS    ? keys
				      : l->what == LOCK_IMAGE ? images
							      : list,
				      line_json(l));
	return json_print(json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "file", report->file, "changed",
				    report->changed, "written", report->written, "versions", versions, "artifacts",
				    list, "images", images, "sshKeys", keys),
			  e);
}

static void print_version(const struct version_line *v)
{
	printf("%-10s %-18s %s", version_state_names[v->state], v->key, v->from);
	if (!streq(v->from, v->to))
		printf(" -> %s", v->to);
	if (v->newest && !streq(v->newest, v->to))
		printf("  newest %s%s%s", v->newest, v->held ? ": " : "", str_or(v->held, ""));
	putchar('\n');
}

static void lock_print_line(const struct lock_line *l, size_t width)
{
	const struct lock_entry *x = &l->entry;

	printf("%-10s %-*s %-16s %.12s", lock_change_names[l->change], (int)width, x->name, x->version,
	       str_or(x->sha256, ""));
	if (l->change == LOCK_CHANGED && l->why)
		printf("  was %.12s: upstream has replaced this release", l->why);
	else if (l->change == LOCK_ADDED || l->change == LOCK_CHANGED || l->change == LOCK_UPDATED)
		printf("  %s", str_or(x->source, ""));
	putchar('\n');
}

/* Versions first, when upstream was asked about them; then what they consist of. */
static void print_text(const struct lock_report *report)
{
	bool asked = false;
	size_t width = 18;

	vec_foreach (v, &report->versions)
		asked |= v->state != VERSION_KEPT && v->state != VERSION_PINNED;
	vec_foreach (v, &report->versions)
		if (asked && v->state != VERSION_KEPT)
			print_version(v);
	if (asked)
		putchar('\n');
	vec_foreach (l, &report->lines)
		width = MAX(width, strlen(l->entry.name));
	vec_foreach (l, &report->lines)
		lock_print_line(l, width);
}

static int print_report(const struct cmd_options *o, const struct lock_report *report, struct err *e)
{
	if (o->json)
		return lock_print_json(report, e);
	print_text(report);
	return 0;
}

static int load_inputs(const struct cmd_options *o, const char *lock_file, struct release_set *set, struct err *e)
{
	struct catalogue *catalogue;
	struct config *config;
	struct lock *lock;
	int r = cmd_load_config(o, &config, e);

	if (r < 0)
		return r;
	set->config = config;
	r = config_add_env_mirrors(config, e);
	if (r < 0)
		return r;
	r = catalogue_load(&catalogue, e);
	if (r < 0)
		return r;
	set->catalogue = catalogue;
	r = lock_load(lock_file, config, &lock, e);
	if (r < 0)
		return r;
	set->lock = lock;
	return 0;
}

static int check(const struct cmd_options *o, struct err *e)
{
	struct release_set set = { 0 };
	struct lock_report report = { 0 };
	struct err print_error;
	int r = load_inputs(o, o->lock, &set, e);

	if (r < 0) {
		/* A damaged lock is what this command looks for. */
		if (set.catalogue && e->class == CLASS_CONFIG)
			e->class = CLASS_VERIFY;
		return r;
	}
	r = lock_check(&set, &report, e);
	if (r < 0 && e->class != CLASS_VERIFY)
		return r;
	if (o->json && lock_print_json(&report, &print_error) < 0) {
		*e = print_error;
		return e->code;
	}
	if (r == 0 && !o->json)
		printf("%s pins all that %s asks for\n", report.file, set.config->path);
	return r;
}

static int cmd_lock_update(const struct cmd_options *o, struct err *e)
{
	/* A file that is yet to be made starts from the lock in force. */
	const char *from = o->lock && !file_is_missing(o->lock) ? o->lock : NULL;
	struct release_set set = { 0 };
	struct lock_report report = { 0 };
	struct lock_options lo = {
		.update = lock_opt.update, .dry_run = lock_opt.dry_run, .names = o->args.v, .n_names = o->args.n
	};
	int r = o->lock || lock_opt.dry_run ? 0
					    : config_require_file(o->config, "a lock of its own lies beside one", e);

	if (r < 0)
		return r;
	r = load_inputs(o, from, &set, e);
	if (r < 0)
		return r;
	r = source_date_epoch(time(NULL), &lo.time, e);
	if (r < 0)
		return r;
	lo.file = o->lock ? o->lock : lock_path_beside(set.config);
	lo.cache = o->cache;
	lo.fetch = (struct fetch_options){ .config = set.config, .offline = o->offline, .jobs = o->jobs };
	r = lock_update(&set, &lo, &report, e);
	if (r == 0)
		r = print_report(o, &report, e);
	if (r == 0 && !o->json)
		printf("%s %s\n", report.file,
		       report.written	? "written"
		       : report.changed ? "would be written"
					: "is up to date");
	return r;
}

static int cmd_lock(const struct cmd_options *o, struct err *e)
{
	if (lock_opt.check && lock_opt.update)
		return err_class(e, CLASS_USAGE, "--check looks, --update changes: give one of them");
	if (o->args.n && !lock_opt.update)
		return err_class(e, CLASS_USAGE, "NAMEs go with --update: pibuild lock --update [NAME[=VERSION]]...");
	return lock_opt.check ? check(o, e) : cmd_lock_update(o, e);
}

static void lock_arguments(void)
{
	_cleanup_strbuf_ struct strbuf all = { 0 };
	struct err ignored = { 0 };
	struct text_list names;
	struct catalogue *cat;

	if (catalogue_load(&cat, &ignored) < 0)
		return;
	names = lock_update_names(cat);
	vec_foreach (name, &names)
		strbuf_item(&all, ", ", *name);
	help_row("NAME, with --update", all.s);
}

const struct command lock_command = {
	.name = "lock",
	.args = "[NAME[=VERSION]]...",
	.help = "resolve versions to url, size and digest",
	.run = cmd_lock,
	.options = lock_options,
	.n_options = ARRAY_SIZE(lock_options),
	.common = "config lock cache offline jobs json progress",
	.words = { "@artifact" },
	.arguments = lock_arguments,
	.examples = { "pibuild lock --check", "pibuild lock --update --dry-run k3s" },
};
