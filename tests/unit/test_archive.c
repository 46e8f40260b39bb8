/* SPDX-License-Identifier: Apache-2.0 */
/* Base images to raw, and hostile archives. The compressed inputs come from xz, gzip and zstd; tar files are made here.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "check.h"
#include "shell.h"

static char in_memory[] = "/dev/shm/test_archive.XXXXXX", on_disk[] = "/tmp/test_archive.XXXXXX", *dir;
static struct err e;

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
	must_sh("cd %s && xz -k -1 --block-size=262144 -T2 -S .blocks.xz raw.img && xz -k -1 -T1 -S .one.xz raw.img && "
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
		must_sh("truncate -s 5M %s/zero.img", dir);
		CHECK_ERR(decode("zero.img", (struct decode){ 0 }), 0);
		CHECK_INT(last.size, 5 * MIB);
		CHECK_INT(allocated("out.img"), 0);
	}
	CASE("two xz streams with padding between them")
	{
		must_sh("cd %s && head -c 3000000 raw.img | xz -1 >two.xz && head -c 8 /dev/zero >>two.xz && "
			"tail -c +3000001 raw.img | xz -1 >>two.xz",
			dir);
		check_decodes("two.xz");
	}
	CASE("two gzip members, one after the other")
	{
		must_sh("cd %s && head -c 3000001 raw.img | gzip >two.gz && tail -c +3000002 raw.img | gzip >>two.gz",
			dir);
		check_decodes("two.gz");
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
		must_sh("cd %s && cmp a.img raw.img && cmp b.img raw.img", dir);
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
				must_sh("head -c %lld %s/%s >%s/cut", (long long)st.st_size * k / 8, dir, packed[i],
					dir);
				CHECK(decode("cut", (struct decode){ 0 }) < 0);
			}
			must_sh("head -c -1 %s/%s >%s/cut", dir, packed[i], dir);
			CHECK(decode("cut", (struct decode){ 0 }) < 0);
		}
	}
	CASE("a truncated xz says so")
	{
		must_sh("head -c 400000 %s/raw.img.one.xz >%s/cut", dir, dir);
		check_fails("cut", (struct decode){ 0 }, ENODATA, "cut is truncated: it ends after 400000 bytes");
		must_sh("head -c 400000 %s/raw.img.blocks.xz >%s/cut", dir, dir);
		check_fails("cut", (struct decode){ 0 }, ENODATA, "truncated");
	}
	CASE("a gzip that is cut, goes on with something else, or has another check sum, says so")
	{
		must_sh("cd %s && head -c 4000 raw.img.gz >cut && head -c -8 raw.img.gz >bad && printf 12345678 >>bad && "
			"cp raw.img.gz more && printf x >>more",
			dir);
		check_fails("cut", (struct decode){ 0 }, ENODATA, "cut is truncated: it ends after 4000 bytes");
		check_fails("bad", (struct decode){ 0 }, EBADMSG, "bad is corrupt: its check sum does not match");
		check_fails("more", (struct decode){ 0 }, EBADMSG, "more has something after the end of its gzip data");
	}
	CASE("a flipped bit is never taken for good data")
	{
		for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
			for (uint32_t k = 0, seed = 3; k < 12; k++) {
				_cleanup_close_ int fd = -1;
				struct stat st;
				char c;
				uint64_t at;

				must_sh("cp %s/%s %s/bad", dir, packed[i], dir);
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
		must_sh("cp %s/raw.img.one.xz %s/bad && printf XXXXXXXX | dd of=%s/bad bs=1 seek=300000 conv=notrunc "
			"status=none",
			dir, dir, dir);
		check_fails("bad", (struct decode){ 0 }, EBADMSG, "bad is corrupt");
	}
	CASE("trailing garbage is refused")
	{
		for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
			must_sh("(cat %s/%s; echo garbage) >%s/tail", dir, packed[i], dir);
			CHECK_ERR(decode("tail", (struct decode){ 0 }), EBADMSG);
		}
		check_fails("tail", (struct decode){ 0 }, EBADMSG, "tail");
	}
	CASE("files that are no images are named")
	{
		must_sh("echo 'PK\003\004 and more' >%s/a.zip; echo '<!DOCTYPE html>' >%s/page; : >%s/empty", dir, dir,
			dir);
		check_fails("a.zip", (struct decode){ 0 }, EINVAL, "a.zip is a zip file");
		check_fails("page", (struct decode){ 0 }, EINVAL, "page is a web page");
		check_fails("empty", (struct decode){ 0 }, ENODATA, "empty is empty");
	}
}

/* ---- the other way ---- */

