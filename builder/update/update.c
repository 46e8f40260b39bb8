/* SPDX-License-Identifier: Apache-2.0 */
/* Making and judging pibuild.lock. */
#include <errno.h>
#include <time.h>

#include "base/file.h"
#include "catalogue/url.h"
#include "crypto/digest.h"
#include "debian/debian.h"
#include "oci/oci.h"
#include "update/apps.h"
#include "update/choose.h"
#include "update/packages.h"
#include "update/update.h"
#include "update/upstream.h"

const char *const lock_change_names[LOCK_CHANGE_COUNT] = {
	[LOCK_KEPT] = "kept",		[LOCK_ADDED] = "added",	    [LOCK_CHANGED] = "changed",
	[LOCK_CONFIRMED] = "confirmed", [LOCK_REMOVED] = "removed", [LOCK_MISSING] = "missing",
	[LOCK_EDITED] = "edited",	[LOCK_UPDATED] = "updated",
};

/* Why entry X cannot be one that pibuild made, or NULL. What was shipped is right even where upstream's folder does not
 * follow the rule. */
static const char *entry_fault(const struct artifact *a, const struct lock_entry *x, const struct lock *shipped)
{
	const char *url = artifact_url(a, x->version);
	const struct lock_entry *s = lock_find(shipped, x->name, x->version);

	if (streq(x->url, url) || (s && streq(s->url, x->url)))
		return NULL;
	/* The folder of a base may have another date than its file. */
	if (a->base && streq(str_or(artifact_url_version(a, x->url, x->version), ""), x->version))
		return NULL;
	return arena_printf("its url is %s, the catalogue says %s", x->url, url);
}

/* ---- check ---- */

static void check_artifact(const struct release_set *set, const struct artifact *a, const struct lock *shipped,
			   struct lock_report *ret)
{
	const char *version = artifact_version(set, a->version_key), *why;
	const struct lock_entry *x = lock_find(set->lock, a->name, version);
	struct lock_line line = { .change = LOCK_KEPT, .entry = { .name = a->name, .version = version } };

	if (!x) {
		line.change = LOCK_MISSING;
		line.why = "the lock has no such version";
	} else {
		line.entry = *x;
		why = entry_fault(a, x, shipped);
		if (why) {
			line.change = LOCK_EDITED;
			line.why = why;
		}
	}
	*vec_push(&ret->lines) = line;
}

static int update_check_images(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	vec_foreach (i, &set->catalogue->images) {
		struct image_pin p;
		int r;

		if (!image_in_force(i, set->config))
			continue;
		r = image_pin(set, i, &p, e);
		if (r < 0)
			return r;
		*vec_push(&ret->lines) = (struct lock_line){
			.change = p.sha256 ? LOCK_KEPT : LOCK_MISSING,
			.image = true,
			.entry = { .name = p.name, .version = str_or(p.tag, "?"), .sha256 = p.sha256 },
			.why = p.sha256 ? NULL : "the lock has no such container image",
		};
	}
	return 0;
}

static void check_image_line(const struct image_pin *p, struct lock_report *ret)
{
	*vec_push(&ret->lines) = (struct lock_line){
		.change = p->sha256 ? LOCK_KEPT : LOCK_MISSING,
		.image = true,
		.entry = { .name = p->name, .version = str_or(p->tag, "-"), .sha256 = p->sha256 },
		.why = p->sha256 ? NULL : "the lock has no such container image",
	};
}

static int check_app_images(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	struct images images = { 0 };
	int r = 0;

	vec_foreach (a, &set->config->apps)
		r = r < 0 ? r : app_images(set, a, &images, e);
	vec_foreach (p, &images.v)
		if (p->tag)
			check_image_line(p, ret);
	return r;
}

int lock_check(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf faults = { 0 };
	struct lock *shipped;
	int r = lock_load_shipped(&shipped, e);

	if (r < 0)
		return r;
	*ret = (struct lock_report){ .file = set->lock->path };
	vec_foreach (a, &set->catalogue->artifacts)
		if (artifact_in_force(a, set->config))
			check_artifact(set, a, shipped, ret);
	r = update_check_images(set, ret, e);
	if (r == 0 && streq(set->config->os.base, DEBIAN_BASE))
		r = debian_check_lock(set, vec_push(&ret->lines), e);
	if (r < 0)
		return r;
	r = packages_check_lock(set, ret, e);
	if (r < 0)
		return r;
	keys_check(set, ret);
	apps_check_lock(set, ret);
	r = apps_check_judged(set, ret, e);
	if (r == 0 && set->config->airgap)
		r = check_app_images(set, ret, e);
	if (r < 0)
		return r;
	vec_foreach (line, &ret->lines)
		if (line->change != LOCK_KEPT)
			strbuf_addf(&faults, "\n  %s %s: %s", line->entry.name, line->entry.version, line->why);
	if (!faults.n)
		return 0;
	return err_class(e, CLASS_VERIFY, "%s is stale; run `pibuild lock`:%s", ret->file, faults.s);
}

