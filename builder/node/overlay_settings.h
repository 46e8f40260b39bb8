/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that a user's overlay brings beside pibuild's own. */
#ifndef NODE_OVERLAY_SETTINGS_H
#define NODE_OVERLAY_SETTINGS_H

#include "node/node.h"

/* What the file PATH of the card, with TEXT in it, would do to the node X that it must not, as words that go on behind
 * the file's name; NULL = nothing. OWN: what the node's card holds without the user's overlays. *RET_NOTE, which the
 * caller set to NULL: what is worth a word. F hears of what could not be read to judge it. */
const char *overlay_settings_fault(const char *path, const char *text, const struct node_ctx *x, const struct tree *own,
				   struct faults *f, const char **ret_note);

/* "a" of "a.b.yaml": what K3s calls a file NAME of its manifests (k3s-io/k3s pkg/deploy/controller.go); NULL for what
 * it does not read. */
const char *k3s_addon(const char *name);

#endif
