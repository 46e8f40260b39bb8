/* SPDX-License-Identifier: Apache-2.0 */
/* Files on a FAT inside an image, judged by fsck.fat and by mtools run from here. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "fs/fs.h"

enum { EPOCH = 1700000000 };

static char dir[] = "/tmp/test_fat.XXXXXX";
static struct err e;
static struct fat fat;

__attribute__((format(printf, 1, 2))) static int sh(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* A FAT32 with clusters of one sector, as Raspberry Pi OS has it, 1 MiB into the image. */
static void make(const char *name)
{
	fat = (struct fat){ path_join(dir, name), MIB, EPOCH };
	if (sh("cd %s && rm -f part.img && truncate -s 40M part.img && mkfs.fat -F 32 -s 1 --invariant -i 5eed5eed -n "
	       "BOOTFS "
	       "part.img >/dev/null && truncate -s 1M '%s' && cat part.img >>'%s'",
	       dir, name, name) != 0)
		abort();
	e = (struct err){ 0 };
}

static int put(const char *path, const char *text)
{
	return fat_write(&fat, path, text, strlen(text), &e);
}

static void check_content(const char *path, const char *want)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	CHECK_ERR(fat_read(&fat, path, &b, &e), 0);
	CHECK_STR(b.s, want);
}

static void check_clean(void)
{
	CHECK_INT(sh("cd %s && tail -c +1048577 '%s' >part.img && fsck.fat -n part.img >fsck.out || { cat fsck.out; "
		     "false; }",
		     dir, path_base(fat.image)),
		  0);
}

static void test_files(void)
{
	CASE("writes, replaces and reads files, in folders that it makes")
	{
		make("a.img");
		CHECK_ERR(put("cmdline.txt", "console=tty1 root=PARTUUID=x\n"), 0);
		CHECK_ERR(put("overlays/deep er/some-long-name.dtbo", "one"), 0);
		CHECK_ERR(put("overlays/deep er/some-long-name.dtbo", "two and more"), 0);
		CHECK_ERR(put("empty", ""), 0);
		CHECK_STR(e.msg, "");
		check_content("cmdline.txt", "console=tty1 root=PARTUUID=x\n");
		check_content("overlays/deep er/some-long-name.dtbo", "two and more");
		check_content("empty", "");
		check_clean();
		CHECK_INT(sh("cd %s && test \"$(mtype -i part.img ::cmdline.txt)\" = 'console=tty1 root=PARTUUID=x'",
			     dir),
			  0);
	}
	CASE("lists every file and folder with its size")
	{
		struct fat_entry *list;
		size_t n;

		CHECK_ERR(fat_list(&fat, &list, &n, &e), 0);
		CHECK_INT(n, 5);
		CHECK_STR(list[0].path, "cmdline.txt");
		CHECK_INT(list[0].size, 29);
		CHECK_STR(list[1].path, "empty");
		CHECK(list[2].dir && !list[1].dir);
		CHECK_STR(list[3].path, "overlays/deep er");
		CHECK_STR(list[4].path, "overlays/deep er/some-long-name.dtbo");
		CHECK_INT(list[4].size, 12);
	}
	CASE("removes files and whole folders; missing is fine")
	{
		struct fat_entry *list;
		size_t n;

		CHECK_ERR(fat_remove(&fat, "overlays", &e), 0);
		CHECK_ERR(fat_remove(&fat, "empty", &e), 0);
		CHECK_ERR(fat_remove(&fat, "never/was", &e), 0);
		CHECK_ERR(fat_list(&fat, &list, &n, &e), 0);
		CHECK_INT(n, 1);
		CHECK_ERR(fat_remove(&fat, "cmdline.txt", &e), 0);
		CHECK_ERR(fat_list(&fat, &list, &n, &e), 0);
		CHECK_INT(n, 0);
		check_clean();
	}
	CASE("a missing file is -ENOENT and named")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		CHECK_ERR(fat_read(&fat, "config.txt", &b, &e), ENOENT);
		CHECK_STR(e.msg, "boot partition: there is no config.txt");
	}
	CASE("big binary content arrives whole")
	{
		size_t n = 3 * MIB + 17;
		_cleanup_free_ char *data = xmalloc(n);
		_cleanup_strbuf_ struct strbuf b = { 0 };

		for (size_t i = 0; i < n; i++)
			data[i] = (char)(i * 7 + i / 256);
		CHECK_ERR(fat_write(&fat, "kernel8.img", data, n, &e), 0);
		CHECK_ERR(fat_read(&fat, "kernel8.img", &b, &e), 0);
		CHECK(b.n == n && memcmp(b.s, data, n) == 0);
		check_clean();
	}
	CASE("what is too big for memory goes to a file, over an old one")
	{
		_cleanup_free_ char *text = NULL;
		char to[] = "/tmp/test_fat.XXXXXX";
		size_t n;

		close(mkstemp(to));
		CHECK_ERR(put("initramfs8", "cpio"), 0);
		CHECK_ERR(fat_extract(&fat, "initramfs8", to, &e), 0);
		CHECK_ERR(file_read(to, 100, &text, &n, &e), 0);
		CHECK_STR(text, "cpio");
		CHECK_ERR(fat_extract(&fat, "missing", to, &e), ENOENT);
		unlink(to);
	}
}

