/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data folder: boards/, configs/, overlays/ as shipped. $PIBUILD_DATA, else the source tree the program was
 * built in (build/pibuild -> ..), else share/pibuild of the prefix it lies under, else that of the compile.
 */
#ifndef BASE_DATA_H
#define BASE_DATA_H

#include "base/err.h"

/* Absolute path of NAME ("boards", "configs/catalogue.yaml") on the arena. Class HOST when there is no data folder. */
int data_path(const char *name, const char **ret, struct err *e);

#endif
