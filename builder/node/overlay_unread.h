/* SPDX-License-Identifier: Apache-2.0 */
/* Files of overlays that no program reads, for their names. */
#ifndef NODE_OVERLAY_UNREAD_H
#define NODE_OVERLAY_UNREAD_H

#include <stdbool.h>

/* Why nobody reads the file PATH of the card, as words that go on behind its name; NULL = somebody may. */
const char *overlay_unread(const char *path);

/* NAME, or a path that ends in it, has the end of a kind of unit of systemd. */
bool overlay_is_unit_name(const char *name);

#endif
