/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error model: functions return 0 or a negative errno and, as last parameter, fill a
 * struct err with the sentence a user reads. The struct lives on the caller's stack and owns nothing.
 *
 *	r = table_read(fd, &table, e);
 *	if (r < 0)
 *		return err_wrap(e, "%s", path);		// "base.img: no partition table"
 *
 * The exit class says which documented exit code the failure ends in; wrapping keeps it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

enum exit_class {
	CLASS_OK = 0,
	CLASS_FAILED = 1,  /* anything without a class of its own */
	CLASS_USAGE = 2,   /* wrong command line */
	CLASS_CONFIG = 3,  /* cluster.yaml, secrets, boards or lock are wrong */
	CLASS_VERIFY = 4,  /* a digest, signature or read-back did not match */
	CLASS_REFUSED = 5, /* refused for safety */
	CLASS_HOST = 6,	   /* something is missing on the host */
};

struct err {
	int code;     /* negative errno; 0 = no error yet */
	bool machine; /* of err_machine() */
	enum exit_class class;
	/* Of err_at(): where, and which part of the message says so. FILE is NULL of any other. */
	struct {
		const char *file; /* lives as long as the run */
		unsigned line, col;
		size_t begin, end; /* of "FILE:LINE:COL: " in msg */
	} at;
	char msg[2048];
};

/* Sets the message and class CLASS_FAILED; returns CODE, which must be negative. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": <strerror>" of CODE appended. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_errno(), of a call that fails by nothing that stands in a file or image: see err_is_machines(). */
int err_machine(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with a class; the errno is chosen from the class. Returns it. */
int err_class(struct err *e, enum exit_class class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Class CONFIG, about a place of a file: "FILE:LINE:COL: words", or "FILE: words" with LINE 0. */
int err_at(struct err *e, const char *file, unsigned line, unsigned col, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Of what could not be read, or used: CLASS, unless its errno speaks of the machine (no memory or descriptors left, a
 * read error), or somebody interrupted it: that is no fault of what was to be read. Returns the code that is there. */
int err_blame(struct err *e, enum exit_class class);

/* Puts "context: " before the message that is there. Returns the code that is there. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts TO for every FROM in the message: a temporary file is named by what the user knows. The place in it, which
 * err_at() kept, is forgotten. Returns the code. */
int err_rename(struct err *e, const char *from, const char *to);

/* True when the failure is the machine's, and nobody's file or image is at fault: no memory, no descriptors, no room, a
 * limit on the size of files, a call that no content makes fail. A read error is not: the card or disk has it. */
static inline bool err_is_machines(const struct err *e)
{
	return e->machine || e->code == -ENOMEM || e->code == -EMFILE || e->code == -ENFILE || e->code == -EAGAIN ||
	       e->code == -ENOSPC || e->code == -EDQUOT || e->code == -EFBIG;
}

/* True when the failure is the user's own interruption (Ctrl-C, SIGTERM). */
static inline int err_interrupted(const struct err *e)
{
	return e->code == -EINTR;
}

#endif
