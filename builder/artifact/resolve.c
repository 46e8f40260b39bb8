/* SPDX-License-Identifier: Apache-2.0 */
/* Making and judging pibuild.lock. */
#include <errno.h>
#include <time.h>

#include "artifact/debian.h"
#include "artifact/internal.h"
#include "artifact/oci.h"
#include "base/file.h"

const char *const lock_change_names[LOCK_CHANGE_COUNT] = {
	[LOCK_KEPT] = "kept",		[LOCK_ADDED] = "added",	    [LOCK_CHANGED] = "changed",
	[LOCK_CONFIRMED] = "confirmed", [LOCK_REMOVED] = "removed", [LOCK_MISSING] = "missing",
	[LOCK_EDITED] = "edited",
};

/* A base that was given by path or URL takes the place of the catalogue's. */
static bool is_in_force(const struct artifact *a, const struct config *c)
{
	return !a->base || streq(a->name, c->os.base);
}

/* Why entry X cannot be one that pibuild made, or NULL. What was shipped is right even where upstream's folder does not
 * follow the rule. */
static const char *entry_fault(const struct artifact *a, const struct lock_entry *x, const struct lock *shipped)
{
	const char *url = artifact_url(a, x->version);
	const struct lock_entry *s = lock_find(shipped, x->name, x->version);

	if (streq(x->url, url) || (s && streq(s->url, x->url)))
		return NULL;
	return arena_printf("its url is %s, the catalogue says %s", x->url, url);
}

/* ---- check ---- */

static void check_artifact(const struct catalogue *cat, const struct artifact *a, const struct lock *l,
			   const struct lock *shipped, const struct config *c, struct lock_report *ret)
{
	const char *version = artifact_version(cat, c, a->version_key), *why;
	const struct lock_entry *x = lock_find(l, a->name, version);
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

static int check_images(const struct catalogue *cat, const struct lock *l, const struct config *c,
			struct lock_report *ret, struct err *e)
{
	vec_foreach (i, &cat->images) {
		struct image_pin p;
		int r = image_pin(cat, l, c, i, &p, e);

		if (r < 0)
			return r;
		*vec_push(&ret->lines) = (struct lock_line){
			.change = p.sha256 ? LOCK_KEPT : LOCK_MISSING,
			.image = true,
			.entry = { .name = p.name, .version = p.tag, .sha256 = p.sha256 },
			.why = p.sha256 ? NULL : "the lock has no such container image",
		};
	}
	return 0;
}

int lock_check(const struct catalogue *cat, const struct lock *l, const struct config *c, struct lock_report *ret,
	       struct err *e)
{
	_cleanup_strbuf_ struct strbuf faults = { 0 };
	struct lock *shipped;
	int r = lock_load_shipped(&shipped, e);

	if (r < 0)
		return r;
	*ret = (struct lock_report){ .file = l->path };
	vec_foreach (a, &cat->artifacts)
		if (is_in_force(a, c))
			check_artifact(cat, a, l, shipped, c, ret);
	if (c->airgap)
		r = check_images(cat, l, c, ret, e);
	if (r == 0 && streq(c->os.base, DEBIAN_BASE))
		r = debian_check_lock(cat, l, c, vec_push(&ret->lines), e);
	if (r < 0)
		return r;
	vec_foreach (line, &ret->lines)
		if (line->change != LOCK_KEPT)
			strbuf_addf(&faults, "\n  %s %s: %s", line->entry.name, line->entry.version, line->why);
	if (!faults.n)
		return 0;
	return err_class(e, CLASS_VERIFY, "%s is stale; run `pibuild lock`:%s", l->path, faults.s);
}

/* ---- update ---- */

/* One line of the report that waits for upstream's checksum file. */
struct lookup {
	size_t line;
	const struct artifact *artifact;
	const struct lock_entry *old;
	size_t text;
};
/* One that waits for a registry's answer. */
struct image_lookup {
	size_t line;
	const char *old; /* digest */
	size_t text;
};
struct lookups {
	VEC(struct lookup) list;
	VEC(struct image_lookup) images;
	VEC(struct text) texts;
};

static size_t want_text(struct lookups *l, const char *label, const char *url)
{
	for (size_t i = 0; i < l->texts.n; i++)
		if (streq(l->texts.v[i].url, url))
			return i;
	*vec_push(&l->texts) = (struct text){ .label = label, .url = url };
	return l->texts.n - 1;
}

static bool is_any_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(names[i], name))
			return true;
	return false;
}

static bool is_forced(const struct lock_options *o, const char *name)
{
	return o->n_names ? is_any_of(name, o->names, o->n_names) : o->update;
}

