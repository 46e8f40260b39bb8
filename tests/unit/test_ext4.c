/* SPDX-License-Identifier: Apache-2.0 */
/* ext4 filesystems made by mke2fs, 1 MiB into an image, changed by us; judged by e2fsck and debugfs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "crypto/digest.h"
#include "fs/fs.h"
#include "shell.h"

enum { EPOCH = 1700000000 };
static const uint64_t offset = MIB;

static char in_memory[] = "/dev/shm/test_ext4.XXXXXX", on_disk[] = "/tmp/test_ext4.XXXXXX", *dir;
static char image[128];
static struct err e;
static struct ext4 *fs;
static struct cow *cow; /* of what FS is on */
static uint64_t length; /* of the partition */

/* OPTIONS are mke2fs's; the tree at DIR/tree is copied in when it is there. */
static void make(unsigned mib, const char *options)
{
	length = mib * MIB;
	snprintf(image, sizeof(image), "%s/fs.img", dir);
	if (sh("cd %s && rm -f fs.img && truncate -s %uM fs.img && mkdir -p tree && E2FSPROGS_FAKE_TIME=1600000000 "
	       "mke2fs -q "
	       "-F -t ext4 -b 4096 -U 11111111-2222-3333-4444-555555555555 -E "
	       "offset=1048576,hash_seed=11111111-2222-3333-4444-"
	       "555555555555,root_owner=0:0 -L rootfs -d tree %s fs.img %uM 2>/dev/null",
	       dir, mib + 1, options, mib) != 0)
		abort();
	e = (struct err){ 0 };
}

/* The ext4 of the file PATH. */
static int open_at(const char *path, uint64_t n, unsigned flags, int64_t epoch, struct ext4 **ret)
{
	int r;

	cow_closep(&cow);
	cow = NULL;
	r = cow_open_path(path, flags & EXT4_WRITE, &cow, &e);
	return r < 0 ? r : ext4_open(&(struct fs_place){ cow, offset, n, epoch }, flags, ret, &e);
}

static int grow(const char *path, uint64_t n)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open_path(path, true, &c, &e);

	return r < 0 ? r : ext4_grow(&(struct fs_place){ c, offset, length, EPOCH }, n, &e);
}

/* What was changed of C, to the same places of a file of DIR. */
static int give_changes(const struct cow *c, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

	return cow_give_changes(c, fd, name, &e);
}

static int judge(const char *path, uint64_t n)
{
	_cleanup_(cow_closep) struct cow *c = NULL;
	int r = cow_open_path(path, false, &c, &e);

	return r < 0 ? r : ext4_check(&(struct fs_place){ c, offset, n, EPOCH }, &e);
}

static void open_fs(unsigned flags)
{
	e = (struct err){ 0 };
	fs = NULL;
	CHECK_ERR(open_at(image, length, flags, EPOCH, &fs), 0);
	CHECK_STR(e.msg, "");
	if (!fs)
		exit(check_done());
}

/* The strangers: e2fsck, and a debugfs command whose output must hold WORDS. */
static void close_fs(void)
{
	e = (struct err){ 0 };
	CHECK_ERR(ext4_close(fs, &e), 0);
	CHECK_STR(e.msg, "");
	if (sh("e2fsck -fn '%s?offset=%llu' >%s/e2fsck.out 2>&1", image, (unsigned long long)offset, dir) != 0)
		CHECK_FAILED("e2fsck finds faults: %d", sh("cat %s/e2fsck.out", dir));
}

static char *debugfs(const char *command)
{
	_cleanup_free_ char *cmd = xasprintf("debugfs -R '%s' '%s?offset=%llu' 2>&1", command, image,
					     (unsigned long long)offset);
	FILE *p = popen(cmd, "r");
	struct err ignored;
	char *out = NULL;

	if (!p || file_read_fd(fileno(p), cmd, 8 * MIB, &out, NULL, &ignored) < 0)
		abort();
	pclose(p);
	return out;
}

static void check_debugfs(const char *command, const char *words)
{
	_cleanup_free_ char *out = debugfs(command);

	if (!strstr(out, words))
		CHECK_FAILED("debugfs %s does not say \"%s\" but: %s", command, words, out);
}

static void check_dumped(const char *path, const char *sha256)
{
	_cleanup_free_ char *command = xasprintf("dump %s %s/dumped", path, dir);
	_cleanup_free_ _unused_ char *out = debugfs(command);
	_cleanup_free_ char *dumped = xasprintf("%s/dumped", dir);
	_cleanup_close_ int fd = open(dumped, O_RDONLY);
	char hex[SHA256_HEX] = "";

	CHECK_ERR(sha256_fd(fd, dumped, hex, &e), 0);
	CHECK_STR(hex, sha256);
}

