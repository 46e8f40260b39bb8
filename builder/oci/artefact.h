/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic images in a registry: one manifest for all of them, with what stands beside them (OCI image-spec 1.1,
 * "Guidelines for Artifact Usage"). docs/images.md has the types.
 *
 *	artifactType	application/vnd.pibuild.images.v1, with the empty config
 *	layers		one a file, called by org.opencontainers.image.title: worker.img.xz, worker.bmap, ...
 *
 * The signatures are a manifest of their own that refers to the first by `subject`, so that one can be added later:
 *
 *	artifactType	application/vnd.pibuild.signature.v1
 *	layers		worker.img.xz.sha256.sig, ...
 *
 * Where the registry keeps no list of what refers to what, an index under the tag sha256-<digest of the first> is it.
 */
#ifndef OCI_ARTEFACT_H
#define OCI_ARTEFACT_H

#include "oci/oci.h"

#define ARTEFACT_IMAGES	   "application/vnd.pibuild.images.v1"
#define ARTEFACT_SIGNATURE "application/vnd.pibuild.signature.v1"
#define ARTEFACT_CONFIG	   "{}"
enum { ARTEFACT_MAX_SIGNATURES = 8 };

struct artefact_file {
	const char *name; /* of no folder */
	struct oci_blob blob;
};
struct artefact_files {
	VEC(struct artefact_file) v;
};
/* The type of a file of this NAME; NULL = it is none that goes along. */
const char *artefact_media_type(const char *name);
bool artefact_is_image(const char *name);
bool artefact_is_signature(const char *name);

/* The text of a manifest; its bytes depend on the files alone. SUBJECT NULL = none. */
int artefact_write(const char *type, const struct artefact_files *files, const struct oci_blob *subject,
		   struct strbuf *out, struct err *e);
/* Outside data; NAME is for messages. Class VERIFY when it is no artefact of TYPE, or refers to another than SUBJECT
 * (NULL = not looked at). Every name that comes out is a plain one of a role's image or of what stands beside it, no
 * two are the same, and each has its image; of signatures the latter is not asked. */
int artefact_parse(const char *name, const char *type, const char *text, size_t n, const struct oci_blob *subject,
		   struct artefact_files *ret, struct err *e);

/* Manifests that an index lists as ARTEFACT_SIGNATURE or, after a tool that knows no artifactType wrote it, as nothing;
 * at most 8: the newest, which are the last. */
struct artefact_referrer {
	struct oci_blob blob;
	bool stated; /* it is listed as a signature */
};
struct artefact_referrers {
	VEC(struct artefact_referrer) v;
};
int artefact_parse_referrers(const char *name, const char *text, size_t n, struct artefact_referrers *ret,
			     struct err *e);
/* The index TEXT (N 0 = there is none) with the signature B in it; OUT stays empty when it is there already. */
int artefact_add_referrer(const char *name, const char *text, size_t n, const struct oci_blob *b, struct strbuf *out,
			  struct err *e);

#endif
