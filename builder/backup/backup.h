/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups of a cluster's state, as servers make them (overlays/control-plane/usr/lib/pibuild/backup): two files each,
 *
 *	homelab_cp-1_20261129T030000Z_v1.36.4-k3s1_etcd.gz		cluster, node, time, version of K3s, datastore
 *	homelab_cp-1_20261129T030000Z_v1.36.4-k3s1_etcd.gz.sha256	comments, then "DIGEST  NAME"
 *
 * The second one says what the first is, also when that has another name here. A backup without it is none: it was
 * never complete.
 */
#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include "config/config.h"
#include "crypto/digest.h"

#define BACKUP_DIGEST_SUFFIX ".sha256"

struct backup_name {
	const char *name; /* the whole of it */
	const char *cluster, *node;
	const char *version;   /* "v1.36.4+k3s1" */
	const char *datastore; /* "sqlite" or "etcd" */
	int64_t time;	       /* seconds since 1970, when it was begun */
};
/* False when TEXT is not the name of a backup. Strings on the arena. */
bool backup_name_parse(const char *text, struct backup_name *ret);

struct backup {
	const char *path; /* absolute */
	uint64_t size;
	struct backup_name is;
	char sha256[SHA256_HEX];
	const char *ca;	   /* digest of the cluster's CA; "" = not told */
	const char *about; /* the text of the digest file */
};

enum { BACKUP_ABOUT_LIMIT = 4096 }; /* bytes of a digest file */
/* What the text of a digest file says, for messages by NAME. Class VERIFY when it is none. */
int backup_about_parse(const char *text, const char *name, struct backup *ret, struct err *e);
/* FILE and its digest file, compared. Class VERIFY when they do not fit or one is missing. */
int backup_open(const char *file, struct backup *ret, struct err *e);
/* Whether C, with this version of K3s and this CA, can be made of it. Class REFUSED with the reason. */
int backup_check_fits(const struct backup *b, const struct config *c, const char *k3s, const char *ca_hash,
		      struct err *e);

/* Appends VALUE as it stands within double quotes of a file that curl reads with -K (curl(1), --config). */
void backup_curl_text(struct strbuf *out, const char *value, size_t n);

#endif
