/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/artefact.h"

#include <errno.h>

#include "crypto/digest.h"

static const char title[] = "org.opencontainers.image.title";
static const char empty_type[] = "application/vnd.oci.empty.v1+json";
static const uint64_t max_beside = 256 * MIB;

enum file_kind { FILE_IMAGE, FILE_BESIDE, FILE_SIGNATURE };

/* Of what an image is called after its role. */
static const struct file_row {
	const char *suffix, *type;
	enum file_kind kind;
} file_rows[] = {
	{ ".img", "application/vnd.pibuild.image.v1", FILE_IMAGE },
	{ ".img.xz", "application/vnd.pibuild.image.v1+xz", FILE_IMAGE },
	{ ".img.zst", "application/vnd.pibuild.image.v1+zstd", FILE_IMAGE },
	{ ".manifest.json", "application/vnd.pibuild.manifest.v1+json", FILE_BESIDE },
	{ ".bmap", "application/vnd.pibuild.bmap.v2+xml", FILE_BESIDE },
	{ ".spdx.json", "application/spdx+json", FILE_BESIDE },
	{ ".provenance.json", "application/vnd.in-toto+json", FILE_BESIDE },
	{ ".img.sha256", "application/vnd.pibuild.sha256.v1", FILE_BESIDE },
	{ ".img.xz.sha256", "application/vnd.pibuild.sha256.v1", FILE_BESIDE },
	{ ".img.zst.sha256", "application/vnd.pibuild.sha256.v1", FILE_BESIDE },
	{ ".img.sha256.sig", "application/vnd.pibuild.ed25519.v1", FILE_SIGNATURE },
	{ ".img.xz.sha256.sig", "application/vnd.pibuild.ed25519.v1", FILE_SIGNATURE },
	{ ".img.zst.sha256.sig", "application/vnd.pibuild.ed25519.v1", FILE_SIGNATURE },
};

static size_t role_length(const char *name)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (starts_with(name, role_names[i]))
			return strlen(role_names[i]);
	return 0;
}

static const struct file_row *artefact_row(const char *name)
{
	size_t n = role_length(name);

	for (size_t i = 0; n && i < ARRAY_SIZE(file_rows); i++)
		if (streq(name + n, file_rows[i].suffix))
			return &file_rows[i];
	return NULL;
}

const char *artefact_media_type(const char *name)
{
	const struct file_row *row = artefact_row(name);

	return row ? row->type : NULL;
}

static bool artefact_is_kind(const char *name, enum file_kind kind)
{
	const struct file_row *row = artefact_row(name);

	return row && row->kind == kind;
}

bool artefact_is_image(const char *name)
{
	return artefact_is_kind(name, FILE_IMAGE);
}

bool artefact_is_signature(const char *name)
{
	return artefact_is_kind(name, FILE_SIGNATURE);
}

/* ---- written ---- */

static json_t *artefact_descriptor(const struct oci_blob *b)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", b->media_type, "digest", arena_printf("sha256:%s", b->sha256),
			 "size", (json_int_t)b->size);
}

static int artefact_text(json_t *j, struct strbuf *out, struct err *e)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text)
		return err_set(e, -ENOMEM, "cannot write JSON");
	strbuf_adds(out, text);
	free(text);
	return 0;
}

int artefact_write(const char *type, const struct artefact_files *files, const struct oci_blob *subject,
		   struct strbuf *out, struct err *e)
{
	char sha256[SHA256_HEX];
	const struct oci_blob config = { sha256, empty_type, strlen(ARTEFACT_CONFIG) };
	json_t *layers = json_array(), *j;

	sha256_bytes(ARTEFACT_CONFIG, strlen(ARTEFACT_CONFIG), sha256);
	vec_foreach (f, &files->v) {
		json_t *layer = artefact_descriptor(&f->blob);

		json_object_set_new(layer, "annotations", json_pack("{s:s}", title, f->name));
		json_array_append_new(layers, layer);
	}
	j = json_pack("{s:i, s:s, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", oci_manifest_types[0],
		      "artifactType", type, "config", artefact_descriptor(&config), "layers", layers);
	if (subject)
		json_object_set_new(j, "subject", artefact_descriptor(subject));
	return artefact_text(j, out, e);
}

/* ---- read ---- */

static bool has_file(const struct artefact_files *files, const char *name)
{
	vec_foreach (f, &files->v)
		if (streq(f->name, name))
			return true;
	return false;
}

