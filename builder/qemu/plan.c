/* SPDX-License-Identifier: Apache-2.0 */
/* From an image and wishes to QEMU's command line. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "qemu/internal.h"
#include "qemu/lan.h"

enum { DEFAULT_MEMORY = 2048, DEFAULT_CPUS = 2 };
static const uint64_t usual_card = 8 * GIB;

/* ---- ports ---- */

/* A port of 127.0.0.1 that nobody listens on, held until *FD is closed; PORT 0 = any. */
static int hold_port(unsigned port, int *fd, unsigned *ret, struct err *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int one = 1;

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_errno(e, -errno, "cannot make a socket");
	setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(*fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(*fd, (struct sockaddr *)&a, &n) < 0)
		return port ? err_errno(e, -errno, "port %u of 127.0.0.1 cannot be used; give another one", port)
			    : err_errno(e, -errno, "no port of 127.0.0.1 can be had");
	*ret = ntohs(a.sin_port);
	return 0;
}

static int choose_ports(const struct machine_want *want, struct machine *m, struct err *e)
{
	_cleanup_close_ int ssh = -1, api = -1;
	int r = hold_port(want->ssh_port, &ssh, &m->ssh_port, e);

	return r < 0 ? r : hold_port(want->api_port, &api, &m->api_port, e);
}

/* ---- places ---- */

static const char *absolute(const char *path)
{
	char real[PATH_MAX];
	const char *dir;

	if (realpath(path, real))
		return arena_strdup(real);
	dir = path_dir(path);
	return realpath(dir, real) ? path_join(real, path_base(path)) : path;
}

/* A kept overlay holds differences from the image: on another one they are noise. */
static int check_kept(const struct machine *m, const struct stat *image, struct err *e)
{
	struct stat st;

	if (stat(m->overlay, &st) < 0)
		return err_errno(e, -errno, "cannot look at %s", m->overlay);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_REFUSED, "%s: is not a file; --keep names a qcow2 file", m->overlay);
	if (image->st_mtim.tv_sec > st.st_mtim.tv_sec)
		return err_class(e, CLASS_REFUSED,
				 "%s was kept from an older %s, which was built again since; remove it to begin anew",
				 m->overlay, m->image);
	return 0;
}

static int choose_disk(const struct machine_want *want, struct machine *m, struct err *e)
{
	char have[SIZE_TEXT_MAX], wanted[SIZE_TEXT_MAX];
	uint64_t least;
	struct stat st;

	if (stat(want->image, &st) < 0)
		return err_errno(e, -errno, "cannot open %s", want->image);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: is not an image file", want->image);
	m->image = absolute(want->image);
	m->throw_away = !want->keep;
	m->overlay = want->keep ? absolute(want->keep) : path_join(m->dir, "disk.qcow2");
	m->new_overlay = file_is_missing(m->overlay);
	least = (uint64_t)st.st_size;
	m->disk_size = want->disk_size ? want->disk_size : m->new_overlay ? MAX(least, usual_card) : 0;
	if (m->disk_size && m->disk_size < least)
		return err_class(e, CLASS_USAGE, "--disk-size %s is less than the image has: %s",
				 size_text(m->disk_size, wanted), size_text(least, have));
	return m->new_overlay ? 0 : check_kept(m, &st, e);
}

/* ---- what is on the image ---- */

/* QEMU's options are separated by commas; one in a name is written twice. */
static const char *escaped(const char *path)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (; *path; path++)
		strbuf_add(&b, ",,", *path == ',' ? 2 : 0), strbuf_add(&b, path, *path != ',');
	return arena_strdup(b.s);
}

/* The boot partition of a kept overlay, which may be newer than that of the image: copied out. */
static int read_kept_boot(const struct machine *m, const struct partition *p, struct boot_files *boot, struct err *e)
{
	_cleanup_(cow_closep) struct cow *image = NULL;
	_cleanup_(fat_abortp) struct fat *fat = NULL;
	const char *copy = path_join(m->dir, "boot.fat");
	const char *options = arena_printf(
		"driver=raw,offset=%llu,size=%llu,file.driver=qcow2,file.file.driver=file,file.file.filename=%s",
		(unsigned long long)p->start, (unsigned long long)p->size, escaped(m->overlay));
	const char *const argv[] = { "qemu-img", "convert", "-O", "raw", "--image-opts", options, copy, NULL };
	struct fs_place at = { .length = p->size, .epoch = 1 };
	int r = proc_run(&(struct proc){ .argv = argv }, e);

	if (r == 0)
		r = cow_open_path(copy, false, &image, e);
	at.image = image;
	if (r < 0)
		return r;
	r = fat_open(&at, FAT_READ, &fat, e);
	return r < 0 ? r : boot_files_extract(fat, m->dir, boot, e);
}

/* An image that pibuild did not make has none. */
static const char *read_image_board(struct ext4 *root)
{
	static const char path[] = "/etc/pibuild/release.json";
	_cleanup_strbuf_ struct strbuf text = { 0 };
	_cleanup_json_ json_t *release = NULL;
	struct err none = { 0 };

	if (!ext4_exists(root, path) || ext4_read(root, path, RELEASE_LIMIT, &text, &none) < 0)
		return "";
	release = json_loadb(text.s, text.n, 0, NULL);
	return clean_copy(json_get_text(release, "board"));
}

