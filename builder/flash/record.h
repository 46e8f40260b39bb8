/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was flashed where: flashed.jsonl in the project folder, one JSON object per line and card, appended. It holds no
 * secret. Whoever flashes with sudo keeps a file of their own.
 */
#ifndef FLASH_RECORD_H
#define FLASH_RECORD_H

#include "base/json.h"
#include "flash/flash.h"

#define FLASH_RECORD "flashed.jsonl"

/* DIR is the project folder; NODE the node, or what the image is called; IMAGE the file, or NULL. */
int flash_record_add(const char *dir, const char *node, const char *image, const struct flash *f, struct err *e);

/* All lines that can be read, oldest first: a JSON array, which is the caller's. Empty when there is no file. */
json_t *flash_record_read(const char *dir);
/* The latest entry of NODE in an array as above; NULL = none. Borrowed. */
json_t *flash_record_last(json_t *all, const char *node);

#endif
