/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the backups of a cluster lie, looked at from this machine: the place of `backup.to`, by curl or sftp with its
 * own keys, or a folder. Calling sequence:
 *
 *	_cleanup_(backup_place_close) struct backup_place p = { 0 };
 *	r = backup_place_open(&p, config, NULL, e);
 *	r = backup_place_list(&p, &list, e);
 *	r = backup_place_get(&p, list.v[0].name, fd, e);
 */
#ifndef BACKUP_PLACE_H
#define BACKUP_PLACE_H

#include "backup/backup.h"

struct backup_list {
	struct backup_name *v;
	size_t n, cap;
};

struct backup_place_ops;
struct backup_place {
	const struct config *config;
	const struct backup_place_ops *ops;
	const char *dir;    /* a folder in the place of `backup.to`; NULL = none */
	const char *tmp;    /* private, with the keys as files; NULL = none */
	struct strbuf keys; /* what curl reads; wiped by close */
};

/* DIR may be NULL. Class REFUSED for a place that only servers can mount; secrets are read. */
int backup_place_open(struct backup_place *p, const struct config *c, const char *dir, struct err *e);
void backup_place_close(struct backup_place *p);
/* Those that are complete, of the config's cluster, oldest first. */
int backup_place_list(struct backup_place *p, struct backup_list *ret, struct err *e);
/* The file NAME, which is a backup's or its digest's, into FD from its start. Nothing of it is looked at. */
int backup_place_get(struct backup_place *p, const char *name, int fd, struct err *e);

#endif
