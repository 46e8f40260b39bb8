/* SPDX-License-Identifier: Apache-2.0 */
/* os.base: debian without mmdebstrap: the lock's section, the pin, and an image of a small tar, judged by e2fsck and
 * the like. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/progress.h"
#include "check.h"
#include "crypto/digest.h"
#include "debian/debian.h"
#include "disk/disk.h"

#define KEY	"89abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567"
#define ZEROS	"0000000000000000000000000000000000000000000000000000000000000000"
#define ROOT_AT "?offset=545259520" /* (8 + 512) MiB */
#define HEAD	"apiVersion: pibuild/v1\nkind: Lock\ntime: 2026-10-07T00:00:00Z\nartifacts: []\n"
#define SECTION                                                                                                        \
	"debian:\n  version: trixie\n  mirror: https://deb.debian.org/\n  time: 2026-10-01T00:00:00Z\n  packages:\n"
#define ROW(row) "  - {" row "}\n"
#define BASH	 "name: bash, version: 5.2-1, path: debian/pool/b/bash_5.2-1_arm64.deb, size: 12, sha256: \"" ZEROS "\""

static char dir[] = "/tmp/test_debian.XXXXXX";
static struct err e;

__attribute__((format(printf, 1, 2))) static int sh(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = snprintf(cmd, sizeof(cmd), "cd '%s' && { ", dir);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	strcat(cmd, "; } >said 2>&1");
	return system(cmd);
}

static const char *said(void)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	struct err ignored;

	return file_read(path_join(dir, "said"), MIB, &text, &n, &ignored) < 0 ? "" : arena_strdup(text);
}

/* ---- lock ---- */

static const char *parse(const char *text, const struct debian_lock **ret)
{
	const char *path = path_join(dir, "lock");
	const struct config c = { .dir = "." };
	struct lock *l = NULL;

	e = (struct err){ 0 };
	file_publish(path, text, strlen(text), 0600, &e);
	if (lock_load(path, &c, &l, &e) < 0)
		return e.msg;
	*ret = l->debian;
	return "";
}

static void test_lock(void)
{
	const struct debian_lock *l = NULL, *again = NULL;
	_cleanup_strbuf_ struct strbuf out = { 0 };

	CASE("the section is optional")
	{
		CHECK_STR(parse(HEAD, &l), "");
		CHECK(!l);
	}
	CASE("a section is read as it was written, one line per package")
	{
		CHECK_STR(parse(HEAD SECTION ROW(BASH), &l), "");
		CHECK(l && l->packages.n == 1 && l->time == 1790812800);
		yaml_emit(lock_debian_yaml(l), NULL, &out);
		CHECK(strstr(out.s,
			     "\n- {name: bash, version: \"5.2-1\", path: debian/pool/b/bash_5.2-1_arm64.deb, size: 12, "
			     "sha256: "));
	}
	CASE("what is no package list is refused where it stands")
	{
		CHECK(strstr(parse(HEAD SECTION ROW(BASH) ROW(BASH), &again), "lock:11:5: bash is there already"));
		CHECK(strstr(parse(HEAD SECTION ROW("name: ../x, version: 1, path: a, size: 1, sha256: \"" ZEROS "\""),
				   &again),
			     "lock:10:5: ../x 1 is no Debian package"));
		CHECK(strstr(parse(HEAD SECTION ROW("name: x, version: 1, path: /a, size: 1, sha256: \"" ZEROS "\""),
				   &again),
			     "'/a' is no path below the mirror"));
		CHECK(strstr(parse(HEAD SECTION ROW("name: x, version: 1, path: a, size: 1, sha256: abc"), &again),
			     "64 hexadecimal digits"));
		CHECK(strstr(
			parse(HEAD "debian: {version: trixie, mirror: \"http://a/\", time: x, packages: []}\n", &again),
			"only https://"));
	}
}

static struct pin pin_of(struct config *c, const struct debian_lock *l)
{
	struct lock lock = { .debian = l };
	struct catalogue *cat;
	struct pin p = { 0 };

