/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provenance: in-toto Statement v1 with the predicate slsa.dev/provenance/v1. Nothing of the machine that built is in
 * it: the same inputs give the same statement. Secrets are an input that is not named.
 */
#include "base/file.h"
#include "companion/internal.h"

#define BUILD_TYPE     "pibuild:image/v1"
#define BUILDER_ID     "pibuild:pibuild"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
static const size_t input_limit = 16 * MIB;

static json_t *resource(const char *name, const char *sha256)
{
	return json_pack("{s:s, s:{s:s}}", "name", name, "digest", "sha256", sha256);
}

/* ---- what was made ---- */

static json_t *subjects(const struct subject *s, const struct companions *c)
{
	json_t *list = json_array();
	char sha256[SHA256_HEX];

	if (s->sha256)
		json_array_append_new(list, resource(path_base(s->image), s->sha256));
	if (s->sha256 && !streq(s->sha256, s->raw_sha256))
		json_array_append_new(list,
				      resource(arena_printf("%s.img", path_base(image_stem(s->image))), s->raw_sha256));
	for (size_t i = 0; i < COMPANION_PROVENANCE; i++) {
		text_sha256(&c->v[i], sha256);
		json_array_append_new(list, resource(path_base(companion_path(s->image, (enum companion)i)), sha256));
	}
	return list;
}

/* ---- from what ---- */

/* The last part of its path only: where it lay is nobody's business. NULL path = JSON null. */
static int input_file(const char *path, json_t **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char sha256[SHA256_HEX];
	size_t n;
	int r;

	*ret = NULL;
	if (!path)
		return 0;
	r = file_read(path, input_limit, &text, &n, e);
	if (r < 0)
		return r;
	sha256_bytes(text, n, sha256);
	*ret = resource(path_base(path), sha256);
	return 0;
}

static int parameters(const struct subject *s, json_t **ret, struct err *e)
{
	const struct project *p = s->plan->project;
	const struct node_plan *n = s->node;
	json_t *config, *lock;
	char sha256[SHA256_HEX];
	int r = input_file(p->set.lock->path, &lock, e);

	sha256_bytes(p->config->text, p->config->text_n, sha256);
	config = resource(path_base(p->config->path), sha256);
	*ret = json_pack("{s:o*, s:o*, s:s*, s:s, s:s*, s:I}", "config", config, "lock", lock, "node",
			 n->generic ? NULL : n->name, "role", role_names[n->node->role], "board",
			 n->generic ? NULL : n->board->name, "sourceDateEpoch", (json_int_t)p->epoch);
	return r;
}

static json_t *dependency_json(const char *name, const char *uri, const char *sha256)
{
	return json_pack("{s:s, s:s*, s:{s:s}}", "name", name, "uri", uri, "digest", "sha256", sha256);
}

static json_t *dependencies(const struct subject *s)
{
	const struct pin *base = &s->plan->base;
	json_t *list = json_array();

	json_array_append_new(list, dependency_json(base->name, base->url, base->sha256));
	vec_foreach (t, &s->node->tree.entries)
		if (t->source == SOURCE_ARTIFACT)
			json_array_append_new(list, dependency_json(t->pin.name, t->pin.url, t->pin.sha256));
	vec_foreach (i, &s->plan->images.v)
		json_array_append_new(list, dependency_json(image_ref(i), image_purl(i), i->sha256));
	return list;
}

int provenance_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	json_t *external;
	int r = parameters(s, &external, e);

	if (r < 0)
		return json_decref(external), r;
	return json_add(json_pack("{s:s, s:o, s:s, s:{s:{s:s, s:o, s:o}, s:{s:{s:s, s:{s:s}}}}}", "_type",
				  STATEMENT_TYPE, "subject", subjects(s, c), "predicateType", PREDICATE_TYPE,
				  "predicate", "buildDefinition", "buildType", BUILD_TYPE, "externalParameters",
				  external, "resolvedDependencies", dependencies(s), "runDetails", "builder", "id",
				  BUILDER_ID, "version", "pibuild", PIBUILD_VERSION),
			out, e);
}

/* ---- checking: the digests of its subjects bind all that stands before it to the image ---- */

/* The digest that LIST states for NAME; "" when it does not name it. */
static const char *subject_digest(const json_t *list, const char *name)
{
	return json_get_text(json_object_get(json_named(list, name), "digest"), "sha256");
}

static void provenance_check_image(struct look *l, const json_t *subject)
{
	const char *raw = arena_printf("%s.img", path_base(image_stem(l->image)));
	const char *stated = subject_digest(subject, path_base(l->image)), *stated_raw = subject_digest(subject, raw);

	if (*l->sha256 && *stated && !streq(stated, l->sha256))
		companion_complain(l, COMPANION_PROVENANCE, "it speaks of an image with sha256 %s, this one has %s",
				   stated, l->sha256);
	else if (*l->raw_sha256 && *stated_raw && !streq(stated_raw, l->raw_sha256))
		companion_complain(l, COMPANION_PROVENANCE, "it speaks of a raw image with sha256 %s, this one has %s",
				   stated_raw, l->raw_sha256);
}

static void check_subjects(struct look *l, const json_t *subject)
{
	char sha256[SHA256_HEX];

	provenance_check_image(l, subject);
	for (size_t i = 0; i < COMPANION_PROVENANCE; i++) {
		const char *name = path_base(companion_path(l->image, (enum companion)i));

		if (!l->files.v[i].s) {
			companion_complain(l, COMPANION_PROVENANCE, "it speaks of %s, which is not there", name);
			continue;
		}
		text_sha256(&l->files.v[i], sha256);
		if (!streq(subject_digest(subject, name), sha256))
			companion_complain(l, COMPANION_PROVENANCE,
					   "it states another digest of %s: one of the two was changed", name);
	}
}

void provenance_check(struct look *l)
{
	const json_t *doc = l->json[COMPANION_PROVENANCE];
	const json_t *definition = json_object_get(json_object_get(doc, "predicate"), "buildDefinition");

	if (!doc)
		return;
	if (!streq(json_get_text(definition, "buildType"), BUILD_TYPE) ||
	    !streq(json_get_text(doc, "predicateType"), PREDICATE_TYPE) ||
	    !streq(json_get_text(doc, "_type"), STATEMENT_TYPE))
		companion_complain(l, COMPANION_PROVENANCE, "it is no provenance of an image of pibuild's");
	check_subjects(l, json_object_get(doc, "subject"));
}
