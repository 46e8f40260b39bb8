/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>

static enum log_level current = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*hook_before)(void), (*hook_after)(void);

void log_set_level(enum log_level level)
{
	current = level;
}

enum log_level log_level(void)
{
	return current;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
	hook_before = before;
	hook_after = after;
}

__attribute__((format(printf, 3, 0))) static void emit(enum log_level level, const char *name, const char *fmt,
						       va_list ap)
{
	if (level > current)
		return;
	pthread_mutex_lock(&lock);
	if (hook_before)
		hook_before();
	fprintf(stderr, "pibuild: %s", name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	if (hook_after)
		hook_after();
	pthread_mutex_unlock(&lock);
}

#define LOG_FUNCTION(fn, level, name)                                                                                  \
	void fn(const char *fmt, ...)                                                                                  \
	{                                                                                                              \
		va_list ap;                                                                                            \
		va_start(ap, fmt);                                                                                     \
		emit(level, name, fmt, ap);                                                                            \
		va_end(ap);                                                                                            \
	}

LOG_FUNCTION(log_error, LOG_ERROR, "error: ")
LOG_FUNCTION(log_warning, LOG_WARNING, "warning: ")
LOG_FUNCTION(log_info, LOG_INFO, "")
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug: ")
