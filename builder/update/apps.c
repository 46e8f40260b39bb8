/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charts and manifests of apps, looked up when locking: which file it is that a repository or a registry has under a
 * version, and its digest. What they say of it is held against the file itself.
 */
#include "update/apps.h"

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "catalogue/url.h"
#include "config/apps.h"
#include "crypto/digest.h"
#include "oci/oci.h"
#include "update/app_judge.h"
#include "update/upstream.h"

/* prometheus-community's index had 9 MiB in 2026. */
static const uint64_t max_index = 32 * MIB;

/* One to be looked up. */
struct app_lookup {
	const struct app_pin *p;
	const struct lock_app *old; /* NULL = there is none */
	size_t line;
	size_t stated; /* text that says where it is; a manifest's own address says that */
	size_t body;   /* text that is it */
	struct chart_place place;
};
struct apps_update {
	const struct lock_options *options;
	struct lock_report *report;
	struct release_set now; /* with what was found in its lock */
	struct app_pins pins;	/* of NOW */
	struct texts texts;
	VEC(struct app_lookup) lookups;
};

static struct lock_line app_line(const struct lock_app *x, enum lock_change change)
{
	return (struct lock_line){
		.change = change,
		.what = LOCK_APP,
		.app = x,
		.entry = { .name = x->from,
			   .version = str_or(x->version, "-"),
			   .url = x->url,
			   .sha256 = x->sha256,
			   .size = x->size,
			   .source = x->source },
	};
}

static struct lock_line judged_line(const struct lock_judged *x, enum lock_change change)
{
	return (struct lock_line){
		.change = change,
		.what = LOCK_JUDGED,
		.judged = x,
		.entry = { .name = arena_printf("app:%s", x->app),
			   .version = arena_printf("%zu image%s", x->images ? x->images->count : 0,
						   x->images && x->images->count == 1 ? "" : "s"),
			   .sha256 = x->of },
	};
}

struct lock_line apps_removed_line(const struct lock_app *x)
{
	return app_line(x, LOCK_REMOVED);
}

/* Two apps may be made of one chart. */
static bool app_has_line(const struct lock_report *report, const struct app_pin *p)
{
	vec_foreach (line, &report->lines)
		if (line->what == LOCK_APP && streq(line->app->from, p->from) &&
		    streq(str_or(line->app->version, ""), str_or(p->version, "")))
			return true;
	return false;
}

static const struct lock_app *app_wanted(const struct app_pin *p)
{
	struct lock_app *x = arena_new(struct lock_app);

	*x = (struct lock_app){ .from = p->from, .version = p->version };
	return x;
}

void apps_check_lock(const struct release_set *set, struct lock_report *ret)
{
	const struct app_pins pins = app_pins(set);

	vec_foreach (p, &pins.v) {
		const struct lock_app *x = lock_find_app(set->lock, p->from, p->version);
		struct lock_line line = app_line(x ? x : app_wanted(p), x ? LOCK_KEPT : LOCK_MISSING);

		if (app_has_line(ret, p))
			continue;
		line.why = x ? NULL : arena_printf("the lock has no such %s", p->version ? "chart" : "manifest");
		*vec_push(&ret->lines) = line;
	}
}

int apps_check_judged(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	vec_foreach (a, &set->config->apps) {
		const struct lock_judged *x = lock_find_judged(set->lock, a->name);
		struct lock_line line;
		const char *of;
		int r = app_digest(set, a, &of, e);

		if (r < 0)
			return err_wrap(e, "apps: %s", a->name);
		line = judged_line(x ? x : &(struct lock_judged){ .app = a->name }, LOCK_KEPT);
		if (!x || !streq(x->of, of)) {
			line.change = LOCK_MISSING;
			line.why = "it changed since the lock looked at what it is made of";
		}
		*vec_push(&ret->lines) = line;
	}
	return 0;
}

/* ---- where it is ---- */

/* What P is, at URL. */
static size_t want_body(struct apps_update *x, const struct app_pin *p, const char *url)
{
	const char *oci = p->app->chart.oci;

	return texts_want(&x->texts, (struct text){ .label = p->from,
						    .url = url,
						    .repository = oci ? image_repository(oci) : NULL,
						    .limit = p->pin.max_size });
}

static void ask_where(struct apps_update *x, struct app_lookup *l)
{
	const struct app *a = l->p->app;
	const char *label = arena_printf("%s %s", l->p->from, str_or(l->p->version, ""));

	if (!l->p->version)
		l->place = (struct chart_place){ .url = l->p->from };
	else if (a->chart.oci)
		l->stated = texts_want(&x->texts, (struct text){ .label = label,
								 .url = image_url(a->chart.oci, "manifests",
										  chart_tag(a->chart.version)),
								 .accept = oci_accept("manifests"),
								 .repository = image_repository(a->chart.oci),
								 .limit = OCI_MAX_DOCUMENT });
	else
		l->stated = texts_want(&x->texts,
				       (struct text){ .label = label,
						      .url = arena_printf("%s%sindex.yaml", a->chart.repo,
									  ends_with(a->chart.repo, "/") ? "" : "/"),
						      .limit = max_index });
}

