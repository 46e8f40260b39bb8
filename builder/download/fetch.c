/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads, many at once: what has to be checked before the first, the loop over all, and what went wrong. */
#include <errno.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/sig.h"
#include "download/download.h"
#include "download/signature.h"
#include "lock/pin.h"
#include "oci/oci.h"

enum { DEFAULT_JOBS = 4 };
/* So that a signal is seen soon. */
static const double longest_wait = 0.2;
static const uint64_t max_text = 16 * MIB;

struct fetcher {
	const struct fetch_options *options;
	struct http *http;
	const struct cache *cache;
	struct tokens *tokens;
	VEC(struct download *) downloads;
	unsigned at_once;
	struct download_report told;
	struct fetching *beside; /* NULL = nobody reads meanwhile */
};

static unsigned count_state(const struct fetcher *f, enum download_state state)
{
	unsigned n = 0;

	vec_foreach (d, &f->downloads)
		n += (*d)->state == state;
	return n;
}

/* Starts what is due and returns how long there is nothing to start. */
static double start_due(struct fetcher *f)
{
	double now = now_seconds(), wait = longest_wait;

	vec_foreach (p, &f->downloads) {
		struct download *d = *p;

		if (d->state != DOWNLOAD_WAITING)
			continue;
		if (d->due > now)
			wait = MIN(wait, d->due - now);
		else if (count_state(f, DOWNLOAD_RUNNING) < f->at_once)
			download_start(d, f->http, f->cache);
	}
	return wait;
}

static int run_downloads(struct fetcher *f, struct err *e)
{
	int r = http_open(&f->http, e);

	while (r == 0 && count_state(f, DOWNLOAD_WAITING) + count_state(f, DOWNLOAD_RUNNING)) {
		r = sig_check(e);
		if (r == 0 && f->beside && f->beside->stop)
			r = err_set(e, -ECANCELED, "the downloads were ended");
		if (r == 0)
			r = http_run(f->http, start_due(f), e);
	}
	http_close(f->http);
	vec_foreach (d, &f->downloads)
		if ((*d)->state == DOWNLOAD_WAITING || (*d)->state == DOWNLOAD_RUNNING)
			download_end(*d, DOWNLOAD_FAILED, "interrupted");
	return r;
}

static bool same_of_host(const struct reason *a, const struct reason *b)
{
	return a->of_host && b->of_host && streq(a->why, b->why) && streq(url_host(a->url), url_host(b->url));
}

/* Every download that failed so at this host, in one sentence; "" when an earlier one has it in its own. */
static void add_of_host(const struct fetcher *f, const struct download *first, const struct reason *why,
			struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };
	bool begun = false;

	vec_foreach (p, &f->downloads)
		vec_foreach (r, &(*p)->reasons) {
			if ((*p)->state != DOWNLOAD_FAILED || !same_of_host(r, why))
				continue;
			if (!begun && *p != first)
				return;
			begun = true;
			strbuf_item(&names, ", ", (*p)->label);
		}
	strbuf_addf(out, "\n  %s: %s: %s", url_host(why->url), why->why, names.s);
}

/* Why D failed, source by source. */
static void add_own(const struct download *d, bool of_host_too, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };

	vec_foreach (r, &d->reasons)
		if (of_host_too || !r->of_host)
			strbuf_addf(&text, "%s%s%s%s", text.n ? "; " : "", str_or(r->url, ""), r->url ? ": " : "",
				    r->why);
	if (text.n)
		strbuf_addf(out, "%s: %s", d->label, text.s);
}

