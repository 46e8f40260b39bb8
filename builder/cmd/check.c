/* SPDX-License-Identifier: Apache-2.0 */
/* Every fault of cluster.yaml, secrets, boards and lock in one run. No network, no cache, no command is run. */
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "plan/project.h"

static void check_pin(const struct catalogue *cat, const struct lock *l, const struct config *c,
		      const struct artifact *a, struct faults *f)
{
	const char *version = artifact_version(cat, c, a->version_key);

	if (version && !lock_find(l, a->name, version))
		note_key(f, c, arena_printf("versions.%s", a->version_key),
			 "versions.%s: the lock has no digest of %s %s; run `pibuild lock` before the first build",
			 a->version_key, a->name, version);
}

static void check_lock(const struct catalogue *cat, const struct lock *l, const struct config *c, struct faults *f)
{
	vec_foreach (a, &cat->artifacts) {
		if (a->base ? !streq(c->os.base, a->name) : (a->for_whom & FOR_AIRGAP) && !c->airgap)
			continue;
		check_pin(cat, l, c, a, f);
	}
}

static void check_secrets_file(const struct cmd_options *o, const struct config *c, struct faults *f)
{
	struct yaml_node *where = arena_new(struct yaml_node);
	struct err e = { 0 };
	struct secrets *s;

	/* Without one the first build makes it. */
	where->file = cmd_secrets_path(o, c);
	if (!o->secrets && access(where->file, F_OK) < 0)
		return;
	if (secrets_load(where->file, &s, &e) < 0)
		fault_at(f, where, "%s", e.msg);
}

static int check_all(const struct cmd_options *o, struct project **ret, struct err *e)
{
	const struct project_options po = { o->config, o->lock, o->secrets, SECRETS_NONE };
	int r = project_load(&po, ret, e);

	if (r < 0)
		return r;
	check_lock((*ret)->catalogue, (*ret)->lock, (*ret)->config, &(*ret)->faults);
	check_secrets_file(o, (*ret)->config, &(*ret)->faults);
	return 0;
}

static json_t *fault_json(const struct fault *x)
{
	return json_pack("{s:s*, s:o*, s:o*, s:s, s:s}", "file", x->file, "line",
			 x->line ? json_integer(x->line) : NULL, "column", x->line ? json_integer(x->col) : NULL,
			 "severity", x->note ? "note" : "error", "message", x->msg);
}

/* A file that is no YAML ends the load with one message, "FILE:LINE:COLUMN: words". */
static struct fault fault_of(const struct err *e)
{
	struct fault x = { .msg = arena_strdup(e->msg) };
	const char *p = strchr(e->msg, ':');
	int n = 0;

	for (; p; p = strchr(p + 1, ':'))
		if (sscanf(p, ":%u:%u: %n", &x.line, &x.col, &n) == 2 && n)
			break;
	if (!p) {
		x.line = x.col = 0;
		return x;
	}
	x.file = arena_strndup(e->msg, (size_t)(p - e->msg));
	x.msg = arena_strdup(p + n);
	return x;
}

static int print_json(const struct faults *f, const struct err *failure, struct err *e)
{
	json_t *list = json_array();
	struct fault last;

	for (const struct fault **p = faults_sorted(f); *p; p++)
		json_array_append_new(list, fault_json(*p));
	if (failure) {
		last = fault_of(failure);
		json_array_append_new(list, fault_json(&last));
	}
	return json_print(json_pack("{s:b, s:o}", "ok", !failure && !f->errors, "faults", list), e);
}

static void print_summary(const struct config *c)
{
	unsigned servers = config_count_role(c, ROLE_CONTROL_PLANE), workers = config_count_role(c, ROLE_WORKER);

	printf("%s: ok: %zu %s (%u control-plane, %u %s), %zu address %s\n", c->path, c->nodes.n,
	       c->nodes.n == 1 ? "node" : "nodes", servers, workers, workers == 1 ? "worker" : "workers", c->lb.pools.n,
	       c->lb.pools.n == 1 ? "pool" : "pools");
}

int cmd_check(const struct cmd_options *o, struct err *e)
{
	struct project *p = NULL;
	struct err failure;
	int r = cmd_args(o, 0, 0, "check [-c FILE]", e);

	if (r < 0)
		return r;
	r = check_all(o, &p, e);
	if (r < 0 && (!o->json || e->class != CLASS_CONFIG)) {
		faults_print(&p->faults);
		return r;
	}
	failure = *e;
	if (o->json && print_json(&p->faults, r < 0 ? &failure : NULL, e) < 0)
		return e->code;
	if (r < 0)
		return r;
	if (!o->json)
		faults_print(&p->faults);
	r = faults_verdict(&p->faults, p->config->path, e);
	if (r == 0 && !o->json)
		print_summary(p->config);
	return r;
}
