/* SPDX-License-Identifier: Apache-2.0 */
/* pibuild.lock made anew: what the old one knows is kept, the rest looked up, or all that an update asks for. */
#include "catalogue/url.h"
#include "crypto/digest.h"
#include "debian/debian.h"
#include "oci/oci.h"
#include "update/apps.h"
#include "update/choose.h"
#include "update/packages.h"
#include "update/update.h"
#include "update/upstream.h"

/* A line of the report that waits for what an upstream says of it. */
struct lookup {
	size_t line, text;
	const struct artifact *artifact;      /* NULL: a container image, whose registry answers */
	const struct lock_entry *old;	      /* of the artifact; NULL = there is none */
	const char *old_digest;		      /* of either */
	const struct channel_release *stated; /* its channel has said all: no need to wait; else NULL */
};

struct update {
	const struct release_set *old;
	struct release_set set; /* OLD with the lock of CHOICE */
	const struct lock_options *options;
	const struct lock *shipped;
	struct choice choice;
	bool learned; /* which tag goes with a version */
	VEC(struct lookup) lookups;
	size_t looked_up; /* of them */
	struct texts texts;
	struct lock_report *report;
};

/* An artifact or image is named by its own name or by the key of its version. */
static bool is_forced(const struct lock_options *o, const char *name, const char *version_key)
{
	for (size_t i = 0; i < o->n_names; i++) {
		struct version_request asked = version_request_of(o->names[i]);

		if (streq(asked.name, name) || streq(asked.name, version_key))
			return true;
	}
	return o->update && !o->n_names;
}

static void add_update_name(struct text_list *list, const char *name)
{
	vec_foreach (known, list)
		if (streq(*known, name))
			return;
	*vec_push(list) = name;
}

struct text_list lock_update_names(const struct catalogue *cat)
{
	struct text_list list = { 0 };

	vec_foreach (v, &cat->versions)
		add_update_name(&list, v->name);
	add_update_name(&list, DEBIAN_BASE);
	add_update_name(&list, PACKAGES_NAME);
	add_update_name(&list, "sshKeys");
	add_update_name(&list, APPS_NAME);
	vec_foreach (a, &cat->artifacts)
		add_update_name(&list, a->name);
	vec_foreach (i, &cat->images)
		add_update_name(&list, i->name);
	return list;
}

static int update_check_names(const struct catalogue *cat, const struct lock_options *o, struct err *e)
{
	const struct text_list known = lock_update_names(cat);

	for (size_t i = 0; i < o->n_names; i++) {
		const char *name = version_request_of(o->names[i]).name, *near = nearest_word(name, known.v, known.n);
		size_t k = 0;

		while (k < known.n && !streq(known.v[k], name))
			k++;
		if (k == known.n)
			return err_class(e, CLASS_USAGE, "there is no artifact '%s'%s", name,
					 near ? did_you_mean(", ", near) : "; `pibuild help lock` lists them");
	}
	return 0;
}

/* A line of what the old lock knows; the rest is to be looked up. */
static void add_artifact_line(struct update *x, const struct artifact *a)
{
	const char *version = artifact_version(&x->set, a->version_key),
		   *from = artifact_version(x->old, a->version_key);
	const struct lock_entry *known = lock_find(&x->choice.lock, a->name, version);
	struct lookup lookup = { .line = x->report->lines.n, .artifact = a, .old = known };

	*vec_push(&x->report->lines) = (struct lock_line){
		.change = streq(from, version) ? LOCK_KEPT : LOCK_UPDATED,
		.entry = { .name = a->name, .version = version },
		.from = from,
	};
	if (known && !is_forced(x->options, a->name, a->version_key) && !lock_entry_fault(a, known, x->shipped)) {
		x->report->lines.v[lookup.line].entry = *known;
		return;
	}
	vec_foreach (s, &x->choice.releases)
		if (a->base && streq(s->key, a->version_key))
			lookup.stated = s;
	if (!lookup.stated)
		lookup.text = texts_want(&x->texts,
					 (struct text){ .label = arena_printf("%s %s", a->name, version),
							.url = expand_version(a->checksum.url, version, true) });
	*vec_push(&x->lookups) = lookup;
}

/* The last line of the report is an image whose registry is asked for what it has under P's tag now. */
static void look_up_last_image(struct update *x, const struct image_pin *p, const char *old_digest)
{
	const struct text index = {
		.label = image_ref(p),
		.url = image_url(p->name, "manifests", p->tag),
		.accept = oci_accept("manifests"),
		.repository = image_repository(p->name),
	};

	*vec_push(&x->lookups) = (struct lookup){ .line = x->report->lines.n - 1,
						  .text = texts_want(&x->texts, index),
						  .old_digest = old_digest };
}

