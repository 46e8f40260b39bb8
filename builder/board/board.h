/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of one board from boards/NAME.yaml: what the planner decides by. A board knows which kernels it can boot and
 * what follows from each (page size, address bits); which one applies depends on the base.
 */
#ifndef BOARD_BOARD_H
#define BOARD_BOARD_H

#include "base/err.h"
#include "base/util.h"
#include "config/config.h"
#include "config/names.h"
#include "schema/schema.h"

struct board_kernel {
	const char *base;      /* "raspios" or "debian"; a user's own base counts as raspios */
	const char *file;      /* on the boot partition: "kernel8.img", "kernel_2712.img" */
	unsigned page_kib;     /* 4 or 16 */
	unsigned address_bits; /* 39, 47 or 48 */
};

struct board {
	const char *name;  /* "rpi5" */
	const char *title; /* "Raspberry Pi 5" */
	const char *soc;   /* "bcm2712" */
	VEC(struct board_kernel) kernels;
	VEC(uint64_t) memory; /* variants in bytes, rising */
	const char *nic;      /* "eth0"; NULL = none on board */
	bool wifi;
	bool watchdog; /* the SoC has one, which Raspberry Pi OS has a driver of in its kernel */
	bool pcie;     /* a slot, or pins for one, so that it can have NVMe */
	bool external; /* no board at all: a machine that joins by a script, without a card */
	bool eeprom;   /* a bootloader whose settings the running system may change (not by USB from outside) */
	VEC(const char *) dtbs;
	VEC(const char *) config_lines; /* lines for config.txt, own section included */
	VEC(const char *) cmdline;	/* words for cmdline.txt */
};

/* Rows of boards/NAME.yaml. */
extern const struct field board_fields[];
/* Loads boards/NAME.yaml of the data folder. Class CONFIG with the nearest name and the list when unknown. */
int board_load(const char *name, const struct board **ret, struct err *e);

/* The kernel that boots on BASE ("raspios", "debian", a path or URL), or NULL when the board cannot boot it. */
const struct board_kernel *board_kernel_for(const struct board *b, const char *base);
/* Envoy's allocator needs more than 39 address bits (cilium/proxy 1027). */
bool board_runs_envoy(const struct board *b, const char *base);
uint64_t board_max_memory(const struct board *b);
/* Interface that carries the address of N: wlan0 on Wi-Fi (boards without Ethernet whose entry names no interface, or
 * interface: wlan0), else the wired one, VLAN included. */
const char *board_lan_interface(const struct board *b, const struct config *c, const struct node_config *n);

/* Every cross-check of a cluster: config_check(), then the rules that need the boards. Boards of unknown name are
 * faults here too. */
void cluster_check(const struct config *c, const struct cluster_versions *v, struct faults *f);

#endif
