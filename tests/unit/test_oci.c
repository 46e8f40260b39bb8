/* SPDX-License-Identifier: Apache-2.0 */
/* Container images: names, tags, the documents of registries, and the archive that is made of them. */
#include "oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "crypto/digest.h"
#include "oci/artefact.h"
#include "oci/image_archive.h"

#define A	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B	 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CONFIG	 "application/vnd.oci.image.config.v1+json"
#define LAYER	 "application/vnd.oci.image.layer.v1.tar+gzip"

static void names(void)
{
	static const char *const good[] = { "quay.io/cilium/cilium", "a.b:5000/c", "127.0.0.1/x_y/z-1" };
	static const char *const bad[] = { "cilium",	   "cilium/cilium", "quay.io/",	      "/x",
					   "quay.io/../x", "quay.io/a//b",  "quay.io/.x",     "quay.io/x/",
					   "quay.io/X",	   "quay.io/a?b",   "quay.io/a:tag",  "u@quay.io/a",
					   "quay.io/a b",  "quay.io/a%2e",  "quay.io/a\nb.c", "" };
	static const char *const bad_tags[] = { "", ".a", "-a", "a/b", "a:b", "a+b", "a b", "a\n", "v1?x" };

	CASE("an image is named by registry and repository, and by nothing that an address could trip over")
	{
		for (size_t i = 0; i < ARRAY_SIZE(good); i++)
			if (!image_name_valid(good[i]))
				CHECK_FAILED("%s", good[i]);
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			if (image_name_valid(bad[i]))
				CHECK_FAILED("%s", bad[i]);
	}
	CASE("tags have letters, digits, dots, dashes and underscores")
	{
		CHECK(image_tag_valid("v1.20.0") && image_tag_valid("A_b-1"));
		for (size_t i = 0; i < ARRAY_SIZE(bad_tags); i++)
			if (image_tag_valid(bad_tags[i]))
				CHECK_FAILED("%s", bad_tags[i]);
	}
	CASE("the address of a part is made of its registry and repository")
	{
		CHECK_STR(image_url("quay.io/cilium/cilium", "blobs", "sha256:" A),
			  "https://quay.io/v2/cilium/cilium/blobs/sha256:" A);
	}
}

/* ---- documents ---- */

static const char *entry(const char *digest, const char *os, const char *arch, const char *variant)
{
	return arena_printf("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"sha256:%s\", \"size\": 7, \"platform\": "
			    "{\"os\": \"%s\", \"architecture\": \"%s\"%s}}",
			    digest, os, arch, variant);
}

static const char *index_of(const char *entries)
{
	return arena_printf("{\"schemaVersion\": 2, \"manifests\": [%s]}", entries);
}

#define LAYERS(x) "{\"schemaVersion\": 2, \"artifactType\": \"" ARTEFACT_IMAGES "\", \"layers\": [" x "]}"

static const char *file(const char *name, const char *type)
{
	return arena_printf("{\"mediaType\": \"%s\", \"digest\": \"sha256:" A "\", \"size\": 7, \"annotations\": "
			    "{\"org.opencontainers.image.title\": \"%s\"}}",
			    type, name);
}

/* NULL when it is fine, else the message. */
static const char *artefact_fault(const char *layers)
{
	const char *text = arena_printf(LAYERS("%s"), layers);
	struct artefact_files files = { 0 };
	struct err e = { 0 };

	if (artefact_parse("x", ARTEFACT_IMAGES, text, strlen(text), NULL, &files, &e) == 0)
		return NULL;
	return e.class == CLASS_VERIFY ? arena_strdup(e.msg) : "another class";
}

