/* SPDX-License-Identifier: Apache-2.0 */
/* References to container images as charts and people write them. */
#ifndef CONFIG_IMAGE_REF_H
#define CONFIG_IMAGE_REF_H

#include "base/util.h"

struct image_ref {
	const char *name;   /* with its registry: "docker.io/library/busybox" */
	const char *tag;    /* NULL with a digest alone */
	const char *sha256; /* NULL: by tag */
};
/* TEXT as containerd reads it: Docker's registry where none is named, `library` where it has one part, `latest` without
 * tag and digest (distribution/reference, normalize.go). NULL, or why it is no reference. */
const char *image_ref_parse(const char *text, struct image_ref *ret);

#endif
