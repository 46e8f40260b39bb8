/* SPDX-License-Identifier: Apache-2.0 */
/* Files of overlays that no program reads, for their names. */
#ifndef NODE_OVERLAY_UNREAD_H
#define NODE_OVERLAY_UNREAD_H

/* Why nobody reads the file PATH of the card, as words that go on behind its name; NULL = somebody may. */
const char *overlay_unread(const char *path);

#endif