static int parse_file(const char *name, const json_t *layer, struct artefact_files *ret, struct err *e)
{
	const char *called = json_get_text(json_object_get(layer, "annotations"), title);
	const struct file_row *row = artefact_row(called);
	const char *types[] = { row ? row->type : NULL, NULL };
	struct artefact_file f = { .name = arena_strdup(called) };
	int r;

	if (!row)
		return oci_fault(e, name,
				 arena_printf("a part of it is called '%.80s', which is no file of a generic image",
					      clean_copy(called)));
	if (has_file(ret, called))
		return oci_fault(e, name, arena_printf("it has %s twice", called));
	r = oci_descriptor(name, layer, types, &f.blob, e);
	if (r == 0 && row->kind != FILE_IMAGE && f.blob.size > max_beside)
		return oci_fault(e, name, arena_printf("its %s has more than 256 MiB", called));
	*vec_push(&ret->v) = f;
	return r;
}

/* One image for each role that it has anything of. */
static int check_images(const char *name, const struct artefact_files *files, struct err *e)
{
	vec_foreach (f, &files->v) {
		size_t n = role_length(f->name), images = 0;

		vec_foreach (other, &files->v)
			images += artefact_is_image(other->name) && role_length(other->name) == n &&
				  strncmp(other->name, f->name, n) == 0;
		if (images != 1)
			return oci_fault(
				e, name,
				arena_printf("it has %s and %s", f->name,
					     images ? "several images of that role" : "no image of that role"));
		if (artefact_is_signature(f->name))
			return oci_fault(e, name, arena_printf("it has %s itself", f->name));
	}
	return 0;
}

static int check_subject(const char *name, const json_t *j, const struct oci_blob *subject, struct err *e)
{
	const char *digest = json_get_text(json_object_get(j, "subject"), "digest");

	if (!subject || streq(digest, arena_printf("sha256:%s", subject->sha256)))
		return 0;
	return oci_fault(e, name,
			 arena_printf("it is listed as one of sha256:%s, and refers to another", subject->sha256));
}

int artefact_parse(const char *name, const char *type, const char *text, size_t n, const struct oci_blob *subject,
		   struct artefact_files *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *layers, *one;
	const char *have;
	int r = oci_document(name, text, n, oci_manifest_types, &j, e);

	if (r < 0)
		return r;
	have = json_get_text(j, "artifactType");
	if (!streq(have, type))
		return oci_fault(e, name,
				 arena_printf("it is none of `pibuild push`: its artifactType is '%.80s', expected %s",
					      clean_copy(have), type));
	layers = json_object_get(j, "layers");
	if (!json_array_size(layers) || json_array_size(layers) > OCI_MAX_LAYERS)
		return oci_fault(e, name, "its manifest lists no layers, or more than 100");
	r = check_subject(name, j, subject, e);
	for (size_t i = 0; r == 0 && (one = json_array_get(layers, i)); i++)
		r = parse_file(name, one, ret, e);
	if (r == 0 && streq(type, ARTEFACT_IMAGES))
		r = check_images(name, ret, e);
	for (size_t i = 0; r == 0 && streq(type, ARTEFACT_SIGNATURE) && i < ret->v.n; i++)
		if (!artefact_is_signature(ret->v.v[i].name))
			r = oci_fault(e, name, arena_printf("%s is no signature", ret->v.v[i].name));
	return r;
}

/* ---- what refers to what ---- */

static int parse_index(const char *name, const char *text, size_t n, json_t **ret, struct err *e)
{
	int r = oci_document(name, text, n, oci_index_types, ret, e);

	if (r == 0 && !json_is_array(json_object_get(*ret, "manifests")))
		return oci_fault(e, name, "it is no index: it lists no manifests");
	return r;
}

int artefact_parse_referrers(const char *name, const char *text, size_t n, struct artefact_referrers *ret,
			     struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *list, *one;
	int r = parse_index(name, text, n, &j, e);

	list = json_object_get(j, "manifests");
	for (size_t i = json_array_size(list); r == 0 && i > 0 && ret->v.n < ARTEFACT_MAX_SIGNATURES; i--) {
		struct artefact_referrer *x;
		const char *type;

		one = json_array_get(list, i - 1);
		type = json_get_text(one, "artifactType");
		if (*type && !streq(type, ARTEFACT_SIGNATURE))
			continue;
		x = vec_push(&ret->v);
		x->stated = *type;
		r = oci_descriptor(name, one, oci_manifest_types, &x->blob, e);
	}
	return r;
}

int artefact_add_referrer(const char *name, const char *text, size_t n, const struct oci_blob *b, struct strbuf *out,
			  struct err *e)
{
	const char *digest = arena_printf("sha256:%s", b->sha256);
	_cleanup_json_ json_t *j = NULL;
	json_t *list, *mine;
	int r = n ? parse_index(name, text, n, &j, e) : 0;

	if (r < 0)
		return r;
	if (!j)
		j = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", oci_index_types[0], "manifests");
	list = json_object_get(j, "manifests");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (streq(json_get_text(json_array_get(list, i), "digest"), digest))
			return 0;
	mine = artefact_descriptor(b);
	json_object_set_new(mine, "artifactType", json_string(ARTEFACT_SIGNATURE));
	json_array_append_new(list, mine);
	return artefact_text(json_incref(j), out, e);
}
