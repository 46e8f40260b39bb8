/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"
#include "oci/oci.h"

#include <errno.h>

#include "base/file.h"
#include "base/json.h"

static const uint64_t max_blob = 4 * GIB;

const char *const oci_index_types[] = {
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	NULL,
};
const char *const oci_manifest_types[] = {
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
	NULL,
};
static const char *const config_types[] = {
	"application/vnd.oci.image.config.v1+json",
	"application/vnd.docker.container.image.v1+json",
	NULL,
};
static const char *const layer_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	NULL,
};

static bool is_one_of(const char *type, const char *const *types)
{
	for (; *types; types++)
		if (streq(type, *types))
			return true;
	return false;
}

/* Without it a registry would turn an index into one manifest, or into schema 1. */
const char *oci_accept(const char *kind)
{
	if (!streq(kind, "manifests"))
		return NULL;
	return arena_printf("%s, %s, %s, %s", oci_index_types[0], oci_index_types[1], oci_manifest_types[0],
			    oci_manifest_types[1]);
}

int oci_fault(struct err *e, const char *name, const char *why)
{
	return err_class(e, CLASS_VERIFY, "%s: %s", name, why);
}

int oci_document(const char *name, const char *text, size_t n, const char *const *types, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_string_value(json_object_get(j, "mediaType"));

	if (!json_is_object(j))
		return oci_fault(e, name, "what its registry sent is no JSON object");
	if (json_integer_value(json_object_get(j, "schemaVersion")) != 2)
		return oci_fault(e, name,
				 "an image of schema 1, which names no digests to check; only schema 2 is used");
	if (type && !is_one_of(type, types))
		return oci_fault(
			e, name,
			arena_printf("its type is '%.80s', expected %s (pin the index of the image, not a part)", type,
				     types[0]));
	/* A document that can be read both ways would be another thing to another reader. */
	if (json_object_get(j, "manifests") && json_object_get(j, "layers"))
		return oci_fault(e, name, "it is an index and a manifest at once");
	*ret = json_incref(j);
	return 0;
}

int oci_descriptor(const char *name, const json_t *j, const char *const *types, struct oci_blob *ret, struct err *e)
{
	static const char prefix[] = "sha256:";
	const char *type = json_string_value(json_object_get(j, "mediaType"));
	const char *digest = json_string_value(json_object_get(j, "digest"));
	json_int_t size = json_integer_value(json_object_get(j, "size"));

	if (!type || !is_one_of(type, types))
		return oci_fault(
			e, name,
			arena_printf("a part of it is of the type '%.80s', which is not used", str_or(type, "")));
	if (!digest || !starts_with(digest, prefix) || !sha256_valid(digest + strlen(prefix)))
		return oci_fault(e, name, "a part of it is named by no sha256 digest");
	if (size <= 0 || (uint64_t)size > max_blob)
		return oci_fault(e, name, "a part of it has no size, or more than 4 GiB");
	*ret = (struct oci_blob){ arena_strdup(digest + strlen(prefix)), arena_strdup(type), (uint64_t)size };
	return 0;
}

static bool is_ours(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");
	const char *os = json_string_value(json_object_get(platform, "os"));
	const char *arch = json_string_value(json_object_get(platform, "architecture"));
	const char *variant = json_string_value(json_object_get(platform, "variant"));

	return os && streq(os, "linux") && arch && streq(arch, "arm64") &&
	       (!variant || !*variant || streq(variant, "v8"));
}

int oci_parse_index(const char *name, const char *text, size_t n, struct oci_image *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *list, *one;
	size_t i;
	int r = oci_document(name, text, n, oci_index_types, &j, e);

	if (r < 0)
		return r;
	list = json_object_get(j, "manifests");
	if (!json_is_array(list))
		return oci_fault(e, name, "it is no index: it lists no manifests");
	ret->index.size = n;
	ret->index.media_type = arena_strdup(
		str_or(json_string_value(json_object_get(j, "mediaType")), oci_index_types[0]));
	for (i = 0; (one = json_array_get(list, i)); i++)
		if (is_ours(one)) {
			r = oci_descriptor(name, one, oci_manifest_types, &ret->manifest, e);
			if (r == 0 && ret->manifest.size > OCI_MAX_DOCUMENT)
				r = oci_fault(e, name, "its manifest has more than 4 MiB");
			return r;
		}
	return oci_fault(e, name, "it has no variant for linux/arm64, so no Raspberry Pi can run it");
}

int oci_parse_manifest(const char *name, const char *text, size_t n, struct oci_image *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *layers, *one;
	size_t i;
	int r = oci_document(name, text, n, oci_manifest_types, &j, e);

	if (r < 0)
		return r;
	layers = json_object_get(j, "layers");
	if (!json_array_size(layers))
		return oci_fault(e, name, "its manifest lists no layers");
	if (json_array_size(layers) > OCI_MAX_LAYERS)
		return oci_fault(e, name, "it has more than 100 layers");
	r = oci_descriptor(name, json_object_get(j, "config"), config_types, vec_push(&ret->blobs), e);
	for (i = 0; r == 0 && (one = json_array_get(layers, i)); i++)
		r = oci_descriptor(name, one, layer_types, vec_push(&ret->blobs), e);
	return r;
}

/* ---- in the cache ---- */

/* A document from the cache into BUF; -ENOENT when it is not there. A damaged one is thrown away. */
static int oci_read_document(const struct cache *c, const char *name, const struct oci_blob *b, struct strbuf *buf,
			     struct err *e)
{
	const struct pin object = { .sha256 = b->sha256 };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	char sha256[SHA256_HEX];
	size_t n;
	int r = cache_object(c, &object, &fd, e);

	if (r < 0)
		return r;
	r = file_read_fd(fd, name, OCI_MAX_DOCUMENT, &text, &n, e);
	if (r < 0)
		return r;
	sha256_bytes(text, n, sha256);
	if (!streq(sha256, b->sha256)) {
		cache_evict(c, &object);
		return -ENOENT;
	}
	strbuf_add(buf, text, n);
	return 0;
}

int oci_look(const struct cache *c, const struct image_pin *p, struct oci_image *ret, enum oci_known *known,
	     struct err *e)
{
	_cleanup_strbuf_ struct strbuf index = { 0 }, manifest = { 0 };
	const char *name = image_ref(p);
	int r;

	*ret = (struct oci_image){ .index.sha256 = p->sha256 };
	*known = OCI_NOTHING;
	r = oci_read_document(c, name, &ret->index, &index, e);
	if (r == 0)
		r = oci_parse_index(name, index.s, index.n, ret, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*known = OCI_INDEX;
	r = oci_read_document(c, name, &ret->manifest, &manifest, e);
	if (r == 0)
		r = oci_parse_manifest(name, manifest.s, manifest.n, ret, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*known = OCI_MANIFEST;
	return 0;
}

bool cache_has_image(const struct cache *c, const struct image_pin *p)
{
	struct oci_image image;
	enum oci_known known;
	struct err ignored = { 0 };

	if (!p->sha256 || oci_look(c, p, &image, &known, &ignored) < 0 || known != OCI_MANIFEST)
		return false;
	vec_foreach (b, &image.blobs)
		if (!cache_has(c, &(struct pin){ .sha256 = b->sha256 }))
			return false;
	return true;
}