static int check_names(const struct catalogue *cat, const struct lock_options *o, struct err *e)
{
	const char **known = arena_alloc((cat->artifacts.n + cat->images.n + 1) * sizeof(*known));
	size_t n = 0;

	known[n++] = DEBIAN_BASE;
	vec_foreach (a, &cat->artifacts)
		known[n++] = a->name;
	vec_foreach (i, &cat->images)
		known[n++] = i->name;
	for (size_t i = 0; i < o->n_names; i++) {
		const char *near = nearest_word(o->names[i], known, n);

		if (!is_any_of(o->names[i], known, n))
			return err_class(e, CLASS_USAGE, "there is no artifact '%s'%s%s%s", o->names[i],
					 near ? ", did you mean '" : "", str_or(near, ""), near ? "'?" : "");
	}
	return 0;
}

/* Keeps what the old lock knows; the rest goes to L. */
static void sort_out(const struct catalogue *cat, const struct lock *old, const struct lock *shipped,
		     const struct config *c, const struct lock_options *o, struct lock_report *ret, struct lookups *l)
{
	vec_foreach (a, &cat->artifacts) {
		const char *version = artifact_version(cat, c, a->version_key);
		const struct lock_entry *x = lock_find(old, a->name, version);
		bool keep = x && !is_forced(o, a->name) && !entry_fault(a, x, shipped);
		struct lock_entry blank = { .name = a->name, .version = version };

		if (!is_in_force(a, c))
			continue;
		*vec_push(&ret->lines) = (struct lock_line){ .change = LOCK_KEPT, .entry = keep ? *x : blank };
		if (keep)
			continue;
		*vec_push(&l->list) = (struct lookup){
			.line = ret->lines.n - 1,
			.artifact = a,
			.old = x,
			.text = want_text(l, arena_printf("%s %s", a->name, version),
					  expand_version(a->checksum.url, version, true)),
		};
	}
}

/* Without airgap nothing asks for an image by our digest: what the old lock knows is kept, nothing looked up. */
static int sort_out_images(const struct catalogue *cat, const struct lock *old, const struct config *c,
			   const struct lock_options *o, struct lock_report *ret, struct lookups *l, struct err *e)
{
	vec_foreach (i, &cat->images) {
		struct lock_line line = { .change = LOCK_KEPT, .image = true };
		const struct lock_image *x;
		struct image_pin p;
		int r = image_pin(cat, old, c, i, &p, e);

		if (r < 0 && c->airgap)
			return r;
		if (r < 0 || (!c->airgap && !p.sha256))
			continue;
		x = lock_find_image(old, p.name, p.tag);
		line.entry = (struct lock_entry){ .name = p.name, .version = p.tag };
		if (x) {
			line.entry.sha256 = x->sha256;
			line.entry.source = x->source;
		}
		*vec_push(&ret->lines) = line;
		if (!c->airgap || (x && !is_forced(o, i->name)))
			continue;
		*vec_push(&l->images) = (struct image_lookup){ ret->lines.n - 1, p.sha256, l->texts.n };
		*vec_push(&l->texts) = (struct text){
			.label = image_ref(&p),
			.url = image_url(p.name, "manifests", p.tag),
			.accept = oci_accept("manifests"),
			.repository = image_repository(p.name),
		};
	}
	return 0;
}

/* The digest of what the registry sent, which has to be an index with an image for us. */
static int resolve_image(const struct image_lookup *x, const struct lookups *l, struct lock_report *ret, struct err *e)
{
	const struct text *t = &l->texts.v[x->text];
	struct lock_line *line = &ret->lines.v[x->line];
	struct oci_image image = { 0 };
	char sha256[SHA256_HEX];
	int r = t->body.n > OCI_MAX_DOCUMENT ? err_class(e, CLASS_VERIFY, "%s: its index has more than 4 MiB", t->label)
					     : oci_parse_index(t->label, str_or(t->body.s, ""), t->body.n, &image, e);

	if (r < 0)
		return r;
	sha256_bytes(t->body.s, t->body.n, sha256);
	line->entry.sha256 = arena_strdup(sha256);
	line->entry.source = t->url;
	line->change = !x->old ? LOCK_ADDED : streq(x->old, sha256) ? LOCK_CONFIRMED : LOCK_CHANGED;
	line->why = line->change == LOCK_CHANGED ? x->old : NULL;
	return 0;
}

static int resolve(const struct lookup *x, const struct lookups *l, struct lock_report *ret, struct err *e)
{
	const struct artifact *a = x->artifact;
	const struct text *t = &l->texts.v[x->text];
	struct lock_line *line = &ret->lines.v[x->line];
	struct lock_entry *n = &line->entry;
	struct upstream u;
	int r = upstream_find(a->checksum.form, t->url, t->body.s, t->body.n,
			      expand_version(a->checksum.entry, n->version, false), n->version, &u, e);

	if (r < 0)
		return err_wrap(e, "%s %s", n->name, n->version);
	n->url = artifact_url(a, n->version);
	n->sha256 = arena_strdup(u.sha256);
	n->size = u.size;
	n->source = t->url;
	line->change = LOCK_ADDED;
	if (!x->old)
		return 0;
	line->change = LOCK_CHANGED;
	line->why = x->old->sha256;
	if (!streq(x->old->sha256, n->sha256))
		return 0;
	/* The same bytes, so what else is known of them still holds. */
	line->change = streq(x->old->url, n->url) ? LOCK_CONFIRMED : LOCK_CHANGED;
	line->why = NULL;
	n->size = n->size ? n->size : x->old->size;
	n->raw_size = x->old->raw_size;
	n->raw_sha256 = x->old->raw_sha256;
	return 0;
}

