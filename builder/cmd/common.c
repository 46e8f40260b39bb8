/* SPDX-License-Identifier: Apache-2.0 */
/* What several commands share: arguments, questions at a terminal, configuration, plan and node by the options. */
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sig.h"
#include "cmd/cmd.h"
#include "plan/flashed.h"
#include "secrets/secrets.h"
#include "update/apps.h"

const struct config *cmd_glimpse_config(const char *path)
{
	struct faults f = { 0 };
	struct config *config = NULL;
	struct err ignored = { 0 };

	if ((path && streq(path, "-")) || (!path && file_is_missing("cluster.yaml")))
		return NULL;
	return config_load(path, &config, &f, &ignored) < 0 ? NULL : config;
}

/* The option that WORD, given as an argument too many, was meant for; NULL = none. */
static const char *option_meant(const struct command *c, const struct cmd_options *o, const char *word)
{
	const struct config *config = NULL;
	struct stat st;

	for (size_t i = 0; i < c->n_options && !config; i++)
		if (streq(c->options[i].name, "node"))
			config = cmd_glimpse_config(o->config);
	if (config && config_find_node(config, word))
		return "--node";
	if (!o->config && cmd_word_in(c->common, "config") &&
	    (ends_with(word, ".yaml") || ends_with(word, ".yml") || (stat(word, &st) == 0 && S_ISREG(st.st_mode))))
		return "-c";
	return NULL;
}

/* "secrets show -c lab.yaml" for "secrets show lab.yaml"; NULL when an argument is none of an option's. */
static const char *command_meant(const struct cmd_options *o, size_t max, const struct command *c)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_addf(&b, "%s", c->name);
	for (size_t i = 0; i < o->args.n; i++) {
		const char *word = o->args.v[i], *option = i < max ? "" : option_meant(c, o, word);

		if (!option)
			return NULL;
		strbuf_addf(&b, " %s%s%s", option, *option ? " " : "", shell_word(word));
	}
	return arena_strdup(b.s);
}

int cmd_args(const struct cmd_options *o, size_t min, size_t max, const char *usage, struct err *e)
{
	const char *meant = NULL;

	if (o->args.n >= min && o->args.n <= max)
		return 0;
	if (o->args.n > max)
		meant = command_meant(o, max, command_find(arena_strndup(usage, strcspn(usage, " "))));
	if (meant)
		return err_class(e, CLASS_USAGE, "too many arguments: did you mean `pibuild %s`?", meant);
	return err_class(e, CLASS_USAGE, "%s: usage: pibuild %s",
			 o->args.n < min ? "an argument is missing" : "too many arguments", usage);
}

bool cmd_in_ci(void)
{
	const char *ci = str_or(getenv("CI"), "");

	return *ci && !streq(ci, "false");
}

void cmd_next(const struct cmd_options *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!o->json && !cmd_in_ci())
		log_info("next: %s", arena_vprintf(fmt, ap));
	va_end(ap);
}

const char *cmd_secrets_path(const struct cmd_options *o, const struct config *c)
{
	return secrets_path(o->secrets, c);
}

int cmd_require_cluster(const struct cmd_options *o, struct err *e)
{
	if (!file_is_missing("secrets.yaml"))
		return 0;
	return config_require_file(o->config, "no secrets.yaml of the shipped default either", e);
}

struct project_options cmd_project_options(const struct cmd_options *o, enum secrets_policy policy)
{
	return (struct project_options){
		.config = o->config, .lock = o->lock, .secrets = o->secrets, .policy = policy, .out = o->out
	};
}

struct plan_options cmd_plan_options(const struct cmd_options *o, enum secret_use use)
{
	return (struct plan_options){
		.nodes = o->nodes.v,
		.n_nodes = o->nodes.n,
		.role = o->role,
		.out = o->out,
		.secret_use = o->generic ? SECRET_SKIP : use,
		.generic = o->generic,
	};
}

int cmd_check_selection(const struct cmd_options *o, struct err *e)
{
	if (o->generic && o->nodes.n)
		return err_class(e, CLASS_USAGE,
				 "--generic makes one image for all nodes of a role: give --role instead of --node");
	return 0;
}

int cmd_check_locked(const struct plan *p, struct err *e)
{
	int r = pins_check_locked(p->pins.v, p->pins.n, e);

	if (r < 0)
		return r;
	r = lock_check_keys(p->project->set.lock, p->project->config, e);
	if (r < 0)
		return r;
	r = images_check_locked(&p->images, e);
	return r < 0 ? r : images_check_locked(&p->pulled, e);
}

int cmd_load_config(const struct cmd_options *o, struct config **ret, struct err *e)
{
	struct faults f = { 0 };
	int r = config_load(o->config, ret, &f, e);

	if (r < 0)
		return r;
	faults_print(&f);
	return faults_verdict(&f, (*ret)->path, e);
}

int cmd_make_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e)
{
	struct project_options first = *po;
	struct project *project;
	int r;

	if (!first.before)
		first.before = plan_check_selection;
	first.before_arg = so;
	r = project_load_valid(&first, &project, e);

	return r < 0 ? r : plan_make(project, so, ret, e);
}