static int failures(const struct fetcher *f, struct err *e)
{
	_cleanup_strbuf_ struct strbuf details = { 0 };
	enum exit_class class = CLASS_FAILED;
	unsigned failed = count_state(f, DOWNLOAD_FAILED);

	vec_foreach (p, &f->downloads) {
		const struct download *d = *p;
		_cleanup_strbuf_ struct strbuf own = { 0 };

		if (d->state != DOWNLOAD_FAILED)
			continue;
		add_own(d, failed == 1, &own);
		if (own.n)
			strbuf_addf(&details, "%s%s", failed > 1 ? "\n  " : "", own.s);
		/* Wrong bytes are worse news than none. */
		if (class == CLASS_FAILED || d->class == CLASS_VERIFY)
			class = d->class ? d->class : CLASS_FAILED;
	}
	vec_foreach (p, &f->downloads)
		vec_foreach (r, &(*p)->reasons)
			if (failed > 1 && (*p)->state == DOWNLOAD_FAILED && r->of_host)
				add_of_host(f, *p, r, &details);
	if (!failed)
		return 0;
	if (failed == 1)
		return err_class(e, class, "%s", details.s);
	return err_class(e, class, "%u downloads failed:%s", failed, details.s);
}

static int add_download(struct fetcher *f, const char *url, const struct download *as, struct err *e)
{
	struct download *d = arena_new(struct download);
	int r;

	*d = *as;
	d->tokens = f->tokens;
	d->told = &f->told;
	d->part = (struct part)PART_INIT;
	r = url_sources(f->options->config, url, &d->sources, e);
	if (r < 0)
		return r;
	*vec_push(&f->downloads) = d;
	return 0;
}

static int run_all(struct fetcher *f, struct err *e)
{
	int r;

	f->at_once = f->options->jobs ? f->options->jobs : DEFAULT_JOBS;
	progress_expect("download", (unsigned)f->downloads.n);
	r = f->downloads.n ? run_downloads(f, e) : 0;
	progress_skip("download", (unsigned)f->downloads.n); /* another process may have made some */
	return r < 0 ? r : failures(f, e);
}

static int fetch_texts(struct text *texts, size_t n, const struct fetch_options *o, struct err *e)
{
	struct tokens tokens = { .config = o->config, .logins = o->logins };
	struct fetcher f = { .options = o, .tokens = &tokens };

	if (n && o->offline)
		return err_set(e, -ENETUNREACH, "%s has to be looked up at %s, which --offline forbids", texts[0].label,
			       texts[0].url);
	for (size_t i = 0; i < n; i++) {
		const struct download as = {
			.label = texts[i].label,
			.text = &texts[i],
			.limit = texts[i].limit ? texts[i].limit : max_text,
			.accept = texts[i].accept,
			.repository = texts[i].repository,
		};
		int r = add_download(&f, texts[i].url, &as, e);

		if (r < 0)
			return r;
	}
	return run_all(&f, e);
}

size_t texts_want(struct texts *t, struct text x)
{
	for (size_t i = 0; i < t->list.n; i++)
		if (streq(t->list.v[i].url, x.url))
			return i;
	*vec_push(&t->list) = x;
	return t->list.n - 1;
}

int texts_fetch(struct texts *t, const struct fetch_options *o, struct err *e)
{
	int r = fetch_texts(t->list.v + t->fetched, t->list.n - t->fetched, o, e);

	if (r < 0)
		return r;
	t->fetched = t->list.n;
	return 0;
}

void texts_done(struct texts *t)
{
	vec_foreach (x, &t->list)
		strbuf_done(&x->body);
}

/* ---- pins ---- */

static int check_offline(const struct fetcher *f, const struct cache *c, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	vec_foreach (p, &f->downloads) {
		const struct download *d = *p;

		strbuf_addf(&missing, "\n  %s  %s", d->label, d->sources.list.v[d->sources.list.n - 1].url);
	}
	if (!missing.n)
		return 0;
	return err_set(e, -ENOENT, "--offline, and %zu download%s not in the cache %s (run `pibuild fetch` first):%s",
		       f->downloads.n, f->downloads.n == 1 ? " is" : "s are", c->dir, missing.s);
}

