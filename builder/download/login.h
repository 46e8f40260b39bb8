/* SPDX-License-Identifier: Apache-2.0 */
/* The user's logins to registries, as `skopeo login`, `podman login` and `docker login` keep them. */
#ifndef DOWNLOAD_LOGIN_H
#define DOWNLOAD_LOGIN_H

#include "base/err.h"

struct login {
	const char *authorization; /* "Basic ..." for a header; NULL = there is none */
	const char *file;	   /* that has it */
	const char *why_none;	   /* what to do, for the end of a message */
};
/* Looks in $REGISTRY_AUTH_FILE alone if it is set, else in $XDG_RUNTIME_DIR/containers/auth.json,
 * $XDG_CONFIG_HOME/containers/auth.json and $DOCKER_CONFIG/config.json (~/.docker), for HOST/REPOSITORY, what is above
 * it, then HOST (containers-auth.json(5)). No helper program is run. Class CONFIG when a file is no such file. */
int login_find(const char *host, const char *repository, struct login *ret, struct err *e);

#endif
