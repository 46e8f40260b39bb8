/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What upstreams say: checksum files, channels of releases, charts. Every text is outside data.
 */
#ifndef UPDATE_UPSTREAM_H
#define UPDATE_UPSTREAM_H

#include "catalogue/catalogue.h"
#include "crypto/digest.h"
#include "yaml/yaml.h"

/* ---- checksums.c: of three forms ---- */

struct upstream {
	char sha256[SHA256_HEX];
	uint64_t size; /* 0 = not said */
};
/* `entries.CHART` of a Helm repository's index.yaml; *RET is NULL when there is no such chart. */
int upstream_chart(const char *url, const char *text, size_t n, const char *chart, const struct yaml_node **ret,
		   struct err *e);
int upstream_find(enum checksum_form form, const char *url, const char *text, size_t n, const char *entry,
		  const char *version, struct upstream *ret, struct err *e);

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
int channel_read(const struct release_source *from, const struct artifact *base, const char *like, const char *text,
		 size_t n, struct releases *ret, struct err *e);

/* ---- chart.c: what a chart says about its images ---- */

/* Repository and tag at KEY of the values in the .tgz BODY, which has to have the digest SHA256. Class VERIFY when it
 * has another one, or when IMAGE is not what it names. */
int chart_image_tag(const char *label, const struct strbuf *body, const char *sha256, const struct artifact *chart,
		    const struct image *image, const char **ret, struct err *e);

#endif