static int fetch_check_room(const struct fetcher *f, const struct cache *c, struct err *e)
{
	char need_text[SIZE_TEXT_MAX], have_text[SIZE_TEXT_MAX];
	uint64_t need = 0, have;
	int r = free_space(c->dir, &have, e);

	if (r < 0)
		return r;
	vec_foreach (d, &f->downloads)
		need += (*d)->size;
	if (need <= have)
		return 0;
	return err_set(
		e, -ENOSPC,
		"the downloads need %s, the cache %s has room for %s; make room or give another folder with --cache DIR",
		size_text(need, need_text), c->dir, size_text(have, have_text));
}

static bool is_queued(const struct fetcher *f, const char *sha256)
{
	vec_foreach (d, &f->downloads)
		if (streq((*d)->sha256, sha256))
			return true;
	return false;
}

static int add_pins(struct fetcher *f, const struct pin *pins, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct pin *p = &pins[i];
		const struct download as = {
			.label = arena_printf("%s %s", p->name, p->version),
			.sha256 = p->sha256,
			.size = p->size,
			.limit = p->size ? p->size : p->max_size,
			.repository = p->repository,
			.reader = f->beside && i == 0 ? &f->beside->growing : NULL,
		};

		if (p->kind != PIN_FILE && p->kind != PIN_PACKAGES && !cache_has(f->cache, p) &&
		    !is_queued(f, p->sha256))
			r = add_download(f, p->url, &as, e);
	}
	return r;
}

/* ---- images ---- */

/* One object of a registry. */
static int add_object(struct fetcher *f, const struct image_pin *p, const char *kind, const char *what,
		      const struct oci_blob *b, struct err *e)
{
	const struct download as = {
		.label = arena_printf("%s %s", image_ref(p), what),
		.sha256 = b->sha256,
		.size = b->size,
		.limit = b->size ? b->size : OCI_MAX_DOCUMENT,
		.accept = oci_accept(kind),
		.repository = image_repository(p->name),
	};

	if (cache_has(f->cache, &(struct pin){ .sha256 = b->sha256 }) || is_queued(f, b->sha256))
		return 0;
	return add_download(f, image_url(p->name, kind, arena_printf("sha256:%s", b->sha256)), &as, e);
}

/* What comes next of each image, as far as the cache knows it. */
static int add_images(struct fetcher *f, const struct images *images, bool with_blobs, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && images && i < images->v.n; i++) {
		const struct image_pin *p = &images->v.v[i];
		struct oci_image image;
		enum oci_known known;

		r = oci_look(f->cache, p, &image, &known, e);
		if (r < 0)
			return r;
		if (known == OCI_NOTHING)
			r = add_object(f, p, "manifests", "index", &image.index, e);
		else if (known == OCI_INDEX)
			r = add_object(f, p, "manifests", "manifest", &image.manifest, e);
		for (size_t b = 0; r == 0 && known == OCI_MANIFEST && with_blobs && b < image.blobs.n; b++)
			r = add_object(f, p, "blobs",
				       b ? arena_printf("layer %zu of %zu", b, image.blobs.n - 1) : "config",
				       &image.blobs.v[b], e);
	}
	return r;
}

/* Indexes, then the manifests they name: small, and with them all sizes are known before the first big download. */
static int fetch_documents(const struct fetcher *like, const struct images *images, struct err *e)
{
	int r = 0;

	for (unsigned level = 0; r == 0 && level < 2; level++) {
		struct fetcher f = { .options = like->options, .cache = like->cache, .tokens = like->tokens };

		r = add_images(&f, images, false, e);
		if (r == 0)
			r = run_all(&f, e);
	}
	return r;
}

/* ---- signatures ---- */

static const uint64_t max_signature = 64 * KIB;

