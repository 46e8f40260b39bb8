/* SPDX-License-Identifier: Apache-2.0 */
/* A finished image read back: partitions, what pibuild put on it and whether it is still so, units, free space. */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include "inspect/files.h"

struct unit_link {
	const char *target, *unit; /* "multi-user.target", "k3s.service" */
};

struct image_report {
	const char *path;
	struct disk disk;
	struct ext4_info root;
	uint64_t boot_free;
	json_t *manifest; /* as on the card; NULL when it is no image of pibuild's */
	struct records records;
	enum record_state *states; /* of records, same order */
	VEC(struct unit_link) units;
	struct text_list undeclared; /* differences from the base that no record speaks of */
};

/* BASE (may be NULL) is the raw image it was built from; differences are then looked for, file by file. */
int image_inspect(const char *path, const char *base, struct image_report *ret, struct err *e);
void image_report_done(struct image_report *r);
json_t *image_report_json(const struct image_report *r);
void image_report_print(const struct image_report *r);
/* Records whose content is not what the manifest says. */
size_t image_report_faults(const struct image_report *r);

#endif
