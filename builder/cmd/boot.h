/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of boot: images of cluster.yaml for QEMU's machine, and several machines at once. */
#ifndef CMD_BOOT_H
#define CMD_BOOT_H

#include "cmd/apply.h"
#include "qemu/machine.h"

/* ---- rehearse.c ---- */

/* Images of the nodes that O selects, as a first start of their cluster has them, in a folder that goes with it. */
struct rehearsal {
	const char *dir; /* NULL = none */
	const struct plan *plan;
};
struct rehearsal_want {
	const char *base; /* as in config_rehearse() */
	const char *lock; /* of another time, whose versions are taken; NULL = the lock of O */
};
int rehearsal_plan(const struct cmd_options *o, const struct rehearsal_want *want, const char *out, struct plan **ret,
		   struct err *e);
int rehearsal_load(const struct cmd_options *o, const struct rehearsal_want *want, struct rehearsal *ret,
		   struct err *e);
int rehearsal_build(const struct cmd_options *o, const struct rehearsal *r, struct err *e);
/* Machines that run have their images open: they go on without. */
void rehearsal_done(struct rehearsal *r);

/* ---- boot_cluster.c ---- */

struct boot_cluster {
	const struct machine_want *want; /* of every machine, but for image and network */
	const char *logs;		 /* folder for consoles; NULL = they are not kept */
	bool until_ready;		 /* ends with the verdict of all */
	unsigned timeout;		 /* seconds; 0 = without an end */
	bool dry_run;			 /* QEMU's command lines are printed, and that is all */
	const char *program;		 /* run once it holds; NULL = none */
	const char *const *command;
	/* Before that, while the machines run on: PORTS of SSH, a node each, in the plan's order. NULL = nothing. */
	int (*then)(void *arg, const unsigned *ports, struct err *e);
	void *arg;
};
/* All nodes of R, which goes once they run, in one LAN. */
int boot_cluster(struct rehearsal *r, const struct boot_cluster *b, struct err *e);

/* ---- boot_upgrade.c ---- */

/* Machines that were made with an older lock become, as `apply` does it, what cluster.yaml and its lock say now. */
struct upgrade {
	struct rollout rollout; /* of now */
	const char *dir;	/* of what is kept of the machines' host keys; NULL = none */
	const char *before;	/* "K3s v1.35.8+k3s1, Cilium 1.19.6" */
	const char *after;
};
/* The nodes as they are to become, against those of FROM: class REFUSED for versions that may not follow on each other,
 * CONFIG for nodes that are not reached. All that they are made of is in the cache then. RET has the rollout's O and
 * patience. */
int upgrade_load(const char *base, const struct rehearsal *from, struct upgrade *ret, struct err *e);
/* For boot_cluster.then; ARG is the upgrade. Ends with the verdict, and with the nodes' reports when it is bad. */
int upgrade_run(void *arg, const unsigned *ports, struct err *e);
void upgrade_done(struct upgrade *u);

#endif
