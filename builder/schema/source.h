/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of a file that a message is about, with a mark below the place, as compilers print it:
 *
 *	   14 |   gatway: 192.168.1.1
 *	      |   ^~~~~~
 *
 * Only of files whose text was given to source_keep(): never secrets.yaml. A line that holds or may hold a secret is
 * not shown at all.
 */
#ifndef SCHEMA_SOURCE_H
#define SCHEMA_SOURCE_H

#include "base/util.h"

/* TEXT and NAME are kept, not copied. */
void source_keep(const char *name, const char *text, size_t n);
/* All that was kept, before the arena ends and the program does not. */
void source_forget(void);

/* Appends both lines, with the newlines; nothing when NAME is not known, has no such line, or it is not to be shown.
 * COLUMNS is the width of what they are printed on. */
void source_show(struct strbuf *out, const char *name, unsigned line, unsigned col, unsigned columns);

#endif
