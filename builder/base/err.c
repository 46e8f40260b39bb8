/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void set_message(struct err *e, const char *fmt, va_list ap)
{
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	e->code = code;
	e->class = CLASS_FAILED;
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(-code));
	e->code = code;
	e->class = CLASS_FAILED;
	return code;
}

static int class_errno(enum exit_class class)
{
	switch (class) {
	case CLASS_USAGE:
	case CLASS_CONFIG:
		return -EINVAL;
	case CLASS_VERIFY:
		return -EBADMSG;
	case CLASS_REFUSED:
		return -EPERM;
	case CLASS_HOST:
		return -ENOENT;
	case CLASS_OK:
	case CLASS_FAILED:
		break;
	}
	return -EIO;
}

int err_class(struct err *e, enum exit_class class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	e->code = class_errno(class);
	e->class = class;
	return e->code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char context[sizeof(e->msg)];
	size_t n, keep;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	n = strlen(context);
	if (n > sizeof(e->msg) / 2)
		n = sizeof(e->msg) / 2;
	keep = strlen(e->msg);
	if (keep > sizeof(e->msg) - n - 3)
		keep = sizeof(e->msg) - n - 3;
	memmove(e->msg + n + 2, e->msg, keep);
	memcpy(e->msg, context, n);
	memcpy(e->msg + n, ": ", 2);
	e->msg[n + 2 + keep] = '\0';
	return e->code;
}

int err_rename(struct err *e, const char *from, const char *to)
{
	char msg[sizeof(e->msg)] = "", *rest = e->msg, *hit;
	size_t n = 0;

	while (*from && (hit = strstr(rest, from)) && n < sizeof(msg)) {
		n += (size_t)snprintf(msg + n, sizeof(msg) - n, "%.*s%s", (int)(hit - rest), rest, to);
		rest = hit + strlen(from);
	}
	if (n < sizeof(msg))
		snprintf(msg + n, sizeof(msg) - n, "%s", rest);
	memcpy(e->msg, msg, sizeof(msg));
	return e->code;
}
