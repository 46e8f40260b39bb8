/* SPDX-License-Identifier: Apache-2.0 */
/* Container images as one file: an OCI layout in a tar, as containerd imports it. */
#ifndef OCI_IMAGE_ARCHIVE_H
#define OCI_IMAGE_ARCHIVE_H

#include "cache/cache.h"

struct image_archive;

/* Reads the index and the manifest of each image; the blobs are opened when their turn comes. The bytes depend on the
 * digests and names of IMAGES alone. */
int image_archive_open(const struct cache *c, const struct images *images, struct image_archive **ret, struct err *e);
/* Known before any blob is read. */
uint64_t image_archive_size(const struct image_archive *a);
/* The next bytes; ARG is the archive. Every blob is hashed on its way: one that is damaged is evicted, class VERIFY. */
ssize_t image_archive_read(void *arg, void *buf, size_t n, struct err *e);
void image_archive_close(struct image_archive *a);
static inline void image_archive_closep(struct image_archive **a)
{
	if (*a)
		image_archive_close(*a);
}

#endif
