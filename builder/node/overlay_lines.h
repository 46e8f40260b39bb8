/* SPDX-License-Identifier: Apache-2.0 */
/* A file of a user's overlays that holds settings, a line each. */
#ifndef NODE_OVERLAY_LINES_H
#define NODE_OVERLAY_LINES_H

#include "node/node.h"

struct settings_file {
	const char *path, *name; /* on the card; without its folder */
	char *text;		 /* may be taken apart */
	const struct node_ctx *x;
	const struct tree *own; /* what the node's card holds without overlays of the user */
	struct faults *faults;
	const char *note; /* what is worth a word, and no fault */
};

/* The next line of *TEXT without blanks around it, or NULL; comments and empty ones are left out. */
char *next_setting(char **text);
/* What stands behind "KEY=" or "KEY = ", or NULL. */
const char *setting_value(const char *line, const char *key);

#endif