static int put_mode(const char *path, const void *data, size_t n, unsigned mode)
{
	struct fs_bytes state;
	struct fs_source src = fs_source_bytes(&state, data, n);

	return ext4_write(fs, path, &(struct fs_meta){ mode, 0, 0 }, &src, &e);
}

static int put(const char *path, const char *text)
{
	return put_mode(path, text, strlen(text), 0644);
}

static void check_content(const char *path, const char *want)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	CHECK_ERR(ext4_read(fs, path, MIB, &b, &e), 0);
	CHECK_STR(b.s, want);
}

/* Endless reproducible bytes, hashed on the way; in odd pieces. */
struct noise {
	uint64_t left;
	uint32_t seed;
	struct sha256 sha;
};

static ssize_t noise_read(void *arg, void *buf, size_t n, struct err *err)
{
	struct noise *z = arg;
	uint32_t *p = buf;

	n = (size_t)MIN(MIN(n, 300000u), z->left);
	for (size_t i = 0; i < n / 4; i++)
		p[i] = z->seed = z->seed * 1664525 + 1013904223;
	if (n % 4)
		memset((char *)buf + n / 4 * 4, 'x', n % 4);
	sha256_update(&z->sha, buf, n);
	z->left -= n;
	return (ssize_t)n;
}

static int put_noise(const char *path, uint64_t size, char sha[SHA256_HEX])
{
	struct noise z = { .left = size, .seed = 1 };
	struct fs_source src = { size, noise_read, &z };
	int r;

	sha256_init(&z.sha);
	r = ext4_write(fs, path, &(struct fs_meta){ 0755, 0, 0 }, &src, &e);
	sha256_final(&z.sha, sha);
	return r;
}

static uint64_t free_blocks(void)
{
	struct ext4_info info;

	ext4_info(fs, &info);
	return info.free_blocks;
}

