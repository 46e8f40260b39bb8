/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a command decides by, loaded and judged once: config, boards, catalogue, lock, secrets, the build's time.
 */
#ifndef PLAN_PROJECT_H
#define PLAN_PROJECT_H

#include "board/board.h"
#include "cache/cache.h"
#include "config/config.h"
#include "lock/pin.h"
#include "node/node.h"
#include "secrets/secrets.h"

enum secrets_policy {
	SECRETS_UNUSED, /* as NONE, and what the config refers to is not looked at either */
	SECRETS_NONE,	/* not looked at: secrets_masked() */
	SECRETS_IF_ANY, /* the file when there is one or one is named, else secrets_masked() */
	SECRETS_NEEDED, /* made, with a message, when there is none; completed for new nodes */
};

struct project_options {
	const char *config, *lock, *secrets; /* paths from the command line; NULL = defaults */
	enum secrets_policy policy;
	/* With SECRETS_NEEDED: where images may lie that speak of secrets that are gone. */
	const char *out;
	bool new_cluster;	  /* what the cluster was born with counts no longer */
	bool rehearse;		  /* the cluster on QEMU's machine: config_rehearse() */
	const char *base;	  /* for that; NULL = as it says */
	bool lock_first;	  /* versions that the lock tells are taken, whatever the config's are */
	const struct lock *built; /* what an image was built by: in place of the lock, also for versions and time */
	/* Asked of a valid config before secrets are made, which is a write; NULL = nothing. */
	int (*before)(const struct config *c, const void *arg, struct err *e);
	const void *before_arg;
};

struct project {
	struct config *config;
	struct release_set set;	     /* CONFIG among it */
	const struct board **boards; /* of config->nodes, same order */
	const struct secrets *secrets;
	bool secrets_real;
	const char *user_overlays; /* `overlays` beside the config; NULL = none */
	int64_t epoch;		   /* SOURCE_DATE_EPOCH, else the lock's time */
	struct faults faults;
};

/* Negative when something cannot be loaded at all; every other fault of config, boards, versions and values file is
 * collected in RET->faults and turns into class CONFIG only through faults_verdict(). RET is set also when it fails;
 * its config is NULL where that could not be read. */
int project_load(const struct project_options *o, struct project **ret, struct err *e);

/* As above for commands that need a valid project: faults are printed and end it. */
int project_load_valid(const struct project_options *o, struct project **ret, struct err *e);

/* What rendering node I of the config starts from; secrets behind references stay unread unless the caller says so. */
struct node_ctx project_node(const struct project *p, size_t i);

#endif
