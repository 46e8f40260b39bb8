/* SPDX-License-Identifier: Apache-2.0 */
/* Changes over an image that stay in memory, and which of its bytes a disk needs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/cow.h"
#include "base/file.h"
#include "check.h"
#include "flash/internal.h"
#include "fs/fs.h"
#include "shell.h"

static char dir[] = "/tmp/test_cow.XXXXXX", path[64];
static struct err e;
enum { SIZE = 4 * 1024 * 1024 + 512 };

static struct cow *open_image(void)
{
	struct cow *c = NULL;

	e = (struct err){ 0 };
	if (cow_open(open(path, O_RDONLY | O_CLOEXEC), path, &c, &e) < 0)
		abort();
	return c;
}

/* A model beside it: any mix of writes reads back as from an array. */
static void test_model(void)
{
	CASE("random writes read back as from memory, and the file keeps its bytes")
	{
		unsigned char *model = xmalloc(SIZE), *buf = xmalloc(SIZE), *before = xmalloc(SIZE);
		_cleanup_close_ int fd = -1;
		struct cow *c;

		must_sh("head -c %d /dev/urandom >'%s'", (int)SIZE, path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CHECK(pread_all(fd, before, SIZE, 0) == 0);
		memcpy(model, before, SIZE);
		c = open_image();
		srand(1);
		for (int i = 0; i < 300; i++) {
			uint64_t at = (uint64_t)rand() % SIZE;
			size_t n = (size_t)rand() % (i % 3 ? 600 : 20000);

			n = MIN(n, SIZE - at);
			for (size_t j = 0; j < n; j++)
				buf[j] = (unsigned char)rand();
			CHECK(cow_write(c, buf, n, at) == 0);
			memcpy(model + at, buf, n);
		}
		CHECK(cow_read(c, buf, SIZE, 0) == 0 && memcmp(buf, model, SIZE) == 0);
		CHECK(cow_read(c, buf, 5000, 12345) == 0 && memcmp(buf, model + 12345, 5000) == 0);
		CHECK(pread_all(fd, buf, SIZE, 0) == 0 && memcmp(buf, before, SIZE) == 0);
		cow_close(c);
		free(model);
		free(buf);
		free(before);
	}
	CASE("past the end is an error, for reads and writes")
	{
		struct cow *c = open_image();
		char b[2] = { 0 };

		CHECK(cow_read(c, b, 2, SIZE - 1) == -ENODATA);
		CHECK(cow_write(c, b, 2, SIZE - 1) == -ENOSPC);
		CHECK(cow_write(c, b, 1, SIZE - 1) == 0);
		CHECK(cow_write(c, b, 1, UINT64_MAX) == -ENOSPC);
		cow_close(c);
	}
	CASE("opened direct, changes are in the file, and nothing is kept")
	{
		struct cow *c = open_image();
		char b[5];

		cow_close(c);
		CHECK_ERR(cow_open_path(path, true, &c, &e), 0);
		CHECK(cow_size(c) == SIZE);
		CHECK(cow_write(c, "other", 5, 500001) == 0);
		CHECK(cow_read(c, b, 5, 500001) == 0 && memcmp(b, "other", 5) == 0);
		CHECK(pread_all(cow_file(c), b, 5, 500001) == 0 && memcmp(b, "other", 5) == 0);
		CHECK(cow_write(c, "x", 1, SIZE) == -ENOSPC);
		cow_close(c);
	}
}

struct seen {
	VEC(struct range) v;
};

static int see(void *arg, uint64_t start, uint64_t end)
{
	*vec_push(&((struct seen *)arg)->v) = (struct range){ start, end };
	return 0;
}

static void test_changes(void)
{
	CASE("changed are the blocks that were written, and no others")
	{
		struct seen seen = { 0 };
		struct cow *c = open_image();

		CHECK(cow_write(c, "x", 1, 3 * COW_BLOCK) == 0);
		CHECK(cow_write(c, "xy", 2, 6 * COW_BLOCK - 1) == 0);
		CHECK_INT(cow_changes(c, see, &seen), 0);
		CHECK_INT(seen.v.n, 2);
		CHECK(seen.v.v[0].start == 3 * COW_BLOCK && seen.v.v[0].end == 4 * COW_BLOCK);
		CHECK(seen.v.v[1].start == 5 * COW_BLOCK && seen.v.v[1].end == 7 * COW_BLOCK);
		cow_close(c);
	}
}

static bool covers(const struct range *v, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].start <= at && at < v[i].end)
			return true;
	return false;
}

