/* SPDX-License-Identifier: Apache-2.0 */
/* Apps that contradict themselves, each other, or what pibuild installs itself. */
#include "base/file.h"
#include "config/api_values.h"
#include "config/apps.h"
#include "config/check.h"
#include "config/dns01.h"
#include "config/manifest.h"

/* Whether the file has it, right or wrong. */
static bool app_gives(const struct check *x, const char *map, const char *key)
{
	const struct yaml_node *n = config_node(x->config, map);

	return n && n->type == YAML_MAP && yaml_get(n, key);
}

static void check_app_chart(const struct check *x, const char *key)
{
	const char *chart = arena_printf("%s.chart", key);
	bool repo = app_gives(x, chart, "repo"), oci = app_gives(x, chart, "oci"), name = app_gives(x, chart, "name");

	if (repo == oci)
		fault_key(x->faults, x->config, chart, "%s: give exactly one of repo and oci", chart);
	else if (repo && !name)
		fault_key(x->faults, x->config, chart, "%s: repo needs name, the chart's in that repository", chart);
	else if (oci && name)
		fault_key(x->faults, x->config, arena_printf("%s.name", chart),
			  "%s.name: goes with repo; the last part of oci is the chart", chart);
}

static void check_app_source(const struct check *x, const char *key)
{
	bool chart = app_gives(x, key, "chart");

	if (chart == app_gives(x, key, "manifest"))
		fault_key(x->faults, x->config, key, "%s: give exactly one of chart and manifest", key);
	else if (chart)
		check_app_chart(x, key);
	else if (app_gives(x, key, "values") || app_gives(x, key, "valuesFile") || app_gives(x, key, "secretValues"))
		fault_key(x->faults, x->config, key, "%s: values are a chart's; manifests are applied as they are",
			  key);
}

/* "" for manifests. */
static const char *chart_name(const struct app *a)
{
	return a->chart.oci ? strrchr(a->chart.oci, '/') + 1 : str_or(a->chart.name, "");
}

/* What pibuild installs itself, with values that the cluster needs. */
static void app_check_owned(const struct check *x, const struct app *a, const char *key)
{
	const char *chart = chart_name(a), *instead = chart_of_pibuild(chart);

	if (instead)
		fault_key(x->faults, x->config, arena_printf("%s.chart", key),
			  "%s.chart: pibuild installs %s itself; %s", key, chart, instead);
}

