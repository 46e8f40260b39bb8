/* SPDX-License-Identifier: Apache-2.0 */
/* What e2fsprogs does better: growing and checking. Both work inside a plain file by "?offset=". */
#include "fs/internal.h"

#include <errno.h>

#include "base/proc.h"

enum { SUPERBLOCK_AT = 1024, COMPLAINTS = 900 };

static int read_super(const struct fs_place *at, struct ext2_super_block *ret, struct err *e)
{
	int r = cow_read(at->image, ret, sizeof(*ret), at->offset + SUPERBLOCK_AT);

	if (r < 0)
		return err_errno(e, r, "cannot read %s", cow_name(at->image));
	if (le16toh(ret->s_magic) != EXT2_SUPER_MAGIC || le32toh(ret->s_log_block_size) > 6)
		return err_set(e, -EINVAL, "%s: there is no ext4 at byte %llu", cow_name(at->image),
			       (unsigned long long)at->offset);
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

static int check_end(const struct fs_place *at, uint64_t length, uint64_t at_least, struct err *e)
{
	const char *image = cow_name(at->image);
	struct ext2_super_block s;
	int r = read_super(at, &s, e);

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

/* Runs ARGV, whose program works on PROC_FILE. */
static int run_e2fsprogs(const struct fs_place *at, const char *const *argv, struct strbuf *said, int *code,
			 struct err *e)
{
	return proc_run(&(struct proc){ .argv = argv,
					.file = cow_name(at->image),
					.file_fd = cow_file(at->image),
					.epoch = MAX(at->epoch, 1),
					.output = said,
					.exit_code = code },
			e);
}

int ext4_check(const struct fs_place *at, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)at->offset);
	const char *const argv[] = { "e2fsck", "-fn", where, NULL };
	int code = 0, r = run_e2fsprogs(at, argv, &said, &code, e);

	if (r < 0 && code && said.n)
		return add_complaints(said.s, code, where, cow_name(at->image), e);
	return r < 0 ? r : check_end(at, at->length, 0, e);
}

int ext4_grow(const struct fs_place *at, uint64_t new_length, struct err *e)
{
	_cleanup_free_ char *where = xasprintf(PROC_FILE "?offset=%llu", (unsigned long long)at->offset);
	_cleanup_free_ char *size = xasprintf("%lluK", (unsigned long long)(new_length / 1024));
	/* -f: resize2fs refuses a filesystem that was mounted after its last check; we check it right here. */
	const char *const argv[] = { "resize2fs", "-f", where, size, NULL };
	const struct fs_place grown = { at->image, at->offset, new_length, at->epoch };
	struct ext2_super_block s;
	int r = read_super(at, &s, e);

	if (r < 0 || bytes_of(&s) >= new_length)
		return r;
	/* resize2fs cuts a plain file down to the size of the filesystem when it is done, without counting the offset:
	 * what lies in the last OFFSET bytes would be lost. A file that is not longer than the new filesystem is left
	 * alone. */
	if (cow_size(at->image) > new_length)
		return err_set(e, -EINVAL, "%s: resize2fs would cut the image: grow to %llu bytes or more",
			       cow_name(at->image), (unsigned long long)cow_size(at->image));
	if (le32toh(s.s_lastcheck) < le32toh(s.s_mtime))
		r = ext4_check(&grown, e);
	if (r == 0)
		r = run_e2fsprogs(at, argv, NULL, NULL, e);
	if (r == 0)
		r = cow_resize(at->image, at->offset + new_length, e);
	/* A last group too small for its own tables is left out. */
	return r < 0 ? r : check_end(at, new_length, MAX(bytes_of(&s), new_length - new_length / 8), e);
}
