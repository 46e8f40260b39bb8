/* SPDX-License-Identifier: Apache-2.0 */
/* Files on a FAT inside an image, judged by fsck.fat and mtools. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "fs/fs.h"
#include "shell.h"

enum { EPOCH = 1700000000 };

static char dir[] = "/tmp/test_fat.XXXXXX";
static struct err e;
static const char *image;

/* A FAT 1 MiB into the image. */
static void make_as(const char *name, const char *options)
{
	image = path_join(dir, name);
	if (sh("cd %s && rm -f part.img && truncate -s 40M part.img && mkfs.fat %s --invariant -i 5eed5eed -n BOOTFS "
	       "part.img >/dev/null && truncate -s 1M '%s' && cat part.img >>'%s'",
	       dir, options, name, name) != 0)
		abort();
	e = (struct err){ 0 };
}

/* With clusters of one sector, as Raspberry Pi OS has it. */
static void make(const char *name)
{
	make_as(name, "-F 32 -s 1");
}

static int open_at(const char *path, unsigned flags, struct cow **cow, struct fat **ret)
{
	int r = cow_open_path(path, flags & FAT_WRITE, cow, &e);

	return r < 0 ? r : fat_open(&(struct fs_place){ *cow, MIB, 0, EPOCH }, flags, ret, &e);
}

/* By fsck.fat, as pibuild runs it. */
static int judge(void)
{
	_cleanup_(cow_closep) struct cow *cow = NULL;
	int r = cow_open_path(image, false, &cow, &e);

	return r < 0 ? r : fat_check(&(struct fs_place){ cow, MIB, 40 * MIB, EPOCH }, &e);
}

/* Each call opens the image anew: nothing but its bytes is carried on. */
#define ON_FAT(flags, call)                                                                                            \
	({                                                                                                             \
		_cleanup_(cow_closep) struct cow *cow = NULL;                                                          \
		struct fat *fat = NULL;                                                                                \
		int result = open_at(image, flags, &cow, &fat), closed;                                                \
                                                                                                                       \
		if (result == 0) {                                                                                     \
			struct err ignored = { 0 };                                                                    \
			result = (call);                                                                               \
			closed = fat_close(fat, result < 0 ? &ignored : &e);                                           \
			result = result < 0 ? result : closed;                                                         \
		}                                                                                                      \
		result;                                                                                                \
	})

static int put_bytes(const char *path, const void *data, size_t n)
{
	return ON_FAT(FAT_WRITE, fat_write(fat, path, data, n, &e));
}
static int put(const char *path, const char *text)
{
	return put_bytes(path, text, strlen(text));
}
static int get(const char *path, struct strbuf *b)
{
	return ON_FAT(FAT_READ, fat_read(fat, path, 64 * MIB, b, &e));
}
static int list_all(struct fat_entry **list, size_t *n)
{
	return ON_FAT(FAT_READ, fat_list(fat, list, n, &e));
}
static int drop(const char *path)
{
	return ON_FAT(FAT_WRITE, fat_remove(fat, path, &e));
}
static int extract(const char *path, const char *to)
{
	return ON_FAT(FAT_READ, fat_extract(fat, path, to, &e));
}
static int probe(void)
{
	return ON_FAT(FAT_READ, 0);
}

static void check_content(const char *path, const char *want)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	CHECK_ERR(get(path, &b), 0);
	CHECK_STR(b.s, want);
}

static void check_clean(void)
{
	CHECK_INT(sh("cd %s && tail -c +1048577 '%s' >part.img && fsck.fat -n part.img >fsck.out || { cat fsck.out; "
		     "false; }",
		     dir, path_base(image)),
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

		CHECK_ERR(list_all(&list, &n), 0);
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

		CHECK_ERR(drop("overlays"), 0);
		CHECK_ERR(drop("empty"), 0);
		CHECK_ERR(drop("never/was"), 0);
		CHECK_ERR(list_all(&list, &n), 0);
		CHECK_INT(n, 1);
		CHECK_ERR(drop("cmdline.txt"), 0);
		CHECK_ERR(list_all(&list, &n), 0);
		CHECK_INT(n, 0);
		check_clean();
	}
	CASE("a missing file is -ENOENT and named")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		CHECK_ERR(get("config.txt", &b), ENOENT);
		CHECK_STR(e.msg, "boot partition: there is no config.txt");
	}
	CASE("big binary content arrives whole")
	{
		size_t n = 3 * MIB + 17;
		_cleanup_free_ char *data = xmalloc(n);
		_cleanup_strbuf_ struct strbuf b = { 0 };

		for (size_t i = 0; i < n; i++)
			data[i] = (char)(i * 7 + i / 256);
		CHECK_ERR(put_bytes("kernel8.img", data, n), 0);
		CHECK_ERR(get("kernel8.img", &b), 0);
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
		CHECK_ERR(extract("initramfs8", to), 0);
		CHECK_ERR(file_read(to, 100, &text, &n, &e), 0);
		CHECK_STR(text, "cpio");
		CHECK_ERR(extract("missing", to), ENOENT);
		unlink(to);
	}
}