static void artefacts(void)
{
	static const char *const names[] = { "worker.img",
					     "worker.img.xz",
					     "control-plane.img.zst",
					     "worker.manifest.json",
					     "worker.bmap",
					     "control-plane.spdx.json",
					     "worker.img.sha256",
					     "worker.provenance.json",
					     "worker.img.zst.sha256.sig" };
	static const char *const none[] = { "",
					    "worker",
					    "cp-1.img",
					    "../worker.img",
					    "worker.img/",
					    "/worker.img",
					    "worker.img.gz",
					    "WORKER.img",
					    "worker.img ",
					    ".worker.img" };

	CASE("only a role's image and what stands beside it goes along")
	{
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (!artefact_media_type(names[i]))
				CHECK_FAILED("%s", names[i]);
		for (size_t i = 0; i < ARRAY_SIZE(none); i++)
			if (artefact_media_type(none[i]))
				CHECK_FAILED("%s", none[i]);
	}
	CASE("what is written is read, and signatures are no part of it")
	{
		const char *image = file("worker.img", "application/vnd.pibuild.image.v1");
		const char *map = file("worker.bmap", "application/vnd.pibuild.bmap.v2+xml");
		const char *sig = file("worker.img.sha256.sig", "application/vnd.pibuild.ed25519.v1");

		CHECK(!artefact_fault(image));
		CHECK(!artefact_fault(arena_printf("%s, %s", map, image)));
		CHECK(strstr(artefact_fault(map), "no image of that role"));
		CHECK(strstr(artefact_fault(arena_printf("%s, %s", image, image)), "twice"));
		CHECK(strstr(artefact_fault(arena_printf("%s, %s", image, sig)), "itself"));
		CHECK(strstr(artefact_fault(file("worker.img", "text/plain")), "which is not used"));
		CHECK(strstr(artefact_fault(file("../worker.img", "application/vnd.pibuild.image.v1")), "no file of"));
		CHECK(strstr(artefact_fault(""), "no layers"));
	}
	CASE("a signature is listed once, the newest is read first, and what else refers is left alone")
	{
		const struct oci_blob a = { A, MANIFEST, 7 }, b = { B, MANIFEST, 8 };
		_cleanup_strbuf_ struct strbuf one = { 0 }, two = { 0 }, again = { 0 };
		const char *nameless = index_of(entry(A, "linux", "arm64", ""));
		const char *other = index_of("{\"artifactType\": \"application/vnd.example\", \"digest\": 7}");
		struct artefact_referrers list = { 0 };
		struct err e = { 0 };

		CHECK(artefact_add_referrer("x", "", 0, &a, &one, &e) == 0);
		CHECK(artefact_add_referrer("x", one.s, one.n, &b, &two, &e) == 0);
		CHECK(artefact_add_referrer("x", two.s, two.n, &a, &again, &e) == 0 && again.n == 0);
		CHECK(artefact_parse_referrers("x", two.s, two.n, &list, &e) == 0 && list.v.n == 2);
		CHECK_STR(list.v.v[0].blob.sha256, B);
		CHECK(list.v.v[0].stated);
		CHECK(artefact_parse_referrers("x", "{}", 2, &list, &e) < 0);
		list = (struct artefact_referrers){ 0 };
		CHECK(artefact_parse_referrers("x", nameless, strlen(nameless), &list, &e) == 0 && list.v.n == 1);
		CHECK(list.v.n && !list.v.v[0].stated);
		list = (struct artefact_referrers){ 0 };
		CHECK(artefact_parse_referrers("x", other, strlen(other), &list, &e) == 0 && list.v.n == 0);
	}
}

/* The digest of the manifest found, or the message. */
static const char *pick(const char *text)
{
	struct oci_image image = { 0 };
	struct err e = { 0 };

	if (oci_parse_index("x", text, strlen(text), &image, &e) == 0)
		return image.manifest.sha256;
	if (e.class != CLASS_VERIFY)
		CHECK_FAILED("class %d", e.class);
	return arena_strdup(e.msg);
}

