/* SPDX-License-Identifier: Apache-2.0 */
#include "lock/lock_report.h"

const char *const version_state_names[VERSION_STATE_COUNT] = {
	[VERSION_KEPT] = "kept",       [VERSION_PINNED] = "pinned", [VERSION_CURRENT] = "current",
	[VERSION_UPDATED] = "updated", [VERSION_HELD] = "held",
};

const char *const lock_change_names[LOCK_CHANGE_COUNT] = {
	[LOCK_KEPT] = "kept",		[LOCK_ADDED] = "added",	    [LOCK_CHANGED] = "changed",
	[LOCK_CONFIRMED] = "confirmed", [LOCK_REMOVED] = "removed", [LOCK_MISSING] = "missing",
	[LOCK_EDITED] = "edited",	[LOCK_UPDATED] = "updated",
};