static int read_where(struct apps_update *x, struct app_lookup *l, struct err *e)
{
	const struct app *a = l->p->app;
	int r = 0;

	if (l->p->version) {
		const struct document d = text_document(&x->texts.list.v[l->stated]);

		r = a->chart.oci ? chart_place_oci(&d, a->chart.oci, &l->place, e)
				 : chart_place_index(&d, a->chart.repo, a->chart.name, l->p->version, &l->place, e);
	}
	if (r == 0)
		l->body = want_body(x, l->p, l->place.url);
	return r;
}

/* ---- what it is ---- */

static int take_body(struct apps_update *x, const struct app_lookup *l, struct err *e)
{
	const struct text *t = &x->texts.list.v[l->body];
	struct lock_app *found = arena_new(struct lock_app);
	struct lock_line *line = &x->report->lines.v[l->line];
	char sha256[SHA256_HEX];

	sha256_bytes(str_or(t->body.s, ""), t->body.n, sha256);
	if (l->place.sha256 && !streq(l->place.sha256, sha256))
		return err_class(e, CLASS_VERIFY, "%s: expected sha256 %s as %s states it, got %s", l->place.url,
				 l->place.sha256, x->texts.list.v[l->stated].url, sha256);
	*found = (struct lock_app){
		.from = l->p->from,
		.version = l->p->version,
		.url = l->place.url,
		.sha256 = arena_strdup(sha256),
		.size = t->body.n,
		.source = l->place.sha256 ? x->texts.list.v[l->stated].url : l->place.url,
	};
	*line = app_line(found, !l->old ? LOCK_ADDED : streq(l->old->sha256, sha256) ? LOCK_CONFIRMED : LOCK_CHANGED);
	line->why = line->change == LOCK_CHANGED ? l->old->sha256 : NULL;
	return 0;
}

static int look_up_apps(struct apps_update *x, struct err *e)
{
	int r;

	vec_foreach (l, &x->lookups)
		ask_where(x, l);
	r = texts_fetch(&x->texts, &x->options->fetch, e);
	for (size_t i = 0; r == 0 && i < x->lookups.n; i++)
		r = read_where(x, &x->lookups.v[i], e);
	if (r == 0)
		r = texts_fetch(&x->texts, &x->options->fetch, e);
	for (size_t i = 0; r == 0 && i < x->lookups.n; i++)
		r = take_body(x, &x->lookups.v[i], e);
	return r < 0 ? err_wrap(e, "looking up apps") : 0;
}

/* ---- what its chart says to it, and its images ---- */

/* An app whose chart or manifests have to be at hand. */
struct judging {
	const struct app *app;
	const char *of;
	const struct lock_judged *known; /* NULL = there is none */
	size_t line;			 /* of the report */
	VEC(size_t) bodies;		 /* texts of the pins, in their order */
};