static void test_holes(void)
{
	CASE("holes are those of the file that nobody wrote into")
	{
		struct seen s = { 0 };
		struct cow *c;

		must_sh("rm -f '%s'; truncate -s 8M '%s'; dd if=/dev/urandom of='%s' bs=1M count=1 seek=2 conv=notrunc "
			"status=none",
			path, path, path);
		c = open_image();
		CHECK(cow_write(c, "x", 1, 5 * MIB) == 0);
		CHECK_ERR(cow_holes(c, see, &s, &e), 0);
		CHECK(s.v.n == 3 && s.v.v[0].start == 0 && s.v.v[0].end == 2 * MIB && s.v.v[1].start == 3 * MIB &&
		      s.v.v[1].end == 5 * MIB && s.v.v[2].start == 5 * MIB + COW_BLOCK && s.v.v[2].end == 8 * MIB);
		cow_close(c);
	}
	CASE("they read as zeros, beside what is there and what was changed, but not when the file is shorter now")
	{
		unsigned char *buf = xmalloc(8 * MIB), *model = xcalloc(1, 8 * MIB);
		struct cow *c = open_image();

		memset(buf, 'r', 8 * MIB);
		CHECK(pread_all(cow_file(c), model + 2 * MIB, MIB, 2 * MIB) == 0 && !is_zero(model + 2 * MIB, MIB));
		CHECK(cow_write(c, "x", 1, 5 * MIB) == 0);
		model[5 * MIB] = 'x';
		CHECK(cow_read(c, buf, 8 * MIB, 0) == 0 && memcmp(buf, model, 8 * MIB) == 0);
		memset(buf, 'r', 8 * MIB);
		CHECK(cow_read(c, buf, 3 * MIB, 2 * MIB + 77) == 0 && memcmp(buf, model + 2 * MIB + 77, 3 * MIB) == 0);
		CHECK(cow_read(c, buf, MIB - 77, 6 * MIB) == 0 && is_zero(buf, MIB - 77));
		must_sh("truncate -s 7M '%s'", path);
		CHECK(cow_read(c, buf, 2 * MIB, 6 * MIB) == -ENODATA);
		CHECK(cow_read(c, buf, MIB, 6 * MIB) == 0);
		cow_close(c);
		free(buf);
		free(model);
	}
}

static void make_fat(const char *options)
{
	must_sh("rm -f '%s'; truncate -s 64M '%s'; mkfs.fat --invariant %s '%s' >/dev/null; printf hello | mcopy -i '%s' - "
		"::a; "
		"head -c 300000 /dev/zero | tr '\\0' x | mcopy -i '%s' - ::b; mmd -i '%s' ::d; mcopy -i '%s' ::b ::d/c; "
		"mdel -i '%s' ::b",
		path, path, options, path, path, path, path, path, path);
}

static int free_of(struct cow *c, uint64_t offset, struct seen *s)
{
	const struct fs_place at = { .image = c, .offset = offset };
	struct fat *f;
	int r = fat_open(&at, FAT_READ, &f, &e);

	if (r < 0)
		return r;
	r = fat_free_ranges(f, see, s);
	fat_abort(f);
	return r;
}

/* What a FAT calls free may hold anything: fsck.fat and mtools do not mind. */
static void test_fat(void)
{
	static const char *const kinds[] = { "-F 16", "-F 32", "-F 32 -s 1", "-F 16 -s 8 -f 1", "-F 32 -R 64" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CASE(arena_printf("free clusters of a FAT really are: mkfs.fat %s", kinds[i]))
		{
			struct seen s = { 0 };
			struct cow *c;
			uint64_t sum = 0;
			_cleanup_close_ int fd = -1;
			char *junk = memset(xmalloc(MIB), 0xee, MIB);

			make_fat(kinds[i]);
			c = open_image();
			CHECK_ERR(free_of(c, 0, &s), 0);
			fd = open(path, O_RDWR | O_CLOEXEC);
			vec_foreach (r, &s.v) {
				sum += r->end - r->start;
				CHECK(r->end <= cow_size(c));
				for (uint64_t at = r->start; at < r->end; at += MIB)
					CHECK(pwrite_all(fd, junk, (size_t)MIN(MIB, r->end - at), at) == 0);
			}
			CHECK(sum > 60 * MIB && sum < 64 * MIB);
			CHECK(system(arena_printf(
				      "fsck.fat -n '%s' >/dev/null && [ \"$(mtype -i '%s' ::a)\" = hello ] && "
				      "mtype -i '%s' ::d/c | tr -d x | wc -c | grep -qx 0",
				      path, path, path)) == 0);
			free(junk);
			cow_close(c);
		}
	}
	CASE("what is no FAT, or one that contradicts itself, has no free clusters")
	{
		struct seen s = { 0 };
		struct cow *c;

		make_fat("-F 32");
		must_sh("printf '\\377\\377\\377\\177' | dd of='%s' bs=1 seek=32 conv=notrunc status=none", path);
		c = open_image();
		CHECK_ERR(free_of(c, 0, &s), EINVAL);
		CHECK_ERR(free_of(c, MIB, &s), EINVAL);
		CHECK(s.v.n == 0);
		cow_close(c);
	}
}

