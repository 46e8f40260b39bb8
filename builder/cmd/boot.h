/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of boot: images of cluster.yaml for QEMU's machine, and several machines at once. */
#ifndef CMD_BOOT_H
#define CMD_BOOT_H

#include "cmd/cmd.h"
#include "qemu/machine.h"

/* ---- rehearse.c ---- */

/* Images of the nodes that O selects, as a first start of their cluster has them, in a folder that goes with it. */
struct rehearsal {
	const char *dir; /* NULL = none */
	const struct plan *plan;
};
/* BASE as in config_rehearse(). */
int rehearsal_build(const struct cmd_options *o, const char *base, struct rehearsal *ret, struct err *e);
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
};
/* All nodes of R, which goes once they run, in one LAN. */
int boot_cluster(struct rehearsal *r, const struct boot_cluster *b, struct err *e);

#endif