static void test_refusals(void)
{
	CASE("all of it goes to a folder at once, hidden files and folders too")
	{
		struct fat_entry *list;
		_cleanup_free_ char *text = NULL;
		size_t n, size;
		const char *to = path_join(dir, "all");

		make("f.img");
		CHECK_ERR(put("one.txt", "1"), 0);
		CHECK_ERR(put("deep/er/Two Words.txt", "22"), 0);
		CHECK_INT(sh("mattrib -i '%s@@1048576' +h +s +r ::one.txt && mkdir '%s'", fat.image, to), 0);
		CHECK_ERR(fat_list(&fat, &list, &n, &e), 0);
		CHECK_INT(n, 4);
		CHECK_ERR(fat_extract_all(&fat, list, n, to, &e), 0);
		CHECK_INT(
			sh("cd '%s' && [ \"$(cat one.txt)\" = 1 ] && [ \"$(cat 'deep/er/Two Words.txt')\" = 22 ]", to),
			0);
		list[0].path = arena_strdup("../out");
		CHECK_ERR(fat_extract_all(&fat, list, n, to, &e), EINVAL);
		CHECK_ERR(file_read(path_join(to, "one.txt"), 10, &text, &size, &e), 0);
	}
	CASE("checking finds what fsck.fat finds, and leaves the image alone")
	{
		make("f.img");
		CHECK_ERR(put("one.txt", "1"), 0);
		CHECK_ERR(fat_check(fat.image, fat.offset, 40 * MIB, &e), 0);
		/* The first FAT begins after 32 reserved sectors; an entry of it that belongs to no file. */
		CHECK_INT(sh("printf '\\377\\377\\377\\017' | dd of='%s' bs=1 seek=%llu conv=notrunc status=none",
			     fat.image, MIB + 32 * 512 + 400),
			  0);
		CHECK_INT(sh("sha256sum <'%s' >%s/before", fat.image, dir), 0);
		CHECK_ERR(fat_check(fat.image, fat.offset, 40 * MIB, &e), EIO);
		CHECK(strstr(e.msg, "FATs differ") != NULL);
		CHECK(strstr(e.msg, "/proc/") == NULL);
		CHECK_INT(sh("sha256sum <'%s' | cmp - %s/before", fat.image, dir), 0);
	}
	CASE("a folder is not written into, nor read as a file")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		make("b.img");
		CHECK_ERR(put("overlays/x", "x"), 0);
		CHECK_ERR(put("overlays", "x"), EISDIR);
		CHECK_ERR(fat_read(&fat, "overlays", &b, &e), EISDIR);
		CHECK_ERR(put("overlays/x/y", "x"), ENOTDIR);
		check_content("overlays/x", "x");
	}
	CASE("a full partition is told, nothing is written torn")
	{
		_cleanup_free_ char *data = xcalloc(1, 60 * MIB);

		CHECK_ERR(fat_write(&fat, "big", data, 60 * MIB, &e), ENOSPC);
		CHECK(strstr(e.msg, "boot partition: big needs 60.0 MiB, only") != NULL);
		check_clean();
	}
	CASE("names that mtools would take for patterns, or FAT cannot hold, are refused")
	{
		static const char *const bad[] = { "a*", "a?", "[a]",  "a\\b", "a:b", "a\nb", "\xc3\xa4", "",
						   "/a", "a/", "a//b", "../a", "a.",  "a ",   "\"a\"" };

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			CHECK_ERR(put(bad[i], "x"), EINVAL);
	}
	CASE("what is no FAT is told")
	{
		struct fat junk = { path_join(dir, "junk.img"), MIB, EPOCH };

		for (int i = 0; i < 20; i++) {
			sh("head -c 3M /dev/urandom >%s/junk.img", dir);
			CHECK(fat_probe(&junk, &e) < 0);
		}
		sh("truncate -s 0 %s/junk.img; truncate -s 3M %s/junk.img", dir, dir);
		CHECK(fat_probe(&junk, &e) < 0);
		CHECK(strstr(e.msg, "junk.img: there is no FAT filesystem at byte 1048576") != NULL);
		sh("cd %s && printf '\\125\\252' | dd of=junk.img bs=1 seek=1049086 conv=notrunc status=none && "
		   "printf '\\353' | dd of=junk.img bs=1 seek=1048576 conv=notrunc status=none",
		   dir);
		CHECK(fat_probe(&junk, &e) < 0);
		CHECK(strstr(e.msg, "junk.img: the FAT at byte 1048576 cannot be read") != NULL);
		sh(": >%s/junk.img", dir);
		CHECK(fat_probe(&junk, &e) < 0);
	}
}

