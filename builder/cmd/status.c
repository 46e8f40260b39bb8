/* SPDX-License-Identifier: Apache-2.0 */
/* The first-boot report, from wherever it lies; without an argument all nodes of the cluster. The exit code is the
 * verdict. */
#include <time.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "plan/flashed.h"
#include "status/overview.h"

static struct {
	bool watch, wait;
	unsigned timeout; /* seconds; 0 = default */
} status_opt;

static const struct option status_options[] = {
	CMD_OWN("watch", OPT_FLAG, &status_opt.watch, NULL, "of the cluster: again and again, until Ctrl-C"),
	CMD_OWN("wait", OPT_FLAG, &status_opt.wait, NULL, "of the cluster: until all nodes are done"),
	CMD_OWN_SECONDS("timeout", &status_opt.timeout, "patience with --wait (3600)"),
};

enum { PATIENCE = 3600, BETWEEN_LOOKS = 5 };

/* ---- a card ---- */

static int status_card(const struct cmd_options *o, struct err *e)
{
	_cleanup_(report_done) struct report report = { 0 };
	int r = report_find(o->args.v[0], &report, e);

	if (r < 0)
		return r;
	if (o->json)
		r = json_print(json_incref(report.json), e);
	else
		report_print(&report);
	return r < 0 ? r : report_verdict(&report, e);
}

/* ---- the cluster ---- */

/* The cards that would be written now; NULL with the reason when that cannot be told, which stops no look. SECRETS is
 * set when there are any. */
static const struct plan *plan_quietly(const struct cmd_options *o, const struct secrets **secrets, const char **why)
{
	const struct project_options po = cmd_project_options(o, SECRETS_IF_ANY);
	const struct plan_options so = cmd_plan_options(o, SECRET_PROBE);
	struct project *project = NULL;
	struct plan *plan = NULL;
	struct err e = { 0 };
	int r = project_load(&po, &project, &e);

	if (r == 0 && project->secrets_real)
		*secrets = project->secrets;
	if (r == 0 && project->faults.errors)
		*why = "cluster.yaml has faults: `pibuild check` shows them";
	else if (r == 0 && !project->secrets_real)
		*why = "there is no secrets.yaml here, so nobody knows what would be on them";
	else if (r == 0)
		r = plan_make(project, &so, &plan, &e);
	if (r < 0)
		*why = arena_strdup(e.msg);
	return plan;
}

static bool redraws(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && !streq(term, "dumb");
}

/* What each node was told as last, of the heap: only what changed is a line. */
struct told_lines {
	char **v;
	size_t n;
};

static void told_lines_done(struct told_lines *told)
{
	for (size_t i = 0; i < told->n; i++)
		free(told->v[i]);
}

static void tell_changes(const struct overview *o, struct told_lines *told)
{
	char clock[16];
	time_t now = (time_t)o->time;
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	for (size_t i = 0; i < o->nodes.n; i++) {
		const char *line = overview_line(&o->nodes.v[i]);

		if (told->v[i] && streq(told->v[i], line))
			continue;
		free(told->v[i]);
		told->v[i] = xstrdup(line);
		log_info("%s %s", clock, line);
	}
}

static int status_show(const struct cmd_options *o, const struct overview *v, struct err *e)
{
	if (o->json)
		return status_opt.watch ? json_print_line(overview_json(v), e) : json_print(overview_json(v), e);
	overview_print(v);
	return 0;
}

/* One look of --watch: the table in the same place, a line of JSON, or what changed. */
static int show_again(const struct cmd_options *o, const struct overview *v, struct told_lines *told, struct err *e)
{
	int r = 0;

	if (o->json || redraws()) {
		if (!o->json)
			fputs("\033[H\033[J", stdout);
		r = status_show(o, v, e);
	} else {
		tell_changes(v, told);
	}
	return r < 0 ? r : stdout_flush(e);
}

static int follow_cluster(const struct cmd_options *o, struct overview *v, struct err *e)
{
	_cleanup_(told_lines_done) struct told_lines told = { arena_alloc(v->nodes.n * sizeof(char *)), v->nodes.n };
	unsigned patience = status_opt.timeout ? status_opt.timeout : PATIENCE;
	double end = now_seconds() + patience;
	const struct arena_mark begin = arena_mark();

	for (;;) {
		int r;

		/* It may go on for weeks. */
		overview_forget(v);
		arena_release(begin);
		r = overview_ask(v, e);
		if (r == 0 && status_opt.watch)
			r = show_again(o, v, &told, e);
		else if (r == 0)
			tell_changes(v, &told);
		if (r < 0)
			return r;
		if (status_opt.wait && v->done)
			break;
		if (status_opt.wait && now_seconds() > end) {
			log_warning("after %u seconds not all nodes are done", patience);
			break;
		}
		r = sig_pause(BETWEEN_LOOKS, e);
		if (r < 0)
			return r;
	}
	return status_opt.watch && (o->json || redraws()) ? 0 : status_show(o, v, e);
}

static int status_cluster(const struct cmd_options *o, struct err *e)
{
	_cleanup_(overview_done) struct overview v = { 0 };
	_cleanup_json_ json_t *cards = NULL;
	const struct secrets *secrets = NULL;
	const struct plan *plan;
	const char *why = "";
	struct config *c;
	int r = config_require_file(o->config,
				    "so there is no cluster to ask (of a card give the device, or its report)", e);

	if (r == 0)
		r = cmd_load_config(o, &c, e);
	if (r == 0)
		r = flashed_load(c->dir, &cards, e);
	if (r < 0)
		return r;
	plan = plan_quietly(o, &secrets, &why);
	overview_begin(&v, c, cards, secrets, plan, why);
	if (status_opt.watch || status_opt.wait) {
		r = follow_cluster(o, &v, e);
	} else {
		r = overview_ask(&v, e);
		if (r == 0)
			r = status_show(o, &v, e);
	}
	return r < 0 ? r : overview_verdict(&v, e);
}

static bool is_a_node(const struct cmd_options *o)
{
	const struct config *c = cmd_glimpse_config(o->config);

	return c && config_find_node(c, o->args.v[0]);
}

static int cmd_status(const struct cmd_options *o, struct err *e)
{
	int r = cmd_args(o, 0, 1, "status [DEVICE|DIR|FILE] [--json]", e);

	if (r == 0 && o->args.n && (status_opt.watch || status_opt.wait))
		r = err_class(e, CLASS_USAGE,
			      "--watch and --wait are of the whole cluster, which is asked without an argument");
	if (r == 0 && status_opt.timeout && !status_opt.wait)
		r = err_class(e, CLASS_USAGE, "--timeout goes with --wait");
	if (r < 0)
		return r;
	if (o->args.n && file_is_missing(o->args.v[0]) && is_a_node(o))
		return err_class(
			e, CLASS_USAGE,
			"%s is a node, and there is no file of that name: `pibuild status` asks all nodes, `pibuild ssh %s pibuild-status` this one",
			o->args.v[0], o->args.v[0]);
	if (o->args.n)
		return status_card(o, e);
	/* Root's rights were for disks. */
	r = caller_become(e);
	return r < 0 ? r : status_cluster(o, e);
}

const struct command status_command = {
	.name = "status",
	.args = "[DEVICE|DIR|FILE]",
	.help = "all nodes of the cluster; or the report of a card",
	.run = cmd_status,
	.reads_disks = true,
	.options = status_options,
	.n_options = ARRAY_SIZE(status_options),
	.common = "config lock secrets json",
	.words = { "@disk @file", "" },
	.examples = { "pibuild status --wait", "sudo pibuild status /dev/sdX --json" },
};