/* What a chart needs of the node's system, without which its pods never get ready. */
static void app_check_needs(const struct check *x, const struct app *a, const char *key)
{
	static const struct {
		const char *chart, *package, *why;
	} needs[] = {
		{ "longhorn", "open-iscsi", "its volumes are iSCSI disks of the node" },
		{ "longhorn", "nfs-common", "volumes for several nodes are mounted by NFS" },
		{ "democratic-csi", "open-iscsi", "its volumes are iSCSI disks of the node" },
		{ "nfs-subdir-external-provisioner", "nfs-common", "the node mounts its volumes by NFS" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		const struct text_list have = config_packages(x->config, NULL);
		bool found = !streq(chart_name(a), needs[i].chart);

		vec_foreach (p, &have)
			found |= streq(*p, needs[i].package);
		if (!found)
			note_key(x->faults, x->config, key, "%s: %s needs %s on the nodes: %s; add it to os.packages",
				 key, needs[i].chart, needs[i].package, needs[i].why);
	}
}

/* What the cluster has already, and would have twice. */
static void app_check_twins(const struct check *x, const struct app *a, const char *key)
{
	static const struct {
		const char *chart, *disable, *why; /* DISABLE: of k3s.disable, or NULL */
	} twins[] = {
		{ "coredns", "coredns",
		  "K3s brings it, and Helm takes over nothing that it did not make; add it to k3s.disable, or leave the chart out" },
		{ "kube-vip", NULL,
		  "cluster.vip brings it, and two of them would hold the address against each other; leave the chart out" },
		{ "local-path-provisioner", "local-storage",
		  "K3s brings it as local-storage, and both would be the default StorageClass; add that to k3s.disable, or leave the chart out" },
		{ "metallb", NULL,
		  "Cilium gives out the addresses of loadBalancer.pools and answers for them, and both would take every Service of type LoadBalancer; leave one of the two out" },
		{ "metrics-server", "metrics-server",
		  "K3s brings it, and Helm takes over nothing that it did not make; add it to k3s.disable, or leave the chart out" },
	};
	const struct config *c = x->config;
	const char *chart = chart_name(a);

	for (size_t i = 0; i < ARRAY_SIZE(twins); i++) {
		bool twice = streq(chart, "kube-vip")  ? c->cluster.vip != 0
			     : streq(chart, "metallb") ? c->lb.pools.n > 0
						       : true;

		for (size_t k = 0; k < c->k3s.disable.n; k++)
			twice &= !streq(str_or(c->k3s.disable.v[k], ""), str_or(twins[i].disable, "-"));
		if (twice && streq(chart, twins[i].chart))
			note_key(x->faults, c, arena_printf("%s.chart", key), "%s.chart: %s: %s", key, chart,
				 twins[i].why);
	}
}

/* Files of the user's; those at addresses are not here. */
static void app_check_manifests(const struct check *x, const struct app *a, const char *key)
{
	for (size_t i = 0; i < a->manifests.n; i++) {
		const char *at = arena_printf("%s.manifest[%zu]", key, i), *path = a->manifests.v[i];
		struct text_list files = { 0 };
		struct err e = { 0 };

		if (!path || app_manifest_is_url(path))
			continue;
		if (app_manifest_files(path, &files, &e) < 0) {
			fault_key(x->faults, x->config, at, "%s: %s", at, faults_reason(x->faults, &e));
			continue;
		}
		vec_foreach (file, &files) {
			_cleanup_free_ char *text = NULL;
			const char *why;
			size_t n;

			if (file_read(*file, 8 * MIB, &text, &n, &e) < 0) {
				note_key(x->faults, x->config, at, "%s: %s, so nobody looked into it", at,
					 faults_reason(x->faults, &e));
				continue;
			}
			why = manifest_fault(path_base(*file), a->namespace, text, n);
			why = why ? why : manifest_pools_fault(x->config, path_base(*file), text, n);
			if (why)
				fault_key(x->faults, x->config, at, "%s: %s %s", at, *file, why);
		}
	}
}

struct app_told {
	const struct check *check;
	const char *key;
};

/* A chart may make something else of it: nobody here sees what it renders. */
static void app_told_of_api(void *arg, const struct yaml_node *n, const char *path, const char *why)
{
	const struct app_told *t = arg;

	note_at(t->check->faults, n, "%s.values.%s: %s", t->key, path, why);
}

static void app_check_values(const struct check *x, const struct app *a, const char *key)
{
	struct app_told t = { x, key };

	const struct yaml_node *both[] = { a->values, a->values_file.values };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		if (!both[i])
			continue;
		api_values_check(both[i], app_told_of_api, &t);
		check_app_values(x, key, both[i]);
	}
}

static void check_secret_places(const struct check *x, const struct app *a, const char *key)
{
	if (a->secrets.n && app_gives(x, key, "manifest") && !a->namespace)
		fault_key(x->faults, x->config, arena_printf("%s.secrets", key),
			  "%s.secrets: manifests need namespace, for the Secrets to be put there", key);
	vec_foreach (s, &a->secrets)
		for (const struct app_secret *t = a->secrets.v; t < s; t++)
			if (s->name && t->name && streq(s->name, t->name))
				fault_key(x->faults, x->config, arena_printf("%s.secrets", key),
					  "%s.secrets: %s is there twice", key, s->name);
}

