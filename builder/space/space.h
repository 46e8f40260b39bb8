/* SPDX-License-Identifier: Apache-2.0 */
/* What of an image nobody needs: the space that its own filesystems call free. The host's holes say nothing here. */
#ifndef SPACE_SPACE_H
#define SPACE_SPACE_H

#include "base/cow.h"

struct range {
	uint64_t start, end; /* bytes */
};
struct ranges {
	VEC(struct range) v;
};

/* Every range whose content matters to nobody, in order, on the arena. A partition we cannot make sense of has nothing
 * free, nor has what lies outside partitions. */
void space_free(struct cow *image, struct ranges *ret);

#endif