	CHECK_INT(catalogue_load(&cat, &e), 0);
	CHECK_INT(artifact_pin_base(&(struct release_set){ cat, &lock, c }, &p, &e), 0);
	return p;
}

static void test_pin(void)
{
	struct config c = { .os.base = "debian" };
	const struct debian_lock *l = NULL, *newer = NULL;
	struct pin p, q;

	parse(HEAD SECTION ROW(BASH), &l);
	parse(HEAD SECTION ROW("name: bash, version: 5.2-2, path: debian/pool/b/b.deb, size: 12, sha256: \"" ZEROS
			       "\""),
	      &newer);
	CASE("without packages in the lock the base has no digest")
	{
		p = pin_of(&c, NULL);
		CHECK(!p.sha256 && p.kind == PIN_PACKAGES && !p.packages.n);
		CHECK(pins_check_locked(&p, 1, &e) < 0 && e.class == CLASS_VERIFY);
		CHECK(strstr(e.msg, "debian trixie") && strstr(e.msg, "pibuild lock"));
	}
	CASE("with them it has one that stands for all of them, and they are pins")
	{
		p = pin_of(&c, l);
		q = pin_of(&c, newer);
		CHECK(sha256_valid(p.sha256) && !streq(p.sha256, q.sha256));
		CHECK_INT(p.packages.n, 1);
		CHECK_STR(p.packages.v[0].url, "https://deb.debian.org/debian/pool/b/bash_5.2-1_arm64.deb");
		CHECK(p.packages.v[0].kind == PIN_PACKAGE && p.packages.v[0].max_size == 12);
		CHECK_INT(p.packages.time, 1790812800);
	}
	CASE("another version asked for is another base")
	{
		*vec_push(&c.versions) = (struct version_pin){ "debian", "trixie-20261001T000000Z" };
		p = pin_of(&c, l);
		CHECK(!p.sha256);
		CHECK_STR(p.version, "trixie-20261001T000000Z");
	}
}

/* ---- image ---- */

/* What a Debian has that a release archive has not: owners, modes, hard links, a capability, odd names. */
static void make_tar(void)
{
	CHECK_INT(
		sh("mkdir -p root/usr/bin root/etc root/boot/firmware/overlays root/dev root/run root/var/tmp && "
		   "echo ping >root/usr/bin/ping && echo sudo >root/usr/bin/sudo && ln root/usr/bin/sudo "
		   "root/usr/bin/again && "
		   "ln -s usr/bin root/bin && echo x >'root/etc/Főtanúsítvány.crt' && echo secret >root/etc/shadow && "
		   "echo word >root/boot/firmware/cmdline.txt && echo o >root/boot/firmware/overlays/README && seq "
		   "5000000 >root/boot/firmware/vmlinuz-6.12 && "
		   "mkfifo root/dev/initctl && echo r >root/run/r && seq 100000 >root/etc/numbers && "
		   "chmod 4755 root/usr/bin/sudo && chmod 640 root/etc/shadow && chmod 1777 root/var/tmp && "
		   "tar -C root --sort=name --owner=0 --group=42 --numeric-owner --format=pax "
		   "--pax-option='delete=atime,delete=ctime,SCHILY.xattr.security.capability:=abc' -cf root.tar ."),
		0);
}

static int make_image(const char *name)
{
	_cleanup_close_ int tar = open(path_join(dir, "root.tar"), O_RDONLY | O_CLOEXEC);

	_cleanup_(cow_closep) struct cow *image = NULL;

	sh("rm -f %s && : >%s", name, name);
	e = (struct err){ 0 };
	CHECK_ERR(cow_open_path(path_join(dir, name), true, &image, &e), 0);
	return debian_image(tar, image, KEY, 1790812800, &e);
}

