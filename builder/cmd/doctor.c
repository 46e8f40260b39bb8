/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has and lacks, each with the command that mends it. */
#include <sys/utsname.h>

#include "base/data.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "cmd/cmd.h"
#include "debian/debian.h"

enum doctor_verdict { FINE, MISSING, WARNING };
static const char *const verdict_names[] = { "ok", "missing", "warning" };

struct doctor_line {
	enum doctor_verdict verdict;
	const char *what, *detail, *cure;
};
struct doctor_lines {
	VEC(struct doctor_line) v;
	VEC(const char *) packages;
};

static void find(struct doctor_lines *f, enum doctor_verdict v, const char *what, const char *detail, const char *cure)
{
	*vec_push(&f->v) = (struct doctor_line){ v, what, detail, cure };
}

static void check_tools(struct doctor_lines *f)
{
	for (size_t i = 0; i < proc_tools_count; i++) {
		const struct proc_tool *t = &proc_tools[i];
		const char *path = proc_find(t->name);
		bool named = false;

		if (path) {
			find(f, FINE, t->name, path, "");
			continue;
		}
		if (!t->package) {
			find(f, WARNING, t->name, t->why, "https://helm.sh/docs/intro/install");
			continue;
		}
		find(f, t->optional ? WARNING : MISSING, t->name, t->why,
		     arena_printf("sudo apt-get install %s", t->package));
		vec_foreach (p, &f->packages)
			named |= streq(*p, t->package);
		if (!named)
			*vec_push(&f->packages) = t->package;
	}
}

static void check_arm64(struct doctor_lines *f)
{
	bool runs = debian_runs_arm64();

	find(f, runs ? FINE : WARNING, "arm64 programs",
	     runs ? "run on this machine" : "do not run on this machine: os.base: debian needs that",
	     runs ? "" : "sudo apt-get install arch-test qemu-user-static binfmt-support");
}

static void check_space(struct doctor_lines *f, const char *what, const char *path, uint64_t want)
{
	char have[SIZE_TEXT_MAX], need[SIZE_TEXT_MAX];
	struct err ignored = { 0 };
	uint64_t room;

	if (free_space(path, &room, &ignored) < 0)
		find(f, WARNING, what, ignored.msg, "");
	else
		find(f, room < want ? WARNING : FINE, what, arena_printf("%s free in %s", size_text(room, have), path),
		     room < want
			     ? arena_printf("a build of Raspberry Pi OS wants about %s there", size_text(want, need))
			     : "");
}

static void check_data(struct doctor_lines *f)
{
	struct err e = { 0 };
	const char *path;

	if (data_path("configs/catalogue.yaml", &path, &e) < 0)
		find(f, MISSING, "data folder", e.msg, "make install, or set PIBUILD_DATA to the source tree");
	else
		find(f, FINE, "data folder", path_dir(path_dir(path)), "");
}

static json_t *doctor_findings_json(const struct doctor_lines *f)
{
	json_t *a = json_array();

	vec_foreach (x, &f->v)
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s}", "what", x->what, "state",
						   verdict_names[x->verdict], "detail", x->detail, "cure", x->cure));
	return a;
}

static int verdict(const struct doctor_lines *f, struct err *e)
{
	_cleanup_strbuf_ struct strbuf packages = { 0 };
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	vec_foreach (x, &f->v)
		if (x->verdict == MISSING)
			strbuf_item(&missing, ", ", x->what);
	if (!missing.n)
		return 0;
	vec_foreach (p, &f->packages)
		strbuf_addf(&packages, " %s", *p);
	return err_class(e, CLASS_HOST, "missing: %s%s%s", missing.s, packages.n ? ": sudo apt-get install" : "",
			 str_or(packages.s, ""));
}

static void doctor_next(const struct cmd_options *o, const struct doctor_lines *f)
{
	bool described = o->config || !file_is_missing("cluster.yaml");
	size_t warnings = 0;

	vec_foreach (x, &f->v)
		warnings += x->verdict == WARNING;
	if (!o->json && warnings)
		log_info("this machine can build images; see the %zu %s above", warnings,
			 warnings == 1 ? "warning" : "warnings");
	else if (!o->json)
		log_info("this machine has all that pibuild uses");
	if (described)
		cmd_next(o, "`pibuild check` says whether the cluster will work");
	else
		cmd_next(o, "`pibuild init` describes your cluster");
}

static int cmd_doctor(const struct cmd_options *o, struct err *e)
{
	_cleanup_(cache_close) struct cache cache = { .fd = -1 };
	struct doctor_lines f = { 0 };
	struct err no_cache = { 0 };
	struct utsname u;
	int r = cmd_args(o, 0, 0, "doctor [--json]", e);

	if (r < 0)
		return r;
	uname(&u);
	find(&f, FINE, "pibuild", PIBUILD_VERSION, "");
	find(&f, FINE, "host", arena_printf("%s %s %s", u.sysname, u.release, u.machine), "");
	check_data(&f);
	check_tools(&f);
	check_arm64(&f);
	if (cache_open(o->cache, &cache, &no_cache) < 0)
		find(&f, MISSING, "cache", no_cache.msg, "give another folder with --cache");
	else
		check_space(&f, "cache", cache.dir, 12 * GIB);
	check_space(&f, "output", o->out, 4 * GIB);
	if (o->json)
		r = json_print(doctor_findings_json(&f), e);
	else
		vec_foreach (x, &f.v)
			printf("%-8s %-22s %s%s%s\n", verdict_names[x->verdict], x->what, x->detail,
			       *x->cure ? "  -> " : "", x->cure);
	if (r < 0)
		return r;
	r = verdict(&f, e);
	if (r < 0)
		return r;
	doctor_next(o, &f);
	return 0;
}

const struct command doctor_command = {
	.name = "doctor",
	.args = "",
	.help = "what this machine has and lacks",
	.run = cmd_doctor,
	.common = "config out cache json",
	.examples = { "pibuild doctor", "pibuild doctor --cache /mnt/cache -o /mnt/out" },
};
