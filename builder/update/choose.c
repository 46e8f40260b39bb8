/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version to go to: the newest of its stable channel that fits the others, one version after the other in the
 * order of the catalogue. What is not decided yet counts as what it was; a version that follows another does not count
 * before its turn.
 */
#include "catalogue/version.h"
#include "config/compat.h"
#include "update/choose.h"

struct version_slot {
	struct version_line line;
	const struct channel *channel; /* NULL = none */
	bool asked;		       /* its channel is to be looked at */
	bool decided;
	size_t newest_text, others_text;
	struct releases releases;
};
struct chooser {
	const struct release_set *old;
	const struct lock_options *options;
	VEC(struct version_slot) slots;
};

struct version_request version_request_of(const char *word)
{
	size_t n = strcspn(word, "=");

	return (struct version_request){ arena_strndup(word, n), word[n] ? word + n + 1 : NULL };
}

/* NULL for the name of an image. */
static const char *choose_key_of(const struct catalogue *cat, const char *name)
{
	const struct artifact *a = catalogue_find(cat, name);

	return catalogue_version(cat, name) ? name : a ? a->version_key : NULL;
}

/* Releases of one system share a key: the base in force counts. */
static const struct artifact *base_of(const struct chooser *x, const char *key)
{
	vec_foreach (a, &x->old->catalogue->artifacts)
		if (a->base && streq(a->version_key, key) && artifact_in_force(a, x->old->config))
			return a;
	return NULL;
}

static bool is_used(const struct chooser *x, const char *key)
{
	vec_foreach (a, &x->old->catalogue->artifacts)
		if (streq(a->version_key, key) && artifact_in_force(a, x->old->config))
			return true;
	vec_foreach (i, &x->old->catalogue->images)
		if (streq(i->version_key, key) && image_in_force(i, x->old->config))
			return true;
	return streq(key, x->old->config->os.base); /* one that is made here has no artifact of its own */
}

/* An update without names asks about everything. */
static bool is_asked(const struct chooser *x, const char *key)
{
	const struct lock_options *o = x->options;

	for (size_t i = 0; i < o->n_names; i++) {
		const char *k = choose_key_of(x->old->catalogue, version_request_of(o->names[i]).name);

		if (k && streq(k, key))
			return true;
	}
	return o->update && !o->n_names;
}

static struct version_slot *find_slot(const struct chooser *x, const char *key)
{
	vec_foreach (s, &x->slots)
		if (streq(s->line.key, key))
			return s;
	return NULL;
}

static void add_slot(struct chooser *x, const char *key, const struct channel *channel)
{
	const char *version = artifact_version(x->old, key);
	bool pinned = false;

	if (!is_used(x, key))
		return;
	vec_foreach (v, &x->old->config->versions)
		pinned |= streq(v->name, key);
	*vec_push(&x->slots) = (struct version_slot){
		.line = { .key = key, .state = pinned ? VERSION_PINNED : VERSION_KEPT, .from = version, .to = version },
		.channel = channel,
		.asked = channel && is_asked(x, key),
	};
}

static void add_slots(struct chooser *x)
{
	vec_foreach (c, &x->old->catalogue->channels)
		add_slot(x, c->key, c);
	vec_foreach (v, &x->old->catalogue->versions)
		if (!find_slot(x, v->name))
			add_slot(x, v->name, NULL);
	vec_foreach (s, &x->slots) {
		const struct version_slot *leader = s->channel && s->channel->follows
							    ? find_slot(x, s->channel->follows)
							    : NULL;

		s->asked |= leader && leader->asked && s->line.state != VERSION_PINNED;
	}
}

/* ---- NAME=VERSION ---- */