/* ---- update ---- */

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
	vec_foreach (known, &list->v)
		if (streq(*known, name))
			return;
	*vec_push(&list->v) = name;
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
		const char *name = version_request_of(o->names[i]).name,
			   *near = nearest_word(name, known.v.v, known.v.n);
		size_t k = 0;

		while (k < known.v.n && !streq(known.v.v[k], name))
			k++;
		if (k == known.v.n)
			return err_class(e, CLASS_USAGE, "there is no artifact '%s'%s", name,
					 near ? arena_printf(", did you mean '%s'?", near)
					      : "; `pibuild help lock` lists them");
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
	if (known && !is_forced(x->options, a->name, a->version_key) && !entry_fault(a, known, x->shipped)) {
		x->report->lines.v[lookup.line].entry = *known;
		return;
	}
	vec_foreach (s, &x->choice.releases)
		if (a->base && streq(s->key, a->version_key))
			lookup.stated = s;
	if (!lookup.stated)
		lookup.text = texts_want(&x->texts, arena_printf("%s %s", a->name, version),
					 expand_version(a->checksum.url, version, true), 0);
	*vec_push(&x->lookups) = lookup;
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
	*vec_push(&x->report->lines) = (struct lock_line){
		.change = LOCK_KEPT,
		.image = true,
		.for_version = i->chart ? artifact_version(&x->set, i->version_key) : NULL,
		.entry = { .name = p.name,
			   .version = p.tag,
			   .sha256 = p.sha256,
			   .source = known ? known->source : NULL },
	};
	if (!wanted || (p.sha256 && !is_forced(x->options, i->name, i->version_key)))
		return 0;
	*vec_push(&x->lookups) =
		(struct lookup){ .line = x->report->lines.n - 1, .text = x->texts.list.n, .old_digest = p.sha256 };
	*vec_push(&x->texts.list) = (struct text){
		.label = image_ref(&p),
		.url = image_url(p.name, "manifests", p.tag),
		.accept = oci_accept("manifests"),
		.repository = image_repository(p.name),
	};
	return 0;
}

/* A tag that an app asks for: its line is there already when the catalogue has the same. */
static void add_app_image_line(struct update *x, const struct image_pin *p)
{
	const struct lock_image *known = lock_find_image(&x->choice.lock, p->name, p->tag);

	vec_foreach (line, &x->report->lines)
		if (line->image && streq(line->entry.name, p->name) && streq(line->entry.version, p->tag))
			return;
	*vec_push(&x->report->lines) = (struct lock_line){
		.change = LOCK_KEPT,
		.image = true,
		.entry = { .name = p->name,
			   .version = p->tag,
			   .sha256 = known ? known->sha256 : NULL,
			   .source = known ? known->source : NULL },
	};
	if (known && !is_forced(x->options, APPS_NAME, p->name))
		return;
	*vec_push(&x->lookups) = (struct lookup){ .line = x->report->lines.n - 1,
						  .text = x->texts.list.n,
						  .old_digest = known ? known->sha256 : NULL };
	*vec_push(&x->texts.list) = (struct text){
		.label = image_ref(p),
		.url = image_url(p->name, "manifests", p->tag),
		.accept = oci_accept("manifests"),
		.repository = image_repository(p->name),
	};
}

