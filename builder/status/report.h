/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first-boot report of a node, status.json: found on a card, in a folder, an image or a file, held against its
 * schema (docs/status.schema.json is made of it), and shown. A card comes from anywhere and may have lost its power in
 * the middle of a write: nothing of a report is believed before all of it has been checked, and its texts are cleaned
 * of what would command a terminal.
 */
#ifndef STATUS_REPORT_H
#define STATUS_REPORT_H

#include "base/err.h"
#include "base/json.h"
#include "base/util.h"

enum { REPORT_LIMIT = 256 * 1024 };

/* Names as in the file. */
enum step_state { STEP_PENDING, STEP_WAITING, STEP_RUNNING, STEP_DONE, STEP_FAILED, STEP_STATE_COUNT };
enum node_state { NODE_WORKING, NODE_DONE, NODE_FAILED, NODE_ABSENT, NODE_STATE_COUNT };
extern const char *const step_state_names[STEP_STATE_COUNT];
extern const char *const node_state_names[NODE_STATE_COUNT];

struct report_step {
	const char *name, *title, *cause, *cure, *unit;
	enum step_state state;
	unsigned attempts;
	int64_t since; /* seconds since 1970, by the node's clock; 0 = not begun */
};
struct report_note {
	const char *about, *cause, *cure;
};
struct report_app {
	const char *name, *cause, *cure;
	enum step_state state; /* never STEP_WAITING */
};
struct report_backup {
	const char *name; /* NULL = none is told */
	int64_t time;
};
struct report_node {
	const char *name, *role, *cause;
	enum node_state state;
	int64_t time; /* 0 = never heard of */
};

struct report {
	json_t *json; /* the whole of it; owned */
	const char *cluster, *node, *role;
	enum node_state state; /* never NODE_ABSENT */
	int64_t time;
	int64_t certificates_until; /* K3s's own, the first that runs out; 0 = not told */
	VEC(struct report_step) steps;
	VEC(struct report_note) notes;
	VEC(struct report_app) apps;   /* first server only; decide nothing */
	VEC(struct report_node) nodes; /* first server only */
	struct report_backup backup;   /* servers with backups only */
};

/* PATH is a report, a folder (a mounted boot partition or root), an image, or a block device. -ENOENT with what it is
 * instead when there is no report. */
int report_find(const char *path, struct report *ret, struct err *e);
/* Texts on the arena. Class VERIFY with the place when it is no report. NAME is for messages. */
int report_parse(const char *text, size_t n, const char *name, struct report *ret, struct err *e);
void report_done(struct report *r);
/* What report_parse() asks, as JSON Schema; the caller's. */
json_t *report_schema(void);

void report_print(const struct report *r);
/* 0 when all is done, else class FAILED with the step, its cause and the cure. */
int report_verdict(const struct report *r, struct err *e);

#endif