static void check_flux(const struct check *x)
{
	const struct config *c = x->config;
	bool ssh = c->flux.url && starts_with(c->flux.url, "ssh:"), key = app_gives(x, "gitops.flux", "sshKey");
	bool token = app_gives(x, "gitops.flux", "token"), hosts = app_gives(x, "gitops.flux", "knownHosts");

	if (!c->flux.url)
		return;
	if (ssh && (!key || !hosts))
		fault_key(
			x->faults, c, "gitops.flux",
			"gitops.flux: an ssh:// address needs sshKey, a key that may read the repository, and knownHosts, its host's keys");
	if (ssh && token)
		fault_key(x->faults, c, "gitops.flux.token",
			  "gitops.flux.token: goes with an https:// address; ssh:// takes sshKey");
	if (!ssh && (key || hosts))
		fault_key(x->faults, c, key ? "gitops.flux.sshKey" : "gitops.flux.knownHosts",
			  "gitops.flux.%s: goes with an ssh:// address; https:// takes token",
			  key ? "sshKey" : "knownHosts");
}

/* Charts of webhooks are told their group, which is where cert-manager asks. */
static void check_webhook_group(const struct check *x, const char *group)
{
	vec_foreach (a, &x->config->apps) {
		const struct yaml_node *told = yaml_get(app_chart_values(a), "groupName");

		if (told && told->type == YAML_SCALAR && !streq(told->text, group))
			note_key(
				x->faults, x->config, "certManager.dns01.groupName",
				"certManager.dns01.groupName: %s, and the values of the app %s say %s: cert-manager would ask for a solver where none answers; write the same",
				group, a->name, told->text);
	}
}

/* ClusterIssuers look for Secrets in the namespace of cert-manager. */
static void check_webhook_secret(const struct check *x, const char *name)
{
	vec_foreach (a, &x->config->apps)
		vec_foreach (s, &a->secrets)
			if (s->name && streq(s->name, name) && !streq(str_or(app_namespace(a), ""), "cert-manager"))
				note_key(
					x->faults, x->config, "certManager.dns01.config",
					"certManager.dns01.config: the Secret %s is put into the namespace %s, that of its app, and is looked for in cert-manager; give the app namespace: cert-manager",
					name, str_or(app_namespace(a), "that its manifests name"));
}

/* Secrets that the solver is told of: as cert-manager writes references (...SecretRef: {name}), or by name alone. */
static void check_webhook_config(const struct check *x, const struct yaml_node *n)
{
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i++) {
		const struct yaml_node *value = n->items[i];

		if (value->type == YAML_SCALAR && streq(n->keys[i]->text, "secretName"))
			check_webhook_secret(x, value->text);
		else if (value->type == YAML_MAP && ends_with(n->keys[i]->text, "SecretRef"))
			check_webhook_secret(x, yaml_text_at(value, "name"));
		else
			check_webhook_config(x, value);
	}
}

static void check_webhook(const struct check *x)
{
	if (!streq(str_or(x->config->cert_manager.provider, ""), DNS01_WEBHOOK))
		return;
	vec_foreach (v, &x->config->cert_manager.dns01)
		if (v->map)
			check_webhook_config(x, v->map);
		else if (v->text && streq(v->key, "groupName"))
			check_webhook_group(x, v->text);
	vec_foreach (a, &x->config->apps)
		if (!a->flux)
			return;
	fault_key(
		x->faults, x->config, "certManager.dns01.provider",
		"certManager.dns01: a webhook is an app of yours, and there is none; add its chart to apps, with namespace: cert-manager");
}

void check_apps(const struct check *x)
{
	check_flux(x);
	check_webhook(x);
	vec_foreach (a, &x->config->apps) {
		const char *key = app_key(x->config, a);

		for (const struct app *b = x->config->apps.v; b < a; b++)
			if (a->name && b->name && streq(a->name, b->name))
				fault_key(x->faults, x->config, arena_printf("%s.name", key),
					  "%s.name: there are two apps of the name %s", key, a->name);
		if (a->flux)
			continue;
		check_app_source(x, key);
		app_check_owned(x, a, key);
		app_check_needs(x, a, key);
		app_check_twins(x, a, key);
		app_check_manifests(x, a, key);
		app_check_values(x, a, key);
		check_secret_places(x, a, key);
	}
}
