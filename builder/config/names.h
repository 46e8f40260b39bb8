/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that must exist on the card or in the world: lists in configs/names, made from the packages of Debian 13 by
 * scripts/make-names, from the sources of K3s and others by scripts/make-k3s-keys, and from those of OpenSSH.
 */
#ifndef CONFIG_NAMES_H
#define CONFIG_NAMES_H

#include "base/err.h"
#include "base/util.h"

enum name_list {
	NAMES_TIMEZONES,
	NAMES_LOCALES,
	NAMES_KEYBOARDS,
	NAMES_COUNTRIES,
	NAMES_DOMAINS,
	NAMES_K3S_KEYS,
	NAMES_KUBELET_KEYS,
	NAMES_FEATURE_GATES,
	NAMES_SSHD_KEYWORDS,
	NAME_LIST_COUNT
};

struct name {
	const char *name;
	const char *instead; /* what stands behind it in its line, NULL = nothing: see the head of the list */
};

/* *RET is NULL when NAME is not in the list. Negative when the list cannot be read. */
int names_find(enum name_list list, const char *name, const struct name **ret, struct err *e);
/* All of them, in the order of the list. */
int names_all(enum name_list list, const struct name **ret, size_t *ret_n, struct err *e);
/* The name of the list that was most likely meant, as typed in other letters, mistyped, or without what stands before
 * its last '/'; NULL = none. The list was read before. */
const char *names_nearest(enum name_list list, const char *name);
/* Where a person can look all of them up. */
const char *names_path(enum name_list list);

/* Boards there are, sorted: the files of boards/. */
int board_names(const char *const **ret, size_t *ret_n, struct err *e);

#endif
