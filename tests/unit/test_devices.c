/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as sysfs and /proc describe them, from trees made here; which of them may be flashed. */
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "check.h"
#include "flash/device.h"

static char top[] = "/tmp/test_devices.XXXXXX";
static struct host host;
static struct devices all;
static struct err e;

__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;
	int n = snprintf(cmd, sizeof(cmd), "cd '%s' && ", top);

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		abort();
}

static void put(const char *path, const char *text)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", top, path);

	if (make_dirs(path_dir(full), 0777, &e) < 0 || file_publish(full, text, strlen(text), 0644, &e) < 0)
		abort();
}

#define CARD "sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:0/block/sda"
static const char machine[] = "25 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n"
			      "26 25 0:22 / /proc rw - proc proc rw\n";

/* A card reader with a card of two partitions, and the machine's own NVMe disk. */
static void fresh(void)
{
	sh("rm -rf sys proc dev && mkdir -p " CARD "/holders " CARD "/sda1/holders " CARD "/sda2/holders sys/block "
	   "sys/class/usb sys/class/scsi sys/class/nvme dev/disk/by-label && ln -s "
	   "../devices/pci/usb1/1-2/1-2:1.0/host6/target/"
	   "6:0:0:0/block/sda sys/block/sda && ln -s ../../../../class/usb sys/devices/pci/usb1/1-2/subsystem && "
	   "ln -s x/usb sys/devices/pci/usb1/1-2/1-2:1.0/subsystem && "
	   "ln -s x/scsi sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:0/subsystem && ln -s ../.. " CARD
	   "/device");
	put("sys/devices/pci/usb1/1-2/serial", "0123 ABC\n");
	put("sys/devices/pci/usb1/1-2/1-2:1.0/bInterfaceNumber", "00\n");
	put("sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:0/vendor", "Generic \n");
	put("sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:0/model", "STORAGE DEVICE  \n");
	put(CARD "/size", "62333952\n");
	put(CARD "/dev", "8:0\n");
	put(CARD "/ro", "0\n");
	put(CARD "/removable", "1\n");
	put(CARD "/diskseq", "12\n");
	put(CARD "/queue/logical_block_size", "512\n");
	put(CARD "/sda1/partition", "1\n");
	put(CARD "/sda1/dev", "8:1\n");
	put(CARD "/sda2/partition", "2\n");
	put(CARD "/sda2/dev", "8:2\n");
	sh("ln -s ../../sda1 dev/disk/by-label/bootfs && ln -s ../../sda2 'dev/disk/by-label/my\\x20root'");
	sh("mkdir -p sys/devices/pci/nvme/nvme0/nvme0n1/nvme0n1p2/holders && ln -s x/nvme "
	   "sys/devices/pci/nvme/nvme0/subsystem && "
	   "ln -s ../devices/pci/nvme/nvme0/nvme0n1 sys/block/nvme0n1 && ln -s .. "
	   "sys/devices/pci/nvme/nvme0/nvme0n1/device");
	put("sys/devices/pci/nvme/nvme0/serial", "S64DNX0\n");
	put("sys/devices/pci/nvme/nvme0/model", "Samsung SSD\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/size", "1953525168\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/dev", "259:0\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/removable", "0\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/diskseq", "1\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/nvme0n1p2/partition", "2\n");
	put("sys/devices/pci/nvme/nvme0/nvme0n1/nvme0n1p2/dev", "259:2\n");
	put("proc/self/mountinfo", machine);
	put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
}

static const struct device *scan(const char *name)
{
	e = (struct err){ 0 };
	all = (struct devices){ 0 };
	if (devices_scan(&host, &all, &e) < 0)
		return NULL;
	vec_foreach (d, &all.v)
		if (streq(d->name, name))
			return d;
	return NULL;
}

static const char *verdict(const char *name)
{
	const struct device *d = scan(name);

	return d ? str_or(guard_verdict(d), "fine") : "not listed";
}

static void mount(const char *line)
{
	put("proc/self/mountinfo", arena_printf("%s%s\n", machine, line));
}

