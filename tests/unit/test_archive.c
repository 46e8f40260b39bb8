/* SPDX-License-Identifier: Apache-2.0 */
/* Base images to raw, and hostile archives. The compressed inputs come from xz, gzip and zstd; tar files are made here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "check.h"

static char dir[] = "/tmp/test_archive.XXXXXX";
static struct err e;

__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0) {
		printf("Bail out! %s\n", cmd);
		exit(1);
	}
}

static char *in_dir(const char *name)
{
	return path_join(dir, name);
}

/* ---- images ---- */

enum { RAW_SIZE = 6 * 1024 * 1024 + 4096 };

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* A third data, then holes, then data; the last block is odd. */
static void make_raw(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	static char buf[2 * 1024 * 1024];
	uint32_t seed = 7;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(next_random(&seed) % 11);
	if (pwrite_all(fd, buf, sizeof(buf), 0) < 0 || pwrite_all(fd, buf, 4096, RAW_SIZE - 4096) < 0 ||
	    pwrite_all(fd, buf, 4096, 4 * MIB) < 0)
		abort();
}

static struct decode last; /* results of the last decode() */

static int decode(const char *name, struct decode d)
{
	_cleanup_close_ int in = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(in_dir("out.img"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	int r;

	e = (struct err){ 0 };
	d.in = in;
	d.name = name;
	d.outs = &out;
	d.n_outs = 1;
	d.max_size = d.max_size ? d.max_size : 64 * MIB;
	d.memory = d.memory ? d.memory : 160 * MIB;
	r = decode_image(&d, &e);
	last = d;
	return r;
}

static bool same_as_raw(void)
{
	_cleanup_free_ char *cmd = xasprintf("cmp -s %s/raw.img %s/out.img", dir, dir);

	return system(cmd) == 0;
}

static uint64_t allocated(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static const char *digest_of(const char *name)
{
	static char hex[SHA256_HEX];
	_cleanup_close_ int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	struct err ignored;

	return sha256_fd(fd, name, hex, &ignored) < 0 ? "?" : hex;
}

static void check_decodes(const char *name)
{
	CHECK_ERR(decode(name, (struct decode){ .exact_size = RAW_SIZE }), 0);
	CHECK_STR(e.msg, "");
	CHECK(same_as_raw());
	CHECK_INT(last.size, RAW_SIZE);
	CHECK_STR(last.sha256, digest_of(name));
	CHECK(allocated("out.img") < 3 * MIB);
}

static void test_formats(void)
{
	make_raw(in_dir("raw.img"));
	sh("cd %s && xz -k -1 --block-size=262144 -T2 -S .blocks.xz raw.img && xz -k -1 -T1 -S .one.xz raw.img && "
	   "gzip -k raw.img && zstd -q -k raw.img && cp --sparse=always raw.img holes.img",
	   dir);
	CASE("xz of many blocks")
	{
		check_decodes("raw.img.blocks.xz");
	}
	CASE("xz of one block")
	{
		check_decodes("raw.img.one.xz");
	}
	CASE("gzip")
	{
		check_decodes("raw.img.gz");
	}
	CASE("zstd")
	{
		check_decodes("raw.img.zst");
	}
	CASE("a raw image keeps its holes")
	{
		check_decodes("holes.img");
	}
	CASE("a raw image of zeros takes no space and keeps its length")
	{
		sh("truncate -s 5M %s/zero.img", dir);
		CHECK_ERR(decode("zero.img", (struct decode){ 0 }), 0);
		CHECK_INT(last.size, 5 * MIB);
		CHECK_INT(allocated("out.img"), 0);
	}
	CASE("two xz streams with padding between them")
	{
		sh("cd %s && head -c 3000000 raw.img | xz -1 >two.xz && head -c 8 /dev/zero >>two.xz && "
		   "tail -c +3000001 raw.img | xz -1 >>two.xz",
		   dir);
		check_decodes("two.xz");
	}
	CASE("two images at once")
	{
		int outs[] = { open(in_dir("a.img"), O_RDWR | O_CREAT, 0600),
			       open(in_dir("b.img"), O_RDWR | O_CREAT, 0600) };
		_cleanup_close_ int in = open(in_dir("raw.img.one.xz"), O_RDONLY);
		struct decode d = {
			.in = in, .name = "x", .outs = outs, .n_outs = 2, .max_size = 64 * MIB, .memory = 160 * MIB
		};

		CHECK_ERR(decode_image(&d, &e), 0);
		sh("cd %s && cmp a.img raw.img && cmp b.img raw.img", dir);
		close(outs[0]);
		close(outs[1]);
	}
}

static void check_fails(const char *name, struct decode d, int error, const char *words)
{
	CHECK_ERR(decode(name, d), error);
	if (!strstr(e.msg, words))
		CHECK_FAILED("%s: \"%s\" does not say \"%s\"", name, e.msg, words);
	CHECK_STR(last.sha256, digest_of(name)); /* so that the caller can say that the digest is wrong */
}

static void test_damage(void)
{
	static const char *const packed[] = { "raw.img.blocks.xz", "raw.img.one.xz", "raw.img.gz", "raw.img.zst" };

	CASE("truncated anywhere is never taken for whole")
	{
		for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
			struct stat st;

			CHECK(stat(in_dir(packed[i]), &st) == 0);
			for (int k = 1; k < 8; k++) {
				sh("head -c %lld %s/%s >%s/cut", (long long)st.st_size * k / 8, dir, packed[i], dir);
				CHECK(decode("cut", (struct decode){ 0 }) < 0);
			}
			sh("head -c -1 %s/%s >%s/cut", dir, packed[i], dir);
			CHECK(decode("cut", (struct decode){ 0 }) < 0);
		}
	}
	CASE("a truncated xz says so")
	{
		sh("head -c 400000 %s/raw.img.one.xz >%s/cut", dir, dir);
		check_fails("cut", (struct decode){ 0 }, ENODATA, "cut is truncated: it ends after 400000 bytes");
		sh("head -c 400000 %s/raw.img.blocks.xz >%s/cut", dir, dir);
		check_fails("cut", (struct decode){ 0 }, ENODATA, "truncated");
	}
	CASE("a flipped bit is never taken for good data")
	{
		for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
			for (uint32_t k = 0, seed = 3; k < 12; k++) {
				_cleanup_close_ int fd = -1;
				struct stat st;
				char c;
				uint64_t at;

				sh("cp %s/%s %s/bad", dir, packed[i], dir);
				fd = open(in_dir("bad"), O_RDWR);
				fstat(fd, &st);
				at = 12 + next_random(&seed) % (uint64_t)(st.st_size - 12);
				pread_all(fd, &c, 1, at);
				c ^= (char)(1 << k % 8);
				pwrite_all(fd, &c, 1, at);
				if (decode("bad", (struct decode){ 0 }) == 0)
					CHECK(same_as_raw()); /* reserved header bytes: gzip's name, time */
			}
		}
	}
	CASE("damaged xz data is told from a truncated file")
	{
		sh("cp %s/raw.img.one.xz %s/bad && printf XXXXXXXX | dd of=%s/bad bs=1 seek=300000 conv=notrunc "
		   "status=none",
		   dir, dir, dir);
		check_fails("bad", (struct decode){ 0 }, EBADMSG, "bad is corrupt");
	}
	CASE("trailing garbage is refused")
	{
		for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
			sh("(cat %s/%s; echo garbage) >%s/tail", dir, packed[i], dir);
			CHECK_ERR(decode("tail", (struct decode){ 0 }), EBADMSG);
		}
		check_fails("tail", (struct decode){ 0 }, EBADMSG, "tail");
	}
	CASE("files that are no images are named")
	{
		sh("echo 'PK\003\004 and more' >%s/a.zip; echo '<!DOCTYPE html>' >%s/page; : >%s/empty", dir, dir, dir);
		check_fails("a.zip", (struct decode){ 0 }, EINVAL, "a.zip is a zip file");
		check_fails("page", (struct decode){ 0 }, EINVAL, "page is a web page");
		check_fails("empty", (struct decode){ 0 }, ENODATA, "empty is empty");
	}
}

