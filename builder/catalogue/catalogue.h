/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue (configs/catalogue.yaml): what there is to be put on cards, at which addresses, how it is checked and
 * installed, and where upstream says which releases there are.
 */
#ifndef CATALOGUE_CATALOGUE_H
#define CATALOGUE_CATALOGUE_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "schema/schema.h"

enum install_as { INSTALL_NONE, INSTALL_FILE, INSTALL_MEMBER, INSTALL_UNPACK };
enum channel_form {
	CHANNEL_K3S,
	CHANNEL_TEXT,
	CHANNEL_GITHUB,
	CHANNEL_HELM_INDEX,
	CHANNEL_RASPIOS_LIST,
	CHANNEL_FORM_COUNT
};
enum checksum_form { CHECKSUM_SHA256SUM, CHECKSUM_HELM_INDEX, CHECKSUM_GITHUB, CHECKSUM_FORM_COUNT };

/* Who gets it, as bits, and what it goes with: with these off a cluster has no use for it. */
enum {
	FOR_CONTROL_PLANE = 1 << 0,
	FOR_WORKER = 1 << 1,
	FOR_AIRGAP = 1 << 2,
	FOR_EXTERNAL_AMD64 = 1 << 3, /* on no card: for external nodes of that kind */
	FOR_CERT_MANAGER = 1 << 4,
	FOR_GATEWAY_API = 1 << 5,
	FOR_VIP = 1 << 6, /* kube-vip's image, which its pod names by digest */
};

struct artifact {
	const char *name;	 /* "k3s" */
	const char *version_key; /* "k3s" of versions: */
	const char *url;	 /* with {version} */
	const char *purl;	 /* package URL, with {version}; NULL = there is no type for it */
	bool base;
	struct {
		enum checksum_form form;
		const char *url, *entry; /* entry: line, chart or asset; both with {version} */
	} checksum;
	uint64_t max_size; /* bytes */
	struct {
		enum install_as as;
		const char *path, *member;
		unsigned mode;
	} install;
	unsigned for_whom;
	const struct yaml_node *where;
};

/* A container image: one that goes on the cards with airgap: true, and that a pod which pibuild writes itself names by
 * digest else. */
struct image {
	const char *name;	    /* "quay.io/cilium/cilium" */
	const char *version_key;    /* "cilium" of versions: */
	const char *tag;	    /* with {version}; or: */
	const char *chart, *values; /* name of an artifact, and where its values have repository and tag */
	const char *when;	    /* key of Cilium's values that must not be false; NULL = always */
	unsigned for_whom;
	const struct yaml_node *where;
};

/* Where upstream says which releases there are. */
struct release_source {
	enum channel_form form;
	const char *url;  /* NULL: none */
	const char *name; /* channel or chart; NULL for the other forms */
};
/* The stable channel of a version. */
struct channel {
	const char *key; /* of versions: */
	struct release_source newest, others;
	const char *follows; /* key of the version that decides this one; NULL = none */
	const struct yaml_node *where;
};

struct catalogue {
	const char *path;
	VEC(struct version_pin) versions; /* the tested set */
	VEC(struct channel) channels;	  /* in the order in which they are decided */
	VEC(struct artifact) artifacts;
	VEC(struct image) images;
};
/* From the data folder (PIBUILD_DATA, or where pibuild was installed or built). */
extern const struct field catalogue_fields[];
int catalogue_load(struct catalogue **ret, struct err *e);
const struct artifact *catalogue_find(const struct catalogue *c, const char *name);
/* The tested version of KEY; NULL when there is no such key. */
const char *catalogue_version(const struct catalogue *c, const char *key);

/* Whether what is FOR_WHOM has its use with C. The lock has it all the same, so that it can be turned on. */
bool catalogue_wanted(unsigned for_whom, const struct config *c);

/* Whether the lock has the artifact. A base that was given by path or URL takes the place of the catalogue's. */
static inline bool artifact_in_force(const struct artifact *a, const struct config *c)
{
	if (a->for_whom & FOR_EXTERNAL_AMD64)
		return config_has_external(c, ARCH_AMD64);
	return !a->base || streq(a->name, c->os.base);
}

/* Whether C asks for the image by its digest. */
static inline bool image_in_force(const struct image *i, const struct config *c)
{
	return i->for_whom & FOR_VIP ? c->cluster.vip != 0 : c->airgap;
}

const char *artifact_url(const struct artifact *a, const char *version);
/* The last {version} of the artifact's address as URL has it, on the arena; NULL when URL is none of its addresses.
 * Versions there have as many characters as LIKE, whose form they share. */
const char *artifact_url_version(const struct artifact *a, const char *url, const char *like);
/* "pkg:github/k3s-io/k3s@v1.36.4%2Bk3s1"; NULL = none. */
const char *artifact_purl(const struct artifact *a, const char *version);

/* Names of container images as the catalogue and the lock have them: no part is empty or "..". */
bool image_name_valid(const char *name);
bool image_tag_valid(const char *tag);

#endif
