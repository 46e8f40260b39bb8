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
	struct gunzip *gunzip; /* of input_open_archive(); NULL = libarchive gets the bytes as they are */
	struct err failure;    /* of a read inside a library's callback */
};

void input_init(struct input *in, int fd, const char *name);
void input_done(struct input *in);
/* The next bytes, in in->buf; 0 at the end. Checks for signals. */
ssize_t input_read(struct input *in, struct err *e);
/* Hashes what nobody read and ends the digest. */
int input_finish(struct input *in, char sha256[SHA256_HEX], struct err *e);

/* Inflates IN, one gzip member after the other; the caller frees. Whatever follows the last one is refused. */
struct gunzip;
struct gunzip *gunzip_new(struct input *in);
/* Up to N bytes; 0 at the end, when each check sum was right. */
ssize_t gunzip_read(struct gunzip *g, void *buf, size_t n, struct err *e);
/* The same into a buffer of its own, which is valid until the next call. */
ssize_t gunzip_block(struct gunzip *g, const void **ret, struct err *e);
void gunzip_free(struct gunzip *g);

struct archive;
/* A reader over IN, which is at its start; the caller enables formats and filters before: gzip is undone here. */
int input_open_archive(struct input *in, struct archive *a, struct err *e);
/* What libarchive (or the read below it) has to say, as "NAME: ..."; returns a negative errno. */
int input_archive_error(struct input *in, struct archive *a, struct err *e);

#endif
