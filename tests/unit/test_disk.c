/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables made by sfdisk or by hand, read and grown; sfdisk judges the result. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "disk/disk.h"
#include "image/image.h"
#include "shell.h"

static char dir[] = "/tmp/test_disk.XXXXXX", path[64];
static struct err e;

static const char good[] = "label: dos\\nlabel-id: 0x6a2d1f03\\n"
			   "start=8MiB,size=16MiB,type=c,bootable\\nstart=24MiB,size=40MiB,type=83\\n";

static void make(const char *script)
{
	if (sh("rm -f '%s' && truncate -s 64M '%s' && printf '%s' | sfdisk -q --no-tell-kernel '%s' >/dev/null", path,
	       path, script, path) != 0)
		abort();
}

static void poke(uint64_t offset, const void *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_RDWR);

	if (pwrite_all(fd, data, n, offset) < 0)
		abort();
}

/* Entry N (0..3) of the table, as bytes. */
static void entry(unsigned n, uint8_t type, uint32_t start, uint32_t sectors)
{
	uint8_t b[16] = { 0 };

	b[4] = type;
	for (int i = 0; i < 4; i++) {
		b[8 + i] = (uint8_t)(start >> 8 * i);
		b[12 + i] = (uint8_t)(sectors >> 8 * i);
	}
	poke(446 + 16ull * n, b, sizeof(b));
}

static int read_any(struct disk *ret)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open_path(path, false, &c, &e);

	return r < 0 ? r : disk_read(c, ret, &e);
}

static int read_base(struct disk *ret)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open_path(path, false, &c, &e);

	return r < 0 ? r : disk_read_base(c, ret, &e);
}

static int grow(struct disk *d, uint64_t size)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open_path(path, true, &c, &e);

	return r < 0 ? r : disk_grow_last(c, d, size, &e);
}

static void check_refused(const char *words)
{
	struct disk d = { .n = 99 };

	e = (struct err){ 0 };
	CHECK(read_base(&d) < 0);
	if (!strstr(e.msg, words) || !strstr(e.msg, path))
		CHECK_FAILED("\"%s\" does not say \"%s\"", e.msg, words);
	CHECK_INT(d.n, 99); /* no partial result */
}

static void test_reading(void)
{
	struct disk d;

	CASE("the stock layout is described in bytes")
	{
		make(good);
		CHECK_ERR(read_base(&d), 0);
		CHECK_INT(d.id, 0x6a2d1f03);
		CHECK_INT(d.size, 64 * MIB);
		CHECK_INT(d.n, 2);
		CHECK_INT(d.parts[0].start, 8 * MIB);
		CHECK_INT(d.parts[0].size, 16 * MIB);
		CHECK_INT(d.parts[0].type, 0x0c);
		CHECK_INT(d.parts[1].number, 2);
		CHECK_INT(d.parts[1].start, 24 * MIB);
		CHECK_INT(d.parts[1].size, 40 * MIB);
		CHECK_INT(d.parts[1].type, 0x83);
	}
	CASE("a file that cannot be written is read all the same, and reading changes nothing")
	{
		_cleanup_free_ char *before = NULL, *after = NULL;

		make(good);
		chmod(path, 0444);
		CHECK_ERR(file_read(path, 64 * MIB, &before, NULL, &e), 0);
		CHECK_ERR(read_base(&d), 0);
		CHECK_ERR(file_read(path, 64 * MIB, &after, NULL, &e), 0);
		CHECK(memcmp(before, after, 64 * MIB) == 0);
	}
	CASE("a missing file is named")
	{
		unlink(path);
		check_refused("No such file");
	}
}