int cmd_load_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e)
{
	int r = cmd_make_plan(po, so, ret, e);

	return r < 0 ? r : cmd_check_locked(*ret, e);
}

int cmd_check_values(const struct plan *p, const struct cache *c, const struct fetch_options *f, struct err *e)
{
	vec_foreach (n, &p->nodes)
		if (!(*n)->generic && (*n)->node->role == ROLE_CONTROL_PLANE)
			return apps_check_values(&p->project->set, c, f, e);
	return 0;
}

int cmd_find_node(const struct config *c, const char *name, const struct node_config **ret, struct err *e)
{
	const struct node_config *n = config_find_node(c, name);

	if (!n)
		return err_class(e, CLASS_USAGE, "%s has no node '%s'; %s", c->path, name, config_node_meant(c, name));
	*ret = n;
	return 0;
}

int cmd_check_output(const struct cmd_options *o, const struct cmd_output *out, struct err *e)
{
	int r = o->force ? 0 : file_ask(out->path, e);

	/* What cannot become a file is outfile_create()'s to refuse: no --force helps. */
	if (r <= 0 || !outfile_may_be(out->path))
		return MIN(r, 0);
	r = out->is_own(out->path, out->arg, e);
	if (r > 0 || (r < 0 && (err_is_machines(e) || r == -EIO || r == -EINTR)))
		return MIN(r, 0);
	return err_class(e, CLASS_REFUSED,
			 "%s is there already and is not %s: %sgive another name, or replace it with --force",
			 out->path, out->own, out->cure);
}

bool cmd_has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* At a Ctrl-C what is said next does not stand behind the question. */
static int answer_interrupted(struct err *e)
{
	int r = sig_check(e);

	if (r < 0 && isatty(STDIN_FILENO))
		fputc('\n', stderr);
	return r;
}

/* Looks up now and then: a Ctrl-C just before the wait interrupts no call. */
static int wait_for_input(struct err *e)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	int r;

	do
		r = answer_interrupted(e);
	while (r == 0 && poll(&in, 1, 200) <= 0);
	return r;
}

int cmd_read_line(char **line, size_t *cap, struct err *e)
{
	ssize_t n;
	int code, r = wait_for_input(e);

	if (r < 0)
		return r;
	n = getline(line, cap, stdin);
	code = errno;
	r = answer_interrupted(e);
	if (r < 0)
		return r;
	if (n < 0 && ferror(stdin))
		return err_errno(e, -code, "cannot read the answer");
	if (n < 0)
		return err_class(e, CLASS_USAGE, "the answers ended too early, nothing was written");
	while (n && strchr(" \t\r\n", (*line)[n - 1]))
		(*line)[--n] = '\0';
	return 0;
}

int cmd_answer(const char *wanted, const char *kept, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	int r = cmd_read_line(&line, &cap, e);

	if (r < 0 && e->class != CLASS_USAGE)
		return r;
	return r == 0 && streq(line, wanted) ? 0 : err_class(e, CLASS_REFUSED, "not confirmed: %s", kept);
}

int cmd_confirm(const struct cmd_options *o, const char *what, const char *alone, const char *kept, struct err *e)
{
	if (o->yes)
		return 0;
	if (!cmd_has_terminal())
		return err_class(e, CLASS_REFUSED, "there is no terminal to ask on: with --yes %s", alone);
	fprintf(stderr, "%s. Type yes to go on: ", what);
	return cmd_answer("yes", kept, e);
}

/* Without -c a record is kept only where there is a project. */
const char *cmd_project_dir(const struct cmd_options *o)
{
	if (o->config)
		return path_dir(o->config);
	return file_is_missing("cluster.yaml") ? NULL : ".";
}

void cmd_identify(const char *disk, struct card_identity *ret)
{
	caller_raise();
	card_identify(disk, ret);
	caller_lower();
}

/* "2026-11-28T14:02:07Z" of a record in local time, to the minute; NULL when it is none. */
static const char *local_time(const char *utc)
{
	char text[32];
	int64_t seconds;
	struct tm tm;
	time_t t;

	if (!utc || !utc_parse(utc, &seconds))
		return NULL;
	t = (time_t)seconds;
	return strftime(text, sizeof(text), "%Y-%m-%d %H:%M", localtime_r(&t, &tm)) ? arena_strdup(text) : NULL;
}

const char *cmd_card_text(const struct card_identity *id, const char *serial, const char *project_dir)
{
	_cleanup_json_ json_t *all = NULL;
	const char *when;

	if (id->state == CARD_UNFINISHED)
		return arena_printf("an unfinished card of %s", id->node);
	if (id->state != CARD_NODE)
		return NULL;
	all = project_dir ? flashed_read(project_dir) : json_array();
	when = local_time(json_string_value(json_object_get(flashed_by_serial(all, id->node, serial), "time")));
	return arena_printf("%s of %s%s%s", id->node, id->cluster, when ? ", written " : "", str_or(when, ""));
}
