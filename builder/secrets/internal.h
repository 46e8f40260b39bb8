/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: text form, new values, the file on disk, git. */
#ifndef SECRETS_INTERNAL_H
#define SECRETS_INTERNAL_H

#include "secrets/secrets.h"

#define ADMIN_COMMON_NAME  "system:admin"
#define ADMIN_ORGANIZATION "system:masters"

/* ---- format.c ---- */

/* Checks all that the file itself can tell; no clock. */
int secrets_parse(const char *path, const char *text, size_t n, struct secrets **ret, struct err *e);
/* The file's text; the caller's: store_forget(). */
char *secrets_text(const struct secrets *s);

/* ---- make.c ---- */

int secrets_make_password(const char **ret, struct err *e);
/* The five CAs, the service account key, and the admin that goes with them; sets `created`. */
int secrets_make_cas(struct secrets *s, struct err *e);
int secrets_make_admin(struct secrets *s, struct err *e);
/* For the zones of certManager. */
int secrets_make_issuer_ca(struct secrets *s, const struct config *c, struct err *e);

/* ---- secrets.c ---- */

struct node_password *secrets_find_node(const struct secrets *s, const char *node);

/* ---- store.c ---- */

/* The file as it is, with mode and owner checked. TEXT is the caller's: store_forget(). */
int store_read(const char *path, char **ret_text, size_t *ret_n, struct err *e);
void store_forget(char **text);
/* Replaces PATH, or the file a symbolic link of that name leads to. */
int store_replace(const char *path, const char *text, size_t n, struct err *e);
/* -EEXIST without a message when something of that name is there. */
int store_add(const char *path, const char *text, size_t n, struct err *e);
/* Waits for the lock of PATH's folder; closing the descriptor gives it back. Class CONFIG: PATH is a pipe, say. */
int store_lock(const char *path, int *ret_fd, struct err *e);

/* What a secrets file holds. */
#define SECRETS_HOLDS "every key of the cluster"

#endif
