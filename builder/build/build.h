/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns a plan into images: base -> role layer (cached) -> node image. Each file appears under its final name only
 * when it is complete; the cache rebuilds what a cut-off run left behind.
 */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "archive/archive.h"
#include "cache/cache.h"
#include "card/records.h"
#include "companion/companion.h"
#include "download/fetch.h"
#include "image/image.h"
#include "plan/plan.h"

struct build {
	const struct plan *plan;
	const struct cache *cache;
	bool sha256;   /* hash each image as a whole; done anyway with the next two */
	bool compress; /* instead of a raw image, one as COMPRESS_AS says */
	enum encode_kind compress_as;
	const struct sign_key *key; /* sign; NULL = do not */
	struct fetching *fetching;  /* what brings the artifacts; NULL = all are in the cache */
};

/* Before the first download: what making the base takes is on this machine. Class HOST otherwise. */
int build_check_host(const struct build *b, struct err *e);

/* Tells progress what steps are to come: those of layers that are not kept and the stamp of every node, and with IMAGES
 * (of build_run()) what makes a file of it. */
enum { EXPECT_IMAGES = 1 << 0 };
void build_expect(const struct build *b, unsigned flags);

/* Begins to bring into the cache what the plan needs; the base is decoded while it comes. The caller ends F, after B.
 */
int build_fetch(struct build *b, const struct fetch_options *o, struct fetching *f, struct err *e);
/* All that, then all nodes of the plan, and what stands beside them (companion/). */
int build_run(const struct build *b, const struct fetch_options *o, struct err *e);
/* Where the image of N goes: OUT/<node>.img, or compressed OUT/<node>.img.xz, OUT/<node>.img.zst. */
const char *build_image_path(const struct build *b, const struct node_plan *n);

/* The image of a node without a file of it: the cached role layer, the node's stamp in memory. The same bytes as the
 * node's image. */
struct built {
	struct disk_image image; /* closed by the caller, also on failure */
	const char *manifest;	 /* text, on the arena */
};
/* The file of the first image that is made of a layer. Where the layer has yet to be made, the file gets the layer's
 * bytes as they pass by (then WRITTEN), unless a copy would share blocks or its folder is short of room. */
struct twin {
	int fd;		  /* new and empty */
	const char *path; /* what it is for */
	bool written;
};
/* TWIN is NULL when there is to be no file. */
int build_node(const struct build *b, const struct node_plan *n, struct twin *twin, struct built *ret, struct err *e);

/* Builds the node of a manifest again, in memory, by its pins and its time, and compares: the manifests, and the bytes
 * with what of the first image stands beside MANIFEST (the image, its block map, its digest). What differs is in F;
 * WHAT says what was compared. */
int reproduce_compare(const struct build *b, const char *manifest, const char **ret_what, struct findings *f,
		      struct err *e);
/* The lock that a manifest amounts to (struct project_options.built) and the name of its node. */
int reproduce_lock(const char *manifest, const struct lock **ret, const char **ret_node, struct err *e);

/* ---- generic images: a layer as a file of its own, which tells by its manifest what it is ---- */

struct generic {
	struct disk_image image;
	json_t *manifest;
	struct records records;
	const char *node, *role; /* NODE "": it is a generic one */
};

/* Opens the image PATH, raw or compressed, and reads what it says of itself. Class USAGE when it says nothing. */
int generic_read(const char *path, struct generic *ret, struct err *e);
/* Opens the image PATH, raw or compressed. Class USAGE when it is no generic one: a node's, or not made by pibuild. */
int generic_open(const char *path, struct generic *ret, struct err *e);
void generic_close(struct generic *g);
/* Class CONFIG, with what differs, when N would start from other bytes. */
int generic_check(const struct generic *g, const struct plan *p, const struct node_plan *n, struct err *e);
/* As build_node() with G, which was checked, in the place of the cached layer; nothing of the cache is needed. */
int build_node_onto(const struct build *b, const struct node_plan *n, const struct generic *g, struct built *ret,
		    struct err *e);

/* ---- a look at what lies on the base, for a build and for verify (look.c) ---- */

/* REC is a link of pibuild's own that leads nowhere on FS, nor on the running system. */
bool look_dangles(struct ext4 *fs, const struct record *rec);

#endif
