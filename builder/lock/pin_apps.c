/* SPDX-License-Identifier: Apache-2.0 */
/* What the lock's section `apps` pins: charts and manifests for the cards of servers. */
#include "lock/pin.h"

static const char *app_from(const struct app *a)
{
	return a->chart.oci
		       ? arena_printf("oci://%s", a->chart.oci)
		       : arena_printf("%s%s%s", a->chart.repo, ends_with(a->chart.repo, "/") ? "" : "/", a->chart.name);
}

/* The types helm and oci have no namespace; of manifests there is none (package-url/purl-spec types). */
static const char *app_purl(const struct app *a)
{
	if (a->chart.repo)
		return arena_printf("pkg:helm/%s@{version}?repository_url=%s", a->chart.name, a->chart.repo);
	return a->chart.oci ? arena_printf("pkg:helm/%s@{version}?repository_url=oci://%s",
					   strrchr(a->chart.oci, '/') + 1, a->chart.oci)
			    : NULL;
}

static struct app_pin *app_add(struct app_pins *pins, const struct app *a, const char *name, const char *path)
{
	struct app_pin *p = vec_push(&pins->v);
	struct artifact *artifact = arena_new(struct artifact);

	artifact->name = name;
	artifact->install.as = INSTALL_FILE;
	artifact->install.path = path;
	artifact->install.mode = 0644;
	*p = (struct app_pin){ .app = a, .pin = { .kind = PIN_ARTIFACT, .artifact = artifact, .name = name } };
	return p;
}

/* VERSION is shown; of what has none it is the start of its digest. */
static void app_take(struct app_pin *p, const struct lock *l)
{
	const struct lock_app *x = lock_find_app(l, p->from, p->version);
	struct artifact *artifact = unconst(p->pin.artifact);

	p->pin.version = p->version ? p->version : x ? arena_strndup(x->sha256, 12) : "-";
	p->pin.url = x ? x->url : p->from;
	p->pin.max_size = artifact->max_size = p->app->chart.version ? APP_CHART_LIMIT : APP_MANIFEST_LIMIT;
	if (!x)
		return;
	p->pin.sha256 = x->sha256;
	p->pin.size = x->size;
}

static void app_chart(const struct lock *l, const struct app *a, struct app_pins *ret)
{
	struct app_pin *p = app_add(ret, a, arena_printf("app:%s", a->name), app_chart_path(a));
	struct artifact *artifact;

	p->from = app_from(a);
	p->version = a->chart.version;
	app_take(p, l);
	artifact = unconst(p->pin.artifact);
	artifact->purl = app_purl(a);
	if (a->chart.oci)
		p->pin.repository = image_repository(a->chart.oci);
}

static void app_manifests(const struct lock *l, const struct app *a, struct app_pins *ret)
{
	for (size_t i = 0; i < a->manifests.n; i++) {
		struct app_pin *p;

		if (!app_manifest_is_url(a->manifests.v[i]))
			continue;
		p = app_add(ret, a, arena_printf("app:%s/%zu", a->name, i), app_manifest_path(a, i));
		p->from = a->manifests.v[i];
		app_take(p, l);
	}
}

const char *app_chart_path(const struct app *a)
{
	return arena_printf("/usr/share/pibuild/apps/%s.tgz", a->name);
}

const char *app_manifest_path(const struct app *a, size_t i)
{
	return arena_printf("/usr/share/pibuild/apps/%s-%02zu.yaml", a->name, i);
}

bool app_manifest_is_url(const char *manifest)
{
	return starts_with(manifest, "https://");
}

struct app_pins app_pins(const struct release_set *set)
{
	struct app_pins ret = { 0 };

	vec_foreach (a, &set->config->apps)
		if (a->chart.version)
			app_chart(set->lock, a, &ret);
		else
			app_manifests(set->lock, a, &ret);
	return ret;
}
