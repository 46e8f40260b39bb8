/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when something is first asked over the network and not when pibuild starts: with the thirty libraries
 * that it needs in its turn it would be the half of the time that a `check` takes. Its functions keep their names and
 * are declared by its own header; libcurl.c passes them on.
 */
#ifndef DOWNLOAD_LIBCURL_H
#define DOWNLOAD_LIBCURL_H

#include "base/err.h"

/* Before any other function of libcurl; again costs nothing. Without the library: CLASS_HOST. */
int libcurl_load(struct err *e);

#endif