static int look_up(struct lookups *l, const struct lock_options *o, struct lock_report *ret, struct err *e)
{
	int r = fetch_texts(l->texts.v, l->texts.n, &o->fetch, e);

	if (r < 0)
		return err_wrap(e, "looking up digests");
	vec_foreach (x, &l->list) {
		r = resolve(x, l, ret, e);
		if (r < 0)
			return r;
	}
	vec_foreach (x, &l->images) {
		r = resolve_image(x, l, ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct yaml_node *image_yaml(const struct lock_entry *x)
{
	struct yaml_node *m = yaml_map();

	yaml_set(m, "name", yaml_str(x->name));
	yaml_set(m, "tag", yaml_str(x->version));
	yaml_set(m, "digest", yaml_strf("sha256:%s", x->sha256));
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
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

static int write_lock(const struct lock_report *report, const struct lock *old, const struct lock_options *o,
		      struct err *e)
{
	static const char comment[] =
		"Pins every download by digest. Made by `pibuild lock`; keep it beside cluster.yaml and "
		"in version control.\n"
		"  source  who states the digest; pibuild verifies every download against it all the "
		"same\n"
		"  raw     of a compressed base: size and digest of the decompressed image\n"
		"  debian  the packages of os.base: debian, as apt resolved them from Debian's signed archive";
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct yaml_node *doc = yaml_map(), *list, *images = yaml_seq();
	const struct debian_lock *debian = old->debian; /* kept for a config that asks for it */

	yaml_set(doc, "apiVersion", yaml_str("pibuild/v1"));
	yaml_set(doc, "kind", yaml_str("Lock"));
	yaml_set(doc, "time", yaml_str(lock_time_text(o->time)));
	list = yaml_set(doc, "artifacts", yaml_seq());
	vec_foreach (line, &report->lines)
		if (line->debian)
			debian = line->debian;
		else if (line->change != LOCK_REMOVED)
			yaml_append(line->image ? images : list,
				    line->image ? image_yaml(&line->entry) : entry_yaml(&line->entry));
	if (images->count)
		yaml_set(doc, "images", images);
	if (debian)
		yaml_set(doc, DEBIAN_BASE, debian_lock_yaml(debian));
	yaml_emit(doc, comment, &out);
	return file_publish(o->file, out.s, out.n, 0644, e);
}

static void add_removed_line(struct lock_report *ret, size_t n, struct lock_line gone)
{
	for (size_t i = 0; i < n; i++)
		if (streq(ret->lines.v[i].entry.name, gone.entry.name) &&
		    streq(ret->lines.v[i].entry.version, gone.entry.version))
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
	vec_foreach (x, &old->images)
		add_removed_line(ret, n,
				 (struct lock_line){ .image = true,
						     .entry = { .name = x->name,
								.version = x->tag,
								.sha256 = x->sha256,
								.source = x->source } });
}

static bool has_changes(const struct lock_report *report)
{
	vec_foreach (line, &report->lines)
		if (line->change != LOCK_KEPT && line->change != LOCK_CONFIRMED)
			return true;
	return false;
}

int lock_update(const struct catalogue *cat, const struct lock *old, const struct config *c,
		const struct lock_options *o, struct lock_report *ret, struct err *e)
{
	struct lookups l = { 0 };
	struct lock *shipped;
	int r = check_names(cat, o, e);

	if (r == 0)
		r = lock_load_shipped(&shipped, e);
	if (r < 0)
		return r;
	*ret = (struct lock_report){ .file = o->file };
	sort_out(cat, old, shipped, c, o, ret, &l);
	r = sort_out_images(cat, old, c, o, ret, &l, e);
	if (r == 0)
		r = look_up(&l, o, ret, e);
	if (r == 0 && streq(c->os.base, DEBIAN_BASE))
		r = debian_update_lock(cat, old, c, o, is_forced(o, DEBIAN_BASE), vec_push(&ret->lines), e);
	vec_foreach (t, &l.texts)
		strbuf_done(&t->body);
	if (r < 0)
		return r;
	if (streq(old->path, o->file))
		add_removed(old, ret);
	else
		ret->written = true;
	ret->written |= has_changes(ret);
	return ret->written ? write_lock(ret, old, o, e) : 0;
}