static int check_signature(const struct cache *c, const struct pin *pin, const struct fetch_options *o, struct err *e)
{
	const char *key = o->config->os.signature_key;
	struct text t = {
		.label = arena_printf("the signature of %s %s", pin->name, pin->version),
		.url = arena_printf("%s.sig", pin->url),
		.limit = max_signature,
	};
	bool known = false;
	int r = signature_known(c, pin, key, &known, e);

	if (r < 0 || known)
		return r;
	r = fetch_texts(&t, 1, o, e);
	if (r == 0)
		r = signature_check(c, pin, key, &t.body, e);
	strbuf_done(&t.body);
	return r;
}

static int check_signatures(const struct cache *c, const struct pin *pins, size_t n, const struct fetch_options *o,
			    struct err *e)
{
	int r = 0;

	if (!o->config->os.signature_key)
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		if (pins[i].kind == PIN_URL || (pins[i].kind == PIN_ARTIFACT && pins[i].artifact->base))
			r = check_signature(c, &pins[i], o, e);
	return r;
}

/* All of WHAT; BESIDE says that somebody reads its first pin meanwhile. */
static int fetch_pins(struct fetching *what, bool beside, struct err *e)
{
	const struct fetch_options *o = what->options;
	struct tokens tokens = { .config = o->config, .logins = o->logins };
	struct fetcher f = { .options = o, .cache = what->cache, .tokens = &tokens, .beside = beside ? what : NULL };
	int r = pins_check_locked(what->pins, what->n, e);

	if (r < 0)
		return r;
	r = images_check_locked(what->images, e);
	if (r < 0)
		return r;
	r = o->offline ? 0 : fetch_documents(&f, what->images, e);
	if (r < 0)
		return r;
	r = add_pins(&f, what->pins, what->n, e);
	if (r < 0)
		return r;
	r = add_images(&f, what->images, true, e);
	if (r < 0)
		return r;
	r = o->offline ? check_offline(&f, what->cache, e) : fetch_check_room(&f, what->cache, e);
	if (r < 0)
		return r;
	r = run_all(&f, e);
	return r < 0 ? r : check_signatures(what->cache, what->pins, what->n, o, e);
}

int fetch_all(const struct cache *c, const struct pin *pins, size_t n, const struct images *images,
	      const struct fetch_options *o, struct err *e)
{
	struct fetching what = { .cache = c, .pins = pins, .n = n, .images = images, .options = o };

	return fetch_pins(&what, false, e);
}

/* ---- beside who reads ---- */

static void *fetch_beside(void *arg)
{
	struct fetching *f = arg;

	f->result = fetch_pins(f, true, &f->e);
	growing_end(&f->growing, false); /* unless its download ended it */
	return NULL;
}

int fetch_begin(struct fetching *f, struct err *e)
{
	int r;

	if (f->options->offline || f->pins->kind == PIN_FILE || f->pins->kind == PIN_PACKAGES ||
	    cache_has(f->cache, f->pins))
		return fetch_pins(f, false, e);
	growing_init(&f->growing);
	pthread_mutex_init(&f->join, NULL);
	r = thread_start(&f->thread, fetch_beside, f, e);
	if (r < 0)
		return r;
	f->begun = true;
	return growing_wait(&f->growing, 0) > 0 ? 0 : fetch_wait(f, e);
}

struct growing *fetching_growing(struct fetching *f)
{
	return f && f->begun && !f->joined ? &f->growing : NULL;
}

int fetch_wait(struct fetching *f, struct err *e)
{
	if (!f || !f->begun)
		return 0;
	pthread_mutex_lock(&f->join);
	if (!f->joined)
		pthread_join(f->thread, NULL);
	f->joined = true;
	pthread_mutex_unlock(&f->join);
	if (f->result < 0)
		*e = f->e;
	return f->result;
}

bool fetching_failed(const struct fetching *f)
{
	return f && f->joined && f->result < 0;
}

void fetch_end(struct fetching *f)
{
	struct err ignored;

	f->stop = true;
	fetch_wait(f, &ignored);
	if (f->begun)
		growing_done(&f->growing);
}
