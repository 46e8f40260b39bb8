/* SPDX-License-Identifier: Apache-2.0 */
#include "flash/device.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "disk/disk.h"

enum { SMALL_FILE = 4096, TABLE_FILE = 4 * 1024 * 1024, MAX_HOLDERS = 8 };

const struct host host_real = { "/sys", "/proc", "/dev" };

/* ---- small files and links ---- */

/* One line, trimmed, safe to print; "" when it is not there. */
static const char *attribute(const char *dir, const char *name)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	char *s, *end;
	size_t n;

	if (file_read(path_join(dir, name), SMALL_FILE, &text, &n, &ignored) < 0)
		return "";
	text[strcspn(text, "\n")] = '\0';
	s = text + strspn(text, " \t");
	for (end = s + strlen(s); end > s && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	return clean_copy(s);
}

static uint64_t number(const char *dir, const char *name)
{
	return strtoull(attribute(dir, name), NULL, 10);
}

static bool exists(const char *dir, const char *name)
{
	return !file_is_missing(path_join(dir, name));
}

static dev_t device_number(const char *dir)
{
	unsigned major, minor;

	return sscanf(attribute(dir, "dev"), "%u:%u", &major, &minor) == 2 ? makedev(major, minor) : 0;
}

/* The last part of where a link leads; "" when it is none. */
static const char *link_base(const char *dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path_join(dir, name), target, sizeof(target) - 1);

	if (n <= 0)
		return "";
	target[n] = '\0';
	return arena_strdup(path_base(target));
}

struct device_names {
	VEC(const char *) v;
	bool unknown; /* it is there and cannot be read */
};

static struct device_names list(const char *path)
{
	struct device_names names = { 0 };
	const char *const *all;
	struct err ignored;
	size_t n;
	int r = folder_names(path, &all, &n, &ignored);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (all[i][0] != '.')
			*vec_push(&names.v) = all[i];
	names.unknown = r < 0 && r != -ENOENT && r != -ENOTDIR;
	return names;
}

/* ---- all that lies on one disk: itself, its partitions, and what holds them, up to the top ---- */

struct device_part {
	const char *name;  /* "sda1", "dm-0" */
	const char *alias; /* name in /dev/mapper; "" = none */
	dev_t devno;
};
struct device_tree {
	VEC(struct device_part) v;
	const char *holder;
};

static void add_tree(struct device_tree *t, const char *dir, const char *name, unsigned depth)
{
	struct device_names below = list(dir), holders = list(path_join(dir, "holders"));
	const char *alias = attribute(dir, "dm/name");

	*vec_push(&t->v) = (struct device_part){ name, alias, device_number(dir) };
	if (below.unknown || holders.unknown) /* so it may be anybody's */
		t->holder = arena_printf("something that %s does not tell", dir);
	vec_foreach (x, &holders.v) {
		const char *held = path_join(dir, arena_printf("holders/%s", *x));

		alias = attribute(held, "dm/name");
		if (!t->holder)
			t->holder = *alias ? arena_printf("%s (%s)", *x, alias) : *x;
		if (depth < MAX_HOLDERS)
			add_tree(t, held, *x, depth + 1);
	}
	vec_foreach (x, &below.v)
		if (exists(dir, arena_printf("%s/partition", *x)))
			add_tree(t, path_join(dir, *x), *x, depth + 1);
}

/* By number, or, for filesystems that number themselves (btrfs), by the name they were mounted from. */
static const struct device_part *find_part(const struct device_tree *t, dev_t devno, const char *source)
{
	const char *name = strchr(source, '/') ? path_base(source) : "";

	vec_foreach (p, &t->v)
		if ((devno && p->devno == devno) || (*name && (streq(p->name, name) || streq(p->alias, name))))
			return p;
	return NULL;
}

