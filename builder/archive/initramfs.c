/* SPDX-License-Identifier: Apache-2.0 */
/* The names in an initramfs: a cpio archive, compressed or not. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "archive/internal.h"

enum { MAX_ENTRIES = 100000 };
static const int64_t max_unpacked = 2 * GIB;

static int initramfs_open(struct reader *r, struct err *e)
{
	archive_read_support_filter_xz(r->a);
	archive_read_support_filter_lz4(r->a);
	archive_read_support_filter_zstd(r->a);
	archive_read_support_format_cpio(r->a);
	return reader_open(r, e);
}

int initramfs_walk(int fd, const char *name, void (*fn)(void *arg, const char *path), void *arg, struct err *e)
{
	_cleanup_(input_done) struct input in;
	_cleanup_(reader_done) struct reader r;
	struct archive_entry *entry;
	unsigned entries = 0;
	int code;

	input_init(&in, fd, name);
	reader_init(&r, &in);
	code = initramfs_open(&r, e);
	if (code < 0)
		return code;
	while ((code = archive_read_next_header(r.a, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
		const char *path = archive_entry_pathname(entry);

		if (++entries > MAX_ENTRIES || archive_filter_bytes(r.a, 0) > max_unpacked)
			return err_set(e, -EBADMSG, "%s is refused: it unpacks to more than an initramfs holds", name);
		if (path)
			fn(arg, path);
	}
	return code == ARCHIVE_EOF ? 0 : reader_error(&r, e);
}
