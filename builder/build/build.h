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
/* Where the image of N goes: OUT/<node>.img, or OUT/<node>.img.xz. */
const char *build_image_path(const struct build *b, const struct node_plan *n);

/* Whether the layer with this key seems to be kept. */
bool layer_is_kept(const struct build *b, const char *key);

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

/* ---- what was put on an image: the manifest ---- */

/* Writes it onto the open root of a layer (N is NULL) or a node. It lists all but itself, and holds no secret and no
 * digest of one. RET is its text. */
int manifest_write(const struct build *b, struct ext4 *root, const struct layer_plan *l, const struct node_plan *n,
		   const struct records *records, const char **ret, struct err *e);
/* The text that is on an image. */
int manifest_read(struct disk_image *m, const char **ret, struct err *e);

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

/* ---- contents that come last (build/fill.c) ---- */

struct task; /* base/progress.h */
/* A layer that gets contents, and who else does. */
struct fill_into {
	struct cow *layer;	/* opened direct */
	struct twin *twin;	/* gets the same bytes at the same places; NULL = there is none */
	struct digests *pieces; /* those that are known then; the rest of what was written counts as changed */
};
/* A file that has its blocks and its name. */
struct fill {
	const char *path;
	size_t record; /* its number among the records */
	struct fs_room room;
	struct fs_source from;
	bool ahead;					   /* FROM is worth a thread of its own */
	int (*judge)(const struct fill *x, struct err *e); /* all was read: whether it is what it should be */
	const void *arg;
	char sha256[SHA256_HEX]; /* result */
};
/* Writes N of them, and adds their bytes to TASK. */
int fills_write(const struct fill_into *into, struct fill *const *fills, size_t n, struct task *task, struct err *e);

/* ---- applying entries to an open image (build/apply.c) ---- */

struct card_writer {
	struct disk_image *image; /* both filesystems open for writing */
	const struct cache *cache;
	struct task *task;	      /* bytes written are added */
	const struct fill_into *fill; /* of a layer: where artifacts go; NULL = there are none */
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
int apply_layer(const struct card_writer *t, const struct tree *tree, enum entry_layer layer, struct prepared *p,
		struct records *records, struct err *e);

/* ---- a look at the base, once everything lies on it (build/look.c) ---- */

/* Class CONFIG, with the need's words, when the base does not have what T needs. */
int look_needs(struct disk_image *image, const struct tree *t, struct err *e);
/* REC is a link of pibuild's own that leads nowhere on FS, nor on the running system. */
bool look_dangles(struct ext4 *fs, const struct record *rec);
int look_links(struct ext4 *fs, const struct records *records, struct err *e);

/* ---- cached layers (build/layers.c) ---- */

/* Opens the role layer of L read-only, making it (and the base) first when the cache lacks it. RECORDS gets what the
 * layer put on the image. TWIN as in build_node(). */
int layer_get(const struct build *b, const struct layer_plan *l, struct twin *twin, int *ret_fd,
	      struct records *records, struct err *e);
/* The file that the base came from, and the digests of what it unpacks to; none of a base that pibuild made itself. */
int base_open(const struct build *b, int *ret_fd, struct digests *ret, struct err *e);
/* Class VERIFY when SHA256 is not that of the base's file, which goes then. */
int base_check(const struct build *b, const char *sha256, struct err *e);
/* Copies the cached layer FD of KEY to the N new files of DSTS (NAME in messages) and gives its digests, which are kept
 * or taken on the way. */
int layer_copy(const struct build *b, const char *key, int fd, const int *dsts, unsigned n, const char *name,
	       struct digests *ret, struct err *e);

#endif