static void test_description(void)
{
	const struct device *d;

	CASE("a card in a USB reader is described")
	{
		fresh();
		d = scan("sda");
		CHECK(d && streq(d->path, "/dev/sda") && streq(d->bus, "usb") && d->removable && !d->read_only);
		CHECK(d && d->size == 62333952ull * 512 && d->diskseq == 12 && d->devno == makedev(8, 0));
		CHECK_STR(d->model, "Generic STORAGE DEVICE");
		CHECK_STR(d->identity, "0123_ABC");
		CHECK_STR(d->labels, "bootfs, my root");
		CHECK_STR(verdict("sda"), "fine");
		CHECK(!guard_wants_identity(scan("sda")));
	}
	CASE("a fixed disk wants its serial, and so does a removable one larger than any card")
	{
		CHECK(guard_wants_identity(scan("nvme0n1")));
		CHECK_STR(scan("nvme0n1")->identity, "S64DNX0");
		CHECK_STR(scan("nvme0n1")->bus, "nvme");
		put(CARD "/size", "7814037168\n");
		CHECK(guard_wants_identity(scan("sda")));
	}
	CASE("an SD card in a built-in slot counts as removable, an eMMC does not")
	{
		fresh();
		sh("mkdir -p sys/devices/mmc0/block/mmcblk0 && ln -s x/mmc sys/devices/mmc0/subsystem && "
		   "ln -s ../devices/mmc0/block/mmcblk0 sys/block/mmcblk0 && ln -s ../.. "
		   "sys/devices/mmc0/block/mmcblk0/device");
		put("sys/devices/mmc0/block/mmcblk0/size", "60000000\n");
		put("sys/devices/mmc0/block/mmcblk0/dev", "179:0\n");
		put("sys/devices/mmc0/block/mmcblk0/removable", "0\n");
		put("sys/devices/mmc0/serial", "0xdeadbeef\n");
		put("sys/devices/mmc0/name", "SC32G\n");
		put("sys/devices/mmc0/type", "SD\n");
		d = scan("mmcblk0");
		CHECK(d && d->removable && streq(d->bus, "mmc") && streq(d->identity, "0xdeadbeef") &&
		      streq(d->model, "SC32G"));
		put("sys/devices/mmc0/type", "MMC\n");
		CHECK(!scan("mmcblk0")->removable);
	}
	CASE("without a serial the WWN is the identity, without both the sequence number")
	{
		fresh();
		sh("rm sys/devices/pci/usb1/1-2/serial");
		CHECK_STR(scan("sda")->identity, "seq-12");
		put(CARD "/wwid", "naa.5000c500\n");
		CHECK_STR(scan("sda")->identity, "naa.5000c500");
		sh("rm " CARD "/wwid " CARD "/diskseq");
		CHECK(strstr(verdict("sda"), "cannot be told from others"));
	}
	CASE("two cards in one reader, which gives both its own serial, are told apart")
	{
		fresh();
		sh("mkdir -p sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:1/block && cd "
		   "sys/devices/pci/usb1/1-2/1-2:1.0/host6/"
		   "target && cp -R 6:0:0:0/block/sda 6:0:0:1/block/sdb && ln -s x/scsi 6:0:0:1/subsystem");
		sh("ln -s ../devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:1/block/sdb sys/block/sdb");
		put("sys/block/sdb/diskseq", "13\n");
		CHECK_STR(scan("sda")->identity, "seq-12");
		CHECK_STR(scan("sdb")->identity, "seq-13");
	}
	CASE("a slot without a card is not listed")
	{
		fresh();
		put(CARD "/size", "0\n");
		CHECK(!scan("sda"));
	}
	CASE("control characters of a model do not reach the terminal")
	{
		fresh();
		put("sys/devices/pci/usb1/1-2/1-2:1.0/host6/target/6:0:0:0/model", "A\033[2JB\n");
		CHECK_STR(scan("sda")->model, "Generic A?[2JB");
	}
	CASE("what is mounted cannot be told: an error, never a free disk")
	{
		fresh();
		sh("rm proc/self/mountinfo");
		CHECK(!scan("sda"));
		CHECK(strstr(e.msg, "cannot tell what is in use"));
	}
}

