/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the base of os.base: debian from its packages: mmdebstrap gives a folder in which arm64 programs run, the two
 * programs of configs/debian unpack and configure the packages there, and what comes out, a tar, is laid into an image
 * in the layout of Raspberry Pi OS. No root: mmdebstrap works in a user namespace then.
 */
#ifndef DEBIAN_DEBIAN_H
#define DEBIAN_DEBIAN_H

#include "catalogue/artifact.h"

/* Natively or through binfmt. False, too, without arch-test(1), which tells. */
bool debian_runs_arm64(void);
/* Everything that making the base needs is on this machine: programs, and arm64 ones run. Class HOST, naming all that
 * is missing and the command that installs it. */
int debian_check_host(struct err *e);

/* Writes the base of PIN to IMAGE, an empty file. Every package is in the cache; it is hashed again as it is used. The
 * bytes depend on the pin's digest alone. Takes minutes, many where arm64 is emulated. */
int debian_make(const struct cache *c, const struct pin *pin, const char *image, struct err *e);

/* ---- debian/image.c ---- */

/* Lays the tar ROOT (open, whole) into IMAGE. All ids come from the 64 hexadecimal digits KEY, all times are EPOCH. */
int debian_image(int root, const char *image, const char *key, int64_t epoch, struct err *e);
/* The disk id that debian_image() gives. */
uint32_t debian_disk_id(const char *key);

#endif
