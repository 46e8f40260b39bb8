/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of this machine as sysfs and /proc tell them, and whether one may be flashed. device.c reads, guard.c
 * decides: the verdict on a described disk needs no disk. Nothing here opens a disk.
 */
#ifndef FLASH_DEVICE_H
#define FLASH_DEVICE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

/* Where to look. Only tests look elsewhere than at HOST_REAL. */
struct host {
	const char *sys, *proc, *dev;
};
extern const struct host host_real;

struct device {
	const char *name;     /* "sda" */
	const char *path;     /* "/dev/sda" */
	const char *bus;      /* "usb", "mmc", "nvme", "ata", "virtio", "loop", "" = unknown */
	const char *model;    /* "" = unknown */
	const char *identity; /* serial, else WWN, else "seq-N" by diskseq; "" = none at all. No two disks share one. */
	const char *labels;   /* "bootfs, rootfs"; "" = none known */
	const char *mounts;   /* "sda1 on /media/x, ..."; "" = none */
	const char *system;   /* "/ is on sda2": what this machine runs from; NULL = nothing */
	const char *swap;     /* "sda3"; NULL = none */
	const char *holder;   /* "dm-0 (vg-root)"; NULL = none */
	dev_t devno;
	uint64_t size;	  /* bytes */
	uint64_t diskseq; /* 0 = the kernel has none */
	unsigned sector;  /* bytes of a logical sector */
	bool removable;	  /* a card, or a disk whose drive says so */
	bool read_only;
	bool no_disk; /* a mapping, RAID, RAM disk or optical drive */
};

struct devices {
	VEC(struct device) v;
};

/* Every disk with a medium in it, sorted by name; on the arena. */
int devices_scan(const struct host *h, struct devices *ret, struct err *e);

/* ---- guard.c ---- */

/* Why D can never be flashed as it is, with the cure; NULL = it can. */
const char *guard_verdict(const struct device *d);
/* Whether a plain yes is too little: fixed disks, and removable ones larger than any card. */
bool guard_wants_identity(const struct device *d);

/* Finds the disk that PATH names. Class REFUSED for all that is not the node of a whole disk of the scan: partitions,
 * files, links other than udev's in /dev/disk. */
int guard_find(const struct host *h, const struct devices *all, const char *path, const struct device **ret,
	       struct err *e);

/* Class REFUSED unless D can be flashed and takes an image of SIZE bytes. */
int guard_check(const struct device *d, uint64_t size, struct err *e);

/* Class REFUSED unless NOW is the very disk that was shown as ASKED. */
int guard_same(const struct device *asked, const struct device *now, struct err *e);

#endif
