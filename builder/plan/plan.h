/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What will be built, as a value that can be printed: nodes, the layers they share, the artifacts needed. Nothing is
 * written or fetched to make a plan.
 *
 * A layer is the part of an image that is the same for every node of a role: the base, the shipped overlays, the
 * artifacts. Its key is a digest of all that goes into it, so equal keys are equal bytes and it can be kept.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "base/json.h"
#include "plan/project.h"
#include "card/card.h"

struct layer_plan {
	char key[SHA256_HEX];
	const char *label;		  /* the role: "control-plane" */
	const struct node_plan *for_node; /* its tree's LAYER_ROLE entries make the layer */
	uint64_t reserve;		  /* bytes kept free for stamps and the first boot */
};

/* One image. A generic one is its layer and nothing else: no identity, no secret. */
struct node_plan {
	const char *name; /* of the node; of the role when generic */
	bool generic;
	const struct node_config *node; /* when generic: any of its role */
	const struct board *board;
	struct tree tree;
	struct layer_plan *layer;
	const char *image; /* OUT/<name>.img */
	uint64_t stamp_size;
};

struct plan {
	const struct project *project;
	struct pin base;
	VEC(struct pin) pins; /* all that is needed, the base first, each once */
	struct images images; /* container images on the cards; the same for every node */
	struct images pulled; /* those that pods pull instead */
	VEC(struct layer_plan *) layers;
	VEC(struct node_plan *) nodes;
};

struct plan_options {
	const char *const *nodes; /* --node; none = all */
	size_t n_nodes;
	const char *role; /* --role; NULL = all */
	const char *out;
	enum secret_use secret_use;
	const struct node_restore *restore; /* what the first server starts from; NULL = nothing */
	bool generic;			    /* an image per role of the selected nodes instead of one per node */
};

int plan_make(const struct project *p, const struct plan_options *o, struct plan **ret, struct err *e);
/* That C has the nodes that OPTIONS, a struct plan_options, names; as project_options.before. Class USAGE. */
int plan_check_selection(const struct config *c, const void *options, struct err *e);

/* PIN is neither a file of the user's nor made by a build itself, and not in CACHE; with NULL none is. */
bool plan_downloads(const struct pin *pin, const struct cache *cache);
/* Something of what P is made of has to be had from the network. */
bool plan_wants_download(const struct plan *p, const struct cache *cache);

/* ---- key.c ---- */

/* The key of the layer that N starts from: moves with the base, the role, the build's time, and mode, owner, path and
 * content of every entry. What the program itself does is in its version and in key.c's number of the form; the cache
 * tells programs of one version apart too (build/kept.c). */
void plan_layer_key(const struct plan *p, const struct node_plan *n, uint64_t reserve, char key[SHA256_HEX]);

/* Moves with everything that would be on N's card, but for what is secret: by it a card is known again. */
void plan_node_key(const struct plan *p, const struct node_plan *n, char key[SHA256_HEX]);

/* Changes when anything that would be downloaded does: what a cache shared between machines is known by. */
void plan_cache_key(const struct plan *p, char key[SHA256_HEX]);

/* A and B become the same on a card. */
bool plan_same_entry(const struct entry *a, const struct entry *b);

/* ---- print.c: CACHE may be NULL ---- */

/* Bytes of PIN: as the lock says, else of the copy that is there; 0 = nobody knows. */
uint64_t plan_pin_size(const struct pin *pin, const struct cache *cache);

json_t *plan_json(const struct plan *p, const struct cache *cache);
void plan_print(const struct plan *p, const struct cache *cache);

#endif
