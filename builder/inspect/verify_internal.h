/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the checks of verify.c's table, which stand there and in verify_units.c (systemd) and verify_secrets.c
 * (modes, owners and values of what is secret).
 */
#ifndef INSPECT_VERIFY_INTERNAL_H
#define INSPECT_VERIFY_INTERNAL_H

#include "inspect/verify.h"

/* What a check needs others to have read before it; a bit is set once it is there. */
enum {
	HAS_TABLE = 1 << 0,    /* image.disk */
	HAS_ROOT = 1 << 1,     /* image.root */
	HAS_FILES = 1 << 2,    /* files */
	HAS_MANIFEST = 1 << 3, /* manifest, text, records */
	HAS_NODE = 1 << 4,     /* the manifest names one; a generic image is of a role only */
	HAS_BOOT = 1 << 5,     /* image.boot */
};

struct verify_ctx {
	const struct verify_options *options;
	unsigned has;
	struct disk_image image;
	struct listing files;
	json_t *manifest;
	struct strbuf text; /* of the manifest */
	struct records records;
	struct verify_report *report;
	struct verify_line *line; /* of the check that runs: looked, things, skipped are its own to set */
};

struct verify_check {
	const char *name, *proves;
	unsigned needs;
	/* Adds what it finds; negative only when it could not look. */
	int (*run)(struct verify_ctx *x, struct err *e);
};

/* A failure in E becomes a finding of the running check, unless it is a missing tool or Ctrl-C: those come back. */
int found_failure(struct verify_ctx *x, const char *where, struct err *e);
/* A finding of the running check. */
#define found(x, where, ...) finding_add(&(x)->report->findings, (x)->line->name, where, __VA_ARGS__)

#define UNIT_DIR	     "/etc/systemd/system/"

int check_units(struct verify_ctx *x, struct err *e);
int check_modes(struct verify_ctx *x, struct err *e);
int check_secret_files(struct verify_ctx *x, struct err *e);
int check_secret_values(struct verify_ctx *x, struct err *e);

#endif