static void test_uses(void)
{
	static const struct {
		const char *name, *line, *want;
	} mounts[] = {
		{ "a partition", "30 25 8:1 / /media/x rw - vfat /dev/sda1 rw", "sda1 on /media/x" },
		{ "the whole disk", "30 25 8:0 / /mnt rw - ext4 /dev/sda rw", "sda on /mnt" },
		{ "with a blank", "30 25 8:2 / /media/my\\040card rw - ext4 /dev/sda2 rw", "sda2 on /media/my card" },
		{ "optional fields", "30 25 8:2 / /mnt rw shared:1 master:2 - ext4 /dev/sda2 rw", "sda2 on /mnt" },
		{ "btrfs, which numbers itself", "30 25 0:45 /@ /mnt rw - btrfs /dev/sda2 rw", "sda2 on /mnt" },
		{ "the root", "30 25 8:2 / / rw - ext4 /dev/root rw", "this machine runs from it: / is on sda2" },
		{ "/home", "30 25 8:2 / /home rw - ext4 /dev/sda2 rw", "runs from it: /home is on sda2" },
		{ "a home", "30 25 8:2 / /home/me rw - ext4 /dev/sda2 rw", "runs from it: /home/me is on sda2" },
		{ "/boot", "30 25 8:1 / /boot rw - ext4 /dev/sda1 rw", "runs from it: /boot is on sda1" },
		{ "/boot/firmware", "30 25 8:1 / /boot/firmware rw - vfat /dev/sda1 rw", "/boot/firmware is on sda1" },
		{ "/usr", "30 25 8:1 / /usr rw - vfat /dev/sda1 rw", "/usr is on sda1" },
		{ "/var/lib", "30 25 8:1 / /var/lib rw - ext4 /dev/sda1 rw", "/var/lib is on sda1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		CASE(arena_printf("refused while mounted: %s", mounts[i].name))
		{
			fresh();
			mount(mounts[i].line);
			CHECK(strstr(verdict("sda"), mounts[i].want));
		}
	}
	CASE("the machine's own disk is refused, by number")
	{
		fresh();
		CHECK_STR(verdict("nvme0n1"), "this machine runs from it: / is on nvme0n1p2");
	}
	CASE("mounts of other disks are nobody's business")
	{
		fresh();
		mount("30 25 8:17 / /mnt rw - ext4 /dev/sdb1 rw");
		CHECK_STR(verdict("sda"), "fine");
	}
	CASE("refused while swap is on it, by partition or through a mapping")
	{
		fresh();
		put("proc/swaps", "Filename Type\n/dev/sda2                 partition 1 0 -2\n");
		CHECK(strstr(verdict("sda"), "sda2 of it is in use as swap"));
		put("proc/swaps", "Filename Type\n/dev/sdb2 partition 1 0 -2\n");
		CHECK_STR(verdict("sda"), "fine");
	}
	CASE("refused while a mapping holds a partition, which is named")
	{
		fresh();
		sh("mkdir -p sys/devices/virtual/block/dm-0/holders && ln -s $PWD/sys/devices/virtual/block/dm-0 " CARD
		   "/sda2/holders/dm-0 && "
		   "ln -s ../devices/virtual/block/dm-0 sys/block/dm-0");
		put("sys/devices/virtual/block/dm-0/dev", "252:0\n");
		put("sys/devices/virtual/block/dm-0/size", "1000\n");
		put("sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
		CHECK(strstr(verdict("sda"), "dm-0 (vg-root) is built on it"));
		CHECK(strstr(verdict("dm-0"), "no disk of its own"));
	}
	CASE("the root through a mapping is told as the root")
	{
		mount("30 25 252:0 / / rw - ext4 /dev/mapper/vg-root rw");
		CHECK(strstr(verdict("sda"), "this machine runs from it: / is on dm-0"));
		mount("30 25 0:47 / /home rw - btrfs /dev/mapper/vg-root rw");
		CHECK(strstr(verdict("sda"), "this machine runs from it: /home is on dm-0"));
		put("proc/swaps", "Filename Type\n/dev/mapper/vg-root partition 1 0 -2\n");
		put("proc/self/mountinfo", machine);
		CHECK(strstr(verdict("sda"), "dm-0 of it is in use as swap"));
	}
	CASE("refused while the whole disk belongs to a RAID")
	{
		fresh();
		sh("mkdir -p sys/devices/virtual/block/md0 && ln -s $PWD/sys/devices/virtual/block/md0 " CARD
		   "/holders/md0");
		put("sys/devices/virtual/block/md0/dev", "9:0\n");
		CHECK(strstr(verdict("sda"), "md0 is built on it"));
	}
	CASE("refused when read-only, or with sectors other than an image's")
	{
		fresh();
		put(CARD "/ro", "1\n");
		CHECK(strstr(verdict("sda"), "read-only"));
		put(CARD "/ro", "0\n");
		put(CARD "/queue/logical_block_size", "4096\n");
		CHECK(strstr(verdict("sda"), "sectors of 4096 bytes"));
	}
}

static void test_request(void)
{
	const struct device *d;
	struct device changed;

	CASE("too small is refused, with both numbers; exactly right is not")
	{
		fresh();
		d = scan("sda");
		CHECK_ERR(guard_check(d, d->size, &e), 0);
		CHECK(guard_check(d, d->size + 1, &e) < 0 && e.class == CLASS_REFUSED && strstr(e.msg, "too small"));
	}
	CASE("a disk that changed since the question is refused, whatever changed")
	{
		static const struct {
			size_t what;
			const char *why;
		} changes[] = { { 0, "another size" },
				{ 1, "taken out or put in" },
				{ 2, "another disk" },
				{ 3, "another disk" },
				{ 4, "another device" } };

		for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
			changed = *d;
			switch (changes[i].what) {
			case 0:
				changed.size -= 512;
				break;
			case 1:
				changed.diskseq++;
				break;
			case 2:
				changed.identity = "other";
				break;
			case 3:
				changed.model = "other";
				break;
			default:
				changed.devno = makedev(8, 16);
			}
			e = (struct err){ 0 };
			CHECK(guard_same(d, &changed, &e) < 0 && e.class == CLASS_REFUSED &&
			      strstr(e.msg, changes[i].why));
		}
		changed = *d;
		CHECK_ERR(guard_same(d, &changed, &e), 0);
	}
	CASE("a file, a folder, a pipe and a character device are no disks")
	{
		const struct device *found = NULL;

		sh("touch file && mkdir -p folder && rm -f pipe && mkfifo pipe");
		CHECK(guard_find(&host, &all, path_join(top, "file"), &found, &e) < 0 && e.class == CLASS_REFUSED);
		CHECK(strstr(e.msg, "is a file, not a disk"));
		CHECK(guard_find(&host, &all, path_join(top, "folder"), &found, &e) < 0 && e.class == CLASS_REFUSED);
		CHECK(guard_find(&host, &all, path_join(top, "pipe"), &found, &e) < 0 && e.class == CLASS_REFUSED);
		CHECK(strstr(e.msg, "is a pipe or socket, not a disk"));
		CHECK(guard_find(&host, &all, "/dev/null", &found, &e) < 0 && e.class == CLASS_REFUSED);
		CHECK(strstr(e.msg, "is a character device, not a disk"));
		CHECK(guard_find(&host, &all, path_join(top, "nothing"), &found, &e) == -ENOENT);
		CHECK(!found);
	}
	CASE("a symbolic link that is not udev's is refused")
	{
		const struct device *found = NULL;

		sh("ln -sf file link");
		CHECK(guard_find(&host, &all, path_join(top, "link"), &found, &e) < 0 && e.class == CLASS_REFUSED);
		CHECK(strstr(e.msg, "symbolic link"));
	}
}

int main(void)
{
	int r;

	if (!mkdtemp(top))
		return 1;
	host = (struct host){ path_join(top, "sys"), path_join(top, "proc"), path_join(top, "dev") };
	test_description();
	test_uses();
	test_request();
	remove_tree(top, &e);
	r = check_done(); /* names of cases lie on the arena */
	arena_done();
	return r;
}
