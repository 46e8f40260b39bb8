/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on the host. Everything opens with O_CLOEXEC; sizes and offsets are bytes in uint64_t.
 *
 * Output files, calling sequence:
 *
 *	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
 *	outfile_create(&out, "dir/name.img", 0600, e);	// a nameless or dot-named sibling, 0600
 *	... write to out.fd ...
 *	outfile_publish(&out, e);			// fsync, rename into place, fsync of the folder
 *
 * Released without publish, nothing stands under the final name.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/stat.h>

#include "base/err.h"
#include "base/util.h"

struct outfile {
	int fd;		/* read-write; -1 = none */
	int dir;	/* folder of the target */
	char *path;	/* final path, for messages */
	char *tmp_name; /* name inside dir; NULL once published */
	char *name;
	mode_t mode;
};
/* The versions of clang-format disagree on these braces. */
/* clang-format off */
#define OUTFILE_INIT { .fd = -1, .dir = -1 }
/* clang-format on */

/* PATH may become a file: it is nothing else than one, also behind a link, lies not right in /dev, and has no slash at
 * its end. */
bool outfile_may_be(const char *path);
/* Creates missing parent folders (0777 & ~umask); class REFUSED unless outfile_may_be(). The temporary file is 0600
 * whatever the umask; those that killed runs left for the same target are removed. */
int outfile_create(struct outfile *o, const char *path, mode_t mode, struct err *e);
/* The same for a folder, which is filled by its temporary path, outfile_tmp_path(), and its bytes are the caller's to
 * sync. MODE & ~umask from the start. PATH must be missing when it is published, or an empty folder. */
int outfile_create_folder(struct outfile *o, const char *path, mode_t mode, struct err *e);
/* Removes what killed runs left in DIR, a folder of ours alone, whatever it was to become. */
void outfile_sweep(const char *dir);
/* The temporary file's path, for programs that must open it by name; valid until publish. */
const char *outfile_tmp_path(const struct outfile *o);
int outfile_publish(struct outfile *o, struct err *e);
void outfile_release(struct outfile *o);

/* Writes a whole small file through the sequence above. */
int file_publish(const char *path, const void *data, size_t n, mode_t mode, struct err *e);
/* The same for one of several: its name may be lost with the power until file_publish() of the last in that folder. */
int file_publish_early(const char *path, const void *data, size_t n, mode_t mode, struct err *e);

/* Of an open() that just failed: whose it is, or where a link leads, is told where that is why. Returns -errno. */
int file_cannot_open(const char *path, struct err *e);

/* Reads a whole file of at most LIMIT bytes; BUF is the caller's (free), NUL terminated.
 * -E2BIG when larger. "-" is not special. */
int file_read(const char *path, size_t limit, char **ret_buf, size_t *ret_n, struct err *e);
int file_read_fd(int fd, const char *name, size_t limit, char **ret_buf, size_t *ret_n, struct err *e);

int write_all(int fd, const void *data, size_t n);		     /* 0 or -errno */
int pwrite_all(int fd, const void *data, size_t n, uint64_t offset); /* 0 or -errno */
int pread_all(int fd, void *data, size_t n, uint64_t offset);	     /* 0, -errno, -ENODATA at the end */

/* Of a file that grows, whose fsync() shall find little left to do: bytes BEFORE to AFTER were written. A hint. */
void file_write_behind(int fd, uint64_t before, uint64_t after);

/* The same file for writing around the page cache, at multiples of 4096 bytes; -1 where that cannot be. */
int file_reopen_direct(int fd);

/* mkdir -p with MODE for the folders it makes. */
int make_dirs(const char *path, mode_t mode, struct err *e);

/* There is nothing of that name. What cannot be asked about is there, and so is a link that leads nowhere: whoever
 * opens it is told why not. */
bool file_is_missing(const char *path);
/* 1: there is something of that name, for those who say so themselves; 0: nothing; else why nobody knows. */
int file_ask(const char *path, struct err *e);

/* What is in a folder, sorted, without "." and "..", on the arena. */
int folder_names(const char *path, const char *const **ret, size_t *ret_n, struct err *e);

/* Removes PATH and all below, following no symbolic link; missing is fine. */
int remove_tree(const char *path, struct err *e);

/* A private folder for things that may be large: below $TMPDIR, else /var/tmp, as /tmp may be memory. Named
 * pibuild-WHAT.XXXXXX, on the arena; the caller removes it. Those of killed runs go first. */
int temp_dir(const char *what, const char **ret, struct err *e);
/* A file there that has no name: it is gone when it is closed, however we end. */
int temp_file(int *ret_fd, struct err *e);
/* One in memory that holds N bytes of DATA, at its start, for what reads files only. */
int memory_file(const void *data, size_t n, int *ret_fd, struct err *e);

/* The next range of data of FD in [FROM, END): 0, or -ENXIO when there is none; -EIO where the file was cut off
 * meanwhile. */
int file_next_data(int fd, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

/* True when the N bytes are all zero. */
bool is_zero(const void *data, size_t n);

/* Free bytes a plain user can write on the filesystem that holds PATH (or its nearest parent). */
int free_space(const char *path, uint64_t *ret_bytes, struct err *e);

/* DIR/NAME on the arena; NAME alone when it is absolute. */
char *path_join(const char *dir, const char *name);
/* Folder part of PATH on the arena; "." when there is none. */
char *path_dir(const char *path);
const char *path_base(const char *path);

#endif
