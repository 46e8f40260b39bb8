/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apps of cluster.yaml: charts and manifests that the lock pins, on the cards of all servers, and on the first server's
 * what they are installed with: values, the user's own manifests, secrets. The step apps.sh reads all of it.
 *
 *	/etc/pibuild/apps/list			a line each, "NAME chart|manifest NAMESPACE once|always yes|no":
 *						NAMESPACE is "-" for none, yes: there are values that are secrets
 *	/etc/pibuild/apps/NAME/values.yaml	of a chart
 *	/etc/pibuild/apps/NAME/manifests	paths on the card, in their order
 *	/etc/pibuild/apps/NAME/namespace.yaml	where it is not one that every cluster has
 *	/etc/pibuild/secrets/app-NAME.yaml	Secrets; app-NAME-values.yaml: values that are secrets
 */
#include "base/file.h"
#include "config/apps.h"
#include "node/cluster.h"

static const char origin[] = "generated: apps";

bool node_has_apps(const struct node_ctx *x)
{
	return node_is_first_server(x) && x->config->apps.n;
}

/* ---- what the lock pins ---- */

static void add_pinned(const struct node_ctx *x, struct tree *t)
{
	const struct app_pins pins = app_pins(&x->set);

	vec_foreach (p, &pins.v)
		tree_add_artifact(t, &p->pin);
}

/* ---- values ---- */

static void add_values_of(const struct app *a, struct tree *t)
{
	struct yaml_node *values = app_chart_values(a);

	cluster_add_yaml(t, arena_printf("/etc/pibuild/apps/%s/values.yaml", a->name), 0644, origin, &values, 1);
}

/* ---- secrets ---- */

static int app_secret_text(const struct node_ctx *x, const struct app *a, const struct app_secret_value *v,
			   struct yaml_node **ret, struct err *e)
{
	const char *text;
	size_t n;
	int r = secret_resolve(&v->secret, x->secret_use, &text, &n, e);

	if (r < 0)
		return err_wrap(e, "apps: %s: %s", a->name, v->key);
	*ret = yaml_strn(text, n);
	return 0;
}

static void add_secret_file(struct tree *t, const char *path, struct yaml_node *const *docs, size_t n)
{
	tree_add_dir(t, "/etc/pibuild/secrets", 0700, origin);
	cluster_add_yaml(t, path, 0600, origin, docs, n)->secret = true;
}

static int add_secret_values(const struct node_ctx *x, const struct app *a, struct tree *t, struct err *e)
{
	struct yaml_node *values = yaml_map();

	vec_foreach (v, &a->secret_values) {
		struct yaml_node *text;
		int r = app_secret_text(x, a, v, &text, e);

		if (r < 0)
			return r;
		yaml_set_path(values, v->key, text);
	}
	if (a->secret_values.n)
		add_secret_file(t, arena_printf("/etc/pibuild/secrets/app-%s-values.yaml", a->name), &values, 1);
	return 0;
}

static int app_add_secrets(const struct node_ctx *x, const struct app *a, struct tree *t, struct err *e)
{
	VEC(struct yaml_node *) docs = { 0 };

	vec_foreach (s, &a->secrets) {
		struct yaml_node *doc = cluster_object("v1", "Secret", s->name, app_namespace(a)), *data;

		yaml_set(doc, "type", yaml_str("Opaque"));
		data = yaml_set(doc, "stringData", yaml_map());
		vec_foreach (d, &s->data) {
			struct yaml_node *text;
			int r = 0;

			if (d->text)
				text = yaml_str(d->text);
			else
				r = app_secret_text(x, a, d, &text, e);
			if (r < 0)
				return r;
			yaml_set(data, d->key, text);
		}
		*vec_push(&docs) = doc;
	}
	if (docs.n)
		add_secret_file(t, arena_printf("/etc/pibuild/secrets/app-%s.yaml", a->name), docs.v, docs.n);
	return 0;
}

/* ---- manifests of the user's ---- */

static int add_own_manifest(const struct app *a, const char *file, const char *name, struct strbuf *list,
			    struct tree *t, struct err *e)
{
	const char *path = arena_printf("/etc/pibuild/apps/%s/%s", a->name, name);
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read(file, APP_MANIFEST_LIMIT, &text, &n, e);

	if (r < 0)
		return err_wrap(e, "apps: %s", a->name);
	tree_add_file(t, path, 0644, origin, text, n);
	strbuf_addf(list, "%s\n", path);
	return 0;
}

