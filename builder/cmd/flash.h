/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `pibuild flash` share: the cards of one run, and what is to become of each. */
#ifndef CMD_FLASH_H
#define CMD_FLASH_H

#include <pthread.h>

#include "backup/backup.h"
#include "cmd/cmd.h"
#include "flash/flash.h"
#include "plan/birth.h"
#include "plan/flashed.h"

struct flash_wishes {
	bool all, update, discard, new_cluster;
	struct text_list serials;
	const char *restore;
};

/* One image and the disk it goes to. */
struct flash_card {
	const char *name;    /* node, or what the image file is called */
	const char *cluster; /* "" = not known */
	const char *image;   /* path of the file; NULL = a node's layer and stamp. With NODE: a generic one to stamp */
	const char *disk;    /* as given */
	struct node_plan *node;
	enum birth_right right;
	char made[SHA256_HEX]; /* plan_node_key() of NODE */
	struct device device;
	struct card_identity holds; /* now, before it is written */
	const char *given_up;	    /* node that was named: its card may go; NULL = none */
	struct flash_source source;
	struct flash flash;
	pthread_t thread;
	bool started;
	int code;
	struct err err;
};

struct flash_session {
	const struct cmd_options *o;
	const struct flash_wishes *wish;
	const struct plan *plan; /* NULL for an image file */
	struct cache cache;
	const char *project_dir; /* NULL = none: nothing is recorded */
	json_t *flashed;	 /* what was recorded before */
	json_t *facts;		 /* what the cluster is born with */
	struct backup backup;	 /* of --restore */
	VEC(struct flash_card) cards;
	size_t written; /* of them, from the first on */
	json_t *results;
};

/* ---- flash_cards.c ---- */

/* Wrong usage, before anything is read or made: class USAGE; FAILED for a disk that is not there. */
int flash_check_usage(const struct cmd_options *o, const struct flash_wishes *w, struct err *e);
/* S gets its cards by O and the wishes, and with nodes its plan and cache. Nothing is built or asked yet. */
int flash_add_cards(struct flash_session *s, struct err *e);
/* What is to be written on all N CARDS of a round, in memory; their sources are closed with the session. */
int flash_open_sources(const struct flash_session *s, struct flash_card *cards, size_t n, struct err *e);
/* The server that may start the cluster; S has a plan. */
const struct node_config *flash_first_server(const struct flash_session *s);
/* C's disk holds a card of this very node. */
bool flash_holds_same(const struct flash_card *c);

/* ---- flash_ask.c ---- */

/* C's device and what it holds. Class REFUSED when it is none that may be written. Before anything is built or asked.
 */
int flash_find_device(struct flash_card *c, struct err *e);
/* The serials that were given, or a terminal to ask on: else class REFUSED. */
int flash_check_serial(const struct flash_session *s, const struct device *d, struct err *e);
/* The last word before the first write, once C's source is open: asked for, or with --yes said. */
int flash_confirm(const struct flash_session *s, const struct flash_card *c, struct err *e);

#endif
