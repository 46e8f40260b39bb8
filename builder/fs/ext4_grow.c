/* SPDX-License-Identifier: Apache-2.0 */
/* What e2fsprogs does better: growing and checking. Both work inside a plain file by "?offset=". */
#include "fs/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"

enum { SUPERBLOCK_AT = 1024, COMPLAINTS = 900 };

static int read_super(const char *image, uint64_t offset, struct ext2_super_block *ret, struct err *e)
{
	_cleanup_close_ int fd = open(image, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : pread_all(fd, ret, sizeof(*ret), offset + SUPERBLOCK_AT);

	if (r < 0)
		return err_errno(e, r, "cannot read %s", image);
	if (le16toh(ret->s_magic) != EXT2_SUPER_MAGIC || le32toh(ret->s_log_block_size) > 6)
		return err_set(e, -EINVAL, "%s: there is no ext4 at byte %llu", image, (unsigned long long)offset);
	return 0;
}

/* e2fsprogs takes the end of the file for the end of the filesystem, so the arithmetic is ours. */
static uint64_t bytes_of(const struct ext2_super_block *s)
{
	uint64_t blocks = le32toh(s->s_blocks_count);

	if (le32toh(s->s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)le32toh(s->s_blocks_count_hi) << 32;
	return blocks << (10 + le32toh(s->s_log_block_size));
}

static int check_end(const char *image, uint64_t offset, uint64_t length, uint64_t at_least, struct err *e)
{
	struct ext2_super_block s;
	int r = read_super(image, offset, &s, e);

	if (r < 0)
		return r;
	if (bytes_of(&s) > length)
		return err_set(e, -EUCLEAN, "%s: the ext4 ends %llu bytes past its partition", image,
			       (unsigned long long)(bytes_of(&s) - length));
	if (bytes_of(&s) < at_least)
		return err_set(e, -EIO, "%s: resize2fs left the ext4 at %llu bytes, %llu were asked for", image,
			       (unsigned long long)bytes_of(&s), (unsigned long long)length);
	return 0;
}

/* What e2fsck complains of stands on its stdout among headings; its stderr is its version. */
static int add_complaints(char *said, int code, const char *where, const char *image, struct err *e)
{
	static const char *const noise[] = { "Pass ", "********** WARNING", " files (", "cannot proceed with fsck" };
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char *save = NULL;

	for (char *line = strtok_r(said, "\n", &save); line && b.n < COMPLAINTS; line = strtok_r(NULL, "\n", &save)) {
		bool heading = false;

		for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
			heading |= strstr(line, noise[i]) != NULL;
		if (!heading)
			strbuf_addf(&b, "%s%.200s", b.n ? " " : "", line);
	}
	if (b.n)
		err_set(e, e->code, "e2fsck failed with exit code %d: %s", code, b.s);
	return err_rename(e, where, image);
}

int ext4_check(const char *image, uint64_t offset, uint64_t length, int64_t epoch, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)offset);
	const char *const argv[] = { "e2fsck", "-fn", where, NULL };
	int code = 0, r = proc_run(&(struct proc){ .argv = argv,
						   .file = image,
						   .file_read_only = true,
						   .epoch = MAX(epoch, 1),
						   .output = &said,
						   .exit_code = &code },
				   e);

	if (r < 0 && code && said.n)
		return add_complaints(said.s, code, where, image, e);
	return r < 0 ? r : check_end(image, offset, length, 0, e);
}

/* resize2fs cuts a plain file down to the size of the filesystem when it is done, without counting the offset: what
 * lies in the last OFFSET bytes would be lost. A file that is not longer than the new filesystem is left alone. */
static int check_not_cut(const char *image, uint64_t offset, uint64_t new_length, struct err *e)
{
	struct stat st;

	if (stat(image, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", image);
	if ((uint64_t)st.st_size <= new_length)
		return 0;
	return err_set(e, -EINVAL, "%s: resize2fs would cut the image: grow to %llu bytes or more", image,
		       (unsigned long long)st.st_size);
}

static int set_length(const char *image, uint64_t length, struct err *e)
{
	return truncate(image, (off_t)length) < 0 ? err_errno(e, -errno, "cannot size %s", image) : 0;
}

int ext4_grow(const char *image, uint64_t offset, uint64_t new_length, int64_t epoch, struct err *e)
{
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)offset);
	_cleanup_free_ char *size = xasprintf("%lluK", (unsigned long long)(new_length / 1024));
	/* -f: resize2fs refuses a filesystem that was mounted after its last check; we check it right here. */
	const char *const argv[] = { "resize2fs", "-f", where, size, NULL };
	struct ext2_super_block s;
	int r = read_super(image, offset, &s, e);

	if (r < 0 || bytes_of(&s) >= new_length)
		return r;
	r = check_not_cut(image, offset, new_length, e);
	if (r == 0 && le32toh(s.s_lastcheck) < le32toh(s.s_mtime))
		r = ext4_check(image, offset, new_length, epoch, e);
	if (r == 0)
		r = proc_run(&(struct proc){ .argv = argv, .file = image, .epoch = MAX(epoch, 1) }, e);
	if (r == 0)
		r = set_length(image, offset + new_length, e);
	/* A last group too small for its own tables is left out. */
	return r < 0 ? r : check_end(image, offset, new_length, MAX(bytes_of(&s), new_length - new_length / 8), e);
}