static int read_machine_image(struct machine *m, struct boot_files *boot, struct err *e)
{
	_cleanup_(image_close) struct disk_image image = { 0 };
	struct cow *file;
	int r = cow_open_path(m->image, false, &file, e);

	if (r == 0)
		r = image_open_cow(file, &image, e);
	if (r == 0 && !m->new_overlay)
		r = read_kept_boot(m, image_boot_part(&image), boot, e);
	else if (r == 0 && (r = image_open_fs(&image, IMAGE_BOOT, 1, e)) == 0)
		r = boot_files_extract(image.boot, m->dir, boot, e);
	if (r < 0)
		return r;
	r = image_open_fs(&image, IMAGE_ROOT, 1, e);
	if (r < 0)
		return r;
	m->board = read_image_board(image.root);
	r = kernel_check(image.root, boot, m->board, e);
	if (r < 0)
		return r;
	r = network_read(image.root, &m->network, e);
	if (r < 0)
		return r;
	network_derive(&m->network);
	return 0;
}

/* ---- the command line ---- */

static void argv_add(struct machine *m, const char *option, const char *value)
{
	*vec_push(&m->argv) = option;
	if (value)
		*vec_push(&m->argv) = value;
}

static void add_plug(const struct machine_want *want, struct machine *m, const char *id)
{
	argv_add(m, "-netdev",
		 arena_printf("stream,id=%s,server=off,addr.type=unix,addr.path=%s", id,
			      escaped(lan_socket(want->lan))));
}

/* The way to the world is plugged into the switch by itself, not where the machine is: lan.h. */
static void add_network(const struct machine_want *want, struct machine *m)
{
	if (!want->lan) {
		argv_add(m, "-netdev", network_option(m, "net", want->open, NULL));
		return;
	}
	add_plug(want, m, "net");
	if (want->number)
		return;
	argv_add(m, "-netdev", network_option(m, "world", want->open, want->others));
	add_plug(want, m, "uplink");
	argv_add(m, "-netdev", "hubport,id=port0,hubid=0,netdev=world");
	argv_add(m, "-netdev", "hubport,id=port1,hubid=0,netdev=uplink");
}

static void make_argv(const struct machine_want *want, struct machine *m, const struct boot_files *boot)
{
	/* unsafe would lose what the guest had flushed when QEMU is killed. */
	const char *cache = m->throw_away ? "unsafe" : "writeback";

	argv_add(m, "qemu-system-aarch64", NULL);
	argv_add(m, "-nodefaults", "-no-user-config");
	argv_add(m, "-M", "virt");
	argv_add(m, "-cpu", "cortex-a72");
	argv_add(m, "-accel", "tcg,thread=multi");
	argv_add(m, "-smp", arena_printf("%u", want->cpus ? want->cpus : DEFAULT_CPUS));
	argv_add(m, "-m", arena_printf("%u", want->memory ? want->memory : DEFAULT_MEMORY));
	argv_add(m, "-display", "none");
	argv_add(m, "-chardev", "file,id=console,path=/dev/stdout");
	argv_add(m, "-serial", "chardev:console");
	argv_add(m, "-chardev", "socket,id=qmp,fd=3");
	argv_add(m, "-mon", "chardev=qmp,mode=control");
	argv_add(m, "-kernel", boot->kernel);
	if (boot->initramfs)
		argv_add(m, "-initrd", boot->initramfs);
	argv_add(m, "-append", cmdline_for_virt(boot->cmdline, !want->open, want->append));
	argv_add(m, "-drive",
		 arena_printf("if=none,id=disk,file=%s,format=qcow2,cache=%s,discard=unmap", escaped(m->overlay),
			      cache));
	argv_add(m, "-device", "virtio-blk-device,drive=disk");
	argv_add(m, "-device", "virtio-rng-device");
	add_network(want, m);
	argv_add(m, "-device",
		 arena_printf("virtio-net-device,netdev=net,mac=52:54:00:12:34:%02x", 0x56 + want->number));
	if (want->rtc)
		argv_add(m, "-rtc", arena_printf("base=%s", escaped(want->rtc)));
	for (size_t i = 0; i < want->n_qemu; i++)
		argv_add(m, want->qemu[i], NULL);
	*vec_push(&m->argv) = NULL;
}

static int need_tools(struct err *e)
{
	if (proc_find("qemu-system-aarch64") && proc_find("qemu-img"))
		return 0;
	return err_class(
		e, CLASS_HOST,
		"%s is not installed; QEMU is in the packages qemu-system-arm and qemu-utils: sudo apt-get install qemu-system-arm qemu-utils",
		proc_find("qemu-img") ? "qemu-system-aarch64" : "qemu-img");
}

int machine_prepare(const struct machine_want *want, struct machine *m, struct err *e)
{
	struct boot_files boot = { 0 };
	int r = need_tools(e);

	if (r < 0)
		return r;
	r = temp_dir("boot", &m->dir, e);
	if (r < 0)
		return r;
	r = choose_disk(want, m, e);
	if (r < 0)
		return r;
	r = choose_ports(want, m, e);
	if (r < 0)
		return r;
	r = read_machine_image(m, &boot, e);
	if (r < 0)
		return r;
	network_avoid(&m->network, want->others);
	make_argv(want, m, &boot);
	if (network_doubt(&m->network))
		log_warning("the node will not be reached here: %s", network_doubt(&m->network));
	return 0;
}
