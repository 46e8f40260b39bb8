/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBOM in SPDX 2.3 JSON (spdx.github.io/spdx-spec/v2.3). The image contains its base, the base's Debian packages, the
 * artifacts, and with airgap the container images; else it depends on those that the cluster's pods pull. K3s's own
 * images are inside K3s and its archive, which name them.
 */
#include "base/file.h"
#include "companion/internal.h"

#define IMAGE_ID "SPDXRef-Image"
#define BASE_ID	 "SPDXRef-Base"

/* The manifest names the node and all inputs: a document per manifest. */
static const char *namespace_of(const struct strbuf *manifest)
{
	char sha256[SHA256_HEX];

	text_sha256(manifest, sha256);
	return arena_printf("https://spdx.org/spdxdocs/pibuild-%s", sha256);
}

/* Letters, digits, "." and "-" may stand in an ID. */
static const char *id_of(const char *kind, size_t number, const char *name)
{
	char *id = arena_printf("SPDXRef-%s-%zu-%s", kind, number, name);

	for (char *p = id; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *p))
			*p = '-';
	return id;
}

struct sbom {
	json_t *packages, *relationships;
};

static void relate(struct sbom *b, const char *from, const char *how, const char *to)
{
	json_array_append_new(b->relationships, json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType",
							  how, "relatedSpdxElement", to));
}

struct item {
	const char *id, *name, *version, *url, *sha256, *purl, *supplier, *file;
};

static void set_text(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value)); /* what is not UTF-8 is left out */
}

static void sbom_add(struct sbom *b, const struct item *i)
{
	json_t *j = json_pack("{s:s, s:s}", "name", i->name, "SPDXID", i->id);

	set_text(j, "versionInfo", i->version);
	set_text(j, "packageFileName", i->file);
	set_text(j, "supplier", i->supplier);
	set_text(j, "downloadLocation", str_or(i->url, "NOASSERTION"));
	json_object_set_new(j, "filesAnalyzed", json_false());
	if (i->sha256)
		json_object_set_new(j, "checksums",
				    json_pack("[{s:s, s:s}]", "algorithm", "SHA256", "checksumValue", i->sha256));
	if (i->purl)
		json_object_set_new(j, "externalRefs",
				    json_pack("[{s:s, s:s, s:s}]", "referenceCategory", "PACKAGE-MANAGER",
					      "referenceType", "purl", "referenceLocator", i->purl));
	json_array_append_new(b->packages, j);
}

static void sbom_add_pin(struct sbom *b, const struct pin *p, const char *id)
{
	const struct item i = { .id = id,
				.name = p->name,
				.version = p->version,
				.url = p->url,
				.sha256 = p->sha256,
				.purl = p->kind == PIN_ARTIFACT ? artifact_purl(p->artifact, p->version) : NULL };

	sbom_add(b, &i);
	relate(b, IMAGE_ID, "CONTAINS", id);
}

static void sbom_add_artifacts(struct sbom *b, const struct node_plan *n)
{
	size_t k = 0;

	vec_foreach (t, &n->tree.entries)
		if (t->source == SOURCE_ARTIFACT)
			sbom_add_pin(b, &t->pin, id_of("Artifact", k++, t->pin.name));
}

static void sbom_add_images(struct sbom *b, const struct images *images, const char *how)
{
	size_t k = 0;

	vec_foreach (p, &images->v) {
		const struct item i = { .id = id_of("Container", k++, path_base(p->name)),
					.name = p->name,
					.version = p->tag,
					.url = image_location(p),
					.sha256 = p->sha256,
					.purl = image_purl(p) };

		sbom_add(b, &i);
		relate(b, IMAGE_ID, how, i.id);
	}
}

/* ---- Debian packages ---- */

/* "Name <mail>" as SPDX writes it: "Person: Name (mail)". */
static const char *supplier_of(const struct package *p)
{
	const char *open = p->maintainer ? strchr(p->maintainer, '<') : NULL, *close = open ? strchr(open, '>') : NULL;
	size_t n;

	if (!p->maintainer || !*p->maintainer)
		return "NOASSERTION";
	if (!close)
		return arena_printf("Person: %s", p->maintainer);
	n = (size_t)(open - p->maintainer);
	while (n && p->maintainer[n - 1] == ' ')
		n--;
	return arena_printf("Person: %.*s (%.*s)", (int)n, p->maintainer, (int)(close - open - 1), open + 1);
}

static int sbom_add_packages(struct sbom *b, struct disk_image *image, struct err *e)
{
	struct packages all = { 0 };
	size_t k = 0;
	int r = packages_read(image, &all, e);

	vec_foreach (p, &all.v) {
		const struct item i = { .id = id_of("Deb", k++, p->name),
					.name = p->name,
					.version = p->version,
					.purl = arena_printf("pkg:deb/debian/%s@%s?arch=%s",
							     percent_encoded(p->name, UNRESERVED),
							     percent_encoded(p->version, UNRESERVED),
							     percent_encoded(p->arch, UNRESERVED)),
					.supplier = supplier_of(p) };

		sbom_add(b, &i);
		relate(b, BASE_ID, "CONTAINS", i.id);
	}
	return r;
}

int sbom_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	const char *node = s->node->name;
	struct sbom b = { json_array(), json_array() };
	const struct item image = { .id = IMAGE_ID, .name = node, .file = path_base(s->image), .sha256 = s->sha256 };
	json_t *doc;
	int r;

	relate(&b, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_ID);
	sbom_add(&b, &image);
	sbom_add_pin(&b, &s->plan->base, BASE_ID);
	sbom_add_artifacts(&b, s->node);
	sbom_add_images(&b, &s->plan->images, "CONTAINS");
	sbom_add_images(&b, &s->plan->pulled, "DEPENDS_ON");
	r = sbom_add_packages(&b, s->raw, e);
	doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}, s:o, s:o}", "spdxVersion", "SPDX-2.3", "dataLicense",
			"CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT", "name", node, "documentNamespace",
			namespace_of(&c->v[COMPANION_MANIFEST]), "creationInfo", "created",
			utc_text(s->plan->project->epoch), "creators", "Tool: pibuild-" PIBUILD_VERSION, "packages",
			b.packages, "relationships", b.relationships);
	if (r < 0)
		return json_decref(doc), r;
	return json_add(doc, out, e);
}

/* ---- checking: that it speaks of this image; the provenance has its digest ---- */

void sbom_check(struct look *l)
{
	const json_t *sbom = l->json[COMPANION_SBOM];
	const json_t *image = json_array_get(json_object_get(sbom, "packages"), 0);
	const char *file = json_get_text(image, "packageFileName");
	const char *stated = json_get_text(json_array_get(json_object_get(image, "checksums"), 0), "checksumValue");

	if (!sbom)
		return;
	if (*l->sha256 && *stated && !streq(stated, l->sha256))
		companion_complain(l, COMPANION_SBOM, "it speaks of an image with sha256 %s, this one has %s", stated,
				   l->sha256);
	if (!streq(file, path_base(l->image)))
		companion_complain(l, COMPANION_SBOM, "it speaks of %s", file);
	if (l->files.v[COMPANION_MANIFEST].s &&
	    !streq(json_get_text(sbom, "documentNamespace"), namespace_of(&l->files.v[COMPANION_MANIFEST])))
		companion_complain(l, COMPANION_SBOM, "it was made for another manifest");
}