static void test_layouts(void)
{
	static const struct {
		const char *name, *script, *words;
	} rows[] = {
		{ "GPT is refused", "label: gpt\\nsize=16MiB\\nsize=16MiB\\n", "has a GPT" },
		{ "no partitions at all", "label: dos\\n", "has no partitions" },
		{ "only a boot partition", "label: dos\\nstart=8MiB,size=16MiB,type=c\\n", "no second partition" },
		{ "the first is not FAT",
		  "label: dos\\nstart=8MiB,size=16MiB,type=83\\nstart=24MiB,size=8MiB,type=83\\n", "not the FAT" },
		{ "the second is not Linux",
		  "label: dos\\nstart=8MiB,size=16MiB,type=c\\nstart=24MiB,size=8MiB,type=82\\n", "not of type 83" },
		{ "a third partition",
		  "label: "
		  "dos\\nstart=8MiB,size=16MiB,type=c\\nstart=24MiB,size=8MiB,type=83\\nstart=32MiB,size=8MiB,type="
		  "83\\n",
		  "more than two partitions" },
		{ "root before boot", "label: dos\\nstart=40MiB,size=16MiB,type=c\\nstart=8MiB,size=16MiB,type=83\\n",
		  "does not come last" },
		{ "logical partitions",
		  "label: dos\\nstart=8MiB,size=16MiB,type=c\\nstart=24MiB,size=40MiB,type=5\\n5: "
		  "start=26MiB,size=8MiB,type=83\\n",
		  "extended" },
		{ "a slot left empty",
		  "label: dos\\nstart=8MiB,size=16MiB,type=c\\n3: start=24MiB,size=8MiB,type=83\\n", "not of type 83" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(rows[i].name)
		{
			make(rows[i].script);
			check_refused(rows[i].words);
		}
	}
}

static void test_hostile(void)
{
	CASE("a file of zeros has no table")
	{
		sh("rm -f %s; truncate -s 1M %s", path, path);
		check_refused("has no partition table");
	}
	CASE("the root partition is cut off")
	{
		make(good);
		CHECK_INT(truncate(path, 60 * MIB), 0);
		check_refused("partition 2 ends at byte 67108864, but the file has only 62914560");
	}
	CASE("the size overflows")
	{
		make(good);
		entry(1, 0x83, 49152, UINT32_MAX);
		check_refused("cut off");
	}
	CASE("partitions overlap")
	{
		make(good);
		entry(1, 0x83, 40000, 1000);
		check_refused("overlap");
	}
	CASE("a partition over the table")
	{
		make(good);
		entry(0, 0x0c, 0, 100);
		check_refused("partition 1");
	}
	CASE("a damaged GPT is not taken for an MBR")
	{
		make(good);
		entry(0, 0xee, 1, 131071);
		entry(1, 0, 0, 0);
		check_refused("GPT");
	}
	CASE("an extended partition that points to itself ends at once")
	{
		double start = now_seconds();

		make(good);
		entry(1, 0x05, 49152, 81920);
		poke(24 * MIB + 510, "\x55\xaa", 2);
		poke(24 * MIB + 446 + 4, "\x83", 1);
		poke(24 * MIB + 446 + 8, "\x01\0\0\0\x08\0\0\0", 8);
		poke(24 * MIB + 446 + 16 + 4, "\x05", 1);
		poke(24 * MIB + 446 + 16 + 8, "\0\0\0\0\xff\xff\0\0", 8);
		check_refused(path);
		CHECK(now_seconds() - start < 1);
	}
	CASE("truncated at each sector: an error, and the file is left alone")
	{
		make(good);
		for (int sectors = 34; sectors >= 0; sectors--) {
			struct stat st;

			CHECK_INT(truncate(path, sectors * 512), 0);
			check_refused(path);
			CHECK(stat(path, &st) == 0 && st.st_size == sectors * 512);
		}
	}
	CASE("random tables end in an error or a sane description")
	{
		uint32_t seed = 5;

		make(good);
		for (int i = 0; i < 300; i++) {
			uint8_t junk[64];
			struct disk d;

			for (size_t k = 0; k < sizeof(junk); k++)
				junk[k] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
			poke(446, junk, sizeof(junk));
			if (read_any(&d) == 0)
				for (unsigned k = 0; k < d.n; k++)
					CHECK(d.parts[k].start && d.parts[k].start + d.parts[k].size <= 64 * MIB);
		}
	}
}

static void test_free_ranges(void)
{
	CASE("why nothing is known to be free is told, for whoever knows that it should be")
	{
		_cleanup_(cow_closep) struct cow *c = NULL;
		struct ranges none = { 0 };

		make(good);
		CHECK_ERR(cow_open_path(path, false, &c, &e), 0);
		CHECK_ERR(image_free_ranges(c, &none, &e), EINVAL);
		CHECK(strstr(e.msg, "FAT"));
		poke(510, "\0", 1);
		CHECK_ERR(image_free_ranges(c, &none, &e), EINVAL);
		CHECK(strstr(e.msg, "partition table"));
		CHECK_INT(none.v.n, 0);
	}
}

static void test_growing(void)
{
	CASE("growing changes the size and the CHS hints of the last entry, nothing else")
	{
		_cleanup_free_ char *before = NULL, *after = NULL;
		struct disk d;
		struct stat st;

		e = (struct err){ 0 };
		make(good);
		poke(0, "BOOTCODE", 8);
		CHECK_ERR(file_read(path, 64 * MIB, &before, NULL, &e), 0);
		CHECK_ERR(read_base(&d), 0);
		CHECK_ERR(grow(&d, 100 * MIB), 0);
		CHECK_STR(e.msg, "");
		CHECK_INT(d.parts[1].size, 100 * MIB);
		CHECK_INT(d.size, 124 * MIB);
		CHECK(stat(path, &st) == 0 && st.st_size == 124 * (off_t)MIB);
		CHECK_ERR(file_read(path, 124 * MIB, &after, NULL, &e), 0);
		for (size_t i = 0; i < 64 * MIB; i++) {
			bool chs = (i >= 463 && i < 466) || (i >= 467 && i < 470), size = i >= 474 && i < 478;

			if (before[i] != after[i] && !chs && !size)
				CHECK_FAILED("byte %zu changed", i);
		}
		CHECK_INT(sh("sfdisk --verify %s >/dev/null 2>&1", path), 0);
		CHECK_INT(sh("sfdisk -d %s | grep -q 'start= *49152, size= *204800, type=83$'", path), 0);
		CHECK_INT(sh("sfdisk -d %s | grep -q 'start= *16384, size= *32768, type=c, bootable$'", path), 0);
		CHECK_INT(sh("sfdisk -d %s | grep -q 'label-id: 0x6a2d1f03$'", path), 0);
	}
	CASE("a disk cannot grow beyond what an MBR can say, nor shrink")
	{
		struct disk d;

		make(good);
		CHECK_ERR(read_base(&d), 0);
		CHECK_ERR(grow(&d, 3000 * GIB), EINVAL);
		CHECK_ERR(grow(&d, 20 * MIB), EINVAL);
		CHECK_INT(d.parts[1].size, 40 * MIB);
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/disk.img", dir);
	test_reading();
	test_layouts();
	test_hostile();
	test_growing();
	test_free_ranges();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
