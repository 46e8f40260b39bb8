/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image run in QEMU's `virt` machine for arm64. The image itself is never written: the guest writes into a qcow2
 * overlay, which is thrown away unless it is to be kept. Kernel, initramfs and cmdline.txt come from the image's boot
 * partition and the network from the node's own NetworkManager connection, so that the node finds the LAN it expects.
 *
 *	_cleanup_(machine_done) struct machine m = MACHINE_INIT;
 *	machine_prepare(&want, &m, e);		// reads; m.argv can be printed
 *	machine_start(&m, e);			// makes the overlay and runs QEMU
 *	... console_read(&m.console, ...) until what is waited for holds or m.qemu has ended ...
 *
 * QEMU dies with us, whatever ends us, and its files go as soon as it has opened them.
 */
#ifndef QEMU_MACHINE_H
#define QEMU_MACHINE_H

#include "base/proc.h"
#include "config/config.h"
#include "qemu/console.h"

struct machine_want {
	const char *image;
	const char *keep;	     /* overlay that stays, gone on from when it exists; NULL = a throw-away one */
	uint64_t disk_size;	     /* bytes the guest's disk has; 0 = as it is, and 8 GiB at least when new */
	const char *append;	     /* words for the kernel's command line; NULL = none */
	const char *rtc;	     /* the clock at power-on as QEMU takes it; NULL = now */
	unsigned memory, cpus;	     /* MiB; 0 = default */
	unsigned ssh_port, api_port; /* on 127.0.0.1; 0 = free ones */
	bool open;		     /* the world can be reached */
	unsigned number;	     /* of several in one LAN, from 0; by it their network cards differ */
	const char *lan;	     /* folder of the switch it is plugged into; NULL = this one is alone */
	const struct machine *const *others; /* of machine 0: the rest, prepared, NULL terminated; else NULL */
	const char *const *qemu;	     /* more arguments, as they are */
	size_t n_qemu;
};

/* The LAN QEMU plays. */
struct network {
	const char *interface, *type; /* of the node's connection; NULL = it has none */
	struct cidr node;	      /* its address; not set = DHCP */
	uint32_t gateway;	      /* 0 = none */
	struct cidr net;	      /* QEMU's, not set with DHCP */
	uint32_t dns, host;	      /* QEMU's addresses in it */
};

struct machine {
	const char *board; /* what the image says it is for, such as "rpi4"; "" = nothing */
	struct network network;
	unsigned ssh_port, api_port;
	const char *dir, *overlay; /* folder of temporary files, absolute; the disk */
	bool new_overlay, throw_away;
	uint64_t disk_size;	/* 0 = leave it */
	const char *image;	/* absolute */
	VEC(const char *) argv; /* of QEMU, ends with NULL */
	struct spawned qemu;
	struct console console;
	int qmp, said; /* QEMU's control socket, its stderr */
};
/* clang-format off */
#define MACHINE_INIT { .qmp = -1, .said = -1, .console = { .fd = -1, .log = -1 } }
/* clang-format on */

/*
 * Several machines in one LAN that nobody else is in are plugged into one switch (lan.h); machine 0 has the way to the
 * world and to the ports of all, so it is prepared last.
 */

/* Reads the image and decides everything; writes nothing but temporary files. Class HOST without QEMU. */
int machine_prepare(const struct machine_want *want, struct machine *m, struct err *e);
/* Returns when the guest runs. */
int machine_start(struct machine *m, struct err *e);
/* Presses the power button and gives the guest a minute; false when it did not go. */
bool machine_power_off(struct machine *m);
/* Ends QEMU as a power cut ends a Pi, removes the temporary files. */
void machine_done(struct machine *m);
/* What QEMU said on its stderr, as one line, on the arena. */
const char *machine_words(const struct machine *m);

#endif
