/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams and archives. The only folder that includes liblzma, libzstd, ISA-L and libarchive.
 *
 * decode_image(): a base image (.img, .xz, .gz, .zst, told by its first bytes) to sparse raw. The compressed bytes
 * are hashed on the way in the same pass; xz with several blocks is decoded by all cores. Zero blocks are not written.
 *
 * encode_image(): the other way. An .xz takes over what its base's .xz has compressed already.
 *
 * member_*: one file of a .tar.gz/.tgz/.tar as a stream, and unpack_walk(): every entry below a folder of it. The
 * archive's own digest is computed over all its bytes, so the caller can compare it after the last read.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/codec.h"
#include "base/err.h"
#include "base/growing.h"
#include "base/util.h"
#include "base/writer.h"
#include "crypto/digest.h"

/* More is no image of a card, but a bomb or a slip. */
#define LARGEST_IMAGE (1024 * GIB)

struct decode {
	int in;			 /* compressed file, at its start */
	struct growing *growing; /* IN, while it still comes; NULL = all of it is there */
	const char *name;	 /* for messages */
	const int *outs; /* new empty files; each gets the image, through base/writer.h: the bytes pass by once */
	unsigned n_outs;
	const struct image_watch *watch; /* of files: sees the image; NULL = nobody */
	writer_fn write;		 /* instead of files: gets the image in order, zeros too, from another thread */
	void *write_arg;
	uint64_t max_size;   /* refuse to write more than this; 0 = LARGEST_IMAGE */
	uint64_t exact_size; /* 0, or what the lock promises */
	uint64_t memory;     /* bytes the decoder may use; 0 = 160 MiB, enough for xz -9 by two cores */
	void (*progress)(void *arg, uint64_t compressed_bytes);
	void *progress_arg;
	/* results */
	char sha256[SHA256_HEX]; /* of the compressed bytes */
	uint64_t size;		 /* of the raw image; every file has this length */
};
int decode_image(struct decode *d, struct err *e);
/* Whether the bytes of D are the image itself; refuses by name what decode_image() would refuse. */
int decode_is_raw(const struct decode *d, bool *ret, struct err *e);

/* ---- the other way ---- */

/* Rows of base/codec.h that are written too. */
enum encode_kind { ENCODE_XZ = CODEC_XZ, ENCODE_ZST = CODEC_ZSTD, ENCODE_KIND_COUNT };
/* "xz", "zst": the suffix without its dot. */
static inline const char *encode_name(enum encode_kind kind)
{
	return codecs[kind].suffix + 1;
}

/* The file that the image's base came from. Of an .xz, the blocks that are the same in the image are taken over. */
struct encode_base {
	int fd;
	bool (*same)(void *arg, uint64_t start, uint64_t end); /* the image has these bytes of the base unchanged */
	void *arg;
	char sha256[SHA256_HEX]; /* result: what was read, to be compared; "" = it was not needed */
};

/* A raw image, read once and in order, to a compressed file that is written once. All cores work; the bytes do not
 * depend on how many there are. Takes some 50 MiB of memory per core, at most 210 MiB. */
struct encode {
	enum encode_kind kind;
	struct encode_base *base; /* NULL = none to take anything from */
	int out;		  /* new empty file */
	const char *name;
	uint64_t size; /* of the raw image */
	/* All N bytes; 0 or a negative errno. Called from another thread. */
	int (*read)(void *arg, void *buf, size_t n, uint64_t offset);
	void *read_arg;
	void (*progress)(void *arg, uint64_t raw_bytes);
	void *progress_arg;
	/* results */
	char raw_sha256[SHA256_HEX], sha256[SHA256_HEX];
};
int encode_image(struct encode *x, struct err *e);

/* An image file for reading; a compressed one as a file without a name in $TMPDIR (else /var/tmp), unpacked. Class
 * USAGE when PATH is no file. */
int image_file_open(const char *path, int *ret_fd, struct err *e);

struct member; /* open archive, positioned at one file */
/* -ENOENT with a message that lists some names when there is no such member; refuses anything but a regular file. */
int member_open(int fd, const char *archive_name, const char *member, struct member **ret, struct err *e);
uint64_t member_size(const struct member *m);
/* Up to N bytes; 0 at the end of the member. */
ssize_t member_read(struct member *m, void *buf, size_t n, struct err *e);
/* Reads the rest of the archive and gives its digest. */
int member_digest(struct member *m, char sha256[SHA256_HEX], struct err *e);
void member_close(struct member *m);
static inline void member_closep(struct member **m)
{
	if (*m)
		member_close(*m);
}

/* For every entry below BELOW in the archive, in its order: path relative to BELOW ("templates/x.yaml"), never
 * absolute, never with "..", plain ASCII, never twice, never behind a link of the archive. Regular files, directories
 * and symbolic links that stay in the sub-tree; the rest (hard links, devices, sparse files) is refused. M reads the
 * content of a regular file. At the end SHA256 is the digest of the whole archive. At most 10,000 entries, 1 GiB, those
 * outside BELOW counted. */
struct unpack_entry {
	const char *path;
	bool dir;
	const char *symlink; /* target, or NULL */
	unsigned mode;	     /* permission bits, no setuid */
	uint64_t size;
};
typedef int (*unpack_fn)(void *arg, const struct unpack_entry *u, struct member *m, struct err *e);
int unpack_walk(int fd, const char *archive_name, const char *below, unpack_fn fn, void *arg, char sha256[SHA256_HEX],
		struct err *e);

/* Every entry of a plain tar that we had made ourselves, in its order: nothing of it is refused, strings are valid
 * during the call. T is the argument of tar_read(), which gives the content of a file. */
enum tar_type { TAR_FILE, TAR_DIR, TAR_SYMLINK, TAR_HARDLINK, TAR_OTHER };
#define TAR_CAPABILITY "security.capability"
struct tar_entry {
	enum tar_type type;
	const char *path;   /* absolute */
	const char *target; /* of links; a hard link's is absolute */
	unsigned mode, uid, gid;
	uint64_t size;
	const void *capability; /* the attribute of that name; NULL = none */
	size_t capability_n;
};
struct tar;
typedef int (*tar_fn)(void *arg, const struct tar_entry *entry, struct tar *t, struct err *e);
int tar_walk(int fd, const char *name, tar_fn fn, void *arg, struct err *e);
ssize_t tar_read(void *t, void *buf, size_t n, struct err *e); /* 0 at the end of the file */

/* A plain tar in memory, for tar(1) on another machine: files by names of ASCII, mode 0600. The caller clears and frees
 * OUT. */
struct tar_file {
	const char *name;
	const void *bytes;
	size_t n;
};
int tar_pack(const struct tar_file *files, size_t n, struct strbuf *out, struct err *e);

/* The path of everything in an initramfs, in its order; only the first of several that are put together. */
int initramfs_walk(int fd, const char *name, void (*fn)(void *arg, const char *path), void *arg, struct err *e);

#endif