static void test_writing(void)
{
	char sha[SHA256_HEX];

	CASE("a file has the mode, owner, size, times and content asked for")
	{
		struct fs_bytes state;
		struct fs_source src = fs_source_bytes(&state, "hello\n", 6);

		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(ext4_write(fs, "/etc/rancher/k3s/config.yaml", &(struct fs_meta){ 0600, 70000, 131073 }, &src,
				     &e),
			  0);
		CHECK_ERR(put("/empty", ""), 0);
		close_fs();
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "Type: regular    Mode:  0600");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "User: 70000   Group: 131073");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "Size: 6\n");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "Generation: 0 ");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "ctime: 0x6553f100:00000000");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "mtime: 0x6553f100:00000000");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "atime: 0x6553f100:00000000");
		check_debugfs("stat /etc/rancher/k3s/config.yaml", "crtime: 0x6553f100:00000000");
		check_debugfs("cat /etc/rancher/k3s/config.yaml", "hello\n");
		check_debugfs("stat /etc/rancher", "Type: directory    Mode:  0755");
		check_debugfs("stat /empty", "Size: 0\n");
	}
	CASE("a 100 MB file is whole, contiguous and read back the same")
	{
		char got[SHA256_HEX];

		make(192, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put_noise("/usr/local/bin/k3s", 100000003, sha), 0);
		CHECK_ERR(ext4_digest(fs, "/usr/local/bin/k3s", got, &e), 0);
		CHECK_STR(got, sha);
		close_fs();
		check_dumped("/usr/local/bin/k3s", sha);
		CHECK_INT(sh("test $(debugfs -R 'ex /usr/local/bin/k3s' '%s?offset=1048576' 2>/dev/null | grep -c ' "
			     "0/') -le 3",
			     image),
			  0);
	}
	CASE("a file that gets its blocks alone is whole once they are filled, at its end with zeros")
	{
		struct fs_room room = { 0 };
		const uint64_t size = 5 * MIB + 77;
		const struct fs_source blocks = fs_source_later(&room, size);
		struct noise z = { .left = size, .seed = 1 };
		uint64_t taken = 0;

		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/old", "what lay there"), 0);
		CHECK_ERR(ext4_write(fs, "/usr/local/bin/later", &(struct fs_meta){ 0755, 0, 0 }, &blocks, &e), 0);
		CHECK_ERR(put("/next", "what comes after it"), 0);
		sha256_init(&z.sha);
		vec_foreach (range, &room.v) {
			for (uint64_t at = range->start; at < range->end; at += 4096) {
				char block[4096] = "";

				CHECK_INT(at % 4096, 0);
				if (z.left)
					noise_read(&z, block, sizeof(block), &e);
				CHECK_INT(pwrite_all(cow_file(cow), block, sizeof(block), at), 0);
				taken += sizeof(block);
			}
		}
		sha256_final(&z.sha, sha);
		CHECK_INT(taken, (size + 4095) / 4096 * 4096);
		CHECK_INT(z.left, 0);
		close_fs();
		check_dumped("/usr/local/bin/later", sha);
		check_debugfs("stat /usr/local/bin/later", "Size: 5242957\n");
		check_debugfs("cat /next", "what comes after it");
	}
	CASE("thousands of files, a folder that grows many times")
	{
		make(96, "-N 20000");
		open_fs(EXT4_WRITE);
		for (int i = 0; i < 2500; i++) {
			_cleanup_free_ char *path = xasprintf("/a folder/a rather long name to fill blocks %04d", i);

			CHECK_ERR(put(path, path), 0);
		}
		for (int i = 0; i < 500; i++) {
			_cleanup_free_ char *path = xasprintf("/d%d/e/f", i);

			CHECK_ERR(ext4_mkdir(fs, path, &(struct fs_meta){ 0711, 1, 2 }, &e), 0);
		}
		close_fs();
		check_debugfs("cat \"/a folder/a rather long name to fill blocks 2499\"", "blocks 2499");
		check_debugfs("stat /d499/e/f", "Mode:  0711");
	}
	CASE("links: symbolic of any length, hard, and their counts")
	{
		static const size_t lengths[] = { 1, 57, 59, 60, 61, 434, 2968, 4095 };
		char target[4097];

		memset(target, 't', sizeof(target) - 1);
		target[sizeof(target) - 1] = '\0';
		make(64, "");
		open_fs(EXT4_WRITE);
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			_cleanup_free_ char *path = xasprintf("/link%zu", lengths[i]), *t = strndup(target, lengths[i]);
			_cleanup_strbuf_ struct strbuf b = { 0 };

			CHECK_ERR(ext4_symlink(fs, path, t, &(struct fs_meta){ 0, 5, 6 }, &e), 0);
			CHECK_ERR(ext4_readlink(fs, path, &b, &e), 0);
			CHECK_STR(b.s, t);
		}
		CHECK_ERR(ext4_symlink(fs, "/too-long", target, &(struct fs_meta){ 0 }, &e), EINVAL);
		CHECK_ERR(put("/one", "text"), 0);
		CHECK_ERR(ext4_hardlink(fs, "/deep/two", "/one", &e), 0);
		close_fs();
		check_debugfs("stat /deep/two", "Links: 2 ");
		check_debugfs("stat /link57", "Fast link dest: \"ttt");
		check_debugfs("stat /link2968", "Size: 2968");
		check_debugfs("stat /link1", "User:     5   Group:     6");
	}
	CASE("extended attributes, small and in a block of their own")
	{
		char big[1000];

		memset(big, 'v', sizeof(big));
		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/ping", "x"), 0);
		CHECK_ERR(ext4_set_xattr(fs, "/ping", "security.capability",
					 "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, &e),
			  0);
		CHECK_ERR(ext4_set_xattr(fs, "/ping", "user.big", big, sizeof(big), &e), 0);
		close_fs();
		check_debugfs("ea_list /ping", "security.capability (20)");
		check_debugfs("ea_list /ping", "user.big (1000)");
		open_fs(EXT4_WRITE);
		CHECK_ERR(ext4_remove(fs, "/ping", &e), 0);
		close_fs(); /* the attribute block must be free again */
	}
}