static void test_ranges(void)
{
	CASE("an image without a partition table is needed whole")
	{
		struct flash_source s = { .name = path, .fd = -1 };
		struct ranges r;

		must_sh("rm -f '%s'; truncate -s 8M '%s'", path, path);
		s.image = open_image();
		s.size = 8 * MIB;
		CHECK_ERR(source_ranges(&s, &r, &e), 0);
		CHECK(r.v.n == 1 && r.v.v[0].start == 0 && r.v.v[0].end == 8 * MIB);
		source_close(&s);
	}
	CASE("holes that ext4 uses are needed, holes it calls free are not")
	{
		struct flash_source s = { .name = path, .fd = -1 };
		struct ranges r;
		struct seen free_blocks = { 0 };
		struct ext4 *fs;
		size_t n = 0;

		must_sh("rm -f '%s'; truncate -s 65M '%s'; printf 'start=2048,type=83\\n' | sfdisk -q --no-reread '%s' && "
			"mke2fs -q -t ext4 -E offset=1048576,root_owner=0:0 '%s' 64M 2>/dev/null",
			path, path, path, path);
		s.image = open_image();
		s.size = 65 * MIB;
		CHECK_ERR(ext4_open(&(struct fs_place){ s.image, MIB, 64 * MIB, 1 }, EXT4_READ, &fs, &e), 0);
		CHECK_ERR(ext4_free_ranges(fs, see, &free_blocks, &e), 0);
		ext4_abort(fs);
		CHECK_ERR(source_ranges(&s, &r, &e), 0);
		CHECK(covers(r.v.v, r.v.n, 0) && covers(r.v.v, r.v.n, MIB + 1024));
		for (uint64_t at = 0; at < 64 * MIB; at += COW_BLOCK) {
			bool needed = covers(r.v.v, r.v.n, MIB + at);

			if (!covers(free_blocks.v.v, free_blocks.v.n, at))
				CHECK(needed);
			n += !needed;
		}
		CHECK(n * COW_BLOCK > 32 * MIB);
		source_close(&s);
	}
}

static void test_pieces(void)
{
	static const struct {
		const char *name;
		uint64_t image, disk, tail, tail_n; /* tail_n 0 = none */
	} cases[] = {
		{ "a disk much larger", 4 * MIB, 64 * MIB, 63 * MIB, MIB },
		{ "a disk as large as the image", 4 * MIB, 4 * MIB, 0, 0 },
		{ "half a MiB behind the image", 4 * MIB, 4 * MIB + MIB / 2, 4 * MIB, MIB / 2 },
		{ "a disk of odd sectors", 4 * MIB, 64 * MIB + 512, 63 * MIB + 4096, MIB - 3584 },
		{ "an image of odd sectors", 4 * MIB + 512, 4 * MIB + 8192, 4 * MIB + 4096, 4096 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CASE(arena_printf("pieces: %s", cases[i].name))
		{
			struct ranges r = { 0 };
			struct pieces p;
			uint64_t at = 0;

			*vec_push(&r.v) = (struct range){ 0, MIB + 4096 };
			*vec_push(&r.v) = (struct range){ 2 * MIB - 4096, cases[i].image };
			pieces_cut(&r, cases[i].image, cases[i].disk, &p);
			CHECK(p.n > 2 && p.v[0].offset == 0 && p.v[0].n == PIECE);
			for (size_t j = 0; j < p.n; j++) {
				CHECK(p.v[j].n > 0 && p.v[j].n <= PIECE && p.v[j].offset >= at);
				CHECK(p.v[j].tail || p.v[j].offset / PIECE == (p.v[j].offset + p.v[j].n - 1) / PIECE);
				at = p.v[j].offset + p.v[j].n;
			}
			CHECK(p.v[p.n - 1].tail == (cases[i].tail_n > 0));
			if (cases[i].tail_n)
				CHECK(p.v[p.n - 1].offset == cases[i].tail && p.v[p.n - 1].n == cases[i].tail_n);
		}
	}
}

int main(void)
{
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/image", dir);
	setenv("PATH", arena_printf("%s:/usr/sbin:/sbin", getenv("PATH")), 1);
	test_model();
	test_holes();
	test_changes();
	test_fat();
	test_ranges();
	test_pieces();
	remove_tree(dir, &e);
	r = check_done(); /* names of cases lie on the arena */
	arena_done();
	return r;
}