static void indexes(void)
{
	CASE("the manifest for linux/arm64 is found among others")
	{
		CHECK_STR(pick(index_of(arena_printf("%s, %s, %s", entry(B, "linux", "amd64", ""),
						     entry(B, "unknown", "unknown", ""),
						     entry(A, "linux", "arm64", "")))),
			  A);
		CHECK_STR(pick(index_of(arena_printf("%s, %s", entry(B, "linux", "arm", ", \"variant\": \"v7\""),
						     entry(A, "linux", "arm64", ", \"variant\": \"v8\"")))),
			  A);
	}
	CASE("other systems and variants of arm64 are not taken for it")
	{
		CHECK(strstr(pick(index_of(entry(A, "windows", "arm64", ""))), "no variant for linux/arm64"));
		CHECK(strstr(pick(index_of(entry(A, "linux", "arm64", ", \"variant\": \"v9\""))), "no variant"));
		CHECK(strstr(pick(index_of("")), "no variant"));
		CHECK(strstr(pick(index_of("7, null, {}")), "no variant"));
	}
	CASE("what is no index is refused with the reason")
	{
		CHECK(strstr(pick(""), "no JSON object"));
		CHECK(strstr(pick("[]"), "no JSON object"));
		CHECK(strstr(pick("{\"schemaVersion\": 2, \"schemaVersion\": 2}"), "no JSON object"));
		CHECK(strstr(pick("{\"schemaVersion\": 1}"), "schema 1"));
		CHECK(strstr(pick("{\"schemaVersion\": 2}"), "lists no manifests"));
		CHECK(strstr(pick("{\"schemaVersion\": 2, \"mediaType\": \"" MANIFEST "\"}"), "its type is"));
		CHECK(strstr(pick("{\"schemaVersion\": 2, \"manifests\": [], \"layers\": []}"), "at once"));
		CHECK(strstr(pick(index_of(entry("../x", "linux", "arm64", ""))), "no sha256 digest"));
		CHECK(strstr(pick(index_of(entry(A "0", "linux", "arm64", ""))), "no sha256 digest"));
	}
}

static const char *part(const char *type, const char *size)
{
	return arena_printf("{\"mediaType\": \"%s\", \"digest\": \"sha256:" B "\", \"size\": %s}", type, size);
}

static const char *manifest_of(const char *config, const char *layers)
{
	return arena_printf("{\"schemaVersion\": 2, \"config\": %s, \"layers\": [%s]}", config, layers);
}

/* NULL when it is fine; COUNT gets the number of blobs. */
static const char *manifest_fault(const char *text, size_t *count)
{
	struct oci_image image = { 0 };
	struct err e = { 0 };

	if (oci_parse_manifest("x", text, strlen(text), &image, &e) < 0)
		return arena_strdup(e.msg);
	*count = image.blobs.n;
	return NULL;
}

static void manifests(void)
{
	const char *config = part(CONFIG, "5"), *layer = part(LAYER, "6"), *many = layer;
	size_t n = 0;

	for (unsigned i = 1; i < OCI_MAX_LAYERS; i++)
		many = arena_printf("%s, %s", many, layer);
	CASE("a manifest gives config and layers, up to a hundred of them")
	{
		CHECK(!manifest_fault(manifest_of(config, layer), &n));
		CHECK_INT(n, 2);
		CHECK(!manifest_fault(manifest_of(config, many), &n));
		CHECK_INT(n, 101);
		many = arena_printf("%s, %s", many, layer);
		CHECK(strstr(str_or(manifest_fault(manifest_of(config, many), &n), ""), "more than 100 layers"));
	}
	CASE("parts without size, of absurd size or of unknown type are refused")
	{
		static const char *const sizes[] = { "0", "-1", "\"6\"", "4294967297", "1e3", "null" };

		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			if (!manifest_fault(manifest_of(config, part(LAYER, sizes[i])), &n))
				CHECK_FAILED("size %s", sizes[i]);
		CHECK(manifest_fault(manifest_of(config, part("text/plain", "6")), &n));
		CHECK(manifest_fault(manifest_of(layer, layer), &n));
		CHECK(manifest_fault(manifest_of("null", layer), &n));
		CHECK(manifest_fault(manifest_of(config, ""), &n));
		CHECK(manifest_fault(manifest_of(config, "7"), &n));
	}
}

/* ---- the archive ---- */

/* Puts TEXT into the cache below DIR; gives its digest. */
static const char *put(const char *dir, const char *text, size_t n)
{
	char *sha256 = arena_alloc(SHA256_HEX);
	struct err e = { 0 };

	sha256_bytes(text, n, sha256);
	if (file_publish(arena_printf("%s/objects/%.2s/%s", dir, sha256, sha256), text, n, 0600, &e) < 0)
		CHECK_FAILED("%s", e.msg);
	return sha256;
}

