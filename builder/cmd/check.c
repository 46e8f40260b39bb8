/* SPDX-License-Identifier: Apache-2.0 */
/* Every fault of cluster.yaml, secrets, boards and lock in one run. No network, no cache, no command is run. */
#include "base/file.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "config/apps.h"
#include "plan/project.h"

/* true when the lock has to be made first; so with the next two. */
static bool check_pin(const struct release_set *set, const struct artifact *a, struct faults *f)
{
	const char *version = artifact_version(set, a->version_key);

	if (!version || lock_find(set->lock, a->name, version))
		return false;
	note_key(f, set->config, arena_printf("versions.%s", a->version_key),
		 "versions.%s: the lock has no digest of %s %s; run `pibuild lock` before the first build",
		 a->version_key, a->name, version);
	return true;
}

static bool cmd_check_images(const struct release_set *set, struct faults *f)
{
	const struct config *c = set->config;
	bool stale = false;

	vec_foreach (i, &set->catalogue->images) {
		struct image_pin p;
		struct err e = { 0 };
		const char *key = arena_printf("versions.%s", i->version_key);

		if (!image_in_force(i, c) || !catalogue_wanted(i->for_whom, c))
			continue;
		if (image_pin(set, i, &p, &e) < 0 && !faults_machine(f, &e))
			fault_key(f, c, key, "%s", e.msg);
		if (e.code || p.sha256)
			continue;
		note_key(
			f, c, key,
			"%s: the lock has no digest of the container image %s; run `pibuild lock` before the first build",
			key, image_ref(&p));
		stale = true;
	}
	return stale;
}

static bool cmd_check_apps(const struct release_set *set, struct faults *f)
{
	struct app_pins pins = { 0 };
	bool stale = false;

	/* What is wrong in the file may be what an app is made of. */
	if (!f->errors)
		pins = app_pins(set);
	vec_foreach (p, &pins.v) {
		const char *key = app_key(set->config, p->app);

		if (p->pin.sha256)
			continue;
		note_key(f, set->config, key,
			 "%s: the lock has no digest of %s%s%s; run `pibuild lock` before the first build", key,
			 p->from, p->version ? " " : "", str_or(p->version, ""));
		stale = true;
	}
	return stale;
}

/* Of apps whose chart and manifests the lock has: what changed since it looked at them. */
static bool cmd_check_judged(const struct release_set *set, struct faults *f)
{
	bool stale = false;

	for (size_t i = 0; !f->errors && i < set->config->apps.n; i++) {
		const struct app *a = &set->config->apps.v[i];
		const struct lock_judged *x = lock_find_judged(set->lock, a->name);
		const char *key = app_key(set->config, a), *of;
		struct err e = { 0 };

		if (app_digest(set, a, &of, &e) < 0)
			fault_key_failed(f, set->config, key, &e);
		else if (!x || !streq(x->of, of))
			note_key(
				f, set->config, key,
				"%s: the lock has not looked at %s as it is now, so nobody has seen %s%s; run `pibuild lock`",
				key, a->name,
				a->chart.version ? "whether its chart takes the values" : "what is in its manifests",
				set->config->airgap ? ", and which images it asks for" : "");
		else
			continue;
		stale = true;
	}
	return stale;
}

static bool check_lock(const struct release_set *set, struct faults *f)
{
	const struct config *c = set->config;
	bool stale = false;

	vec_foreach (a, &set->catalogue->artifacts) {
		if (artifact_in_force(a, c) && catalogue_wanted(a->for_whom, c))
			stale |= check_pin(set, a, f);
	}
	if (cmd_check_apps(set, f) || cmd_check_judged(set, f))
		stale = true;
	return cmd_check_images(set, f) || stale;
}

/* With faults in the config the secrets were not loaded: they are looked at all the same. */
static void check_secrets(const struct cmd_options *o, const struct config *c, struct faults *f)
{
	const char *path = cmd_secrets_path(o, c);
	struct err e = { 0 };
	struct secrets *s;

	if (file_is_missing(path)) {
		if (o->secrets)
			fault_at(f, NULL, "%s: there is no such secrets file; `pibuild secrets new` makes one", path);
		return;
	}
	if (secrets_load(path, &s, &e) < 0 && !faults_machine(f, &e))
		faults_add_failure(f, &e);
}

/* 0 when all could be looked at, faults or not; 1 when the lock has to be made before a build. */
static int check_all(const struct cmd_options *o, struct project **p, struct faults *f, struct err *e)
{
	const struct project_options po = cmd_project_options(o, SECRETS_IF_ANY);
	int r = project_load(&po, p, e);

	if (*p)
		*f = (*p)->faults;
	if (r < 0 && e->class != CLASS_CONFIG)
		return r;
	if (r < 0) {
		faults_add_failure(f, e);
		return 0;
	}
	r = check_lock(&(*p)->set, f);
	if (!(*p)->secrets_real)
		check_secrets(o, (*p)->config, f);
	return r;
}

static json_t *fault_json(const struct fault *x)
{
	return json_pack("{s:s*, s:o*, s:o*, s:s, s:s}", "file", x->file, "line",
			 x->line ? json_integer(x->line) : NULL, "column", x->line ? json_integer(x->col) : NULL,
			 "severity", x->note ? "note" : "error", "message", x->msg);
}

static int check_print_json(const struct faults *f, struct err *e)
{
	json_t *list = json_array();

	for (const struct fault **p = faults_sorted(f); *p; p++)
		json_array_append_new(list, fault_json(*p));
	return json_print(json_pack("{s:b, s:o}", "ok", f->errors == 0, "faults", list), e);
}

static void print_summary(const struct config *c)
{
	unsigned servers = config_count_role(c, ROLE_CONTROL_PLANE), workers = config_count_role(c, ROLE_WORKER);

	printf("%s: ok: %zu %s (%u control-plane, %u %s), %zu address %s\n", c->path, c->nodes.n,
	       c->nodes.n == 1 ? "node" : "nodes", servers, workers, workers == 1 ? "worker" : "workers", c->lb.pools.n,
	       c->lb.pools.n == 1 ? "pool" : "pools");
}

static int cmd_check(const struct cmd_options *o, struct err *e)
{
	const char *path = str_or(o->config, "cluster.yaml");
	struct project *p = NULL;
	struct faults f = { 0 };
	int r = cmd_args(o, 0, 0, "check [-c FILE]", e), stale = 0;

	if (r < 0)
		return r;
	r = stale = check_all(o, &p, &f, e);
	if (r < 0)
		return r;
	r = 0;
	if (p && p->config)
		path = p->config->path;
	if (o->json)
		r = check_print_json(&f, e);
	else
		faults_print(&f);
	if (r == 0)
		r = faults_verdict(&f, path, e);
	if (r < 0 || o->json)
		return r;
	print_summary(p->config);
	if (stale)
		cmd_next(o, "`pibuild lock` pins what is to be downloaded, then `pibuild build`");
	else
		cmd_next(o, "`pibuild build` makes the images; `pibuild plan` says first what that takes");
	return 0;
}

const struct command check_command = {
	.name = "check",
	.args = "",
	.help = "every fault of the configuration in one go; writes nothing",
	.run = cmd_check,
	.common = "config lock secrets json",
	.examples = { "pibuild check", "pibuild check -c lab/cluster.yaml --json" },
};
