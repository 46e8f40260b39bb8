/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns a plan into images: base -> role layer (cached) -> node image. Each file appears under its final name only
 * when it is complete; the cache rebuilds what a cut-off run left behind.
 */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "artifact/artifact.h"
#include "base/json.h"
#include "disk/disk.h"
#include "fs/fs.h"
#include "plan/plan.h"

struct build {
	const struct plan *plan;
	const struct cache *cache;
	bool sha256; /* also write IMAGE.sha256 */
};

/* Before the first download: what making the base takes is on this machine. Class HOST otherwise. */
int build_check_host(const struct build *b, struct err *e);

/* All nodes of the plan; every artifact must be in the cache. */
int build_run(const struct build *b, struct err *e);

/* The image of node N without a file of it: the cached role layer, the node's stamp in memory. The same bytes as the
 * node's image. Closed by the caller. */
int build_node_cow(const struct build *b, const struct node_plan *n, struct cow **ret, struct err *e);

/* ---- what was put on an image: the manifest ---- */

/* One path as it is on the image. Lives on the arena. */
struct record {
	const char *path, *kind, *origin;
	unsigned mode, uid, gid;
	uint64_t size;
	char sha256[SHA256_HEX]; /* "" for what has no content or is secret */
	const char *note;	 /* link target, or what an edit did; NULL = none */
};
struct records {
	VEC(struct record) v;
};

/* Where it lies on the card; the same text stands beside the image as <node>.manifest.json. */
#define MANIFEST_PATH "/etc/pibuild/manifest.json"

json_t *records_json(const struct records *r);
int records_parse(const json_t *j, struct records *ret, struct err *e);
/* Sorts by path; a later record of a path (the stamp's) replaces an earlier one (the layer's). */
void records_merge(struct records *r);

/* ---- applying entries to an open image (build/apply.c) ---- */

struct target {
	struct ext4 *root;
	struct fat boot;
	const struct cache *cache;
	struct task *task; /* bytes written are added */
};

/* An artifact opened and looked at: its size on the card is known before anything is written. */
struct prepared;
int prepare_artifacts(const struct tree *t, const struct cache *c, struct prepared **ret, struct err *e);
/* Upper bound of what LAYER's entries take in the root filesystem. */
uint64_t prepared_cost(const struct tree *t, const struct prepared *p, enum entry_layer layer, uint64_t block_size);
void prepared_free(struct prepared *p);
static inline void prepared_freep(struct prepared **p)
{
	if (*p)
		prepared_free(*p);
}

/* Applies the entries of LAYER in their order and appends what is now there to RECORDS. */
int apply_layer(const struct target *t, const struct tree *tree, enum entry_layer layer, struct prepared *p,
		struct records *records, struct err *e);

/* ---- cached layers (build/layers.c) ---- */

/* Opens the role layer of L read-only, making it (and the base) first when the cache lacks it. RECORDS gets what the
 * layer put on the image. */
int layer_get(const struct build *b, const struct layer_plan *l, int *ret_fd, struct records *records, struct err *e);

#endif