static void test_image(void)
{
	const char *img = path_join(dir, "a.img");
	struct disk d = { 0 };

	make_tar();
	CASE("an image has the layout of Raspberry Pi OS and ids of its own")
	{
		_cleanup_(cow_closep) struct cow *image = NULL;

		CHECK_INT(make_image("a.img"), 0);
		CHECK_STR(e.msg, "");
		CHECK_ERR(cow_open_path(img, false, &image, &e), 0);
		CHECK_INT(disk_read_base(image, &d, &e), 0);
		CHECK_INT(d.id, 0x89abcdef);
		CHECK(d.parts[0].start == 8 * MIB && d.parts[1].start == 520 * MIB);
		CHECK_INT(sh("sfdisk --verify a.img && sfdisk -d a.img"), 0);
		CHECK(strstr(said(), "label-id: 0x89abcdef") && strstr(said(), "type=c") && strstr(said(), "type=83"));
	}
	CASE("both filesystems are without a fault")
	{
		CHECK_INT(sh("e2fsck -fn 'a.img" ROOT_AT "'"), 0);
		CHECK_INT(sh("dd if=a.img of=fat bs=1M skip=8 count=512 conv=sparse status=none && fsck.fat -n fat"),
			  0);
	}
	CASE("owners, modes, links, capabilities and names arrive")
	{
		sh("for f in usr/bin/sudo etc/shadow var/tmp; do debugfs -R \"stat /$f\" 'a.img" ROOT_AT
		   "' | grep Mode; done; "
		   "debugfs -R 'stat /usr/bin/again' 'a.img" ROOT_AT "' | grep -o 'Links: 2'");
		CHECK(strstr(said(), "Mode:  04755") && strstr(said(), "Mode:  0640") &&
		      strstr(said(), "Mode:  01777"));
		CHECK(strstr(said(), "Links: 2"));
		sh("debugfs -R 'stat /etc/shadow' 'a.img" ROOT_AT "'");
		CHECK(strstr(said(), "Group:    42"));
		sh("debugfs -R 'ea_get /usr/bin/ping security.capability' 'a.img" ROOT_AT "'");
		CHECK(strstr(said(), "\"abc\""));
		sh("debugfs -R 'ls -p /etc' 'a.img" ROOT_AT "'");
		CHECK(strstr(said(), "Főtanúsítvány.crt"));
		CHECK_INT(sh("debugfs -R 'cat /etc/numbers' 'a.img" ROOT_AT "' 2>debugfs.err | cmp - root/etc/numbers"),
			  0);
	}
	CASE("what lies below /boot/firmware is on the FAT and nowhere else")
	{
		CHECK_INT(sh("mtype -i a.img@@8M ::/cmdline.txt && mtype -i a.img@@8M ::/overlays/README"), 0);
		CHECK(strstr(said(), "word") && strstr(said(), "o"));
		CHECK_INT(sh("mtype -i a.img@@8M ::/vmlinuz-6.12 | cmp - root/boot/firmware/vmlinuz-6.12"), 0);
		sh("debugfs -R 'ls -p /boot/firmware' 'a.img" ROOT_AT "'");
		CHECK(!strstr(said(), "cmdline.txt"));
	}
	CASE("what is mounted over at boot stays out")
	{
		sh("debugfs -R 'ls -p /dev' 'a.img" ROOT_AT "'; debugfs -R 'ls -p /run' 'a.img" ROOT_AT "'");
		CHECK(!strstr(said(), "initctl") && !strstr(said(), "/r/"));
	}
	CASE("the same again, at another time, is the same bytes")
	{
		CHECK_INT(sh("sleep 1.1"), 0);
		CHECK_INT(make_image("b.img"), 0);
		CHECK_INT(sh("cmp a.img b.img"), 0);
	}
	CASE("a tar that is cut off is refused")
	{
		CHECK_INT(sh("head -c 300000 root.tar >short && mv short root.tar"), 0);
		CHECK(make_image("c.img") < 0);
	}
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	setenv("PIBUILD_DATA", ".", 0);
	if (!mkdtemp(dir))
		return 1;
	progress_init(PROGRESS_NONE);
	test_lock();
	test_pin();
	test_image();
	sh("rm -rf ./*");
	rmdir(dir);
	arena_done();
	return check_done();
}