static int apply_request(struct chooser *x, const struct version_request *request, struct err *e)
{
	const char *key = choose_key_of(x->old->catalogue, request->name), *to = request->version, *like;
	struct version_slot *s = key ? find_slot(x, key) : NULL;
	bool good;

	if (!s)
		return err_class(e, CLASS_USAGE, "%s has no version of its own to set", request->name);
	like = catalogue_version(x->old->catalogue, key);
	/* A release that is made here can be had as it was at a time, too. */
	good = version_is_like(to, like) ||
	       (streq(key, x->old->config->os.base) && version_is_like(to, arena_printf("%s-20261001T000000Z", like)));
	if (!good)
		return err_class(e, CLASS_USAGE, "%s: '%s' is no version such as %s", request->name, to, like);
	if (s->line.state == VERSION_PINNED && !streq(s->line.from, to))
		return err_class(e, CLASS_USAGE, "%s pins versions.%s to %s: change it there", x->old->config->path,
				 key, s->line.from);
	if (s->line.state != VERSION_PINNED)
		s->line.state = streq(s->line.from, to) ? VERSION_CURRENT : VERSION_UPDATED;
	s->line.to = to;
	s->asked = false;
	s->decided = true;
	return 0;
}

/* ---- what there is ---- */

static size_t want_source(struct texts *texts, const char *label, const struct release_source *from)
{
	return texts_want(texts, (struct text){ .label = label, .url = from->url, .limit = channel_limit(from->form) });
}

static int fetch_releases(struct chooser *x, struct texts *texts, struct err *e)
{
	int r;

	vec_foreach (s, &x->slots) {
		const char *label = arena_printf("the releases of %s", s->line.key);

		if (!s->asked)
			continue;
		s->newest_text = want_source(texts, label, &s->channel->newest);
		if (s->channel->others.url)
			s->others_text = want_source(texts, label, &s->channel->others);
	}
	r = texts_fetch(texts, &x->options->fetch, e);
	return r < 0 ? err_wrap(e, "looking up releases") : 0;
}

static int read_source(const struct chooser *x, const struct version_slot *s, const struct release_source *from,
		       const struct text *t, struct releases *ret, struct err *e)
{
	const struct document d = text_document(t);

	return channel_read(from, base_of(x, s->line.key), catalogue_version(x->old->catalogue, s->line.key), &d, ret,
			    e);
}

/* What the channel calls the newest, then what is older. */
static int read_releases(const struct chooser *x, struct version_slot *s, const struct texts *texts, struct err *e)
{
	struct releases others = { 0 };
	int r = read_source(x, s, &s->channel->newest, &texts->list.v[s->newest_text], &s->releases, e);

	if (r < 0)
		return r;
	if (s->channel->others.url)
		r = read_source(x, s, &s->channel->others, &texts->list.v[s->others_text], &others, e);
	vec_foreach (o, &others.list)
		if (version_compare(o->version, s->releases.list.v[0].version) < 0)
			*vec_push(&s->releases.list) = *o;
	return r;
}

/* ---- what fits ---- */

