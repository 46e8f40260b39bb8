/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of this folder. kept.c has the cache's images, base.c brings the base there, layers.c makes a
 * role's layer of it, by apply.c and fill.c; build.c stamps a node onto that, and output.c makes a file of it.
 */
#ifndef BUILD_INTERNAL_H
#define BUILD_INTERNAL_H

#include "base/file.h"
#include "build/build.h"

/* ---- kept.c: unpacked bases and layers, CACHE/layers ---- */

/* One of them. */
struct kept {
	const struct cache *cache;
	const char *key; /* all that its bytes depend on: a layer's key, a base's sha256 */
	int fd;		 /* -1 = not open */
};
static inline void kept_close(struct kept *k)
{
	closep(&k->fd);
}

/* Where its image lies, or is to lie. */
const char *kept_path(const struct kept *k);
/* Whether it seems to be there. */
bool kept_is_there(const struct kept *k);
/* Opens it, and reads what it was kept with into RECORDS (NULL: of no interest). False when there is none that can be
 * trusted. */
bool kept_open(struct kept *k, struct records *records);
/* Waits until nobody else makes the same; the lock ends with RET_FD. */
int kept_lock(const struct kept *k, int *ret_fd, struct err *e);
/* Publishes OUT as K, with RECORDS. */
int kept_publish(const struct kept *k, struct outfile *out, const struct records *records, struct err *e);
/* Digests of the image in K's descriptor: as they were kept, false without any; to be kept. */
bool kept_digests(const struct kept *k, struct digests *ret);
int kept_add_digests(const struct kept *k, const struct digests *d, struct err *e);
/* Copies it to the N new files of DSTS (NAME in messages) and gives its digests, which are kept or taken on the way. */
int kept_copy(const struct kept *k, const int *dsts, unsigned n, const char *name, struct digests *ret, struct err *e);

/* ---- base.c ---- */

/* What the base goes into, and what is learnt of it on the way. */
struct base_copies {
	int fds[WRITER_MAX_FILES]; /* the layer, and perhaps its twin and what is kept */
	unsigned n;
	struct digests digests; /* none of a base that pibuild makes itself */
};
/* The unpacked base into C's files, of which LAYER is the first: from the cache, or decoded or made (and kept). */
int base_into(const struct build *b, const struct outfile *layer, struct base_copies *c, struct err *e);
/* The file that the base came from, and the digests of what it unpacks to; none of a base that pibuild made itself. */
int base_open(const struct build *b, int *ret_fd, struct digests *ret, struct err *e);
/* Class VERIFY when SHA256 is not that of the base's file, which goes then. */
int base_check(const struct build *b, const char *sha256, struct err *e);
bool base_is_kept(const struct build *b);

/* ---- layers.c ---- */

bool layer_is_kept(const struct build *b, const struct layer_plan *l);
/* Opens the role layer of L read-only, making it (and the base) first when the cache lacks it. RECORDS gets what the
 * layer put on the image. TWIN as in build_node(). */
int layer_get(const struct build *b, const struct layer_plan *l, struct twin *twin, int *ret_fd,
	      struct records *records, struct err *e);

/* ---- fill.c: contents that come last ---- */

struct task; /* base/progress.h */
/* A source on its way: hashed, and TASK told of it. */
struct hashed {
	const struct fs_source *from;
	struct task *task;
	struct sha256 sum; /* begun by hashed_source(), ended by who reads it */
};
/* FROM so; checks for signals. */
struct fs_source hashed_source(struct hashed *h, const struct fs_source *from, struct task *task);

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

/* ---- apply.c: entries onto an open image ---- */

struct prepared;
struct card_writer {
	struct disk_image *image; /* both filesystems open for writing */
	const struct cache *cache;
	struct records *records;      /* get what is there now */
	struct task *task;	      /* bytes written are added */
	struct prepared *prepared;    /* the artifacts of a layer; NULL = there are none */
	const struct fill_into *fill; /* where those go */
};

/* Artifacts opened and looked at: their size on the card is known before anything is written. */
int prepare_artifacts(const struct tree *t, const struct cache *c, struct prepared **ret, struct err *e);
/* Upper bound of what LAYER's entries take in the root filesystem. */
uint64_t prepared_cost(const struct tree *t, const struct prepared *p, enum entry_layer layer, uint64_t block_size);
void prepared_free(struct prepared *p);
static inline void prepared_freep(struct prepared **p)
{
	if (*p)
		prepared_free(*p);
}

/* Applies the entries of LAYER in their order; the records of W are merged then. */
int apply_layer(const struct card_writer *w, const struct tree *t, enum entry_layer layer, struct err *e);

/* ---- look.c: at the base, once everything lies on it ---- */

/* Class CONFIG, with the need's words, when the base does not have what T needs. */
int look_needs(struct disk_image *image, const struct tree *t, struct err *e);
int look_links(struct ext4 *fs, const struct records *records, struct err *e);

/* ---- manifest.c: what was put on an image ---- */

/* Writes it onto the open root of a layer (N is NULL) or a node. It lists all but itself, and holds no secret and no
 * digest of one. RET is its text. */
int manifest_write(const struct build *b, struct ext4 *root, const struct layer_plan *l, const struct node_plan *n,
		   const struct records *records, const char **ret, struct err *e);
/* The text that is on an image. */
int manifest_read(struct disk_image *m, const char **ret, struct err *e);

#endif