/* What was found in them is in the report. */
static int add_app_images(struct update *x, struct err *e)
{
	struct lock now = x->choice.lock;
	const struct release_set set = { x->set.catalogue, &now, x->set.config };
	struct images images = { 0 };
	int r = 0;

	memset(&now.apps, 0, sizeof(now.apps));
	memset(&now.judged, 0, sizeof(now.judged));
	vec_foreach (line, &x->report->lines) {
		if (line->app)
			*vec_push(&now.apps) = *line->app;
		if (line->judged)
			*vec_push(&now.judged) = *line->judged;
	}
	vec_foreach (a, &set.config->apps)
		r = r < 0 ? r : app_images(&set, a, &images, e);
	vec_foreach (p, &images.v)
		if (p->tag)
			add_app_image_line(x, p);
	return r;
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
		r = upstream_find(a->checksum.form, &(struct document){ t->url, str_or(t->body.s, ""), t->body.n },
				  expand_version(a->checksum.entry, n->version, false), n->version, &u, e);
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
		if (!line->image && streq(line->entry.name, name))
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
		wanted[n++].text = texts_want(&x->texts, arena_printf("%s %s", chart->name, chart->version), chart->url,
					      catalogue_find(x->set.catalogue, i->chart)->max_size);
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

/* ---- the file ---- */

static struct yaml_node *image_yaml(const struct lock_line *line)
{
	const struct lock_entry *x = &line->entry;
	struct yaml_node *m = yaml_map();

	yaml_set(m, "name", yaml_str(x->name));
	yaml_set(m, "tag", yaml_str(x->version));
	if (line->for_version)
		yaml_append(yaml_set(m, "for", yaml_seq()), yaml_str(line->for_version));
	yaml_set(m, "digest", yaml_strf("sha256:%s", x->sha256));
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
	return m;
}

static struct yaml_node *keys_yaml(const struct lock_keys *k)
{
	struct yaml_node *m = yaml_map(), *list;

	yaml_set(m, "github", yaml_str(k->user));
	list = yaml_set(m, "keys", yaml_seq());
	vec_foreach (key, &k->keys)
		yaml_append(list, yaml_str(*key));
	if (k->source)
		yaml_set(m, "source", yaml_str(k->source));
	return m;
}

static struct yaml_node *entry_yaml(const struct lock_entry *x)
{
	struct yaml_node *m = yaml_map(), *raw;

	yaml_set(m, "name", yaml_str(x->name));
	yaml_set(m, "version", yaml_str(x->version));
	yaml_set(m, "url", yaml_str(x->url));
	yaml_set(m, "sha256", yaml_str(x->sha256));
	if (x->size)
		yaml_set(m, "size", yaml_int((int64_t)x->size));
	if (x->raw_size) {
		raw = yaml_set(m, "raw", yaml_map());
		yaml_set(raw, "size", yaml_int((int64_t)x->raw_size));
		yaml_set(raw, "sha256", yaml_str(x->raw_sha256));
	}
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
	return m;
}

static int write_lock(const struct update *x, struct err *e)
{
	static const char comment[] =
		"Pins every download by digest. Made by `pibuild lock`; keep it beside cluster.yaml and in version control.\n"
		"  versions  what is used unless cluster.yaml says otherwise; `pibuild lock --update` moves them\n"
		"  source    who states the digest; pibuild verifies every download against it all the same\n"
		"  raw       of a compressed base: size and digest of the decompressed image\n"
		"  sshKeys   of users of GitHub, as they were; `pibuild lock --update sshKeys` looks anew\n"
		"  debian    the packages of os.base: debian, as apt resolved them from Debian's signed archive\n"
		"  packages  what os.packages comes to on this base, as apt resolved it from the base's own archives\n"
		"  apps      charts and manifests of apps; `pibuild lock --update apps` looks them up anew\n"
		"  judged    apps whose values their charts have seen, and the container images they ask for";
	_cleanup_strbuf_ struct strbuf out = { 0 };
	const struct lock_options *o = x->options;
	struct yaml_node *doc = yaml_map(), *list, *images = yaml_seq(), *packages = yaml_seq(), *keys = yaml_seq(),
			 *apps = yaml_seq(), *judged = yaml_seq(), *versions;
	const struct debian_lock *debian = x->old->lock->debian; /* kept for a config that asks for it */

	yaml_set(doc, "apiVersion", yaml_str("pibuild/v1"));
	yaml_set(doc, "kind", yaml_str("Lock"));
	yaml_set(doc, "time", yaml_str(utc_text(o->time)));
	versions = yaml_set(doc, "versions", yaml_map());
	vec_foreach (v, &x->choice.lock.versions)
		yaml_set(versions, v->name, yaml_str(v->version));
	list = yaml_set(doc, "artifacts", yaml_seq());
	vec_foreach (line, &x->report->lines)
		if (line->debian)
			debian = line->debian;
		else if (line->packages)
			yaml_append(packages, lock_packages_yaml(line->packages));
		else if (line->keys && line->change != LOCK_REMOVED)
			yaml_append(keys, keys_yaml(line->keys));
		else if (line->keys)
			continue;
		else if (line->app && line->change != LOCK_REMOVED)
			yaml_append(apps, lock_app_yaml(line->app));
		else if (line->app)
			continue;
		else if (line->judged)
			yaml_append(judged, lock_judged_yaml(line->judged));
		else if (line->change != LOCK_REMOVED)
			yaml_append(line->image ? images : list,
				    line->image ? image_yaml(line) : entry_yaml(&line->entry));
	if (images->count)
		yaml_set(doc, "images", images);
	if (keys->count)
		yaml_set(doc, "sshKeys", keys);
	if (debian)
		yaml_set(doc, DEBIAN_BASE, lock_debian_yaml(debian));
	if (packages->count)
		yaml_set(doc, "packages", packages);
	if (apps->count)
		yaml_set(doc, "apps", apps);
	if (judged->count)
		yaml_set(doc, "judged", judged);
	yaml_emit(doc, comment, &out);
	return file_publish(o->file, out.s, out.n, 0644, e);
}

static void add_removed_line(struct lock_report *ret, size_t n, struct lock_line gone)
{
	for (size_t i = 0; i < n; i++)
		if (streq(ret->lines.v[i].entry.name, gone.entry.name) &&
		    (gone.keys || streq(ret->lines.v[i].entry.version, gone.entry.version)))
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
		add_removed_line(ret, n,
				 (struct lock_line){ .image = true,
						     .entry = { .name = x->name,
								.version = x->tag,
								.sha256 = x->sha256,
								.source = x->source } });
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
	return packages_update_lock(&x->set, &base, o->cache, &o->fetch, is_forced(o, PACKAGES_NAME, PACKAGES_NAME),
				    x->report, e);
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
	return ret->written ? write_lock(&x, e) : 0;
}
