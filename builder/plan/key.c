/* SPDX-License-Identifier: Apache-2.0 */
/* What layers, cards and caches are known by: digests of all that decides what is in them. */
#include "plan/plan.h"

/* Changes whenever the same inputs would give other bytes in a layer. */
static const char layer_format[] = "pibuild layer 4 " PIBUILD_VERSION;

static void hash_text(struct sha256 *s, const char *text)
{
	sha256_update(s, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* What an edit adds to an empty file stands for what it does. */
static void hash_edit(struct sha256 *s, const struct entry *t)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct err ignored = { 0 };

	t->edit(t->edit_arg, NULL, 0, &out, &ignored);
	hash_text(s, out.s);
	hash_text(s, t->edit_what);
	hash_text(s, t->edit_from);
}

/* All of it, since the manifest of the layer tells it. */
static void hash_pin(struct sha256 *s, const struct pin *pin)
{
	hash_text(s, pin->name);
	hash_text(s, pin->version);
	hash_text(s, pin->url);
	hash_text(s, pin->sha256);
}

static void hash_images(struct sha256 *s, const struct images *images)
{
	vec_foreach (i, &images->v) {
		hash_text(s, image_ref(i));
		hash_text(s, i->sha256);
	}
}

/* All that decides what an entry of a layer becomes on the card. */
static void hash_entry(struct sha256 *s, const struct entry *t)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_addf(&b, "%d %o %u %u", t->kind, t->mode, t->uid, t->gid);
	hash_text(s, b.s);
	hash_text(s, t->path);
	hash_text(s, t->kind == ENTRY_SYMLINK ? t->bytes : t->sha256);
	if (t->kind == ENTRY_EDIT) {
		hash_edit(s, t);
	} else if (t->source == SOURCE_ARTIFACT) {
		hash_pin(s, &t->pin);
		hash_text(s, t->pin.artifact->install.member);
	} else if (t->source == SOURCE_IMAGES) {
		hash_images(s, t->images);
	}
}

bool plan_same_entry(const struct entry *a, const struct entry *b)
{
	char x[SHA256_HEX], y[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	hash_entry(&s, a);
	sha256_final(&s, x);
	sha256_init(&s);
	hash_entry(&s, b);
	sha256_final(&s, y);
	return streq(x, y);
}

void plan_layer_key(const struct plan *p, const struct node_plan *n, uint64_t reserve, char key[SHA256_HEX])
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct sha256 s;

	sha256_init(&s);
	hash_text(&s, layer_format);
	hash_text(&s, role_names[n->node->role]);
	hash_pin(&s, &p->base);
	strbuf_addf(&b, "%lld %llu", (long long)p->project->epoch, (unsigned long long)reserve);
	hash_text(&s, b.s);
	vec_foreach (t, &n->tree.entries)
		if (t->layer == LAYER_ROLE)
			hash_entry(&s, t);
	sha256_final(&s, key);
}

void plan_node_key(const struct plan *p, const struct node_plan *n, char key[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	hash_pin(&s, &p->base);
	vec_foreach (t, &n->tree.entries)
		if (t->secret)
			hash_text(&s, t->path);
		else
			hash_entry(&s, t);
	sha256_final(&s, key);
}

void plan_cache_key(const struct plan *p, char key[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	vec_foreach (pin, &p->pins) {
		hash_text(&s, pin->name);
		hash_text(&s, pin->version);
		hash_text(&s, pin->sha256);
	}
	hash_images(&s, &p->images);
	sha256_final(&s, key);
}
