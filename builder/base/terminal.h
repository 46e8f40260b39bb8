/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stderr is, for those who talk to people on it: how wide, and whether colours are wanted. They are on a terminal,
 * unless TERM says "dumb" or nothing, or NO_COLOR is set and not empty (https://no-color.org). Nothing forces them
 * elsewhere: who keeps a log wants its words. And whether what was printed to stdout has arrived.
 */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include "base/err.h"
#include "base/util.h"

enum ink { INK_ERROR, INK_WARNING, INK_NOTE, INK_MARK, INK_COUNT };

/* 0: lines stay as long as they are, as stderr is no terminal, a dumb one, or one that does not say. */
unsigned terminal_columns(void);
/* TEXT in that colour, or as it is. */
void terminal_ink(struct strbuf *out, enum ink ink, const char *text);

/* All that was printed is written, also what printf() failed at long before and nobody looked: its errno is gone, but
 * not that of a reader who went away (-EPIPE). */
int stdout_flush(struct err *e);
/* Prints N bytes, and that. */
int stdout_print(const void *data, size_t n, struct err *e);

/* Columns that the UTF-8 character at *S takes; *S moves behind it. Never reads behind a NUL. */
unsigned text_columns(const char **s);
/* TEXT, broken between words where it would pass COLUMNS (0: nowhere). It starts in column FIRST; the lines that follow
 * are indented by INDENT. A command between backticks stays on one line when it fits on one. */
void text_wrap(struct strbuf *out, const char *text, unsigned columns, unsigned first, unsigned indent);

#endif