static void test_changing(void)
{
	char sha[SHA256_HEX];

	CASE("replacing frees the old blocks, keeps other names of the old file")
	{
		uint64_t before;

		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put_noise("/big", 20000000, sha), 0);
		before = free_blocks();
		for (int i = 0; i < 5; i++)
			CHECK_ERR(put_noise("/big", 20000000, sha), 0);
		CHECK_INT(free_blocks(), before);
		CHECK_ERR(ext4_hardlink(fs, "/other", "/big", &e), 0);
		CHECK_ERR(put("/big", "small now"), 0);
		close_fs();
		check_dumped("/other", sha);
		check_debugfs("cat /big", "small now");
		check_debugfs("stat /other", "Links: 1 ");
	}
	CASE("bytes of a replaced file stay nowhere")
	{
		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/etc/token", "canary-one-canary-one"), 0);
		close_fs();
		CHECK_INT(sh("grep -q canary-one %s", image), 0);
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/etc/token", "canary-two"), 0);
		CHECK_ERR(put("/etc/once", "canary-three"), 0);
		CHECK_ERR(ext4_remove(fs, "/etc/once", &e), 0);
		close_fs();
		CHECK(sh("grep -q canary-one %s", image) != 0);
		CHECK(sh("grep -q canary-three %s", image) != 0);
		CHECK_INT(sh("test $(grep -aob canary-two %s | wc -l) = 1", image), 0);
	}
	CASE("removing a tree frees all of it; missing is fine")
	{
		struct ext4_info before, after;

		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/keep", "x"), 0);
		ext4_info(fs, &before);
		for (int i = 0; i < 300; i++) {
			_cleanup_free_ char *path = xasprintf("/tree/d%d/some file %d", i % 17, i);

			CHECK_ERR(put(path, path), 0);
		}
		CHECK_ERR(put_noise("/tree/noise", 3000000, sha), 0);
		CHECK_ERR(ext4_hardlink(fs, "/tree/again", "/tree/noise", &e), 0);
		CHECK_ERR(ext4_symlink(fs, "/tree/out", "/keep", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(ext4_remove(fs, "/tree", &e), 0);
		CHECK_ERR(ext4_remove(fs, "/tree", &e), 0);
		CHECK_ERR(ext4_remove(fs, "/never/was/there", &e), 0);
		CHECK_ERR(ext4_remove(fs, "/", &e), EBUSY);
		ext4_info(fs, &after);
		CHECK_INT(after.free_blocks, before.free_blocks);
		CHECK_INT(after.free_inodes, before.free_inodes);
		close_fs();
		check_debugfs("cat /keep", "x");
	}
	CASE("a folder keeps its place in the tree but takes a new mode; files and folders do not replace each other")
	{
		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/d/f", "x"), 0);
		CHECK_ERR(ext4_mkdir(fs, "/d", &(struct fs_meta){ 0700, 0, 0 }, &e), 0);
		CHECK_ERR(put("/d", "x"), EISDIR);
		CHECK_ERR(ext4_mkdir(fs, "/d/f", &(struct fs_meta){ 0700, 0, 0 }, &e), ENOTDIR);
		CHECK_ERR(put("/d/f/g", "x"), ENOTDIR);
		close_fs();
		check_debugfs("stat /d", "Mode:  0700");
	}
}

static int collect(void *arg, const char *path, const struct fs_stat *st, struct err *err)
{
	strbuf_addf(arg, "%s%s ", path, S_ISDIR(st->mode) ? "/" : "");
	return 0;
}

static void test_paths(void)
{
	CASE("links in the image are followed inside the image only")
	{
		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(ext4_mkdir(fs, "/usr/lib", &(struct fs_meta){ 0755, 0, 0 }, &e), 0);
		CHECK_ERR(ext4_symlink(fs, "/lib", "usr/lib", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(ext4_symlink(fs, "/abs", "/usr/lib", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(ext4_symlink(fs, "/out", "../../../../etc", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(put("/lib/one", "1"), 0);
		CHECK_ERR(put("/abs/two", "2"), 0);
		CHECK_ERR(put("/out/passwd", "3"), 0);
		CHECK_ERR(ext4_mkdir(fs, "/lib", &(struct fs_meta){ 0755, 0, 0 }, &e), 0);
		check_content("/usr/lib/one", "1");
		check_content("/usr/lib/two", "2");
		check_content("/etc/passwd", "3");
		close_fs();
		check_debugfs("stat /lib", "Type: symlink");
		CHECK(sh("grep -q '^3$' /etc/passwd") != 0);
	}
	CASE("a link as last part is replaced by a write and followed by a read")
	{
		struct fs_stat st;

		open_fs(EXT4_WRITE);
		CHECK_ERR(put("/real", "real"), 0);
		CHECK_ERR(ext4_symlink(fs, "/alias", "/real", &(struct fs_meta){ 0 }, &e), 0);
		check_content("/alias", "real");
		CHECK_ERR(put("/alias", "own"), 0);
		check_content("/real", "real");
		CHECK_ERR(ext4_stat(fs, "/alias", &st, &e), 0);
		CHECK(S_ISREG(st.mode));
		CHECK_INT(st.mtime, EPOCH);
		close_fs();
	}
	CASE("loops, long names and missing parents are named")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };
		char name[300];

		memset(name, 'n', sizeof(name));
		name[0] = '/';
		name[257] = '\0';
		open_fs(EXT4_WRITE);
		CHECK_ERR(ext4_symlink(fs, "/l1", "l2", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(ext4_symlink(fs, "/l2", "/l1", &(struct fs_meta){ 0 }, &e), 0);
		CHECK_ERR(ext4_read(fs, "/l1", 10, &b, &e), ELOOP);
		CHECK_ERR(put("/l1/x", "x"), ELOOP);
		CHECK_ERR(put(name, "x"), ENAMETOOLONG);
		name[256] = '\0';
		CHECK_ERR(put(name, "x"), 0);
		CHECK_ERR(put("relative", "x"), EINVAL);
		CHECK_ERR(ext4_read(fs, "/no/such", 10, &b, &e), ENOENT);
		CHECK(strstr(e.msg, "/no/such") != NULL);
		CHECK_ERR(ext4_read(fs, "/real", 3, &b, &e), E2BIG);
		CHECK_ERR(ext4_read(fs, "/usr", 3, &b, &e), EISDIR);
		CHECK_INT(b.n, 0);
		e = (struct err){ 0 };
		close_fs();
	}
	CASE("walking tells parents first, by name, and never a link twice")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		make(64, "");
		open_fs(EXT4_WRITE);
		put("/b/z", "");
		put("/b/a/x", "");
		put("/a", "");
		ext4_symlink(fs, "/c", "/b", &(struct fs_meta){ 0 }, &e);
		CHECK_ERR(ext4_walk(fs, "/", collect, &b, &e), 0);
		CHECK_STR(b.s, "/a /b/ /b/a/ /b/a/x /b/z /c /lost+found/ ");
		b.n = 0;
		CHECK_ERR(ext4_walk(fs, "/b", collect, &b, &e), 0);
		CHECK_STR(b.s, "/b/a/ /b/a/x /b/z ");
		ext4_abort(fs);
	}
}

static void test_full(void)
{
	CASE("a full disk is told with the amounts, and nothing is broken")
	{
		char sha[SHA256_HEX];

		make(64, "");
		open_fs(EXT4_WRITE);
		CHECK_ERR(put_noise("/fits", 30000000, sha), 0);
		CHECK_ERR(put_noise("/too-big", 60000000, sha), ENOSPC);
		CHECK(strstr(e.msg, "/too-big: the root filesystem is full: needs 57.4 MiB, has ") != NULL);
		e = (struct err){ 0 };
		close_fs();
	}
	CASE("files of every size until nothing fits")
	{
		int r = 0, n = 0;
		struct ext4_info info;

		make(32, "-N 4000");
		open_fs(EXT4_WRITE);
		for (; r == 0 && n < 4000; n++) {
			_cleanup_free_ char *path = xasprintf("/d%d/f%d", n % 13, n);
			_cleanup_free_ char *data = xcalloc(1, (size_t)(n % 50) * 1000 + 1);

			r = put_mode(path, data, (size_t)(n % 50) * 1000, 0644);
		}
		CHECK_ERR(r, ENOSPC);
		ext4_info(fs, &info);
		CHECK(info.free_blocks < 20);
		e = (struct err){ 0 };
		close_fs();
	}
	CASE("no inodes left")
	{
		int r = 0;

		make(32, "-N 128");
		open_fs(EXT4_WRITE);
		for (int n = 0; r == 0 && n < 4000; n++) {
			_cleanup_free_ char *path = xasprintf("/f%d", n);

			r = put(path, "");
		}
		CHECK_ERR(r, ENOSPC);
		CHECK(strstr(e.msg, "no free inode") != NULL);
		e = (struct err){ 0 };
		close_fs();
	}
	CASE("a fragmented filesystem takes big files in many pieces")
	{
		char sha[SHA256_HEX];

		make(64, "-N 8000");
		open_fs(EXT4_WRITE);
		for (int n = 0; n < 3000; n++) {
			_cleanup_free_ char *path = xasprintf("/f%04d", n);

			CHECK_ERR(put(path, "one block each"), 0);
		}
		for (int n = 0; n < 3000; n += 2) {
			_cleanup_free_ char *path = xasprintf("/f%04d", n);

			CHECK_ERR(ext4_remove(fs, path, &e), 0);
		}
		CHECK_ERR(put_noise("/filler", free_blocks() * 4096 - 6 * MIB, sha), 0);
		CHECK_ERR(put_noise("/pieces", 5 * MIB, sha), 0);
		close_fs();
		check_dumped("/pieces", sha);
	}
	CASE("a source that ends too early is a failure")
	{
		struct fs_bytes state;
		struct fs_source src = fs_source_bytes(&state, "abc", 3);

		make(32, "");
		open_fs(EXT4_WRITE);
		src.size = 10;
		CHECK_ERR(ext4_write(fs, "/x", &(struct fs_meta){ 0644, 0, 0 }, &src, &e), ENODATA);
		ext4_abort(fs);
	}
}

/* Writes, replaces, removes: the same on every kind of filesystem. */
static void exercise(void)
{
	char sha[SHA256_HEX];

	open_fs(EXT4_WRITE);
	for (int i = 0; i < 400; i++) {
		_cleanup_free_ char *path = xasprintf("/%s/many names in one folder %03d", i % 2 ? "many" : "etc", i);

		CHECK_ERR(put(path, path), 0);
	}
	CHECK_ERR(put_noise("/many/noise", 2000000, sha), 0);
	CHECK_ERR(put("/etc/many names in one folder 000", "replaced"), 0);
	CHECK_ERR(put("/etc/small", "replaced"), 0);
	CHECK_ERR(ext4_remove(fs, "/many/many names in one folder 001", &e), 0);
	CHECK_ERR(ext4_symlink(fs, "/etc/long",
			       "a/target/that/is/longer/than/sixty/characters/and/needs/a/block/of/its/own",
			       &(struct fs_meta){ 0 }, &e),
		  0);
	CHECK_ERR(ext4_mkdir(fs, "/etc/sub/sub", &(struct fs_meta){ 0755, 0, 0 }, &e), 0);
	check_content("/etc/small", "replaced");
	close_fs();
	check_dumped("/many/noise", sha);
}

static void test_features(void)
{
	static const struct {
		const char *name, *options;
	} rows[] = {
		{ "with the host's defaults", "" },
		{ "as pi-gen makes it: ^huge_file ^64bit", "-O ^huge_file,^64bit" },
		{ "metadata_csum and 64bit", "-O metadata_csum,64bit" },
		{ "without metadata_csum", "-O ^metadata_csum,uninit_bg" },
		{ "orphan_file", "-O orphan_file" },
		{ "inline_data", "-O inline_data -I 256" },
		{ "inodes of 128 bytes", "-I 128 -O ^metadata_csum" },
		{ "blocks of 1 KiB", "-b 1024" },
		{ "no journal, no dir_index", "-O ^has_journal,^dir_index" },
		{ "large_dir, metadata_csum_seed, sparse_super2",
		  "-O large_dir,metadata_csum_seed,sparse_super2,^resize_inode" },
		{ "meta_bg, flex_bg off", "-O meta_bg,^resize_inode,^flex_bg" },
	};

	sh("cd %s && mkdir -p tree/etc && echo original >tree/etc/small && seq 1500 | sed 's/^/entry with some length "
	   "/' | "
	   "(cd tree/etc && xargs -d '\\n' touch)",
	   dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(rows[i].name)
		{
			make(64, rows[i].options);
			exercise();
		}
	}
	CASE("a folder with an index keeps it right")
	{
		make(64, "-N 20000");
		CHECK_INT(sh("e2fsck -fyD '%s?offset=1048576' >/dev/null 2>&1", image) & ~0x100, 0);
		check_debugfs("stat /etc", "Flags: 0x81000");
		exercise();
		open_fs(EXT4_WRITE);
		for (int i = 0; i < 3000; i++) {
			_cleanup_free_ char *path = xasprintf(
				"/etc/an indexed folder has to split its leaves sometimes %04d", i);

			CHECK_ERR(put(path, ""), 0);
		}
		close_fs();
	}
	sh("rm -rf %s/tree", dir);
}

static void check_refused(int error, const char *words)
{
	struct ext4 *x = NULL;

	e = (struct err){ 0 };
	CHECK_ERR(open_at(image, length, EXT4_READ, EPOCH, &x), error);
	CHECK_ERR(open_at(image, length, EXT4_WRITE, EPOCH, &x), error);
	CHECK(!x);
	if (!strstr(e.msg, words))
		CHECK_FAILED("\"%s\" does not say \"%s\"", e.msg, words);
	ext4_abortp(&x);
}

static void set_super(const char *field, const char *value)
{
	if (sh("debugfs -w -R 'ssv %s %s' '%s?offset=1048576' 2>/dev/null", field, value, image) != 0)
		abort();
}

static void test_refusals(void)
{
	static const struct {
		const char *options, *words;
	} rows[] = {
		{ "-O quota", "tune2fs -O ^quota" },
		{ "-O bigalloc", "bigalloc" },
		{ "-O encrypt", "encrypt" },
		{ "-O casefold", "casefold" },
		{ "-O verity", "verity" },
		{ "-O ea_inode", "ea_inode" },
		{ "-O mmp", "mmp" },
		{ "-O ^extents,^64bit", "not an ext4" },
	};

	CASE("features that cannot be kept right are refused with a cure")
	{
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			make(64, rows[i].options);
			check_refused(EOPNOTSUPP, rows[i].words);
		}
	}
	CASE("a feature nobody knows yet")
	{
		make(64, "");
		set_super("feature_incompat", "0x80002c2");
		check_refused(EOPNOTSUPP, "(incompat 0x8000000)");
	}
	CASE("a journal that needs recovery")
	{
		make(64, "");
		set_super("feature_incompat", "0x2c6");
		check_refused(EOPNOTSUPP, "let `e2fsck -p` replay it");
	}
	CASE("recorded errors, and no clean unmount")
	{
		make(64, "");
		set_super("state", "3");
		check_refused(EUCLEAN, "errors are recorded");
		set_super("state", "0");
		check_refused(EUCLEAN, "not unmounted cleanly");
	}
	CASE("a filesystem that ends past its partition")
	{
		make(64, "");
		length -= 4096;
		check_refused(EUCLEAN, "ends 4096 bytes past its partition");
	}
	CASE("something else, nothing, or damage")
	{
		CHECK_INT(sh("head -c 3M /dev/urandom >%s", image), 0);
		check_refused(EINVAL, "there is no ext4 at byte 1048576");
		CHECK_INT(truncate(image, 100), 0);
		check_refused(EINVAL, "there is no ext4");
		unlink(image);
		check_refused(ENOENT, "No such file");
	}
}

static void test_bytes(void)
{
	CASE("equal input gives equal bytes, whatever the time")
	{
		for (int i = 0; i < 2; i++) {
			make(64, "-O metadata_csum,64bit");
			exercise();
			sh("mv %s %s/%d.img", image, dir, i);
			setenv("TZ", "Asia/Tokyo", 1);
			sleep(1);
		}
		CHECK_INT(sh("cd %s && cmp 0.img 1.img", dir), 0);
	}
	CASE("reading needs no right to write and changes nothing")
	{
		make(64, "");
		sh("cp %s %s/before.img; chmod 0444 %s", image, dir, image);
		open_fs(EXT4_READ);
		CHECK(ext4_exists(fs, "/lost+found"));
		CHECK_ERR(ext4_close(fs, &e), 0);
		CHECK_INT(sh("cmp %s %s/before.img", image, dir), 0);
	}
	CASE("times after 2038")
	{
		struct fs_bytes state;
		struct fs_source src = fs_source_bytes(&state, "x", 1);
		struct fs_stat st;

		make(64, "");
		CHECK_ERR(open_at(image, length, EXT4_WRITE, 4000000000, &fs), 0);
		CHECK_ERR(ext4_write(fs, "/late", &(struct fs_meta){ 0644, 0, 0 }, &src, &e), 0);
		CHECK_ERR(ext4_stat(fs, "/late", &st, &e), 0);
		CHECK_INT(st.mtime, 4000000000);
		close_fs();
		check_debugfs("stat /late", "mtime: 0xee6b2800:00000001");
	}
}

static void test_growing(void)
{
	CASE("grows inside the partition, checked and the same every time")
	{
		for (int i = 0; i < 2; i++) {
			make(64, "");
			CHECK_ERR(grow(image, 300 * MIB), 0);
			CHECK_STR(e.msg, "");
			length = 300 * MIB;
			CHECK_ERR(judge(image, length), 0);
			exercise();
			sh("mv %s %s/%d.img", image, dir, i);
		}
		CHECK_INT(sh("cd %s && cmp 0.img 1.img", dir), 0);
		sh("cp %s/0.img %s", dir, image);
		check_debugfs("stats", "Block count:              76800\n");
	}
	CASE("what it writes is what resize2fs writes to the file itself, and all of it counts as changed")
	{
		static const char *const options[] = { "", "-b 1024", "-b 2048 -O 64bit", "-b 1024 -O ^resize_inode" };

		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			_cleanup_(cow_closep) struct cow *c = NULL;
			const struct fs_place at = { .offset = offset, .length = 64 * MIB, .epoch = EPOCH };
			struct fs_place here = at;

			make(64, options[i]);
			sh("cp %s %s/before.img; cp %s %s/theirs.img", image, dir, image, dir);
			CHECK_INT(sh("E2FSPROGS_FAKE_TIME=%lld resize2fs -f '%s/theirs.img?offset=%llu' 307200K "
				     ">/dev/null 2>&1",
				     (long long)EPOCH, dir, (unsigned long long)offset),
				  0);
			CHECK_ERR(cow_open_path(image, true, &c, &e), 0);
			here.image = c;
			CHECK_ERR(ext4_grow(&here, 300 * MIB, &e), 0);
			CHECK_INT(sh("cd %s && truncate -s %llu theirs.img && cmp %s theirs.img", dir,
				     (unsigned long long)(offset + 300 * MIB), image),
				  0);
			CHECK_ERR(give_changes(c, "before.img"), 0);
			CHECK_INT(sh("cd %s && truncate -s %llu before.img && cmp %s before.img", dir,
				     (unsigned long long)(offset + 300 * MIB), image),
				  0);
			CHECK_STR(e.msg, "");
		}
	}
	CASE("grows what was mounted after its last check")
	{
		make(64, "");
		set_super("mtime", "20300101000000");
		CHECK_ERR(grow(image, 128 * MIB), 0);
		CHECK_STR(e.msg, "");
		CHECK_ERR(judge(image, 128 * MIB), 0);
	}
	CASE("an image with an odd name")
	{
		make(64, "");
		_cleanup_free_ char *odd = xasprintf("%s/odd ?offset=5 @@ name.img", dir);

		rename(image, odd);
		CHECK_ERR(grow(odd, 99 * MIB), 0);
		CHECK_ERR(judge(odd, 99 * MIB), 0);
		CHECK_ERR(open_at(odd, 99 * MIB, EXT4_READ, EPOCH, &fs), 0);
		ext4_abort(fs);
	}
	CASE("checking finds damage, and a filesystem past its end, which e2fsck does not")
	{
		make(64, "");
		CHECK_ERR(judge(image, length - 1), EUCLEAN);
		sh("debugfs -w -R 'clri /lost+found' '%s?offset=1048576' 2>/dev/null", image);
		CHECK_ERR(judge(image, length), EIO);
		CHECK(strstr(e.msg, "e2fsck failed with exit code 4: ") != NULL);
		CHECK(strstr(e.msg, "lost+found") != NULL);
		CHECK(strstr(e.msg, "Pass 1") == NULL);
	}
	CASE("two files are compared to their last byte")
	{
		size_t n = 3 * MIB + 5;
		_cleanup_free_ char *big = xcalloc(n + 1, 1);
		bool same = false;

		make(64, "");
		open_fs(EXT4_WRITE);
		memset(big, 'x', n);
		put("/a", big);
		put("/b", big);
		put("/short", big + 1);
		big[n - 1] = 'y';
		put("/c", big);
		put("/empty", "");
		CHECK_ERR(ext4_equal(fs, "/a", fs, "/b", &same, &e), 0);
		CHECK(same);
		CHECK_ERR(ext4_equal(fs, "/a", fs, "/c", &same, &e), 0);
		CHECK(!same);
		CHECK_ERR(ext4_equal(fs, "/a", fs, "/short", &same, &e), 0);
		CHECK(!same);
		CHECK_ERR(ext4_equal(fs, "/empty", fs, "/empty", &same, &e), 0);
		CHECK(same);
		CHECK_ERR(ext4_equal(fs, "/a", fs, "/gone", &same, &e), ENOENT);
		ext4_abort(fs);
	}
	CASE("the cost of a file covers what it takes")
	{
		for (uint64_t size = 0; size < 9 * MIB; size = size * 3 + 1) {
			uint64_t before;
			char sha[SHA256_HEX];

			make(64, "");
			open_fs(EXT4_WRITE);
			before = free_blocks();
			CHECK_ERR(put_noise("/f", size, sha), 0);
			CHECK((before - free_blocks()) * 4096 <= ext4_cost(size, 4096));
			ext4_abort(fs);
		}
	}
}

int main(void)
{
	dir = mkdtemp(in_memory); /* mke2fs syncs, which a disk makes slow */
	dir = dir ? dir : mkdtemp(on_disk);
	if (!dir)
		return 1;
	test_writing();
	test_changing();
	test_paths();
	test_full();
	test_features();
	test_refusals();
	test_bytes();
	test_growing();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
