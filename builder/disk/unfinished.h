/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands at UNFINISHED_AT of a disk from the first write of an image until its last, while the boot sector is
 * zeros: a line that says what was to become of it. Whoever meets the card later can tell it from an empty one.
 */
#ifndef DISK_UNFINISHED_H
#define DISK_UNFINISHED_H

#include <stdbool.h>

/* Behind the boot sector and a GPT's header, ahead of every partition. */
enum { UNFINISHED_AT = 4096, UNFINISHED_MAX = 256 };

/* BUF is filled, zeros behind the line; NAME is cut to what fits. */
void unfinished_write(const char *name, char buf[UNFINISHED_MAX]);
/* NAME gets what unfinished_write() was given, or whatever a hostile disk has there. False when BUF is anything else.
 */
bool unfinished_read(const char buf[UNFINISHED_MAX], char name[UNFINISHED_MAX]);

#endif
