/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What upstreams say: checksum files, channels of releases, charts. Every text is outside data.
 */
#ifndef UPDATE_UPSTREAM_H
#define UPDATE_UPSTREAM_H

#include "base/json.h"
#include "catalogue/catalogue.h"
#include "crypto/digest.h"
#include "download/fetch.h"
#include "lock/lock.h"
#include "yaml/yaml.h"

struct document {
	const char *url, *text;
	size_t n;
};
/* What was fetched as T, which it borrows. */
static inline struct document text_document(const struct text *t)
{
	return (struct document){ t->url, str_or(t->body.s, ""), t->body.n };
}

/* ---- checksums.c: of three forms ---- */

struct upstream {
	char sha256[SHA256_HEX];
	uint64_t size; /* 0 = not said */
};
/* D as JSON. FLAGS are those of json_loadb(). Class VERIFY when it is none. */
int upstream_json(const struct document *d, size_t flags, json_t **ret, struct err *e);
/* `entries.CHART` of a Helm repository's index.yaml; *RET is NULL when there is no such list. */
int upstream_chart(const struct document *d, const char *chart, const struct yaml_node **ret, struct err *e);
/* ENTRY is a line, a chart or an asset. */
int upstream_find(enum checksum_form form, const struct document *d, const char *entry, const char *version,
		  struct upstream *ret, struct err *e);

/* ---- channel.c: which releases there are, by documents of five forms; TEXT is outside data ---- */

struct release {
	const char *version;
	/* Of a list that states them; else NULL and 0. */
	const char *url, *sha256, *raw_sha256;
	uint64_t size, raw_size;
};
struct releases {
	VEC(struct release) list; /* newest first */
};
/* The most bytes a document of this form may have. */
uint64_t channel_limit(enum channel_form form);
/* Adds the releases written like LIKE: the newest as the channel has it, and what else the document lists. BASE is for
 * the form raspios-list. Class VERIFY when the document is none or lists no such release. */
int channel_read(const struct release_source *from, const struct artifact *base, const char *like,
		 const struct document *d, struct releases *ret, struct err *e);

/* ---- chart_place.c: where a chart of an app is ---- */

struct chart_place {
	const char *url;
	const char *sha256; /* as stated there; NULL = nothing is */
};
/* By the index.yaml D of the repository REPO. Class VERIFY when it is none. */
int chart_place_index(const struct document *d, const char *repo, const char *chart, const char *version,
		      struct chart_place *ret, struct err *e);
/* By the manifest D of the registry; NAME has the registry in front. */
int chart_place_oci(const struct document *d, const char *name, struct chart_place *ret, struct err *e);
/* The tag that a registry has VERSION under: a '+' is a '_' there (helm/helm pkg/registry). */
const char *chart_tag(const char *version);

/* ---- chart.c: what a chart says about its images ---- */

/* The tag of IMAGE in the values of the chart LOCKED, whose .tgz is BODY and has to have its digest. Class VERIFY when
 * it has another one, or when IMAGE is not what it names. */
int chart_image_tag(const struct lock_entry *locked, const struct strbuf *body, const struct artifact *chart,
		    const struct image *image, const char **ret, struct err *e);

#endif