static void test_refusals(void)
{
	CASE("checking finds what fsck.fat finds, and leaves the image alone")
	{
		make("f.img");
		CHECK_ERR(put("one.txt", "1"), 0);
		CHECK_ERR(judge(), 0);
		/* The first FAT begins after 32 reserved sectors; an entry of it that belongs to no file. */
		CHECK_INT(sh("printf '\\377\\377\\377\\017' | dd of='%s' bs=1 seek=%llu conv=notrunc status=none",
			     image, MIB + 32 * 512 + 400),
			  0);
		CHECK_INT(sh("sha256sum <'%s' >%s/before", image, dir), 0);
		CHECK_ERR(judge(), EIO);
		CHECK(strstr(e.msg, "FATs differ") != NULL);
		CHECK(strstr(e.msg, "/proc/") == NULL);
		CHECK_INT(sh("sha256sum <'%s' | cmp - %s/before", image, dir), 0);
	}
	CASE("a folder is not written into, nor read as a file")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		make("b.img");
		CHECK_ERR(put("overlays/x", "x"), 0);
		CHECK_ERR(put("overlays", "x"), EISDIR);
		CHECK_ERR(get("overlays", &b), EISDIR);
		CHECK_ERR(put("overlays/x/y", "x"), ENOTDIR);
		check_content("overlays/x", "x");
	}
	CASE("a full partition is told, nothing is written torn")
	{
		_cleanup_free_ char *data = xcalloc(1, 60 * MIB);

		CHECK_ERR(put_bytes("big", data, 60 * MIB), ENOSPC);
		CHECK(strstr(e.msg, "boot partition: big needs 60.0 MiB, only") != NULL);
		check_clean();
	}
	CASE("names that FAT cannot hold are refused")
	{
		static const char *const bad[] = { "a*", "a?", "a|b",  "a\\b", "a:b", "a\nb", "\xc3\xa4", "",
						   "/a", "a/", "a//b", "../a", "a.",  "a ",   "\"a\"" };

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			CHECK_ERR(put(bad[i], "x"), EINVAL);
	}
	CASE("what is no FAT is told")
	{
		image = path_join(dir, "junk.img");
		for (int i = 0; i < 20; i++) {
			sh("head -c 3M /dev/urandom >%s/junk.img", dir);
			CHECK(probe() < 0);
		}
		sh("truncate -s 0 %s/junk.img; truncate -s 3M %s/junk.img", dir, dir);
		CHECK(probe() < 0);
		CHECK(strstr(e.msg, "junk.img: there is no FAT filesystem at byte 1048576") != NULL);
		sh("cd %s && printf '\\125\\252' | dd of=junk.img bs=1 seek=1049086 conv=notrunc status=none && "
		   "printf '\\353' | dd of=junk.img bs=1 seek=1048576 conv=notrunc status=none",
		   dir);
		CHECK(probe() < 0);
		CHECK(strstr(e.msg,
			     "junk.img: the FAT at byte 1048576 cannot be used: its sectors have not 512 bytes") !=
		      NULL);
		sh(": >%s/junk.img", dir);
		CHECK(probe() < 0);
	}
}

/* ---- against a model, and against mtools ---- */

enum { NAMES = 60, STEPS = 400 };

struct model {
	char *name[NAMES];
	char *data[NAMES];
	size_t n[NAMES];
};

