/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charts and manifests of apps, looked up when locking: which file it is that a repository or a registry has under a
 * version, and its digest. What they say of it is held against the file itself.
 */
#include "update/apps.h"

#include <errno.h>

#include "catalogue/url.h"
#include "crypto/digest.h"
#include "oci/oci.h"
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
	struct texts texts;
	VEC(struct app_lookup) lookups;
};

static struct lock_line app_line(const struct lock_app *x, enum lock_change change)
{
	return (struct lock_line){
		.change = change,
		.app = x,
		.entry = { .name = x->from,
			   .version = str_or(x->version, "-"),
			   .url = x->url,
			   .sha256 = x->sha256,
			   .size = x->size,
			   .source = x->source },
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
		if (line->app && streq(line->app->from, p->from) &&
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

/* ---- where it is ---- */

static size_t want_object(struct texts *t, const char *label, const char *url, const char *accept, const char *name,
			  uint64_t limit)
{
	*vec_push(&t->list) = (struct text){
		.label = label, .url = url, .accept = accept, .repository = image_repository(name), .limit = limit
	};
	return t->list.n - 1;
}

static void ask_where(struct apps_update *x, struct app_lookup *l)
{
	const struct app *a = l->p->app;
	const char *label = arena_printf("%s %s", l->p->from, str_or(l->p->version, ""));

	if (!l->p->version)
		l->place = (struct chart_place){ .url = l->p->from };
	else if (a->chart.oci)
		l->stated = want_object(&x->texts, label,
					image_url(a->chart.oci, "manifests", chart_tag(a->chart.version)),
					oci_accept("manifests"), a->chart.oci, OCI_MAX_DOCUMENT);
	else
		l->stated = texts_want(
			&x->texts, label,
			arena_printf("%s%sindex.yaml", a->chart.repo, ends_with(a->chart.repo, "/") ? "" : "/"),
			max_index);
}

static int read_where(struct apps_update *x, struct app_lookup *l, struct err *e)
{
	const struct app *a = l->p->app;
	const struct text *t;
	struct document d;
	int r = 0;

	if (l->p->version) {
		t = &x->texts.list.v[l->stated];
		d = (struct document){ t->url, str_or(t->body.s, ""), t->body.n };
		r = a->chart.oci ? chart_place_oci(&d, a->chart.oci, &l->place, e)
				 : chart_place_index(&d, a->chart.repo, a->chart.name, l->p->version, &l->place, e);
	}
	if (r < 0)
		return r;
	if (a->chart.oci)
		l->body = want_object(&x->texts, l->p->from, l->place.url, NULL, a->chart.oci, l->p->pin.max_size);
	else
		l->body = texts_want(&x->texts, l->p->from, l->place.url, l->p->pin.max_size);
	return 0;
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

int apps_update_lock(const struct release_set *set, const struct lock_options *o, bool all, struct lock_report *ret,
		     struct err *e)
{
	const struct app_pins pins = app_pins(set);
	struct apps_update x = { .options = o, .report = ret };
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
	texts_done(&x.texts);
	return r;
}