static int read_file(void *fd, void *buf, size_t n, uint64_t offset)
{
	return pread_all(*(int *)fd, buf, n, offset);
}

/* The image has 'X' in its third quarter of a MiB. */
static bool unchanged(void *arg, uint64_t start, uint64_t end)
{
	++*(unsigned *)arg;
	return end <= 512 * KIB || start >= 768 * KIB;
}

/* The image NAME as RET, from the base BASE. */
static struct encode encode(const char *name, const char *base, const char *ret)
{
	static struct encode_base from;
	static unsigned asked;
	_cleanup_close_ int in = open(in_dir(name), O_RDONLY | O_CLOEXEC),
			    fd = open(in_dir(base), O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(in_dir(ret), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat st;
	struct encode x = {
		.kind = ENCODE_XZ, .base = &from, .out = out, .name = ret, .read = read_file, .read_arg = &in
	};

	from = (struct encode_base){ .fd = fd, .same = unchanged, .arg = &asked };
	CHECK_INT(fstat(in, &st), 0);
	x.size = (uint64_t)st.st_size;
	e = (struct err){ 0 };
	CHECK_ERR(encode_image(&x, &e), 0);
	CHECK_STR(e.msg, "");
	CHECK_STR(x.sha256, digest_of(ret));
	CHECK_STR(x.raw_sha256, digest_of(name));
	must_sh("cd %s && xz -t -T2 %s && xz -dc %s | cmp - %s", dir, ret, ret, name);
	return x;
}

static void test_encode(void)
{
	must_sh("cd %s && head -c 1536k /dev/urandom >base.img && { cat base.img; head -c 9M /dev/zero; } >new.img && "
		"printf X | dd of=new.img bs=1 seek=600000 conv=notrunc status=none && "
		"xz -k -0 --check=sha256 --block-size=256KiB -T2 base.img && cat base.img.xz base.img.xz >two.xz && xz -k -0 -T1 "
		"new.img",
		dir);
	CASE("blocks of the base that are the same are taken over as they are, and the layout is the base's")
	{
		struct encode x = encode("new.img", "base.img.xz", "taken.xz");

		CHECK_STR(x.base->sha256, digest_of("base.img.xz"));
		/* header and the first two blocks; and the same check for all */
		must_sh("cd %s && head -c 500000 taken.xz | cmp - base.img.xz 2>&1 | grep -q EOF", dir);
		must_sh("cd %s && xz -lvv taken.xz | grep -c 'SHA-256 ' >/dev/null", dir);
		/* six of the base, one of them ours; nine MiB in two */
		must_sh("cd %s && test $(xz --robot -lvv taken.xz | grep -c '^block') -eq 8", dir);
	}
	CASE("an .xz of several streams, or none at all, gives nothing; the result is the same")
	{
		CHECK_STR(encode("new.img", "two.xz", "plain.xz").base->sha256, "");
		CHECK_STR(encode("new.img", "base.img", "again.xz").base->sha256, "");
		must_sh("cd %s && cmp plain.xz again.xz && test $(xz --robot -lvv plain.xz | grep -c '^block') -eq 2",
			dir);
	}
	CASE("a block that ends past the image is not taken")
	{
		CHECK_STR(encode("base.img", "new.img.xz", "short.xz").base->sha256, "");
	}
	CASE("a base that cannot be read is no base that has nothing to give")
	{
		_cleanup_close_ int in = open(in_dir("new.img"), O_RDONLY | O_CLOEXEC),
				    fd = open(in_dir("base.img.xz"), O_WRONLY | O_CLOEXEC);
		_cleanup_close_ int out = open(in_dir("none.xz"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		struct encode_base from = { .fd = fd, .same = unchanged };
		struct encode x = { .kind = ENCODE_XZ,
				    .base = &from,
				    .out = out,
				    .name = "none.xz",
				    .size = 10 * MIB,
				    .read = read_file,
				    .read_arg = &in };

		CHECK_ERR(encode_image(&x, &e), EBADF);
		CHECK_STR(e.msg, "cannot read the base: Bad file descriptor");
	}
	CASE("a full disk is told, whoever writes")
	{
		_cleanup_close_ int in = open(in_dir("new.img"), O_RDWR | O_CLOEXEC),
				    fd = open(in_dir("base.img.xz"), O_RDWR | O_CLOEXEC);
		_cleanup_close_ int out = open("/dev/full", O_RDWR | O_CLOEXEC);
		unsigned asked = 0;
		struct encode_base from = { .fd = fd, .same = unchanged, .arg = &asked };
		struct encode x = { .kind = ENCODE_XZ,
				    .base = &from,
				    .out = out,
				    .name = "full",
				    .size = 10 * MIB,
				    .read = read_file,
				    .read_arg = &in };

		CHECK_ERR(encode_image(&x, &e), ENOSPC);
		CHECK_STR(e.msg, "cannot write full: No space left on device");
	}
}

static void test_limits(void)
{
	CASE("a bomb stops at the limit, whatever packed it")
	{
		must_sh("cd %s && for c in 'xz -0' 'zstd -q' 'gzip -1'; do head -c 80M /dev/zero | $c >bomb.${c%%%% *}; "
			"done",
			dir);
		check_fails("bomb.xz", (struct decode){ 0 }, E2BIG,
			    "bomb.xz unpacks to more than the limit of 64.0 MiB");
		check_fails("bomb.zstd", (struct decode){ 0 }, E2BIG, "limit");
		check_fails("bomb.gzip", (struct decode){ 0 }, E2BIG, "limit");
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
		must_sh("cd %s && head -c 100000 raw.img | xz -T1 --lzma2=dict=192MiB,mode=fast,mf=hc3 >greedy.xz",
			dir);
		check_fails("greedy.xz", (struct decode){ 0 }, ENOMEM,
			    "needs more than the limit of 160.0 MiB of memory");
	}
	CASE("an image packed twice is not unpacked twice")
	{
		must_sh("cd %s && gzip -c raw.img.gz >twice.gz", dir);
		check_fails("twice.gz", (struct decode){ 0 }, EBADMSG, "compressed more than once");
	}
}

/* ---- archives ---- */

static struct strbuf tar;

/* One ustar entry (POSIX 1003.1): 512 bytes of octal text, then the content in blocks of 512. */
static void add_entry(const char *name, size_t name_n, char type, const char *link, unsigned mode, const char *size,
		      const char *content)
{
	char h[512] = { 0 }, pad[512] = { 0 };
	unsigned sum = 0;

	memcpy(h, name, MIN(name_n, 100u));
	snprintf(h + 100, 8, "%07o", mode);
	memcpy(h + 108, "0000000\0000000000", 16);
	snprintf(h + 124, 12, "%011o", (unsigned)strlen(content));
	if (size)
		memcpy(h + 124, size, 12);
	memcpy(h + 136, "14524770400", 12);
	memset(h + 148, ' ', 8);
	h[156] = type;
	memcpy(h + 157, link, MIN(strlen(link), 100u));
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	strbuf_add(&tar, h, sizeof(h));
	strbuf_adds(&tar, content);
	strbuf_add(&tar, pad, (512 - strlen(content) % 512) % 512);
}

static void add(const char *name, char type, const char *link, const char *content)
{
	add_entry(name, strlen(name), type, link, 0644, NULL, content);
}

static void add_file(const char *name, const char *content)
{
	add(name, '0', "", content);
}

/* "LENGTH KEY=VALUE", the length counting itself. */
static void add_record(struct strbuf *b, const char *key, const char *value)
{
	size_t n = strlen(key) + strlen(value) + 3, all = n + 1;

	while (all != n + (size_t)snprintf(NULL, 0, "%zu", all))
		all++;
	strbuf_addf(b, "%zu %s=%s\n", all, key, value);
}

/* A pax header, for what ustar cannot say. */
static void add_pax(const char *key, const char *value)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	add_record(&b, key, value);
	add("PaxHeader", 'x', "", b.s);
}

static int archive(const char *name)
{
	static const char end[1024];
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	strbuf_add(&tar, end, sizeof(end));
	if (pwrite_all(fd, tar.s, tar.n, 0) < 0)
		abort();
	strbuf_done(&tar);
	e = (struct err){ 0 };
	return fd;
}

static int list_one(void *arg, const struct unpack_entry *u, struct member *m, struct err *err)
{
	char buf[64] = "";

	if (!u->dir && !u->symlink && member_read(m, buf, sizeof(buf) - 1, err) < 0)
		return err->code;
	strbuf_addf(arg, "%s%s%s%s %o %s|", u->path, u->dir ? "/" : "", u->symlink ? "->" : "",
		    u->symlink ? u->symlink : "", u->mode, buf);
	return 0;
}

static int unpack(const char *name, const char *below, struct strbuf *out, char sha[SHA256_HEX])
{
	_cleanup_close_ int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);

	e = (struct err){ 0 };
	return unpack_walk(fd, name, below, list_one, out, sha, &e);
}

static void test_members(void)
{
	char sha[SHA256_HEX];

	add("./", '5', "", "");
	add("./README", '0', "", "read me");
	add_file("./linux-arm64/helm", "the program");
	add("./linux-arm64/link", '2', "helm", "");
	close(archive("helm.tar"));
	must_sh("cd %s && gzip -k helm.tar && zstd -q -k helm.tar && xz -k helm.tar", dir);
	CASE("a member of a tar, plain or packed, with the digest of the whole archive")
	{
		static const char *const names[] = { "helm.tar", "helm.tar.gz", "helm.tar.zst", "helm.tar.xz" };

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			_cleanup_(member_closep) struct member *m = NULL;
			_cleanup_close_ int fd = open(in_dir(names[i]), O_RDONLY | O_CLOEXEC);
			char buf[64] = "";

			CHECK_ERR(member_open(fd, names[i], "linux-arm64/helm", &m, &e), 0);
			CHECK_INT(member_size(m), 11);
			CHECK_INT(member_read(m, buf, 4, &e), 4);
			CHECK_INT(member_read(m, buf + 4, sizeof(buf) - 4, &e), 7);
			CHECK_STR(buf, "the program");
			CHECK_INT(member_read(m, buf, sizeof(buf), &e), 0);
			CHECK_ERR(member_digest(m, sha, &e), 0);
			CHECK_STR(sha, digest_of(names[i]));
		}
	}
	CASE("a missing member, with what there is instead")
	{
		_cleanup_close_ int fd = open(in_dir("helm.tar.gz"), O_RDONLY | O_CLOEXEC);
		struct member *m = NULL;

		CHECK_ERR(member_open(fd, "helm.tar.gz", "cilium", &m, &e), ENOENT);
		CHECK(strstr(e.msg, "helm.tar.gz holds no cilium; it has ") && strstr(e.msg, "linux-arm64/helm"));
	}
	CASE("only a regular file can be a member")
	{
		_cleanup_close_ int fd = open(in_dir("helm.tar"), O_RDONLY | O_CLOEXEC);
		struct member *m = NULL;

		CHECK_ERR(member_open(fd, "helm.tar", "linux-arm64/link", &m, &e), EBADMSG);
		CHECK(strstr(e.msg, "no regular file") != NULL);
	}
	CASE("what is no archive, or a truncated one")
	{
		_cleanup_close_ int zip = open(in_dir("a.zip"), O_RDONLY), cut = -1;
		struct member *m = NULL;

		CHECK_ERR(member_open(zip, "a.zip", "x", &m, &e), EBADMSG);
		must_sh("cd %s && head -c -20 helm.tar.gz >cut.tar.gz", dir);
		cut = open(in_dir("cut.tar.gz"), O_RDONLY);
		CHECK_ERR(member_open(cut, "cut.tar.gz", "nothing", &m, &e), ENODATA);
		CHECK(starts_with(e.msg, "cut.tar.gz is truncated: it ends after "));
	}
}

static void test_unpacking(void)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	char sha[SHA256_HEX];