/* Names of every sort: short, long, alike in their first letters, of one case and of both. */
static char *model_name(int i)
{
	switch (i % 7) {
	case 0:
		return arena_printf("FILE%d.TXT", i);
	case 1:
		return arena_printf("file%d.txt", i);
	case 2:
		return arena_printf("File%d.txt", i);
	case 3:
		return arena_printf("a rather long name %d.dtbo", i);
	case 4:
		return arena_printf("longname-alike-%d", i);
	case 5:
		return arena_printf("d/x%d", i);
	default:
		return arena_printf("d/deep er/Another.Long.Name.%d.bin", i);
	}
}

static void model_step(struct model *m, struct fat *fat)
{
	int i = rand() % NAMES;
	size_t n = (size_t)rand() % (rand() % 8 ? 3000 : 300000);

	if (rand() % 4 == 0) {
		CHECK_ERR(fat_remove(fat, m->name[i], &e), 0);
		m->data[i] = NULL;
		return;
	}
	m->data[i] = arena_alloc(n + 1);
	for (size_t k = 0; k < n; k++)
		m->data[i][k] = (char)rand();
	m->n[i] = n;
	CHECK_ERR(fat_write(fat, m->name[i], m->data[i], n, &e), 0);
}

static void model_compare(const struct model *m, const char *folder)
{
	for (int i = 0; i < NAMES; i++) {
		_cleanup_strbuf_ struct strbuf b = { 0 };
		_cleanup_free_ char *text = NULL;
		const char *copy = path_join(folder, m->name[i]);
		size_t n;

		if (!m->data[i]) {
			CHECK_ERR(get(m->name[i], &b), ENOENT);
			CHECK(access(copy, F_OK) < 0);
			continue;
		}
		CHECK_ERR(get(m->name[i], &b), 0);
		CHECK(b.n == m->n[i] && memcmp(b.s, m->data[i], b.n) == 0);
		CHECK_ERR(file_read(copy, MIB, &text, &n, &e), 0);
		CHECK(n == m->n[i] && memcmp(text, m->data[i], n) == 0);
	}
}

static void test_model(void)
{
	static const char *const kinds[] = { "-F 32 -s 1", "-F 16", "-F 32 -s 1 -f 1", "-F 16 -s 8 -r 1024" };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		CASE(arena_printf("a random life reads back, here and by mtools, and fsck.fat is content: mkfs.fat %s",
				  kinds[k]))
		{
			struct model m = { 0 };
			_cleanup_(cow_closep) struct cow *cow = NULL;
			const char *folder = path_join(dir, "all");
			struct fat *fat;

			make_as("model.img", kinds[k]);
			srand((unsigned)k);
			for (int i = 0; i < NAMES; i++)
				m.name[i] = model_name(i);
			CHECK_ERR(open_at(image, FAT_WRITE, &cow, &fat), 0);
			for (int i = 0; i < STEPS; i++) {
				model_step(&m, fat);
				if (i % 100)
					continue;
				CHECK_ERR(fat_close(fat, &e), 0);
				check_clean();
				CHECK_ERR(fat_open(&(struct fs_place){ cow, MIB, 0, EPOCH }, FAT_WRITE, &fat, &e), 0);
			}
			CHECK_ERR(fat_close(fat, &e), 0);
			check_clean();
			CHECK_INT(sh("rm -rf '%s' && mkdir '%s' && mcopy -s -n -i '%s@@1M' '::*' '%s'", folder, folder,
				     image, folder),
				  0);
			model_compare(&m, folder);
		}
	}
	CASE("a folder takes more names than a cluster of it holds, and gives their room back")
	{
		struct fat_entry *list;
		size_t n;
		int failed = 0;

		make("many.img");
		for (int i = 0; i < 300; i++)
			failed += put(arena_printf("overlays/some long overlay %d.dtbo", i), "x") < 0;
		CHECK_INT(failed, 0);
		CHECK_ERR(list_all(&list, &n), 0);
		CHECK_INT(n, 301);
		check_clean();
		for (int i = 0; i < 300; i += 2)
			failed += drop(arena_printf("overlays/some long overlay %d.dtbo", i)) < 0;
		for (int i = 300; i < 450; i++)
			failed += put(arena_printf("overlays/some long overlay %d.dtbo", i), "x") < 0;
		CHECK_INT(failed, 0);
		CHECK_ERR(list_all(&list, &n), 0);
		CHECK_INT(n, 301);
		check_clean();
	}
	CASE("what mtools wrote is read, replaced in any case, and removed")
	{
		make("theirs.img");
		CHECK_INT(sh("cd %s && printf one >x && mmd -i '%s@@1M' ::Overlays && mcopy -i '%s@@1M' x "
			     "'::Overlays/A long "
			     "Name.dtbo' && mcopy -i '%s@@1M' x ::CONFIG.TXT && mattrib -i '%s@@1M' +h +s +r "
			     "::CONFIG.TXT",
			     dir, image, image, image, image),
			  0);
		check_content("overlays/a long name.DTBO", "one");
		check_content("Overlays/ALONGN~1.DTB", "one");
		check_content("config.txt", "one");
		CHECK_ERR(put("Config.txt", "two"), 0);
		check_content("CONFIG.TXT", "two");
		CHECK_ERR(drop("overlays"), 0);
		check_clean();
		CHECK_INT(sh("test \"$(mdir -a -b -i '%s@@1M')\" = '::/CONFIG.TXT'", image), 0);
	}
	CASE("no byte of what was removed or replaced stays behind")
	{
		make("wiped.img");
		CHECK_ERR(put("key.txt", "hunter2 hunter2"), 0);
		CHECK_ERR(put("dir/key.txt", "hunter2 again"), 0);
		CHECK_ERR(put("key.txt", "x"), 0);
		CHECK_ERR(drop("dir"), 0);
		CHECK_INT(sh("! grep -q hunter2 '%s'", image), 0);
	}
}

