/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talk for people, always on stderr; results go to stdout and are none of this module's business.
 * Lines are "pibuild: message", warnings and errors named. A progress bar that is being drawn is
 * wiped before a line and drawn again after it. Thread safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/util.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Messages above LEVEL are dropped. Default LOG_INFO. */
void log_set_level(enum log_level level);

void log_error(const char *fmt, ...) _printf_(1, 2);
void log_warning(const char *fmt, ...) _printf_(1, 2);
void log_info(const char *fmt, ...) _printf_(1, 2);
void log_debug(const char *fmt, ...) _printf_(1, 2);

/* What a command that a message tells people to run, "`pibuild COMMAND ...`" or "`sudo pibuild ...`", has to say too to
 * mean the same files as this run: OPTION with VALUE (kept, not copied), where COMMAND is among the words of COMMANDS.
 */
void log_add_cure_option(const char *commands, const char *option, const char *value);
/* MSG with those options in its commands. */
void log_cures(struct strbuf *out, const char *msg);

/* Called around each line by the progress display; NULL = none. */
void log_set_hooks(void (*before)(void), void (*after)(void));

#endif
