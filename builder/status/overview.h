/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster that runs, as it is seen from here, in one table: each node asked over SSH, all at once; where one does not
 * answer, the API by a server that does, or from here where secrets.yaml lies; else it is told since when nothing is
 * heard of it. Nothing is kept here or on the nodes for it: what a node was last heard of is what its lease in the API
 * says.
 *
 *	_cleanup_(overview_done) struct overview o = { 0 };
 *	overview_begin(&o, config, cards, secrets, plan, why);
 *	overview_ask(&o, e);			// for another look overview_forget() before
 *	overview_print(&o); or json_print(overview_json(&o), e);
 *	overview_verdict(&o, e);
 */
#ifndef STATUS_OVERVIEW_H
#define STATUS_OVERVIEW_H

#include "plan/drift.h"
#include "remote/cluster.h"
#include "remote/told.h"
#include "secrets/secrets.h"
#include "status/report.h"

enum node_heard { HEARD_SSH, HEARD_API, HEARD_NOT, NODE_HEARD_COUNT };
enum node_ready { READY_YES, READY_NO, READY_UNKNOWN, NODE_READY_COUNT };
/* What the node has, by its manifest, against a card that would be written now. */
enum node_card { CARD_SAME, CARD_DIFFERS, CARD_UNKNOWN, NODE_CARD_COUNT };

/* A line of the table, and of the JSON: rows of fields in overview.c. Texts are "" where nothing is known. */
struct overview_node {
	const char *name, *role, *address; /* address "" = by its name */
	enum node_heard heard;
	enum node_state state;	  /* ABSENT: nothing is heard of it */
	const char *cause, *cure; /* why it is not done */
	const char *step;	  /* that it is at; "" = all are done, or not known */
	unsigned steps_done, steps;
	enum node_ready ready; /* as the API says */
	int64_t seen;	       /* last heard of; 0 = never */
	const char *k3s, *os, *kernel;
	int64_t certificates_until, backup; /* 0 = not told */
	bool holds_vip;
	bool cordoned; /* as the API says */
	enum node_card card;
	unsigned differs;  /* paths, where it does */
	const char *doubt; /* why `card` is not known */

	const struct node_config *config;
	struct remote remote;
	struct told told;
	struct report report; /* of steps.n 0: none */
};
struct overview_url {
	const char *name, *url;
	const char *how; /* a command that has to run meanwhile; "" = none */
};

struct overview {
	const struct config *config;
	const struct plan *plan;       /* NULL = no card is compared */
	const char *no_plan;	       /* ... and why */
	const struct secrets *secrets; /* NULL = the API is not asked from here */
	int64_t time;
	bool done;
	const char *cluster;
	const char *asked;  /* server whose API answered, or its address; "" = none */
	const char *no_api; /* why none did; "" */
	VEC(struct overview_node) nodes;
	VEC(struct overview_url) urls;
};

/* CARDS as in remote_of(); PLAN of all nodes, else NULL with WHY; SECRETS NULL where there are none. */
void overview_begin(struct overview *o, const struct config *c, json_t *cards, const struct secrets *secrets,
		    const struct plan *plan, const char *why);
/* Never fails because of a node; only when a signal came, or without ssh on this machine. */
int overview_ask(struct overview *o, struct err *e);
/* What was heard goes, for another look: nothing of it is on the arena's later part any more (arena_release()). */
void overview_forget(struct overview *o);
void overview_done(struct overview *o);

json_t *overview_json(const struct overview *o);
json_t *overview_schema(void);
void overview_print(const struct overview *o);
/* "w-1 working: join (3 of 5): the cause": a node in one line, on the arena. */
const char *overview_line(const struct overview_node *n);
/* 0 when all nodes are done, else class FAILED with those that are not. */
int overview_verdict(const struct overview *o, struct err *e);

#endif
