/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of a node are not as its card would have them now. A file counts by what it is on the node; what the
 * base's own programs write too (accounts, the command line, config.txt) by pibuild's part of it.
 */

#include "config/born.h"
#include "config/values.h"
#include "live/internal.h"

static const char cmdline_path[] = BOOT_DIR "/cmdline.txt", config_txt_path[] = BOOT_DIR "/config.txt";
static const char k3s_config_path[] = "/etc/rancher/k3s/config.yaml";

struct differ {
	const struct config *config;
	struct wanted *w;
	const struct live *l;
	struct delta *d;
	bool same_base;
	struct records kept; /* that the node's own manifest has, and the new one too */
};

/* ---- one file ---- */

static bool same_file(const struct record *x, const struct record *before, const struct live_file *f,
		      const char *digest)
{
	bool boot = path_on_boot(x->path);

	if (x->kind == ENTRY_DIR)
		return f->type == 'd' && (boot || (f->mode == x->mode && f->uid == x->uid && f->gid == x->gid));
	if (x->kind == ENTRY_SYMLINK)
		return f->type == 'l' && streq(f->target, str_or(x->note, ""));
	if (f->type != 'f' || f->size != x->size ||
	    (!boot && (f->mode != x->mode || f->uid != x->uid || f->gid != x->gid)))
		return false;
	/* A large one was not read. */
	return *f->sha256 ? streq(f->sha256, digest) : before && streq(before->sha256, digest);
}

static enum delta_how how_of(const struct record *x)
{
	if (x->kind == ENTRY_DIR)
		return HOW_DIR;
	if (x->kind == ENTRY_SYMLINK)
		return HOW_LINK;
	return x->size > LARGE_FILE ? HOW_LARGE : HOW_FILE;
}

static struct delta_item *delta_add(struct differ *y, const char *path, const struct record *wanted,
				    const struct live_file *f)
{
	struct delta_item *i = vec_push(&y->d->items);

	*i = (struct delta_item){
		.kind = !wanted ? DELTA_REMOVED
			: f	? DELTA_CHANGED
				: DELTA_ADDED,
		.how = wanted ? how_of(wanted) : HOW_GONE,
		.path = path,
		.wanted = wanted,
		.effect = effect_of(path, !wanted),
	};
	/* What is in a folder speaks for itself. */
	if (i->how == HOW_DIR)
		i->effect = (struct effect){ .kind = EFFECT_NONE };
	return i;
}

/* The part of TEXT that counts after a node's first registration: as the node takes it (usr/lib/pibuild/apply). */
static void registered_text(const char *text, struct strbuf *out)
{
	bool skip = false;

	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n && text[0] != ' ' && text[0] != '-')
			skip = starts_with(text, "node-label:") || starts_with(text, "node-taint:");
		if (!skip)
			strbuf_addf(out, "%.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/* Labels and taints alone: nobody reads them again, the step `nodes` gives them. */
static int judge_k3s_config(struct differ *y, struct delta_item *i, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 }, counts = { 0 };
	char digest[SHA256_HEX];
	int r = wanted_read(y->w, k3s_config_path, &text, e);

	if (r < 0)
		return r;
	registered_text(text.s, &counts);
	sha256_bytes(str_or(counts.s, ""), counts.n, digest);
	if (y->l->config && streq(digest, y->l->config))
		i->effect = (struct effect){ .kind = EFFECT_NONE };
	explicit_bzero(text.s, text.n);
	explicit_bzero(counts.s, counts.n);
	return 0;
}

static int differ_file(struct differ *y, const struct record *x, const struct record *before, struct err *e)
{
	const struct live_file *f = live_find(y->l, x->path);
	struct effect effect = effect_of(x->path, false);
	char digest[SHA256_HEX];
	struct delta_item *i;
	int r = 0;

	memcpy(digest, x->sha256, SHA256_HEX);
	if (effect.kind == EFFECT_KEEP && f && (x->kind != ENTRY_FILE || f->size == x->size))
		return 0;
	if (record_is_secret(x))
		r = wanted_digest(y->w, x->path, digest, e);
	if (r < 0 || (f && same_file(x, before, f, digest)))
		return r;
	i = delta_add(y, x->path, x, f);
	i->by_hand = before && !record_is_secret(x) && record_same(x, before);
	return streq(x->path, k3s_config_path) ? judge_k3s_config(y, i, e) : 0;
}

