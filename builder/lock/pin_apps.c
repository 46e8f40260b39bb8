/* SPDX-License-Identifier: Apache-2.0 */
/* What the lock's section `apps` pins: charts and manifests for the cards of servers. */
#include "base/file.h"
#include "config/apps.h"
#include "config/image_ref.h"
#include "crypto/digest.h"
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
	struct app_pin *p = app_add(ret, a, arena_printf("app:%s", a->name),
				    arena_printf("/usr/share/pibuild/apps/%s.tgz", a->name));
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

const char *app_manifest_path(const struct app *a, size_t i)
{
	return arena_printf("/usr/share/pibuild/apps/%s-%02zu.yaml", a->name, i);
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

/* ---- what an app consists of, as one digest, and its images ---- */

static void app_hash(struct sha256 *s, const char *text)
{
	sha256_update(s, str_or(text, ""), strlen(str_or(text, "")) + 1);
}

static int app_hash_files(struct sha256 *s, const char *manifest, struct err *e)
{
	struct text_list files = { 0 };
	int r = app_manifest_files(manifest, &files, e);

	for (size_t i = 0; r == 0 && i < files.n; i++) {
		_cleanup_free_ char *text = NULL;
		size_t n;

		r = file_read(files.v[i], APP_MANIFEST_LIMIT, &text, &n, e);
		if (r == 0)
			sha256_update(s, text, n);
	}
	return r;
}

static void app_hash_chart(struct sha256 *s, const struct app *a)
{
	_cleanup_strbuf_ struct strbuf values = { 0 };

	yaml_emit(app_chart_values(a), NULL, &values);
	app_hash(s, values.s);
	app_hash(s, app_namespace(a));
	vec_foreach (v, &a->secret_values)
		app_hash(s, v->key);
}

int app_digest(const struct release_set *set, const struct app *a, const char **ret, struct err *e)
{
	const struct app_pins pins = app_pins(set);
	char hex[SHA256_HEX];
	struct sha256 s;
	int r = 0;

	sha256_init(&s);
	vec_foreach (p, &pins.v)
		if (p->app == a)
			app_hash(&s, p->pin.sha256);
	if (a->chart.version)
		app_hash_chart(&s, a);
	for (size_t i = 0; r == 0 && i < a->manifests.n; i++)
		if (!app_manifest_is_url(a->manifests.v[i]))
			r = app_hash_files(&s, a->manifests.v[i], e);
	sha256_final(&s, hex);
	*ret = arena_strdup(hex);
	return r;
}

static void add_app_image(const struct release_set *set, const char *text, struct images *ret)
{
	struct image_ref ref;
	struct image_pin p;
	const struct lock_image *x;

	if (image_ref_parse(text, &ref))
		return;
	p = (struct image_pin){
		.name = ref.name, .tag = ref.sha256 ? NULL : ref.tag, .sha256 = ref.sha256, .by_digest = true
	};
	x = p.tag ? lock_find_image(set->lock, p.name, p.tag) : NULL;
	if (x)
		p.sha256 = x->sha256;
	vec_foreach (have, &ret->v)
		if (streq(have->name, p.name) && streq(image_ref(have), image_ref(&p)))
			return;
	*vec_push(&ret->v) = p;
}

int app_images(const struct release_set *set, const struct app *a, struct images *ret, struct err *e)
{
	const struct lock_judged *j = lock_find_judged(set->lock, a->name);
	const char *digest;
	int r = app_digest(set, a, &digest, e);

	if (r < 0)
		return err_wrap(e, "apps: %s", a->name);
	if (!j || !streq(j->of, digest))
		/* Not known before `pibuild lock` has looked: it stands for them. */
		*vec_push(&ret->v) = (struct image_pin){ .name = arena_printf("of the app %s", a->name),
							 .by_digest = true };
	else if (j->images)
		for (size_t i = 0; i < j->images->count; i++)
			add_app_image(set, j->images->items[i]->text, ret);
	vec_foreach (text, &a->images)
		add_app_image(set, *text, ret);
	return 0;
}