static void test_limits(void)
{
	CASE("a bomb stops at the limit, whatever packed it")
	{
		sh("cd %s && for c in 'xz -1' 'zstd -q' 'gzip -1'; do head -c 200M /dev/zero | $c >bomb.${c%%%% *}; "
		   "done",
		   dir);
		check_fails("bomb.xz", (struct decode){ 0 }, EFBIG,
			    "bomb.xz unpacks to more than the limit of 64.0 MiB");
		check_fails("bomb.zstd", (struct decode){ 0 }, EFBIG, "limit");
		check_fails("bomb.gzip", (struct decode){ 0 }, EFBIG, "limit");
		CHECK_INT(allocated("out.img"), 0);
	}
	CASE("another size than the lock's is a failed verification")
	{
		check_fails("raw.img.gz", (struct decode){ .exact_size = RAW_SIZE - 1 }, EBADMSG, "more than the");
		CHECK_INT(e.class, CLASS_VERIFY);
		check_fails("raw.img.gz", (struct decode){ .exact_size = RAW_SIZE + 1 }, EBADMSG, "the lock states");
		CHECK_INT(e.class, CLASS_VERIFY);
	}
	CASE("an xz that wants too much memory is refused with the amount")
	{
		sh("cd %s && xz -1 --lzma2=dict=512MiB -T1 -c raw.img >greedy.xz", dir);
		check_fails("greedy.xz", (struct decode){ 0 }, ENOMEM,
			    "needs more than the limit of 160.0 MiB of memory");
	}
	CASE("an image packed twice is not unpacked twice")
	{
		sh("cd %s && gzip -c raw.img.gz >twice.gz", dir);
		check_fails("twice.gz", (struct decode){ 0 }, EBADMSG, "compressed more than once");
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	test_formats();
	test_damage();
	test_limits();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