/* KNOWN: what the lock has of it, or NULL. */
static struct lock_line image_line(const struct image_pin *p, const struct lock_image *known)
{
	return (struct lock_line){
		.change = LOCK_KEPT,
		.what = LOCK_IMAGE,
		.entry = { .name = p->name,
			   .version = p->tag,
			   .sha256 = known ? known->sha256 : NULL,
			   .source = known ? known->source : NULL },
	};
}

/* Of an image that nothing asks for by our digest what the old lock knows is kept, and nothing looked up. */
static int add_image_line(struct update *x, const struct image *i, struct err *e)
{
	bool wanted = image_in_force(i, x->set.config);
	const struct lock_image *known;
	struct image_pin p;
	int r = image_pin(&x->set, i, &p, e);

	if (r < 0 && wanted)
		return r;
	if (r < 0 || (!wanted && !p.sha256))
		return 0;
	known = p.sha256 ? lock_find_image(&x->choice.lock, p.name, p.tag) : NULL;
	*vec_push(&x->report->lines) = image_line(&p, known);
	if (i->chart)
		x->report->lines.v[x->report->lines.n - 1].for_version = artifact_version(&x->set, i->version_key);
	if (wanted && (!p.sha256 || is_forced(x->options, i->name, i->version_key)))
		look_up_last_image(x, &p, p.sha256);
	return 0;
}

/* A tag that an app asks for: its line is there already when the catalogue has the same. */
static void add_app_image_line(struct update *x, const struct image_pin *p)
{
	const struct lock_image *known = lock_find_image(&x->choice.lock, p->name, p->tag);

	vec_foreach (line, &x->report->lines)
		if (line->what == LOCK_IMAGE && streq(line->entry.name, p->name) && streq(line->entry.version, p->tag))
			return;
	*vec_push(&x->report->lines) = image_line(p, known);
	if (!known || is_forced(x->options, APPS_NAME, p->name))
		look_up_last_image(x, p, known ? known->sha256 : NULL);
}

/* What was found in them is in the report. */
static int add_app_images(struct update *x, struct err *e)
{
	struct lock now = x->choice.lock;
	const struct release_set set = { x->set.catalogue, &now, x->set.config };
	struct images images = { 0 };

	memset(&now.apps, 0, sizeof(now.apps));
	memset(&now.judged, 0, sizeof(now.judged));
	vec_foreach (line, &x->report->lines) {
		if (line->what == LOCK_APP)
			*vec_push(&now.apps) = *line->app;
		if (line->what == LOCK_JUDGED)
			*vec_push(&now.judged) = *line->judged;
	}
	vec_foreach (a, &set.config->apps) {
		int r = app_images(&set, a, &images, e);

		if (r < 0)
			return r;
	}
	vec_foreach (p, &images.v)
		if (p->tag)
			add_app_image_line(x, p);
	return 0;
}

/* The digest of what the registry sent, which has to be an index with an image for us. */
static int resolve_image(const struct lookup *l, const struct text *t, struct lock_line *line, struct err *e)
{
	struct oci_image image = { 0 };
	char sha256[SHA256_HEX];
	int r;

	if (t->body.n > OCI_MAX_DOCUMENT)
		return err_class(e, CLASS_VERIFY, "%s: its index has more than 4 MiB", t->label);
	r = oci_parse_index(t->label, str_or(t->body.s, ""), t->body.n, &image, e);
	if (r < 0)
		return r;
	sha256_bytes(t->body.s, t->body.n, sha256);
	line->entry.sha256 = arena_strdup(sha256);
	line->entry.source = t->url;
	line->change = !l->old_digest ? LOCK_ADDED : streq(l->old_digest, sha256) ? LOCK_CONFIRMED : LOCK_CHANGED;
	line->why = line->change == LOCK_CHANGED ? l->old_digest : NULL;
	return 0;
}

