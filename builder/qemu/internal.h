/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder. */
#ifndef QEMU_INTERNAL_H
#define QEMU_INTERNAL_H

#include "image/image.h"
#include "qemu/machine.h"

/* What the boot partition says is to be booted. */
struct boot_files {
	const char *kernel, *initramfs; /* files in the folder of temporary files; no initramfs: NULL */
	const char *kernel_name;	/* on the boot partition */
	const char *cmdline;		/* one line */
};
int boot_files_extract(struct fat *boot, const char *dir, struct boot_files *ret, struct err *e);

/* The words of LINE without consoles, then MORE and ours: the last console is the one that /dev/console is. */
const char *cmdline_for_virt(const char *line, bool closed, const char *more);

/* -ENODEV with the cure when the kernel of ROOT cannot drive the devices of `virt`. What cannot be told passes. */
int kernel_check(struct ext4 *root, const struct boot_files *boot, const char *board, struct err *e);

/* From the NetworkManager connections below /etc of ROOT. */
int network_read(struct ext4 *root, struct network *ret, struct err *e);
/* Fills net, dns and host for a node with a static address. */
void network_derive(struct network *n);
/* QEMU's host and name server take no address of OTHERS (NULL terminated; NULL = none) either. */
void network_avoid(struct network *n, const struct machine *const *others);
/* Value of QEMU's -netdev ID, with the ports of M and OTHERS. */
const char *network_option(const struct machine *m, const char *id, bool open, const struct machine *const *others);
/* Why QEMU's network does not reach the node, or NULL. */
const char *network_doubt(const struct network *n);

#endif