/* ---- files of the base that pibuild has a part in ---- */

/* The words that a record of the command line says it adds. */
static const char *record_words(const struct record *x)
{
	static const char adds[] = "adds ";

	return x && x->note && starts_with(x->note, adds) ? x->note + strlen(adds) : "";
}

/* A line for each word of FROM that OTHER has or, without HAS, has not. */
static void add_words(struct strbuf *out, char sign, const char *from, const char *other, bool has)
{
	for (const char *at = from; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (word_in(other, at, strcspn(at, " ")) == has)
			strbuf_addf(out, "%c%.*s\n", sign, (int)strcspn(at, " "), at);
}

static void differ_words(struct differ *y, const struct record *x, const struct record *before)
{
	_cleanup_strbuf_ struct strbuf old = { 0 }, text = { 0 };
	const char *is = str_or(y->l->words, "");
	struct delta_item *i;

	/* Of the words that an earlier card had, those that are there still and not wanted any more. */
	for (const char *at = record_words(before); *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (!word_in(record_words(x), at, strcspn(at, " ")))
			strbuf_addf(&old, "%.*s ", (int)strcspn(at, " "), at);
	add_words(&text, '-', str_or(old.s, ""), is, true);
	add_words(&text, '+', record_words(x), is, false);
	if (!text.n)
		return;
	i = delta_add(y, x->path, x, live_find(y->l, x->path));
	i->how = HOW_WORDS;
	i->text = arena_strdup(text.s);
	i->by_hand = before && record_same(x, before);
}

static int differ_block(struct differ *y, const struct record *x, const struct record *before, struct err *e)
{
	static const char begin[] = "# pibuild: begin", end[] = "# pibuild: end\n";
	_cleanup_strbuf_ struct strbuf text = { 0 };
	const char *from = "", *to;
	char digest[SHA256_HEX];
	struct delta_item *i;
	int r = x ? wanted_read(y->w, x->path, &text, e) : 0;

	if (r < 0)
		return r;
	if (text.s && strstr(text.s, begin)) {
		from = strstr(text.s, begin);
		to = strstr(from, end);
		from = to ? arena_strndup(from, (size_t)(to - from) + strlen(end)) : "";
	}
	sha256_bytes(from, strlen(from), digest);
	if (streq(str_or(y->l->block, ""), digest))
		return 0;
	i = delta_add(y, config_txt_path, x ? x : before, live_find(y->l, config_txt_path));
	i->how = HOW_BLOCK;
	i->text = arena_strdup(from);
	i->by_hand = x && before && record_same(x, before);
	return 0;
}

/* Whether the edit itself is another than that of the card: the base may be a later one now. */
static bool same_edit(const struct differ *y, const struct record *x, const struct record *before)
{
	if (!before || before->kind != ENTRY_EDIT)
		return false;
	return y->same_base ? record_same(x, before) : streq(str_or(x->note, ""), str_or(before->note, ""));
}

static int differ_edit(struct differ *y, const struct record *x, const struct record *before, struct err *e)
{
	if (streq(x->path, cmdline_path)) {
		differ_words(y, x, before);
		return 0;
	}
	if (streq(x->path, config_txt_path))
		return differ_block(y, x, before, e);
	if (!same_edit(y, x, before) && effect_of(x->path, false).kind != EFFECT_KEEP)
		delta_add(y, x->path, x, live_find(y->l, x->path));
	else if (before)
		*vec_push(&y->kept.v) = *before;
	return 0;
}

/* ---- all files ---- */

static int differ_wanted(struct differ *y, const struct record *x, struct err *e)
{
	const struct record *before = records_find(&y->l->records, x->path);
	const struct live_file *f;

	if (x->kind == ENTRY_EDIT)
		return differ_edit(y, x, before, e);
	if (x->kind != ENTRY_REMOVE)
		return differ_file(y, x, before, e);
	/* Folders of the base, such as somebody's home, are not looked into. */
	f = live_find(y->l, x->path);
	if (f && f->type != 'd')
		delta_add(y, x->path, NULL, f);
	return 0;
}

/* A file that the card was made with, and that none has now. */
static int differ_gone(struct differ *y, const struct record *x, struct err *e)
{
	struct effect effect = effect_of(x->path, true);

	if (streq(x->path, config_txt_path))
		return differ_block(y, NULL, x, e);
	if (effect.kind == EFFECT_KEEP)
		*vec_push(&y->kept.v) = *x;
	else if (streq(x->path, cmdline_path) || x->kind == ENTRY_REMOVE ||
		 (x->kind == ENTRY_EDIT && effect.kind != EFFECT_CANNOT))
		return 0;
	else
		delta_add(y, x->path, NULL, NULL);
	return 0;
}

static int differ_all(struct differ *y, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < y->w->records.v.n && r == 0; i++)
		r = differ_wanted(y, &y->w->records.v.v[i], e);
	for (size_t i = 0; i < y->l->records.v.n && r == 0; i++)
		if (!records_find(&y->w->records, y->l->records.v.v[i].path))
			r = differ_gone(y, &y->l->records.v.v[i], e);
	return r;
}

/* ---- what follows ---- */

static bool takes_step(const struct differ *y, const char *step)
{
	return records_find(&y->w->records,
			    arena_printf("/etc/systemd/system/multi-user.target.wants/pibuild-%s.service", step));
}

static void add_effect(struct delta *d, struct effect x)
{
	vec_foreach (have, &d->effects)
		if (have->kind == x.kind && streq(str_or(have->name, ""), str_or(x.name, "")))
			return;
	*vec_push(&d->effects) = x;
}

/* A word of the node's own, of a change that was cut off before all had followed. */
static void add_owed(struct delta *d, const char *word)
{
	const char *blank = strchr(word, ' ');

	for (int kind = EFFECT_RELOAD; kind < EFFECT_KIND_COUNT; kind++) {
		struct effect x = { .kind = (enum effect_kind)kind, .name = blank ? blank + 1 : NULL };

		if (streq(effect_word(x), word))
			add_effect(d, x);
	}
}

static int effect_order(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(str_or(x->name, ""), str_or(y->name, ""));
}

/* All but a locale, which is made once. */
static void drop_done_by_start(struct delta *d)
{
	size_t kept = 0;

	vec_foreach (x, &d->effects)
		if (x->kind == EFFECT_LOCALE || x->kind == EFFECT_REBOOT)
			d->effects.v[kept++] = *x;
	d->effects.n = kept;
}

static void collect_effects(struct differ *y)
{
	struct delta *d = y->d;
	const char *report = y->w->node->node == config_first_server(y->config) ? "k3s" : "join";

	vec_foreach (i, &d->items) {
		if (i->effect.kind == EFFECT_STEP && !takes_step(y, i->effect.name))
			i->effect = (struct effect){ .kind = EFFECT_NONE };
		if (i->effect.kind > EFFECT_CANNOT)
			add_effect(d, i->effect);
		if (effect_needs_reload(i->path))
			add_effect(d, (struct effect){ .kind = EFFECT_RELOAD });
	}
	vec_foreach (word, &y->l->effects)
		add_owed(d, *word);
	vec_foreach (x, &d->effects)
		d->restarts |= x->kind == EFFECT_K3S || x->kind == EFFECT_REBOOT;
	/* The report waits for K3s by its own step. */
	for (size_t i = 0; i < d->effects.n; i++)
		if (d->effects.v[i].kind == EFFECT_K3S) {
			add_effect(d, (struct effect){ .kind = EFFECT_STEP, .name = report });
			break;
		}
	vec_sort(&d->effects, effect_order);
	if (delta_reboots(d))
		drop_done_by_start(d);
}

/* ---- what no file says ---- */

static const char *base_text(const json_t *manifest)
{
	const json_t *base = json_object_get(manifest, "base");

	return arena_printf("%s %s", json_get_text(base, "name"), json_get_text(base, "version"));
}

static const char *base_digest(const json_t *manifest)
{
	return json_get_text(json_object_get(manifest, "base"), "sha256");
}

/* What a cluster is born with, by the card's own word: flashed.jsonl may not know it (plan/birth.h). */
static void differ_born(struct differ *y)
{
	_cleanup_json_ json_t *born = born_json(y->config);
	const json_t *was = json_object_get(y->l->release, "born"), *value;
	const char *key;

	json_object_foreach (born, key, value) {
		const char *before = json_get_text(was, key), *now = json_string_value(value);

		if (!*before || streq(before, str_or(now, "")))
			continue;
		*vec_push(&y->d->items) = (struct delta_item){
			.kind = DELTA_CHANGED,
			.how = HOW_DIR,
			.path = arena_strdup(key),
			.effect = { EFFECT_CANNOT, NULL,
				    arena_printf("the cluster was started with %s: write that again",
						 clean_copy(before)) },
		};
	}
}

/* The manifest of a fresh card; with what stays as it is on this one. */
static int make_manifest(struct differ *y, struct err *e)
{
	json_t *j = json_deep_copy(y->w->manifest);
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct records all = { 0 };
	int r;

	vec_foreach (x, &y->w->records.v)
		*vec_push(&all.v) = *x;
	vec_foreach (x, &y->kept.v)
		*vec_push(&all.v) = *x;
	records_merge(&all);
	json_object_set_new(j, "files", records_json(&all));
	if (!y->same_base)
		json_object_set(j, "base", json_object_get(y->l->manifest, "base"));
	r = json_add(j, &text, e);
	if (r < 0)
		return r;
	y->d->manifest = arena_strdup(text.s);
	y->d->manifest_only = !y->d->items.n && !streq(y->d->manifest, y->l->manifest_text);
	return 0;
}

const char *manifest_version(const json_t *manifest, const char *artifact)
{
	const json_t *one = json_named(json_object_get(manifest, "artifacts"), artifact);

	return one ? json_get_text(one, "version") : NULL;
}

static bool read_versions(const char *from, const char *to, struct semver *a, struct semver *b)
{
	return from && to && value_semver(from, a) == 0 && value_semver(to, b) == 0;
}

const char *skew_k3s(const char *from, const char *to)
{
	struct semver a, b;

	if (!read_versions(from, to, &a, &b) || a.major != b.major)
		return NULL;
	if (b.minor > a.minor + 1)
		return arena_printf(
			"K3s skips no minor version: from %s the way to %s leads over 1.%u; set versions.k3s to its latest release and apply that first",
			from, to, a.minor + 1);
	if (b.minor < a.minor)
		return arena_printf(
			"K3s goes back within a minor version only, and %s is older than %s: set versions.k3s to a release of 1.%u, or start from a backup with `pibuild flash --restore`",
			to, from, a.minor);
	return NULL;
}

const char *skew_cilium(const char *from, const char *to)
{
	struct semver a, b;
	unsigned apart;

	if (!read_versions(from, to, &a, &b) || a.major != b.major)
		return NULL;
	apart = a.minor > b.minor ? a.minor - b.minor : b.minor - a.minor;
	if (apart < 2)
		return NULL;
	return arena_printf(
		"Cilium goes one minor version at a time: from %s the way to %s leads over 1.%u; set versions.cilium to its latest release and apply that first",
		from, to, b.minor > a.minor ? a.minor + 1 : a.minor - 1);
}

static void differ_versions(const struct json_t *from, const struct json_t *to, struct delta *d)
{
	const json_t *list = json_object_get(to, "artifacts"), *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *name = json_get_text(one, "name"), *now = json_get_text(one, "version");
		const char *before = manifest_version(from, name);

		if (before && !streq(before, now))
			*vec_push(&d->versions) = arena_printf("%s %s -> %s", name, clean_copy(before), now);
	}
}

static const char *skew_of(const json_t *from, const json_t *to)
{
	const char *k3s = skew_k3s(manifest_version(from, "k3s"), manifest_version(to, "k3s"));

	return k3s ? k3s : skew_cilium(manifest_version(from, "cilium-chart"), manifest_version(to, "cilium-chart"));
}

int live_delta(const struct config *c, struct wanted *w, const struct live *l, struct delta *ret, struct err *e)
{
	struct differ y = { .config = c, .w = w, .l = l, .d = ret };
	int r;

	*ret = (struct delta){ .skew = skew_of(l->manifest, w->manifest) };
	y.same_base = streq(base_digest(l->manifest), base_digest(w->manifest));
	if (!y.same_base)
		ret->base = arena_printf("%s -> %s", clean_copy(base_text(l->manifest)), base_text(w->manifest));
	differ_versions(l->manifest, w->manifest, ret);
	r = differ_all(&y, e);
	if (r < 0)
		return r;
	collect_effects(&y);
	differ_born(&y);
	vec_sort_by(&ret->items, path);
	return make_manifest(&y, e);
}