static bool same_judged(const struct lock_judged *a, const struct lock_judged *b)
{
	size_t n = a->images ? a->images->count : 0;

	if (!streq(a->of, b->of) || a->guessed != b->guessed || n != (b->images ? b->images->count : 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!streq(a->images->items[i]->text, b->images->items[i]->text))
			return false;
	return true;
}

static void want_bodies(struct apps_update *x, struct judging *j)
{
	vec_foreach (p, &x->pins.v)
		if (p->app == j->app)
			*vec_push(&j->bodies) = want_body(x, p, p->pin.url);
}

static int check_body(const struct text *t, const struct app_pin *p, struct err *e)
{
	char sha256[SHA256_HEX];

	sha256_bytes(str_or(t->body.s, ""), t->body.n, sha256);
	return streq(sha256, p->pin.sha256)
		       ? 0
		       : err_class(e, CLASS_VERIFY, "%s: expected sha256 %s as the lock has it, got %s", t->url,
				   p->pin.sha256, sha256);
}

typedef VEC(struct app_text) app_texts;

static int add_own_texts(const struct app *a, app_texts *ret, struct err *e)
{
	for (size_t i = 0; i < a->manifests.n; i++) {
		struct text_list files = { 0 };
		int r = app_manifest_is_url(a->manifests.v[i]) ? 0 : app_manifest_files(a->manifests.v[i], &files, e);

		for (size_t k = 0; r == 0 && k < files.n; k++) {
			_cleanup_free_ char *text = NULL;
			size_t n;

			r = file_read(files.v[k], APP_MANIFEST_LIMIT, &text, &n, e);
			if (r == 0)
				*vec_push(ret) = (struct app_text){ files.v[k], arena_strndup(text, n), n };
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int judge_app(const struct apps_update *x, const struct judging *j, struct err *e)
{
	const struct config *c = x->now.config;
	struct lock_judged *found = arena_new(struct lock_judged);
	struct yaml_node *images = yaml_seq();
	struct app_found f = { 0 };
	app_texts texts = { 0 };
	size_t i = 0;
	int r = 0;

	vec_foreach (p, &x->pins.v) {
		const struct text *t;

		if (p->app != j->app)
			continue;
		t = &x->texts.list.v[j->bodies.v[i++]];
		r = check_body(t, p, e);
		if (r < 0)
			return r;
		*vec_push(&texts) = (struct app_text){ t->label, str_or(t->body.s, ""), t->body.n };
	}
	r = add_own_texts(j->app, &texts, e);
	if (r == 0)
		r = app_judge(j->app, texts.v, texts.n, &x->now, &f, e);
	if (r < 0)
		return r;
	if (j->app->chart.version && !f.rendered && c->airgap)
		log_warning(
			"apps: %s: Helm is not installed here, so the images of its chart are those of the chart's values; add to images: what it asks for beside them",
			j->app->name);
	if (f.always_pulled && c->airgap && !c->registries.share && !c->registries.mirrors.n)
		log_warning(
			"apps: %s: pods ask for %s at every start (imagePullPolicy: Always, or the tag latest), which is in vain without the internet; set the policy to IfNotPresent",
			j->app->name, f.always_pulled);
	vec_foreach (image, &f.images)
		yaml_append(images, yaml_str(*image));
	*found = (struct lock_judged){
		.app = j->app->name, .of = j->of, .guessed = j->app->chart.version && !f.rendered, .images = images
	};
	x->report->lines.v[j->line] = judged_line(found, j->known && same_judged(j->known, found) ? LOCK_CONFIRMED
												  : LOCK_ADDED);
	return 0;
}

/* Where there is a Helm now, what was guessed without one is found. */
static bool is_judged(const struct lock_judged *known, const char *of)
{
	return known && streq(known->of, of) && (!known->guessed || !proc_find("helm"));
}

/* Those that were judged in OLD as they are now are kept, but for ALL. */
static int judge_apps(struct apps_update *x, const struct lock *old, bool all, struct err *e)
{
	VEC(struct judging) todo = { 0 };
	int r = 0;

	x->pins = app_pins(&x->now);
	vec_foreach (a, &x->now.config->apps) {
		const struct lock_judged *known = lock_find_judged(old, a->name);
		struct judging j = { .app = a, .known = known, .line = x->report->lines.n };

		r = app_digest(&x->now, a, &j.of, e);
		if (r < 0)
			return err_wrap(e, "apps: %s", a->name);
		if (!all && is_judged(known, j.of)) {
			*vec_push(&x->report->lines) = judged_line(known, LOCK_KEPT);
			continue;
		}
		want_bodies(x, &j);
		*vec_push(&x->report->lines) = judged_line(&(struct lock_judged){ .app = a->name, .of = j.of },
							   LOCK_ADDED);
		*vec_push(&todo) = j;
	}
	r = texts_fetch(&x->texts, &x->options->fetch, e);
	for (size_t i = 0; r == 0 && i < todo.n; i++)
		r = judge_app(x, &todo.v[i], e);
	return r;
}

int apps_update_lock(const struct release_set *set, const struct lock_options *o, bool all, struct lock_report *ret,
		     struct err *e)
{
	const struct app_pins pins = app_pins(set);
	struct lock now = *set->lock;
	struct apps_update x = { .options = o, .report = ret, .now = { set->catalogue, &now, set->config } };
	int r;

	vec_foreach (p, &pins.v) {
		const struct lock_app *old = lock_find_app(set->lock, p->from, p->version);

		if (app_has_line(ret, p))
			continue;
		if (!old || all)
			*vec_push(&x.lookups) = (struct app_lookup){ .p = p, .old = old, .line = ret->lines.n };
		*vec_push(&ret->lines) = app_line(old ? old : app_wanted(p), LOCK_KEPT);
	}
	r = look_up_apps(&x, e);
	memset(&now.apps, 0, sizeof(now.apps));
	vec_foreach (line, &ret->lines)
		if (line->what == LOCK_APP)
			*vec_push(&now.apps) = *line->app;
	if (r == 0)
		r = judge_apps(&x, set->lock, all, e);
	texts_done(&x.texts);
	return r;
}

/* ---- before a build ---- */

/* A chart out of the cache. */
static int check_chart_values(const struct release_set *set, const struct app_pin *p, const struct cache *c,
			      struct err *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct app_found found;
	size_t n;
	int r = cache_object(c, &p->pin, &fd, e);

	if (r == 0)
		r = file_read_fd(fd, p->from, p->pin.max_size, &text, &n, e);
	return r < 0 ? r : app_judge(p->app, &(struct app_text){ p->from, text, n }, 1, set, &found, e);
}

int apps_check_values(const struct release_set *set, const struct cache *c, const struct fetch_options *o,
		      struct err *e)
{
	const struct app_pins pins = app_pins(set);

	vec_foreach (p, &pins.v) {
		const struct lock_judged *known = lock_find_judged(set->lock, p->app->name);
		const char *of;
		int r;

		if (!p->version)
			continue;
		r = app_digest(set, p->app, &of, e);
		if (r < 0)
			return err_wrap(e, "apps: %s", p->app->name);
		if (known && streq(known->of, of))
			continue;
		r = fetch_all(c, &p->pin, 1, NULL, o, e);
		if (r == 0)
			r = check_chart_values(set, p, c, e);
		if (r < 0)
			return r;
	}
	return 0;
}
