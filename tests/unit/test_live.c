/* SPDX-License-Identifier: Apache-2.0 */
/* What files cost that change on a node that runs, and which versions may follow on each other. */
#include <fts.h>
#include <glob.h>

#include "check.h"
#include "base/file.h"
#include "base/util.h"
#include "live/internal.h"

/* No file below DIR, as a path of a card, is without a row. */
static bool all_known(const char *dir)
{
	char *const paths[] = { unconst(dir), NULL };
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t seen = 0;
	bool good = true;
	FTSENT *f;

	while (tree && (f = fts_read(tree))) {
		if (f->fts_info != FTS_F && f->fts_info != FTS_SL && f->fts_info != FTS_SLNONE)
			continue;
		seen++;
		if (!effect_unknown(f->fts_path + strlen(dir)))
			continue;
		printf("# no row for %s\n", f->fts_path);
		good = false;
	}
	if (tree)
		fts_close(tree);
	return good && seen;
}

/* What the step of FILE is done with (its inputs, its secrets) has that step taken again, or more. */
static bool inputs_follow(const char *file)
{
	static const char places[] =
		"root= etc=/etc/pibuild stamps=/var/lib/pibuild lib=overlays/common/usr/lib/pibuild "
		"charts=/usr/share/pibuild/charts rancher=/var/lib/rancher/k3s run=/run/pibuild";
	const char *name = path_base(file), *step = arena_strndup(name, strlen(name) - strlen(".sh"));
	FILE *p = popen(
		arena_printf("%s; inputs() { :; }; staged() { :; }; . %s 2>/dev/null; inputs 2>/dev/null; staged",
			     places, file),
		"r");
	char path[256];
	bool good = p;

	while (p && fscanf(p, "%255s", path) == 1) {
		struct effect x = effect_of(path, false);

		if (x.kind == EFFECT_K3S || x.kind == EFFECT_REBOOT || (x.kind == EFFECT_STEP && streq(x.name, step)))
			continue;
		printf("# %s: %s is followed by '%s'\n", step, path, effect_text(x));
		good = false;
	}
	return p && pclose(p) == 0 && good;
}

static bool is(struct effect x, const char *word)
{
	return streq(str_or(effect_word(x), ""), word);
}

int main(void)
{
	CASE("every file that pibuild puts on a card has a row")
	{
		static const char *const dirs[] = { "overlays/common",	       "overlays/control-plane",
						    "overlays/worker",	       "tests/golden/homelab/cp-1",
						    "tests/golden/ha/cp-1",    "tests/golden/lab/w-1",
						    "tests/golden/wifi/w-1",   "tests/golden/backup/pi-1",
						    "tests/golden/airgap/cp-1" };

		for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
			CHECK(all_known(dirs[i]));
		CHECK(effect_unknown("/etc/mine.conf"));
	}
	CASE("what a step is done with has it taken again")
	{
		glob_t steps;

		CHECK(glob("./overlays/*/usr/lib/pibuild/steps/*.sh", 0, NULL, &steps) == 0 && steps.gl_pathc > 5);
		for (size_t i = 0; i < steps.gl_pathc; i++)
			CHECK(inputs_follow(steps.gl_pathv[i]));
		globfree(&steps);
	}
	CASE("what a file costs, what one that goes costs")
	{
		CHECK(is(effect_of("/etc/hosts", false), ""));
		CHECK(is(effect_of("/usr/local/bin/k3s", false), "k3s"));
		CHECK(is(effect_of("/usr/local/bin/helm", false), ""));
		CHECK(is(effect_of("/var/lib/rancher/k3s/agent/images/x.tar", false), "k3s"));
		CHECK(is(effect_of("/var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml", false), ""));
		CHECK(is(effect_of("/usr/share/pibuild/charts/cilium/templates/x.yaml", false), "step cni"));
		CHECK(is(effect_of("/usr/lib/pibuild/steps/nodes.sh", false), "step nodes"));
		CHECK(is(effect_of("/usr/lib/pibuild/steps/nodes.sh", true), ""));
		CHECK(is(effect_of("/etc/systemd/system/timers.target.wants/x.timer", false), "start x.timer"));
		CHECK(is(effect_of("/etc/systemd/system/timers.target.wants/x.timer", true), "stop x.timer"));
		CHECK(is(effect_of("/etc/systemd/system/x.timer", false), "restart x.timer"));
		CHECK(is(effect_of("/etc/systemd/system/x.timer", true), "stop x.timer"));
		CHECK(is(effect_of("/boot/firmware/config.txt", false), "reboot"));
		CHECK(effect_of("/boot/firmware/pibuild-status.json", false).kind == EFFECT_KEEP);
		CHECK(effect_of("/etc/shadow", false).kind == EFFECT_CANNOT);
		CHECK(effect_of("/var/lib/rancher/k3s/server/tls/etcd/peer-ca.key", false).kind == EFFECT_CANNOT);
	}
	CASE("K3s skips no minor version, and goes back within one only")
	{
		CHECK(!skew_k3s("v1.35.4+k3s1", "v1.36.4+k3s1"));
		CHECK(!skew_k3s("v1.36.4+k3s1", "v1.36.3+k3s1"));
		CHECK(!skew_k3s(NULL, "v1.36.3+k3s1"));
		CHECK(skew_k3s("v1.34.4+k3s1", "v1.36.4+k3s1") &&
		      strstr(skew_k3s("v1.34.4+k3s1", "v1.36.4+k3s1"), "1.35"));
		CHECK(skew_k3s("v1.36.4+k3s1", "v1.35.4+k3s1"));
	}
	CASE("Cilium goes one minor version at a time, forth and back")
	{
		CHECK(!skew_cilium("1.19.4", "1.20.0"));
		CHECK(!skew_cilium("1.20.0", "1.19.4"));
		CHECK(skew_cilium("1.18.0", "1.20.0") && strstr(skew_cilium("1.18.0", "1.20.0"), "1.19"));
		CHECK(skew_cilium("1.20.0", "1.17.9") && strstr(skew_cilium("1.20.0", "1.17.9"), "1.19"));
	}
	CASE("an answer whose files come in two heaps is none: what is found by its path would be missed")
	{
		struct wanted w = { 0 };
		struct live l = { 0 };
		struct err e = { 0 };

		CHECK_ERR(live_parse("cp-1", &w,
				     arena_strdup(
					     "pibuild-apply 1\nseen\tf\t644\t0\t0\t1\t./b\t\nstaged\n"
					     "seen\tf\t644\t0\t0\t1\t./a\t\nrelease\n{}\nmanifest\n{\"files\": []}\n"),
				     &l, &e),
			  EPROTO);
		live_done(&l);
	}
	return check_done();
}
