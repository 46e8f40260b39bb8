/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder: compressed bytes that are hashed as they are read, and libarchive on top. */
#ifndef ARCHIVE_INTERNAL_H
#define ARCHIVE_INTERNAL_H

#include "archive/archive.h"

enum { INPUT_BUFFER = 1024 * 1024 };

struct input {
	int fd;
	struct growing *growing; /* as in struct decode */
	const char *name;
	struct sha256 sha;
	uint64_t total; /* bytes read and hashed */
	char *buf;
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
	struct err failure; /* of a read inside a library's callback */
};

void input_init(struct input *in, int fd, const char *name);
void input_done(struct input *in);
/* The next bytes, in in->buf; 0 at the end. Checks for signals. */
ssize_t input_read(struct input *in, struct err *e);
/* Hashes what nobody read and ends the digest. */
int input_finish(struct input *in, char sha256[SHA256_HEX], struct err *e);

struct archive;
/* A reader over IN; the caller enables formats and filters before and calls archive_read_open2 through this. */
int input_open_archive(struct input *in, struct archive *a, struct err *e);
/* What libarchive (or the read below it) has to say, as "NAME: ..."; returns a negative errno. */
int input_archive_error(struct input *in, struct archive *a, struct err *e);

#endif