static int resolve_artifact(const struct lookup *l, const struct text *t, struct lock_line *line, struct err *e)
{
	const struct artifact *a = l->artifact;
	struct lock_entry *n = &line->entry;
	struct upstream u;
	int r;

	if (l->stated) {
		const struct release *known = &l->stated->release;

		n->url = known->url;
		n->sha256 = known->sha256;
		n->size = known->size;
		n->raw_size = known->raw_size;
		n->raw_sha256 = known->raw_sha256;
		n->source = l->stated->source;
	} else {
		const struct document d = text_document(t);

		r = upstream_find(a->checksum.form, &d, expand_version(a->checksum.entry, n->version, false),
				  n->version, &u, e);
		if (r < 0)
			return err_wrap(e, "%s %s", n->name, n->version);
		n->url = artifact_url(a, n->version);
		n->sha256 = arena_strdup(u.sha256);
		n->size = u.size;
		n->source = t->url;
	}
	if (!l->old) {
		line->change = line->change == LOCK_UPDATED ? LOCK_UPDATED : LOCK_ADDED;
		return 0;
	}
	if (!streq(l->old->sha256, n->sha256)) {
		line->change = LOCK_CHANGED;
		line->why = l->old->sha256;
		return 0;
	}
	/* The same bytes, so what else is known of them still holds. */
	if (line->change != LOCK_UPDATED)
		line->change = streq(l->old->url, n->url) ? LOCK_CONFIRMED : LOCK_CHANGED;
	n->size = n->size ? n->size : l->old->size;
	n->raw_size = n->raw_size ? n->raw_size : l->old->raw_size;
	n->raw_sha256 = n->raw_sha256 ? n->raw_sha256 : l->old->raw_sha256;
	return 0;
}

/* All that waits so far. */
static int look_up(struct update *x, struct err *e)
{
	int r = texts_fetch(&x->texts, &x->options->fetch, e);

	if (r < 0)
		return err_wrap(e, "looking up digests");
	for (; r == 0 && x->looked_up < x->lookups.n; x->looked_up++) {
		const struct lookup *l = &x->lookups.v[x->looked_up];
		const struct text *t = l->stated ? NULL : &x->texts.list.v[l->text];
		struct lock_line *line = &x->report->lines.v[l->line];

		r = l->artifact ? resolve_artifact(l, t, line, e) : resolve_image(l, t, line, e);
	}
	return r;
}

/* ---- tags that only a chart knows ---- */

static const struct lock_entry *resolved(const struct lock_report *report, const char *name)
{
	vec_foreach (line, &report->lines)
		if (line->what == LOCK_ARTIFACT && streq(line->entry.name, name))
			return &line->entry;
	return NULL;
}

/* Which tag of I goes with VERSION. */
static void learn(struct update *x, const struct image *i, const char *tag, const char *version)
{
	const struct lock_image *known = lock_find_image(&x->choice.lock, i->name, tag);
	struct lock_image new = known ? *known : (struct lock_image){ .name = i->name, .tag = tag };
	struct yaml_node *list = yaml_seq();

	yaml_append(list, yaml_str(version));
	new.for_versions = list;
	*vec_push(&x->choice.lock.images) = new;
	x->learned = true;
}

static int read_charts(struct update *x, struct err *e)
{
	struct {
		const struct image *image;
		const struct lock_entry *chart;
		size_t text;
	} *wanted = arena_alloc((x->set.catalogue->images.n + 1) * sizeof(*wanted));
	size_t n = 0;
	int r;

	vec_foreach (i, &x->set.catalogue->images) {
		const struct lock_entry *chart = i->chart ? resolved(x->report, i->chart) : NULL;

		if (!chart || image_tag(&x->choice.lock, i, chart->version))
			continue;
		wanted[n].image = i;
		wanted[n].chart = chart;
		wanted[n++].text = texts_want(
			&x->texts, (struct text){ .label = arena_printf("%s %s", chart->name, chart->version),
						  .url = chart->url,
						  .limit = catalogue_find(x->set.catalogue, i->chart)->max_size });
	}
	r = texts_fetch(&x->texts, &x->options->fetch, e);
	if (r < 0)
		return err_wrap(e, "looking up container images");
	for (size_t i = 0; i < n; i++) {
		const struct image *image = wanted[i].image;
		const char *tag;

		r = chart_image_tag(wanted[i].chart, &x->texts.list.v[wanted[i].text].body,
				    catalogue_find(x->set.catalogue, image->chart), image, &tag, e);
		if (r < 0)
			return r;
		learn(x, image, tag, wanted[i].chart->version);
	}
	return 0;
}

/* ---- what nobody asks for any more ---- */

static void add_removed_line(struct lock_report *ret, size_t n, struct lock_line gone)
{
	for (size_t i = 0; i < n; i++)
		if (streq(ret->lines.v[i].entry.name, gone.entry.name) &&
		    (gone.what == LOCK_KEYS || streq(ret->lines.v[i].entry.version, gone.entry.version)))
			return;
	/* Its successor says that it is gone. */
	for (size_t i = 0; i < n; i++)
		if (ret->lines.v[i].change == LOCK_UPDATED && streq(ret->lines.v[i].entry.name, gone.entry.name) &&
		    streq(str_or(ret->lines.v[i].from, ""), gone.entry.version))
			return;
	gone.change = LOCK_REMOVED;
	*vec_push(&ret->lines) = gone;
}

