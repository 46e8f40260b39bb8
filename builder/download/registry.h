/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of a registry as one talks to it by hand (OCI distribution 1.1): small documents read, documents and
 * blobs sent, one request after the other, with the user's login. What is large is downloaded by download/fetch.h.
 *
 *	registry_open(&r, config, "ghcr.io/me/lab", "pull,push", e);
 *	registry_put_blob(&r, &blob, &sent, e);		// each
 *	registry_put_manifest(&r, "v1", &document, e);	// names what is there then
 *	registry_close(&r);
 */
#ifndef DOWNLOAD_REGISTRY_H
#define DOWNLOAD_REGISTRY_H

#include "crypto/digest.h"
#include "download/http.h"
#include "download/token.h"

struct registry {
	const char *name; /* with its registry */
	struct http *http;
	struct tokens tokens;
	bool in_parts;	    /* it takes no blob as a whole */
	double asked_pause; /* seconds it asked for when it last was busy */
};
/* CONFIG's mirrors tell which CA a host has; ACTIONS is what tokens are wanted for. */
int registry_open(struct registry *ret, const struct config *config, const char *name, const char *actions,
		  struct err *e);
void registry_close(struct registry *g);

/* A document: an index or a manifest. */
struct registry_text {
	const char *media_type;
	struct strbuf text;
	char sha256[SHA256_HEX];
};
void registry_text_done(struct registry_text *t);
/* KIND "manifests" with a tag or "sha256:...", or "referrers"; -ENOENT when the registry has none. At most 4 MiB. Class
 * VERIFY when it is not of the digest it was asked for by. */
int registry_get(struct registry *g, const char *kind, const char *reference, struct strbuf *ret, struct err *e);

/* N bytes of memory, or a file's. */
struct registry_blob {
	const char *label, *bytes;
	int fd;
	uint64_t size;
	char sha256[SHA256_HEX];
};
/* SENT tells whether it was not there already. */
int registry_put_blob(struct registry *g, const struct registry_blob *b, bool *sent, struct err *e);
/* REFERENCE is a tag, or NULL: by its digest. KNOWS_SUBJECTS (may be NULL): the registry itself keeps a list of what
 * refers to what. */
int registry_put_manifest(struct registry *g, const char *reference, const struct registry_text *t,
			  bool *knows_subjects, struct err *e);

#endif