/* "\040" of /proc becomes what it stands for. */
static char *unescape(char *s)
{
	char *to = s;

	for (const char *from = s; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return clean_text(s);
}

struct mount {
	dev_t devno;
	const char *at, *source;
};
struct tables {
	VEC(struct mount) mounts;
	VEC(const char *) swaps;
};

static int read_table(const struct host *h, const char *name, char **ret, struct err *e)
{
	size_t n;
	int r = file_read(path_join(h->proc, name), TABLE_FILE, ret, &n, e);

	return r < 0 ? err_wrap(e, "cannot tell what is in use") : 0;
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE OPTIONS" (proc_pid_mountinfo(5)). */
static void add_mount(struct tables *t, char *line)
{
	char at[PATH_MAX], source[PATH_MAX] = "", *rest = strstr(line, " - ");
	unsigned major, minor;

	if (sscanf(line, "%*s %*s %u:%u %*s %4095s", &major, &minor, at) != 3)
		return;
	if (rest)
		sscanf(rest, " - %*s %4095s", source);
	*vec_push(&t->mounts) = (struct mount){ makedev(major, minor), arena_strdup(unescape(at)),
						arena_strdup(unescape(source)) };
}

static int read_tables(const struct host *h, struct tables *ret, struct err *e)
{
	_cleanup_free_ char *mounts = NULL, *swaps = NULL;
	int r = read_table(h, "self/mountinfo", &mounts, e);

	if (r < 0)
		return r;
	text_foreach (s, mounts, "\n")
		add_mount(ret, s);
	if (file_is_missing(path_join(h->proc, "swaps"))) /* a kernel without swap */
		return 0;
	r = read_table(h, "swaps", &swaps, e);
	if (r < 0)
		return r;
	text_foreach (s, swaps + strcspn(swaps, "\n"), "\n") { /* behind the heading */
		s[strcspn(s, " \t")] = '\0';
		*vec_push(&ret->swaps) = arena_strdup(unescape(s));
	}
	return 0;
}

static bool is_system_mount(const char *at)
{
	static const char *const exact[] = { "/", "/usr", "/var", "/home", "/boot", "/nix", "/opt", "/srv" };

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (streq(at, exact[i]))
			return true;
	return starts_with(at, "/boot/") || starts_with(at, "/home/") || starts_with(at, "/var/");
}

static void find_uses(struct device *d, const struct device_tree *t, const struct tables *tables)
{
	_cleanup_strbuf_ struct strbuf mounts = { 0 };
	const struct device_part *p;

	vec_foreach (m, &tables->mounts) {
		p = find_part(t, m->devno, m->source);
		if (!p)
			continue;
		strbuf_addf(&mounts, "%s%s on %s", mounts.n ? ", " : "", p->name, m->at);
		if (!d->system && is_system_mount(m->at))
			d->system = arena_printf("%s is on %s", m->at, p->name);
	}
	d->mounts = arena_strdup(str_or(mounts.s, ""));
	vec_foreach (s, &tables->swaps) {
		p = find_part(t, 0, *s);
		if (p && !d->swap)
			d->swap = p->name;
	}
	d->holder = t->holder;
}

/* ---- what a disk is ---- */

/* Up from the disk to the first ancestor that names a bus; *SERIAL is the first one met on the way. */
static const char *find_bus(const struct host *h, const char *dir, const char **serial)
{
	static const struct {
		const char *subsystem, *bus;
	} buses[] = { { "usb", "usb" },	     { "mmc", "mmc" },	     { "nvme", "nvme" },
		      { "ata_port", "ata" }, { "virtio", "virtio" }, { "pci", "pci" } };
	char real[PATH_MAX], root[PATH_MAX];
	const char *subsystem;

	if (!realpath(dir, real) || !realpath(h->sys, root))
		return "";
	while (starts_with(real, root) && strlen(real) > strlen(root)) {
		subsystem = link_base(real, "subsystem");
		if (!**serial)
			*serial = attribute(real, "serial");
		for (size_t i = 0; i < ARRAY_SIZE(buses); i++)
			/* A USB interface names the bus already, only the device above it has the serial. */
			if (streq(subsystem, buses[i].subsystem) && (**serial || !exists(real, "bInterfaceNumber")))
				return buses[i].bus;
		*strrchr(real, '/') = '\0';
	}
	return "";
}

/* "T10 ATA  name serial" and the like: words in one, for typing. */
static const char *one_word(const char *text)
{
	char *s = arena_strdup(text), *to = s;

	for (const char *from = s; *from; from++)
		if (*from != ' ' && *from != '\t')
			*to++ = *from;
		else if (to > s && to[-1] != '_')
			*to++ = '_';
	*to = '\0';
	return s;
}

static const char *first_of(const char *dir, const char *const *names, size_t n)
{
	const char *s = "";

	for (size_t i = 0; i < n && !*s; i++)
		s = attribute(dir, names[i]);
	return s;
}

static const char *find_model(const char *dir)
{
	const char *vendor = attribute(dir, "device/vendor"), *model = attribute(dir, "device/model");

	if (!*model)
		model = attribute(dir, "device/name"); /* MMC */
	if (!*vendor || starts_with(vendor, "0x") || streq(vendor, "ATA"))
		return model;
	return arena_printf("%s %s", vendor, model);
}

static const char *sequence(const struct device *d)
{
	return d->diskseq ? arena_printf("seq-%llu", (unsigned long long)d->diskseq) : "";
}

static void find_identity(const struct host *h, const char *dir, struct device *d)
{
	static const char *const wwns[] = { "wwid", "device/wwid" };
	const char *serial = attribute(dir, "serial");

	if (!*serial)
		serial = attribute(dir, "device/serial");
	d->bus = starts_with(d->name, "loop") ? "loop" : find_bus(h, dir, &serial);
	if (!*serial)
		serial = first_of(dir, wwns, ARRAY_SIZE(wwns));
	d->identity = one_word(*serial ? serial : sequence(d));
}

/* "\x20" of udev becomes what it stands for. */
static const char *udev_text(const char *name)
{
	char *s = arena_strdup(name), *to = s;
	unsigned c;

	for (const char *from = s; *from; to++) {
		if (from[0] == '\\' && sscanf(from, "\\x%2x", &c) == 1) {
			*to = (char)c;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return clean_text(s);
}

static const char *find_labels(const struct host *h, const struct device_tree *t)
{
	_cleanup_strbuf_ struct strbuf labels = { 0 };
	const char *dir = path_join(h->dev, "disk/by-label");
	struct device_names names = list(dir);

	vec_foreach (x, &names.v) {
		const char *name = link_base(dir, *x);

		vec_foreach (p, &t->v)
			if (streq(p->name, name))
				strbuf_item(&labels, ", ", udev_text(*x));
	}
	return arena_strdup(str_or(labels.s, ""));
}

static bool is_no_disk(const char *name)
{
	static const char *const prefixes[] = { "dm-", "md", "zram", "ram", "sr", "fd" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (starts_with(name, prefixes[i]))
			return true;
	return false;
}

static void device_describe(const struct host *h, const char *name, const struct tables *tables, struct device *d)
{
	const char *dir = path_join(h->sys, arena_printf("block/%s", name));
	struct device_tree tree = { 0 };
	char *node = arena_strdup(name);

	for (char *s = node; *s; s++) /* "cciss!c0d0" */
		if (*s == '!')
			*s = '/';
	*d = (struct device){
		.name = name,
		.path = arena_printf("/dev/%s", node),
		.model = find_model(dir),
		.devno = device_number(dir),
		.size = number(dir, "size") * SECTOR,
		.diskseq = number(dir, "diskseq"),
		.sector = (unsigned)number(dir, "queue/logical_block_size"),
		.removable = number(dir, "removable") == 1 || streq(attribute(dir, "device/type"), "SD"),
		.read_only = number(dir, "ro") == 1,
		.no_disk = is_no_disk(name),
	};
	find_identity(h, dir, d);
	add_tree(&tree, dir, name, 0);
	find_uses(d, &tree, tables);
	d->labels = find_labels(h, &tree);
}

/* A reader with two slots gives both cards its own serial: such disks are told apart by their number. */
static void make_unique(struct devices *all)
{
	vec_foreach (a, &all->v) {
		bool shared = false;

		vec_foreach (b, &all->v)
			if (b > a && *a->identity && streq(a->identity, b->identity)) {
				b->identity = sequence(b);
				shared = true;
			}
		if (shared)
			a->identity = sequence(a);
	}
}

int devices_scan(const struct host *h, struct devices *ret, struct err *e)
{
	struct tables tables = { 0 };
	struct devices all = { 0 };
	const char *dir = path_join(h->sys, "block");
	struct device_names names = list(dir);
	int r;

	if (access(dir, R_OK | X_OK) < 0)
		return err_errno(e, -errno, "cannot list the disks in %s", dir);
	r = read_tables(h, &tables, e);
	if (r < 0)
		return r;
	vec_foreach (name, &names.v) {
		struct device d;

		device_describe(h, *name, &tables, &d);
		if (d.size)
			*vec_push(&all.v) = d;
	}
	make_unique(&all);
	*ret = all;
	return 0;
}