/* Entries of the file to be replaced that nobody asks for any more. */
static void add_removed(const struct lock *old, struct lock_report *ret)
{
	size_t n = ret->lines.n;

	vec_foreach (x, &old->entries)
		add_removed_line(ret, n, (struct lock_line){ .entry = *x });
	vec_foreach (x, &old->keys)
		add_removed_line(ret, n, keys_line(x, LOCK_REMOVED));
	vec_foreach (x, &old->apps)
		add_removed_line(ret, n, apps_removed_line(x));
	vec_foreach (x, &old->images)
		add_removed_line(ret, n, image_line(&(struct image_pin){ .name = x->name, .tag = x->tag }, x));
}

static bool has_changes(const struct update *x)
{
	const struct lock *old = x->old->lock;
	size_t same = 0;

	if (x->learned)
		return true;
	vec_foreach (line, &x->report->lines)
		if (line->change != LOCK_KEPT && line->change != LOCK_CONFIRMED)
			return true;
	vec_foreach (v, &x->choice.lock.versions)
		vec_foreach (o, &old->versions)
			same += streq(v->name, o->name) && streq(v->version, o->version);
	return same != x->choice.lock.versions.n || same != old->versions.n;
}

static int update_lines(struct update *x, struct err *e)
{
	int r = choose_versions(x->old, x->options, &x->texts, x->report, &x->choice, e);

	if (r < 0)
		return r;
	x->set = (struct release_set){ x->old->catalogue, &x->choice.lock, x->old->config };
	vec_foreach (a, &x->set.catalogue->artifacts)
		if (artifact_in_force(a, x->set.config))
			add_artifact_line(x, a);
	r = look_up(x, e);
	if (r == 0 && x->set.config->airgap)
		r = read_charts(x, e);
	for (size_t i = 0; r == 0 && i < x->set.catalogue->images.n; i++)
		r = add_image_line(x, &x->set.catalogue->images.v[i], e);
	return r < 0 ? r : look_up(x, e);
}

/* The base as the report has it: the lock may not know its version yet. */
static int base_in_report(const struct update *x, struct pin *ret, struct err *e)
{
	int r = artifact_pin_base(&x->set, ret, e);
	const struct lock_entry *line;

	if (r < 0)
		return r;
	line = resolved(x->report, ret->name);
	if (!line)
		return 0;
	ret->url = line->url;
	ret->sha256 = line->sha256;
	ret->size = line->size;
	return 0;
}

static int update_packages(const struct update *x, struct err *e)
{
	const struct lock_options *o = x->options;
	struct pin base;
	int r = base_in_report(x, &base, e);

	if (r < 0)
		return r;
	return packages_update_lock(&x->set, o, &base, is_forced(o, PACKAGES_NAME, PACKAGES_NAME), x->report, e);
}

int lock_update(const struct release_set *old, const struct lock_options *o, struct lock_report *ret, struct err *e)
{
	struct update x = { .old = old, .options = o, .report = ret };
	struct lock *shipped;
	int r = update_check_names(old->catalogue, o, e);

	if (r < 0)
		return r;
	r = lock_load_shipped(&shipped, e);
	if (r < 0)
		return r;
	x.shipped = shipped;
	*ret = (struct lock_report){ .file = o->file };
	r = update_lines(&x, e);
	texts_done(&x.texts);
	if (r == 0 && streq(old->config->os.base, DEBIAN_BASE))
		r = debian_update_lock(&x.set, o->time, o->fetch.offline, is_forced(o, DEBIAN_BASE, DEBIAN_BASE),
				       vec_push(&ret->lines), e);
	if (r < 0)
		return r;
	r = update_packages(&x, e);
	if (r < 0)
		return r;
	r = keys_update(old, o, is_forced(o, "sshKeys", "sshKeys"), ret, e);
	if (r < 0)
		return r;
	r = apps_update_lock(old, o, is_forced(o, APPS_NAME, APPS_NAME), ret, e);
	if (r < 0)
		return r;
	r = old->config->airgap ? add_app_images(&x, e) : 0;
	if (r == 0)
		r = look_up(&x, e);
	texts_done(&x.texts);
	if (r < 0)
		return r;
	if (streq(old->lock->path, o->file))
		add_removed(old->lock, ret);
	else
		ret->changed = true;
	ret->changed |= has_changes(&x);
	ret->written = ret->changed && !o->dry_run;
	return ret->written ? lock_write(&x.choice.lock, ret, o, e) : 0;
}