static void test_bytes(void)
{
	CASE("the name of the image does not matter")
	{
		make("odd @@7 name?offset=3.img");
		CHECK_ERR(fat_probe(&fat, &e), 0);
		CHECK_ERR(put("config.txt", "arm_64bit=1\n"), 0);
		CHECK_STR(e.msg, "");
		check_content("config.txt", "arm_64bit=1\n");
	}
	CASE("equal input gives equal bytes, whatever zone and umask")
	{
		for (int i = 0; i < 2; i++) {
			setenv("TZ", i ? "Asia/Tokyo" : "America/New_York", 1);
			umask(i ? 0 : 077);
			make(i ? "two.img" : "one.img");
			put("cmdline.txt", "a\n");
			put("overlays/y.dtbo", "b");
			put("cmdline.txt", "c and more\n");
			fat_remove(&fat, "overlays/y.dtbo", &e);
			put("pibuild-status.txt", "d");
			CHECK_STR(e.msg, "");
			if (i == 0)
				sleep(1);
		}
		CHECK_INT(sh("cd %s && cmp one.img two.img", dir), 0);
		check_clean();
		CHECK_INT(
			sh("cd %s && TZ=UTC mdir -i part.img ::pibuild-status.txt | grep -q '2023-11-14  22:13'", dir),
			0);
	}
	CASE("reading needs no right to write")
	{
		struct fat_entry *list;
		size_t n;

		chmod(fat.image, 0444);
		CHECK_ERR(fat_list(&fat, &list, &n, &e), 0);
		CHECK(n > 0);
		check_content("cmdline.txt", "c and more\n");
	}
	CASE("the bytes outside the partition are never touched")
	{
		CHECK_INT(sh("cd %s && test $(head -c 1M two.img | tr -d '\\0' | wc -c) = 0", dir), 0);
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	test_files();
	test_refusals();
	test_bytes();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