/* The names on the card say nothing of those here, which may be any. */
static int app_add_own(const struct app *a, size_t i, struct strbuf *list, struct tree *t, struct err *e)
{
	struct text_list files = { 0 };
	int r = app_manifest_files(a->manifests.v[i], &files, e);

	for (size_t k = 0; r == 0 && k < files.n; k++)
		r = add_own_manifest(
			a, files.v[k],
			arena_printf("%02zu-%02zu%s", i, k, ends_with(files.v[k], ".json") ? ".json" : ".yaml"), list,
			t, e);
	return r;
}

/* What `flux bootstrap` commits (fluxcd/flux2 pkg/manifestgen/sync/sync.go). */
static void add_flux_sync(const struct app *a, struct strbuf *list, struct tree *t)
{
	const struct flux *flux = a->flux;
	const char *path = arena_printf("/etc/pibuild/apps/%s/sync.yaml", a->name);
	struct yaml_node *source = cluster_object("source.toolkit.fluxcd.io/v1", "GitRepository", FLUX_NAME, FLUX_NAME);
	struct yaml_node *sync = cluster_object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", FLUX_NAME,
						FLUX_NAME);
	struct yaml_node *const docs[] = { source, sync };

	yaml_set_path(source, "spec.interval", yaml_str("1m0s"));
	yaml_set_path(source, "spec.url", yaml_str(flux->url));
	yaml_set_path(source, "spec.ref.branch", yaml_str(flux->branch));
	if (a->secrets.n)
		yaml_set_path(source, "spec.secretRef.name", yaml_str(FLUX_NAME));
	yaml_set_path(sync, "spec.interval", yaml_str("10m0s"));
	yaml_set_path(sync, "spec.path",
		      yaml_strf("./%s", starts_with(flux->path, "./") ? flux->path + 2 : flux->path));
	yaml_set_path(sync, "spec.prune", yaml_bool(true));
	yaml_set_path(sync, "spec.sourceRef.kind", yaml_str("GitRepository"));
	yaml_set_path(sync, "spec.sourceRef.name", yaml_str(FLUX_NAME));
	cluster_add_yaml(t, path, 0644, origin, docs, ARRAY_SIZE(docs));
	strbuf_addf(list, "%s\n", path);
}

static int add_manifests_of(const struct app *a, struct tree *t, struct err *e)
{
	_cleanup_strbuf_ struct strbuf list = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->manifests.n; i++)
		if (app_manifest_is_url(a->manifests.v[i]))
			strbuf_addf(&list, "%s\n", app_manifest_path(a, i));
		else
			r = app_add_own(a, i, &list, t, e);
	if (a->flux)
		add_flux_sync(a, &list, t);
	if (r == 0)
		tree_add_text(t, arena_printf("/etc/pibuild/apps/%s/manifests", a->name), 0644, origin, list.s);
	return r;
}

/* ---- all together ---- */

/* Those that are in every cluster; Helm would not make one that it is to find (--create-namespace takes no labels). */
static bool namespace_is_there(const char *namespace)
{
	return !namespace || streq(namespace, "default") || streq(namespace, "kube-system");
}

static int add_app(const struct node_ctx *x, const struct app *a, struct strbuf *list, struct tree *t, struct err *e)
{
	static const char *const applies[APP_APPLY_COUNT] = { "once", "always" };
	const char *namespace = app_namespace(a);
	int r = 0;

	strbuf_addf(list, "%s %s %s %s %s\n", a->name, a->chart.version ? "chart" : "manifest", str_or(namespace, "-"),
		    applies[a->apply], a->secret_values.n ? "yes" : "no");
	if (!namespace_is_there(namespace)) {
		struct yaml_node *doc = cluster_object("v1", "Namespace", namespace, NULL);

		cluster_add_yaml(t, arena_printf("/etc/pibuild/apps/%s/namespace.yaml", a->name), 0644, origin, &doc,
				 1);
	}
	if (a->chart.version)
		add_values_of(a, t);
	else
		r = add_manifests_of(a, t, e);
	if (r == 0)
		r = add_secret_values(x, a, t, e);
	return r < 0 ? r : app_add_secrets(x, a, t, e);
}

int node_add_apps(const struct node_ctx *x, struct tree *t, struct err *e)
{
	_cleanup_strbuf_ struct strbuf list = { 0 };

	if (x->node->role == ROLE_CONTROL_PLANE)
		add_pinned(x, t);
	if (!node_has_apps(x))
		return 0;
	vec_foreach (a, &x->config->apps) {
		int r = add_app(x, a, &list, t, e);

		if (r < 0)
			return r;
	}
	tree_add_text(t, "/etc/pibuild/apps/list", 0644, origin, list.s);
	return 0;
}