static void test_damage(void)
{
	static const struct {
		const char *what, *patch, *says;
	} cases[] = {
		/* The root folder is cluster 2; its entry in the FAT lies 8 bytes into it. */
		{ "a folder without end", "\\002\\000\\000\\000' 32 8", "a folder has no end" },
		{ "a chain into free space", "\\000\\000\\000\\000' 32 8", "a chain of clusters leads nowhere" },
		{ "a chain past the end", "\\377\\377\\377\\006' 32 8", "a chain of clusters leads nowhere" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CASE(arena_printf("damage is told, not followed: %s", cases[i].what))
		{
			struct fat_entry *list;
			size_t n;

			make("damaged.img");
			CHECK_ERR(put("one.txt", "1"), 0);
			CHECK_INT(sh("set -- '%s; printf \"$1\" | dd of='%s' bs=1 seek=$((1048576 + $2 * 512 + $3)) "
				     "conv=notrunc "
				     "status=none",
				     cases[i].patch, image),
				  0);
			CHECK_ERR(list_all(&list, &n), EUCLEAN);
			CHECK(strstr(e.msg, cases[i].says) != NULL);
		}
	}
}

static void test_contradictions(void)
{
	CASE("copies of the FAT that differ are read, and not written over")
	{
		struct fat_entry *list;
		size_t n;

		make("contradicts.img");
		CHECK_ERR(put("one.txt", "1"), 0);
		/* Cluster 100 of the first copy alone. */
		CHECK_INT(
			sh("printf '\\377\\377\\377\\017' | dd of='%s' bs=1 seek=$((1048576 + 32 * 512 + 400)) conv=notrunc status=none",
			   image),
			0);
		CHECK_ERR(list_all(&list, &n), 0);
		CHECK_ERR(put("two.txt", "2"), EUCLEAN);
		CHECK(strstr(e.msg, "its copies differ") != NULL);
	}
	CASE("a cluster that belongs to no file, and a file shorter than its clusters, are not written over")
	{
		static const char *const patches[] = { "\\377\\377\\377\\017' 400", "\\005\\000\\000\\000' 12" };

		for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
			make("contradicts.img");
			CHECK_ERR(put("one.txt", "1"), 0);
			CHECK_INT(
				sh("stride=$(od -An -tu4 -j $((1048576 + 36)) -N 4 '%s'); set -- '%s; for copy in 0 1; do printf \"$1\" | "
				   "dd of='%s' bs=1 seek=$((1048576 + (32 + copy * stride) * 512 + $2)) conv=notrunc status=none; done",
				   image, patches[i], image),
				0);
			CHECK_ERR(put("two.txt", "2"), EUCLEAN);
		}
	}
}

static void test_bytes(void)
{
	CASE("the name of the image does not matter")
	{
		make("odd @@7 name?offset=3.img");
		CHECK_ERR(probe(), 0);
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
			drop("overlays/y.dtbo");
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

		chmod(image, 0444);
		CHECK_ERR(list_all(&list, &n), 0);
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
	test_model();
	test_damage();
	test_contradictions();
	test_bytes();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