	CASE("a sub-tree comes in its order, relative, without setuid")
	{
		add_file("outside", "no");
		add("cilium/", '5', "", "");
		add("cilium/templates", '5', "", "");
		add_entry("cilium/templates/a.yaml", 23, '0', "", 06755, NULL, "aaa");
		add("cilium/link", '2', "templates/a.yaml", "");
		add("cilium/templates/up", '2', "../link", "");
		add_file("cilium-not/x", "no");
		close(archive("chart.tar"));
		CHECK_ERR(unpack("chart.tar", "cilium", &out, sha), 0);
		CHECK_STR(e.msg, "");
		CHECK_STR(out.s, "templates/ 644 |templates/a.yaml 755 aaa|link->templates/a.yaml 644 |"
				 "templates/up->../link 644 |");
		CHECK_STR(sha, digest_of("chart.tar"));
	}
	CASE("a sub-tree that is not there")
	{
		CHECK_ERR(unpack("chart.tar", "cert-manager", &out, sha), ENOENT);
	}
}

static void check_hostile(const char *words)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	char sha[SHA256_HEX];

	close(archive("hostile.tar"));
	CHECK_ERR(unpack("hostile.tar", "c", &out, sha), EBADMSG);
	if (!strstr(e.msg, words))
		CHECK_FAILED("\"%s\" does not say \"%s\"", e.msg, words);
}

