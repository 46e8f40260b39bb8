/* SPDX-License-Identifier: Apache-2.0 */
/* What only the files of this folder share. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/kinds.h"

/* Absolute path of TEXT as written in a file of DIR; "~/" is the home folder. */
const char *config_expand_path(const char *dir, const char *text);
/* Behind the message that PATH is not there: a shell would have put something in; "" = nothing to say. */
const char *config_path_hint(const char *path);
/* NULL, or why PATH cannot be read as a file. */
const char *config_file_fault(struct faults *f, const char *path);

/* 0 to 255 without a leading zero, in a pattern. */
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
/* What is wrong with TEXT, which is no IPv4 address or what is made of them, or WORDS. */
const char *kind_address_fault(const char *text, const char *words);

/* Which file describes the cluster. */
struct config_place {
	const char *path; /* as messages name it */
	const char *dir;  /* where relative paths, secrets, lock and overlays start */
	bool from_stdin;
	bool is_default; /* nobody named a file and there is none: the shipped one */
};
/* PATH as in config_load(). Class CONFIG, with the file's name, when there is no cluster.yaml but something that is
 * evidently meant to be it: beside, or in a folder above up to the repository, home or file system. */
int config_locate(const char *path, struct config_place *ret, struct err *e);

#endif