static const char *described(const char *type, const char *sha256, size_t n, const char *more)
{
	return arena_printf("{\"mediaType\": \"%s\", \"digest\": \"sha256:%s\", \"size\": %zu%s}", type, sha256, n,
			    more);
}

/* An image of one layer; gives the digest of its index. */
static const char *put_image(const char *dir, const char *config, const char *layer, size_t n)
{
	static const char platform[] = ", \"platform\": {\"os\": \"linux\", \"architecture\": \"arm64\"}";
	const char *manifest = manifest_of(described(CONFIG, put(dir, config, strlen(config)), strlen(config), ""),
					   described(LAYER, put(dir, layer, n), n, ""));
	const char *index = index_of(
		described(MANIFEST, put(dir, manifest, strlen(manifest)), strlen(manifest), platform));

	return put(dir, index, strlen(index));
}

/* All of the archive, read in pieces of STEP; NULL and E when that fails. */
static char *slurp(const struct cache *c, const struct images *images, size_t step, size_t *n, struct err *e)
{
	_cleanup_(image_archive_closep) struct image_archive *a = NULL;
	char *buf;
	ssize_t r = image_archive_open(c, images, &a, e);

	*n = 0;
	if (r < 0)
		return NULL;
	buf = arena_alloc(image_archive_size(a) + step);
	while ((r = image_archive_read(a, buf + *n, step, e)) > 0)
		*n += (size_t)r;
	if (r == 0)
		CHECK_INT(*n, image_archive_size(a));
	return r < 0 ? NULL : buf;
}

static void archive(const char *dir)
{
	enum { BIG = 3 * 1024 * 1024 + 17 };
	_cleanup_free_ char *big = xcalloc(1, BIG);
	struct cache cache;
	struct images images = { 0 };
	const char *layer, *object;
	char *one, *other;
	struct err e = { 0 };
	size_t n, m;

	if (cache_open(dir, &cache, &e) < 0)
		CHECK_FAILED("%s", e.msg);
	layer = put(dir, big, BIG);
	*vec_push(&images.v) =
		(struct image_pin){ .name = "a.b/c", .tag = "v1", .sha256 = put_image(dir, "config 1", big, BIG) };
	*vec_push(&images.v) =
		(struct image_pin){ .name = "a.b/d", .tag = "v2", .sha256 = put_image(dir, "config 2", big, BIG) };
	CASE("the archive has the size it says, whatever the steps it is read in")
	{
		one = slurp(&cache, &images, 1000, &n, &e);
		other = slurp(&cache, &images, MIB, &m, &e);
		CHECK(one && other && n == m && memcmp(one, other, n) == 0);
	}
	CASE("a layer that images share is in it once")
	{
		CHECK(n > BIG && n < BIG + BIG / 2);
	}
	CASE("a layer that is damaged is found out and thrown away")
	{
		static const char *const damage[] = { "x", "shorter" };

		object = arena_printf("%s/objects/%.2s/%s", dir, layer, layer);
		for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
			_cleanup_close_ int fd = open(object, O_WRONLY);

			CHECK(i ? ftruncate(fd, BIG - 1) == 0 : pwrite(fd, "x", 1, BIG - 1) == 1);
			e = (struct err){ 0 };
			CHECK(!slurp(&cache, &images, 4096, &n, &e));
			CHECK_INT(e.class, CLASS_VERIFY);
			CHECK(strstr(e.msg, layer) && access(object, F_OK) < 0);
			put(dir, big, BIG);
		}
	}
	CASE("a part that is not in the cache is told with what to do")
	{
		unlink(object);
		e = (struct err){ 0 };
		CHECK(!slurp(&cache, &images, 4096, &n, &e));
		CHECK(e.class == CLASS_FAILED && strstr(e.msg, "pibuild fetch"));
		CHECK(!cache_has_image(&cache, &images.v.v[0]));
	}
	cache_close(&cache);
}

int main(void)
{
	char tmp[] = "/tmp/test_oci.XXXXXX";
	struct err e;

	artefacts();
	names();
	indexes();
	manifests();
	if (!mkdtemp(tmp))
		return 1;
	archive(path_join(tmp, "cache"));
	remove_tree(tmp, &e);
	arena_done();
	return check_done();
}