static void test_hostile(void)
{
	static const struct {
		const char *what, *name;
		char type;
		const char *link, *words;
	} rows[] = {
		{ "climbing", "c/../../etc/passwd", '0', "", "climbs" },
		{ "climbing at once", "../x", '0', "", "climbs" },
		{ "climbing inside", "c/a/../b", '0', "", "climbs" },
		{ "absolute", "/etc/passwd", '0', "", "absolute" },
		{ "control characters", "c/a\nb", '0', "", "odd characters" },
		{ "an escape sequence", "c/\033[2J", '0', "", "odd characters" },
		{ "not UTF-8", "c/\xff\xfe", '0', "", "odd characters" },
		{ "a character device", "c/null", '3', "", "special file" },
		{ "a block device", "c/sda", '4', "", "special file" },
		{ "a FIFO", "c/fifo", '6', "", "special file" },
		{ "a hard link", "c/hard", '1', "c/file", "hard link" },
		{ "a hard link to outside", "c/hard", '1', "../../etc/passwd", "hard link" },
		{ "a link to an absolute path", "c/l", '2', "/etc", "leads out" },
		{ "a link that climbs out", "c/l", '2', "../x", "leads out" },
		{ "a link that climbs out from below", "c/a/b/l", '2', "../../../x", "leads out" },
		{ "a link that climbs after going down", "c/a/l", '2', "b/../../..", "leads out" },
		{ "a link that might climb through another", "c/a/l", '2', "b/..", "leads out" },
		{ "a link with control characters", "c/l", '2', "a\tb", "leads out" },
		{ "an empty link", "c/l", '2', "", "leads out" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(rows[i].what)
		{
			add_file("c/file", "fine");
			add(rows[i].name, rows[i].type, rows[i].link, "");
			check_hostile(rows[i].words);
		}
	}
	CASE("a link, then a file through it")
	{
		add("c/dir", '2', "other", "");
		add_file("c/dir/x", "x");
		check_hostile("behind a file or link of its own");
	}
	CASE("a file, then a file below it")
	{
		add_file("c/f", "x");
		add_file("c/f/x", "x");
		check_hostile("behind");
	}
	CASE("a folder, then a link in its place")
	{
		add_file("c/d/x", "x");
		add("c/d", '2', "other", "");
		check_hostile("twice");
	}
	CASE("the same file twice")
	{
		add_file("c/x", "one");
		add_file("./c//x", "two");
		check_hostile("x is in it twice");
	}
	CASE("a size that cannot be")
	{
		add_entry("c/huge", 6, '0', "", 0644, "77777777777", "x");
		check_hostile("more than 1 GiB");
		add_entry("c/huge", 6, '0', "", 0644, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "x");
		check_hostile("hostile.tar");
		add_entry("c/huge", 6, '0', "", 0644, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "x");
		check_hostile("hostile.tar");
		add_pax("size", "9223372036854775807");
		add_file("c/huge", "x");
		check_hostile("hostile.tar");
	}
	CASE("a name by pax that ustar would hide")
	{
		add_pax("path", "../../../etc/cron.d/x");
		add_file("c/innocent", "x");
		check_hostile("climbs");
		add_pax("linkpath", "/etc/shadow");
		add("c/innocent", '2', "file", "");
		check_hostile("leads out");
	}
	CASE("a path longer than any release has, and one 10,000 deep")
	{
		_cleanup_free_ char *path = xcalloc(1, 20001);

		path[0] = 'c';
		for (size_t i = 1; i < 20000; i++)
			path[i] = i % 2 ? '/' : 'd';
		add_pax("path", path);
		add_file("c/x", "x");
		check_hostile("too long");
		memset(path + 2, 'n', 300);
		path[302] = '\0';
		add_pax("path", path);
		add_file("c/x", "x");
		check_hostile("too long");
	}
	CASE("a sparse file that claims more than it has")
	{
		_cleanup_strbuf_ struct strbuf b = { 0 };

		add_record(&b, "GNU.sparse.major", "1");
		add_record(&b, "GNU.sparse.minor", "0");
		add_record(&b, "GNU.sparse.name", "c/sparse");
		add_record(&b, "GNU.sparse.realsize", "8000000000000000000");
		add("PaxHeader", 'x', "", b.s);
		add_file("c/GNUSparseFile.1/sparse", "1\n0\n512\n");
		check_hostile("hostile.tar");
	}
	CASE("more entries than any release has")
	{
		for (int i = 0; i < 10001; i++) {
			_cleanup_free_ char *name = xasprintf("other/%d", i);

			add_file(name, "");
		}
		add_file("c/x", "x");
		check_hostile("more than 10000 entries");
	}
	CASE("a bomb in front of the member is not unpacked to be passed over")
	{
		double start = now_seconds();

		add_entry("bomb", 4, '0', "", 0644, "17777777777", "");
		add_file("c/x", "x");
		check_hostile("more than 1 GiB");
		CHECK(now_seconds() - start < 1);
	}
	CASE("headers damaged at random end in an error or in names that stay inside")
	{
		uint32_t seed = 11;

		for (int i = 0; i < 400; i++) {
			_cleanup_strbuf_ struct strbuf out = { 0 };
			char sha[SHA256_HEX];

			add("c/dir", '5', "", "");
			add("c/dir/link", '2', "../file", "");
			add_file("c/file", "content");
			for (int k = 0; k < 3; k++)
				tar.s[next_random(&seed) % tar.n] = (char)next_random(&seed);
			close(archive("hostile.tar"));
			unpack("hostile.tar", "c", &out, sha);
			CHECK(!out.s || (!strstr(out.s, "..") || strstr(out.s, "->..")));
		}
	}
}

/* ---- tests/lib/hostile-archives ---- */

static int see_entry(void *arg, const struct unpack_entry *u, struct member *m, struct err *err)
{
	char buf[4096];
	ssize_t n = 1;

	if (u->path[0] == '/' || strstr(u->path, "..") || u->mode & 07000)
		CHECK_FAILED("%s (%o) came out of %s", u->path, u->mode, (const char *)arg);
	while (!u->dir && !u->symlink && n > 0)
		n = member_read(m, buf, sizeof(buf), err);
	return n < 0 ? (int)n : 0;
}

static void count_path(void *arg, const char *path)
{
	(*(size_t *)arg)++;
}

static int swallow(void *arg, const void *data, size_t n, uint64_t offset)
{
	return 0;
}

/* Every way that unpacks takes it: an error has words, and nothing takes long. */
static void take_apart(const char *name)
{
	_cleanup_close_ int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	struct decode d = { .in = fd, .name = name, .write = swallow, .max_size = 16 * MIB };
	double start = now_seconds();
	char sha[SHA256_HEX];
	struct member *m = NULL;
	size_t seen = 0;
	int r;

	e = (struct err){ 0 };
	r = unpack_walk(fd, name, "c", see_entry, unconst(name), sha, &e);
	if (starts_with(path_base(name), "refused") ? r == 0 : r < 0 && r != -EBADMSG && r != -ENOENT)
		CHECK_FAILED("%s ended with %d: %s", name, r, e.msg);
	CHECK(r == 0 || *e.msg);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	r = member_open(fd, name, "c/x", &m, &e);
	if (r == 0)
		member_close(m);
	CHECK(r == 0 || *e.msg);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	initramfs_walk(fd, name, count_path, &seen, &e);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	decode_image(&d, &e);
	if (now_seconds() - start > 10)
		CHECK_FAILED("%s took %.0f s", name, now_seconds() - start);
}

static void test_collection(void)
{
	const char *const *names;
	struct rusage used;
	size_t n;

	must_sh("mkdir %s/hostile && tests/lib/hostile-archives %s/hostile", dir, dir);
	CHECK_ERR(folder_names(in_dir("hostile"), &names, &n, &e), 0);
	CHECK(n >= 60);
	for (size_t i = 0; i < n; i++) {
		CASE(names[i])
		{
			take_apart(arena_printf("hostile/%s", names[i]));
		}
	}
	CASE("all of that takes no more memory than a base of one's own")
	{
		getrusage(RUSAGE_SELF, &used);
#ifndef PIBUILD_SANITIZED
		CHECK(used.ru_maxrss < 512 * 1024);
#endif
	}
}

int main(void)
{
	dir = mkdtemp(in_memory); /* writes around the cache wait for a disk */
	dir = dir ? dir : mkdtemp(on_disk);
	if (!dir)
		return 1;
	test_formats();
	test_damage();
	test_encode();
	test_limits();
	test_members();
	test_unpacking();
	test_hostile();
	test_collection();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
