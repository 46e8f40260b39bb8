/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this folder: compressed bytes that are hashed as they are read, gzip and libarchive on top. */
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

/* libarchive over an input that is at its start. The caller enables formats and filters of A before reader_open(): all
 * but gzip, which is undone by the above. */
struct reader {
	struct input *in;
	struct archive *a;
	struct gunzip *gunzip; /* NULL = A gets the bytes as they are */
	struct err failure;    /* of a read inside A's callback */
};
void reader_init(struct reader *r, struct input *in);
void reader_done(struct reader *r);
int reader_open(struct reader *r, struct err *e);
/* What libarchive (or the read below it) has to say, as "NAME: ..."; returns a negative errno. */
int reader_error(const struct reader *r, struct err *e);

#endif
