/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Everything anew, the message from FROM on. */
__attribute__((format(printf, 5, 0))) static int err_fill(struct err *e, int code, enum exit_class class, size_t from,
							  const char *fmt, va_list ap)
{
	e->code = code;
	e->machine = false;
	e->class = class;
	memset(&e->at, 0, sizeof(e->at));
	vsnprintf(e->msg + from, sizeof(e->msg) - from, fmt, ap);
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_fill(e, code, CLASS_FAILED, 0, fmt, ap);
	va_end(ap);
	return code;
}

__attribute__((format(printf, 3, 0))) static int err_fill_errno(struct err *e, int code, const char *fmt, va_list ap)
{
	size_t n;

	err_fill(e, code, CLASS_FAILED, 0, fmt, ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(-code));
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_fill_errno(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_machine(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_fill_errno(e, code, fmt, ap);
	va_end(ap);
	e->machine = code != -EIO;
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
		return -ENOPKG; /* of no file: whoever asks for -ENOENT is not told that a program is missing */
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
	err_fill(e, class_errno(class), class, 0, fmt, ap);
	va_end(ap);
	return e->code;
}

int err_blame(struct err *e, enum exit_class class)
{
	if (!err_is_machines(e) && !err_interrupted(e) && e->code != -EIO)
		e->class = class;
	return e->code;
}

int err_at(struct err *e, const char *file, unsigned line, unsigned col, const char *fmt, ...)
{
	char place[512];
	size_t n;
	va_list ap;

	if (line)
		snprintf(place, sizeof(place), "%s:%u:%u: ", file, line, col);
	else
		snprintf(place, sizeof(place), "%s%s", file ? file : "", file ? ": " : "");
	n = strlen(place);
	va_start(ap, fmt);
	err_fill(e, class_errno(CLASS_CONFIG), CLASS_CONFIG, n, fmt, ap);
	va_end(ap);
	memcpy(e->msg, place, n);
	e->at.file = file;
	e->at.line = line;
	e->at.col = col;
	e->at.end = n;
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
	if (e->at.file) {
		e->at.begin += n + 2;
		e->at.end += n + 2;
	}
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
	memset(&e->at, 0, sizeof(e->at));
	return e->code;
}
