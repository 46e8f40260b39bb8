/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with files that people write: collected while everything is looked at, then printed in the order of the
 * file, each with its place and the line it is about. Notes do not make a file invalid.
 */
#ifndef SCHEMA_FAULTS_H
#define SCHEMA_FAULTS_H

#include "base/err.h"
#include "base/util.h"
#include "yaml/yaml.h"

struct fault {
	const char *file;
	unsigned line, col; /* 0 = the file as a whole */
	bool note;
	char *msg;
};
struct faults {
	VEC(struct fault) list;
	size_t errors;
	VEC(const char *) meant_keys; /* see faults_key_meant() */
	struct err machine;	      /* see faults_machine() */
};
/* At a node of a document (NULL = no position). */
_printf_(4, 0) void fault_add(struct faults *f, const struct yaml_node *where, bool note, const char *fmt, va_list ap);
void fault_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...) _printf_(3, 4);
void note_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...) _printf_(3, 4);
/* Something was said about this place already: an error, or with NOTES_TOO anything. */
bool faults_at(const struct faults *f, const struct yaml_node *where, bool notes_too);
/* To stderr as "file:line:col: error: message" (or "note:"), sorted by position, each with the line it is about below.
 */
void faults_print(const struct faults *f);
/* A key that is there under a wrong name, "network.gateway": its own fault says so, none says that it is missing. */
bool faults_key_meant(const struct faults *f, const char *key);
/* What cannot be read at all ends a load with one message; here it is a fault like the others. */
void faults_add_failure(struct faults *f, const struct err *e);
/* True when E speaks of the machine, not of what was written: no memory or descriptors, a read error, something that is
 * not installed. The verdict then is this, whatever else there is. */
bool faults_machine(struct faults *f, const struct err *e);
/* E as a kind's reason against what was written, after faults_machine() has seen it. On the arena. */
const char *faults_reason(struct faults *f, const struct err *e);
/* For loads that end with the first of their errors, in the order of the file: 0, class CONFIG, or what the machine
 * could not do. */
int faults_failure(const struct faults *f, struct err *e);
/* The line that a message is about, once the message was printed. */
void faults_print_source(const struct err *e);
/* In that order, NULL at the end, on the arena. */
const struct fault **faults_sorted(const struct faults *f);
/* The first error in FILE alone, which is not one to print by itself; NULL = none. */
const struct fault *faults_first_in(const struct faults *f, const char *file);
/* 0, or class CONFIG with "N faults in FILE" when there is any error; or what the machine could not do. */
int faults_verdict(const struct faults *f, const char *path, struct err *e);

#endif
