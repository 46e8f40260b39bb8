/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was flashed where: flashed.jsonl in the project folder, one JSON object per line, appended: one when the writing
 * of a card begins ("state": "begun"), one when it has ended well ("done"), and one when the node was taken out of its
 * cluster ("removed"). A line never goes: what is known of how the cluster was started (plan/birth.h) outlives the
 * node that started it. It holds no secret. Whoever flashes with sudo keeps a file of their own.
 *
 * A card reader has one serial for all cards, so a serial alone says of no card that it became another: that takes what
 * the card held when it was written over.
 */
#ifndef PLAN_FLASHED_H
#define PLAN_FLASHED_H

#include "base/err.h"
#include "base/json.h"
#include "base/util.h"

#define FLASHED_FILE "flashed.jsonl"

struct flashed_line {
	const char *dir;   /* the project folder */
	const char *node;  /* or what the image is called */
	const char *image; /* the file; NULL = none */
	const char *held;  /* node that the card held before; NULL = none */
	const char *serial, *model, *disk;
	uint64_t size;
	const char *cluster; /* "" = not known */
	json_t *born;	     /* what the cluster is born with, of a card that may start it; NULL = it may not, or, not
				planned, it does not say */
	bool planned;	     /* whether it may is known: it was made from cluster.yaml, not from an image file */
	const char *made;    /* plan_node_key() of what was planned for it; NULL = not planned */
};
/* The line of a card whose writing begins (SHA256 is NULL), or has ended. */
int flashed_add(const struct flashed_line *r, const char *sha256, struct err *e);

/* NODE is no node of CLUSTER any more: its cards count no longer. */
int flashed_remove(const char *dir, const char *node, const char *cluster, struct err *e);

/* All lines that can be read, oldest first: a JSON array, which is the caller's on failure too. Empty when there is no
 * file; one that cannot be read is an error, since without it every card would be a cluster's first. */
int flashed_load(const char *dir, json_t **ret, struct err *e);
/* The same for what only shows them: whatever can be had. */
json_t *flashed_read(const char *dir);

/* When it was written, in seconds since 1970; 0 = LINE, which may be NULL, does not say. */
int64_t flashed_time(const json_t *line);

/* Borrowed from an array as above; NULL = none. */
/* The latest card of NODE, unless it was written over since, with whatever, or the node was removed. */
json_t *flashed_card(json_t *all, const char *node);
/* The latest writing of NODE, when it did not end well. */
json_t *flashed_unfinished(json_t *all, const char *node);
/* The latest card of NODE that was written by the disk with this serial. */
json_t *flashed_by_serial(json_t *all, const char *node, const char *serial);

#endif