static void set_version(struct cluster_versions *v, const char *key, const char *version)
{
	const struct {
		const char *key, **version;
	} places[] = {
		{ "k3s", &v->k3s },
		{ "cilium", &v->cilium },
		{ "gatewayAPI", &v->gateway_api },
		{ "certManager", &v->cert_manager },
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (streq(places[i].key, key))
			*places[i].version = version;
}

static struct misfits choose_judge(const struct chooser *x, const char *key, const char *version)
{
	struct cluster_versions v = { 0 };

	vec_foreach (s, &x->slots)
		if (s->decided || !s->asked || !s->channel->follows)
			set_version(&v, s->line.key, s->line.to);
	if (key)
		set_version(&v, key, version);
	return compat_misfits(&v, x->old->config->cilium.gateway_api != STATE_OFF,
			      x->old->config->cert_manager.enabled);
}

/* Why S cannot be at VERSION, or NULL. */
static const char *misfit_of(const struct chooser *x, const struct version_slot *s, const char *version, bool untested)
{
	const struct misfits misfits = choose_judge(x, s->line.key, version);

	vec_foreach (m, &misfits.list)
		if (m->untested == untested &&
		    (streq(m->key, s->line.key) || (m->other && streq(m->other, s->line.key))))
			return m->why;
	return NULL;
}

/* ... and going there from where it is would be no good either. */
static const char *fault_of(const struct chooser *x, const struct version_slot *s, const char *version)
{
	const char *from = s->line.from, *why = NULL;

	if (!version_same_major(version, from))
		return arena_printf(
			"%s is another major version, which may break things; `pibuild lock --update %s=%s` goes there",
			version, s->line.key, version);
	why = misfit_of(x, s, version, false);
	if (!why && !misfit_of(x, s, from, true))
		why = misfit_of(x, s, version, true);
	return why;
}

static void decide(struct chooser *x, struct version_slot *s)
{
	struct version_line *line = &s->line;
	bool stays = !misfit_of(x, s, line->from, false);
	const char *newest = s->releases.list.v[0].version;

	/* Of a list with several major versions the newest is the one of ours. */
	for (size_t i = s->releases.list.n; i--;)
		if (version_same_major(s->releases.list.v[i].version, line->from))
			newest = s->releases.list.v[i].version;
	line->source = s->channel->newest.url;
	line->newest = newest;
	s->decided = true;
	if (line->state == VERSION_PINNED)
		return;
	line->state = VERSION_CURRENT;
	vec_foreach (r, &s->releases.list) {
		const char *why;

		if (version_compare(r->version, newest) > 0)
			continue;
		if (stays && version_compare(r->version, line->from) <= 0)
			break;
		why = fault_of(x, s, r->version);
		if (!why) {
			line->to = r->version;
			break;
		}
		if (streq(r->version, newest))
			line->held = why;
	}
	if (!streq(line->to, line->from))
		line->state = VERSION_UPDATED;
	else if (line->held)
		line->state = VERSION_HELD;
}

static int judge_all(const struct chooser *x, struct err *e)
{
	_cleanup_strbuf_ struct strbuf faults = { 0 };
	const struct misfits misfits = choose_judge(x, NULL, NULL);

	vec_foreach (m, &misfits.list)
		if (!m->untested)
			strbuf_addf(&faults, "\n  versions.%s: %s", m->key, m->why);
	return faults.n ? err_class(e, CLASS_CONFIG, "these versions do not fit, so nothing was written:%s", faults.s)
			: 0;
}

static void export_choice(const struct chooser *x, struct lock_report *report, struct choice *ret)
{
	vec_foreach (s, &x->slots) {
		*vec_push(&report->versions) = s->line;
		*vec_push(&ret->lock.versions) = (struct version_pin){ s->line.key, s->line.to };
		vec_foreach (r, &s->releases.list) {
			if (!r->sha256 || !streq(r->version, s->line.to))
				continue;
			*vec_push(&ret->releases) = (struct channel_release){ s->line.key, s->line.source, *r };
			break;
		}
	}
}

int choose_versions(const struct release_set *old, const struct lock_options *o, struct texts *texts,
		    struct lock_report *report, struct choice *ret, struct err *e)
{
	struct chooser x = { .old = old, .options = o };
	int r;

	add_slots(&x);
	for (size_t i = 0; i < o->n_names; i++) {
		struct version_request request = version_request_of(o->names[i]);

		r = request.version ? apply_request(&x, &request, e) : 0;
		if (r < 0)
			return r;
	}
	r = fetch_releases(&x, texts, e);
	vec_foreach (s, &x.slots) {
		if (r < 0 || !s->asked)
			continue;
		r = read_releases(&x, s, texts, e);
		if (r == 0)
			decide(&x, s);
	}
	if (r < 0)
		return r;
	r = judge_all(&x, e);
	if (r < 0)
		return r;
	ret->lock = *old->lock;
	ret->lock.versions.v = NULL;
	ret->lock.versions.n = ret->lock.versions.cap = 0;
	export_choice(&x, report, ret);
	return 0;
}
