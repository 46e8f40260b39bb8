/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user's overlays must not do, found before anything is built: folders that no node takes, the place of a file
 * that pibuild writes or that decides boot and login, and files that a card could not use as they are. What pibuild
 * writes is known from the tree of each node; what the base has there, from the table below.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/kinds.h"
#include "node/node.h"
#include "node/overlay_settings.h"
#include "node/overlay_unread.h"
#include "schema/schema.h"

/* How much of a file is looked at: line ends and the first line show early. */
enum { LOOK_LIMIT = 64 * 1024 };

/* One folder of the user's overlays: of all nodes, of a role or of one node. */
struct user_overlay {
	const char *name, *folder;
	struct tree tree;
};

struct overlay_check {
	const char *dir; /* the overlays of the user */
	const struct node_ctx *nodes;
	size_t n_nodes;
	struct tree *own; /* what each node's card holds without them */
	VEC(struct user_overlay) overlays;
	struct faults *faults;
};

/* ---- paths that are spoken for ---- */

struct owned_path {
	const char *pattern; /* fnmatch(3), "*" takes slashes too; first match wins */
	const char *why, *instead;
};

static const char names_node[] = "cluster.yaml names the node", decides_login[] = "it decides who may log in",
		  decides_boot[] = "the card boots by it", decides_network[] = "it decides the node's network",
		  holds_k3s[] = "K3s starts with it, and pibuild writes it",
		  is_pibuilds[] = "that place is pibuild's own", unread[] = "nothing on the card reads it",
		  one_machine[] = "every card would be the same machine";
static const char boot_keys[] = "set boot.config, boot.cmdline, boot.wifi or boot.bluetooth; for one node nodes[].boot";

static const struct owned_path owned_paths[] = {
	{ "/etc/hostname", names_node, "set nodes[].name" },
	{ "/etc/hosts", "the cluster's nodes stand in it", "set network.hosts" },
	{ "/etc/@(localtime|timezone)", "cluster.yaml decides the time zone", "set access.timezone" },
	{ "/etc/@(locale.conf|locale.gen|default/locale)", "cluster.yaml decides the locale", "set access.locale" },
	{ "/etc/default/keyboard", "cluster.yaml decides the keyboard", "set access.keyboard" },
	{ "/etc/@(passwd|shadow|group|gshadow|subuid|subgid)", decides_login,
	  "set access.user; other accounts go into a file of /etc/sysusers.d/" },
	{ "*/.ssh/authorized_keys*", decides_login, "set access.sshKeys" },
	{ "/etc/ssh/sshd_config", decides_login, "put a file into /etc/ssh/sshd_config.d/" },
	{ "/etc/ssh/sshd_config.d/00-pibuild.conf", decides_login, "give your file another name there" },
	{ "/etc/sudoers", decides_login, "put a file into /etc/sudoers.d/" },
	{ "/etc/sudoers.d/010-pibuild", decides_login, "give your file another name there" },
	{ "/etc/@(pam.d/*|pam.conf|nsswitch.conf|security/access.conf)", decides_login, "leave it as the base has it" },
	{ "/etc/fstab.d/*", unread, "mount other disks by a unit: /etc/systemd/system/NAME.mount" },
	{ "/etc/fstab", decides_boot, "mount other disks by a unit: /etc/systemd/system/NAME.mount" },
	{ "/etc/@(crypttab|ld.so.preload)", decides_boot, "leave it as the base has it" },
	{ "/etc/machine-id", one_machine, "leave it out: each card makes its own at its first boot" },
	{ "/var/lib/dbus/machine-id", one_machine, "leave it out: each card makes its own at its first boot" },
	{ "/etc/systemd/system/default.target", decides_boot, "leave it as the base has it" },
	{ "/usr/@(sbin/init|lib/systemd/systemd)", decides_boot, "leave it as the base has it" },
	{ BOOT_DIR "/@(cmdline|config).txt", decides_boot, boot_keys },
	{ BOOT_DIR "/autoboot.txt", "it says which partition the card boots from", "leave it out" },
	{ "/boot/@(cmdline|config).txt", "the firmware reads /boot/firmware/ instead", boot_keys },
	{ BOOT_DIR "/" REPORT_NAME ".*", is_pibuilds, "leave it out" },
	{ BOOT_DIR "/@(kernel*.img|initramfs*|start*.elf|fixup*.dat|bootcode.bin|*.dtb)", decides_boot,
	  "build from a base that has it: os.base" },
	{ "/boot/@(vmlinuz|initrd.img|initrd|System.map|config)?(-*)", decides_boot,
	  "build from a base that has it: os.base" },
	{ "/boot*/@(ssh|ssh.txt|userconf|userconf.txt|firstrun.sh|custom.toml|wpa_supplicant.conf)", unread,
	  "set access and network.wifi in cluster.yaml" },
	{ BOOT_DIR "/@(user-data|meta-data|network-config)", "cloud-init is off on the card",
	  "set access and network in cluster.yaml" },
	{ "/etc/cloud/*", "cloud-init is off on the card", "set access and network in cluster.yaml" },
	{ "/etc/default/raspi-@(extra-cmdline|firmware|firmware-custom)", decides_boot, boot_keys },
	{ "/etc/resolv.conf", decides_network, "set network.nameservers" },
	{ "/etc/wpa_supplicant/*.conf", unread, "set network.wifi" },
	{ "/etc/@(dhcpcd.conf|network/interfaces|network/interfaces.d/*|netplan/*)", decides_network,
	  "set network in cluster.yaml; other connections go into /etc/NetworkManager/system-connections/" },
	{ "/etc/systemd/network/*.@(network|netdev)", "systemd-networkd is off on the card",
	  "set network in cluster.yaml; other connections go into /etc/NetworkManager/system-connections/" },
	{ "/etc/NetworkManager/NetworkManager.conf", decides_network, "put a file into /etc/NetworkManager/conf.d/" },
	{ "/etc/NetworkManager/conf.d/10-pibuild.conf", decides_network, "give your file another name there" },
	{ "/etc/NetworkManager/system-connections/pibuild-*", decides_network,
	  "set network in cluster.yaml; give another connection another name" },
	{ "/var/lib/NetworkManager/*", decides_network, "set network in cluster.yaml" },
	{ "/etc/rancher/k3s/config.yaml", holds_k3s, "put a file into /etc/rancher/k3s/config.yaml.d/" },
	{ "/etc/rancher/k3s/config.yaml.d/10-pibuild-*", holds_k3s, "give your file another name there" },
	{ "/etc/@(rancher/k3s/@(config.yml|config.json|config?(.yml).d/*)|rancher/config.yaml|k3s/*)", unread,
	  "put a file that ends in .yaml into /etc/rancher/k3s/config.yaml.d/" },
	{ "/etc/rancher/k3s/registries@(.yml|?(.yaml).d/*)", unread, "call it /etc/rancher/k3s/registries.yaml" },
	{ "/etc/rancher/k3s/k3s.yaml", "K3s writes it at every start", "leave it out; pibuild kubeconfig makes one" },
	{ "/etc/rancher/node/*", "it is the node's password in its cluster",
	  "it is in secrets.yaml: pibuild secrets show" },
	{ "/var/lib/rancher/k3s/server/@(token|agent-token|node-token|tls/*|cred/*|db/*)", holds_k3s,
	  "it is in secrets.yaml: pibuild secrets show" },
	{ "/var/lib/rancher/k3s/agent/etc/containerd/@(config|config-v3).toml?(.tmpl)", holds_k3s,
	  "put a file into /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/" },
	{ "/@(etc|var/lib/rancher/k3s/agent/etc)/containerd/@(config.toml|config.toml.d/*|conf.d/*)", unread,
	  "put a file that ends in .toml into /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/" },
	{ "/etc/@(containerd/certs.d/*|docker/certs.d/*)", unread,
	  "set registries in cluster.yaml, or bring /etc/rancher/k3s/registries.yaml" },
	{ "/etc/systemd/system/@(k3s|k3s-agent).service.env", holds_k3s,
	  "set network.proxy; other variables go into /etc/default/k3s or k3s-agent" },
	{ "/etc/systemd/system/k3s.service", holds_k3s, "put a file into /etc/systemd/system/k3s.service.d/" },
	{ "/etc/systemd/system/k3s-agent.service", holds_k3s,
	  "put a file into /etc/systemd/system/k3s-agent.service.d/" },
	{ "/etc/systemd/system/*@(.wants|.requires)/@(k3s|k3s-agent|pibuild-*).service", "the node's role decides it",
	  "set nodes[].role" },
	{ "/etc/systemd/system/*@(.wants|.requires)/pibuild-*.timer", "cluster.yaml decides it", "set os" },
	{ "/etc/systemd/system/pibuild-+([^/]).service", is_pibuilds,
	  "put a file into a folder of that name with .d: pibuild-NAME.service.d/" },
	{ "/etc/systemd/system/pibuild-+([^/]).timer", is_pibuilds,
	  "put a file into a folder of that name with .d: pibuild-NAME.timer.d/" },
	{ "/etc/@(systemd/system.conf.d/90|systemd/journald.conf.d/50|rpi/swap.conf.d/50)-pibuild.conf", is_pibuilds,
	  "set os, or give your file a name that comes later" },
	{ "/etc/sysctl.conf", "Debian 13 does not read it any more", "put it into /etc/sysctl.d/, or set os.sysctl" },
	{ "/etc/cni/net.d/*",
	  "Cilium writes there, and pods that start before it would get the network of another file", "leave it out" },
	{ "/etc/systemd/system/@(NetworkManager|ssh|dbus|systemd-timesyncd|systemd-udevd).service",
	  "the node is reached by it", "put a file into a folder of that name with .d" },
	{ "/etc/sysctl.d/60-pibuild.conf", is_pibuilds, "set os.sysctl, or give your file another name there" },
	{ "/etc/systemd/timesyncd.conf", "it decides where the node has its time from",
	  "set network.ntp, or put a file into /etc/systemd/timesyncd.conf.d/" },
	{ "/etc/systemd/timesyncd.conf.d/50-pibuild.conf", is_pibuilds,
	  "set network.ntp, or give your file another name there" },
	{ "/etc/systemd/system-preset/00-pibuild.preset", is_pibuilds, "give your file another name there" },
	{ "/@(etc|usr/lib|usr/share|var/lib)/pibuild?(/*)", is_pibuilds, "choose another place" },
};

/* After those: what a node's tree has. */
static const struct owned_path owned_in_tree[] = {
	{ "/usr/local/bin/*", "pibuild installs that program", "set its version in cluster.yaml: versions" },
	{ "/etc/rancher/k3s/registries.yaml", "cluster.yaml has registries, and there is one such file",
	  "move what it says into registries, or remove that key" },
	{ "*", "pibuild writes it", "leave it out" },
};

static const struct owned_path *owned_path_row(const char *path, bool in_tree)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned_paths); i++)
		if (fnmatch(owned_paths[i].pattern, path, FNM_EXTMATCH) == 0)
			return &owned_paths[i];
	for (size_t i = 0; in_tree && i < ARRAY_SIZE(owned_in_tree); i++)
		if (fnmatch(owned_in_tree[i].pattern, path, FNM_EXTMATCH) == 0)
			return &owned_in_tree[i];
	return NULL;
}

/* /bin, /sbin and /lib are links to those of /usr, and the FAT does not tell capitals from small letters. */
static const char *overlay_real_path(const char *path)
{
	static const char *const merged[] = { "/bin/", "/sbin/", "/lib/" };
	char *lower;

	for (size_t i = 0; i < ARRAY_SIZE(merged); i++)
		if (starts_with(path, merged[i]))
			return arena_printf("/usr%s", path);
	if (!starts_with(path, "/boot/"))
		return path;
	lower = arena_strdup(path);
	for (char *p = lower; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
	return lower;
}

/* ---- telling ---- */

/* What two nodes take is told once. */
static bool overlay_told(const struct overlay_check *c, const char *msg)
{
	vec_foreach (x, &c->faults->list)
		if (streq(x->msg, msg))
			return true;
	return false;
}

_printf_(3, 0) static void overlay_tell(const struct overlay_check *c, bool fault, const char *fmt, va_list ap)
{
	const char *msg = clean_text(arena_vprintf(fmt, ap));

	if (overlay_told(c, msg))
		return;
	if (fault)
		fault_at(c->faults, NULL, "%s", msg);
	else
		note_at(c->faults, NULL, "%s", msg);
}

_printf_(2, 3) static void overlay_fault(const struct overlay_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	overlay_tell(c, true, fmt, ap);
	va_end(ap);
}

_printf_(2, 3) static void overlay_note(const struct overlay_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	overlay_tell(c, false, fmt, ap);
	va_end(ap);
}

/* ---- one entry ---- */

static const char *overlay_host_path(const char *folder, const struct entry *n)
{
	return path_join(folder, n->path + 1);
}

static void check_owned(const struct overlay_check *c, const char *host, const struct entry *n, const struct tree *own)
{
	const char *path = overlay_real_path(n->path), *machine = place_one_machine(path);
	const struct entry *taken = tree_find(own, path);
	const struct owned_path *row;

	/* What is copied from the skeleton of homes is the user's own to decide. */
	if (n->kind == ENTRY_DIR || (taken && taken->edit_from))
		return;
	row = owned_path_row(path, taken != NULL);
	if (machine)
		overlay_fault(c, "%s %s: leave it out", host, machine);
	else if (row)
		overlay_fault(c, "%s would take the place of %s%s: %s; %s", host,
			      taken && taken->kind == ENTRY_DIR ? "the folder " : "", path, row->why, row->instead);
	if (machine || row)
		return;
	vec_foreach (o, &own->entries) {
		if (starts_with(o->path, arena_printf("%s/", path))) {
			overlay_fault(c, "%s would take the place of the folder %s, in which the card needs %s", host,
				      path, path_base(o->path));
			return;
		}
	}
}

/* A folder where the card has a file. Rows with a star tell of what is in a folder, by each file. */
static void check_folder_owned(const struct overlay_check *c, const char *host, const char *path,
			       const struct tree *own)
{
	const char *real = overlay_real_path(path);
	const struct entry *taken = tree_find(own, real);
	bool is_file = taken && taken->kind != ENTRY_DIR && taken->kind != ENTRY_REMOVE && taken->kind != ENTRY_UNPACK;
	const struct owned_path *row = owned_path_row(real, is_file);

	if (row && (is_file || !strchr(row->pattern, '*')))
		overlay_fault(c, "the folder %s would take the place of the file %s: %s; %s", host, real, row->why,
			      row->instead);
}

static const char *first_folder(const char *path)
{
	return arena_strndup(path + 1, strcspn(path + 1, "/"));
}

static void check_first_folder(const struct overlay_check *c, const char *folder, const struct entry *n)
{
	static const char *const known[] = { "bin", "boot", "etc",  "home", "lib", "media", "mnt",
					     "opt", "root", "sbin", "srv",  "usr", "var" };
	static const char *const mounted[] = { "dev", "proc", "run", "sys", "tmp" };
	const char *name = first_folder(n->path), *near;

	for (size_t i = 0; i < ARRAY_SIZE(mounted); i++)
		if (streq(name, mounted[i]))
			overlay_fault(c,
				      "%s: nothing there is seen on a running card, which mounts its own /%s over it",
				      path_join(folder, name), name);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(name, known[i]))
			return;
	near = nearest_word(name, known, ARRAY_SIZE(known));
	if (near && strchr(n->path + 1, '/'))
		overlay_fault(c, "%s would make a new folder /%s on the card; did you mean %s?",
			      path_join(folder, name), name, near);
	else
		overlay_note(c, "%s makes a new %s /%s on the card", path_join(folder, name),
			     strchr(n->path + 1, '/') ? "folder" : "file", name);
}

/* ---- links ---- */

static const char *wants_unit(const char *path)
{
	const char *dir = path_dir(path);

	return strstr(path, "/systemd/") && (ends_with(dir, ".wants") || ends_with(dir, ".requires")) ? path_base(path)
												      : NULL;
}

/* TARGET as seen from PATH, "." and ".." resolved; NULL when it climbs out at the top. */
static const char *resolve_target(const char *path, const char *target)
{
	_cleanup_free_ char *all = *target == '/' ? xasprintf("%s", target)
						  : xasprintf("%s/%s", path_dir(path), target);
	VEC(const char *) parts = { 0 };
	_cleanup_strbuf_ struct strbuf b = { 0 };

	text_foreach (s, all, "/") {
		if (streq(s, "."))
			continue;
		if (!streq(s, ".."))
			*vec_push(&parts) = s;
		else if (parts.n)
			parts.n--;
		else
			return NULL;
	}
	vec_foreach (part, &parts)
		strbuf_addf(&b, "/%s", *part);
	return arena_strdup(b.n ? b.s : "/");
}

static void overlay_check_link(const struct overlay_check *c, const char *host, const struct entry *n,
			       const struct tree *own, const struct tree *users)
{
	const char *target = n->bytes, *path = resolve_target(n->path, target);
	char project[PATH_MAX];

	if (!path) {
		overlay_fault(
			c,
			"the link %s leads out of its overlay (%s): links are laid on the card as they are; copy the file",
			host, target);
		return;
	}
	/* /srv and others are places of a card too: what it has there is meant first. */
	if (realpath(path_dir(c->dir), project) && starts_with(path, arena_printf("%s/", project)) &&
	    !file_is_missing(path) && !tree_find(own, path) && !tree_find(users, path)) {
		overlay_fault(c, "the link %s leads to a place of this machine (%s), which no card has; copy the file",
			      host, target);
		return;
	}
	if (wants_unit(n->path) && starts_with(path, "/etc/systemd/") && !tree_find(own, path) &&
	    !tree_find(users, path))
		overlay_fault(c, "the link %s leads to %s, which neither your overlays nor pibuild bring", host, path);
}

/* ---- what is in a file ---- */

struct overlay_look {
	const char *bytes, *s; /* s: behind a byte order mark */
	size_t size;
	bool text, crlf, script, elf, bom, utf16;
	bool other_processor; /* a program that no board here runs */
};

static bool overlay_look_at(const char *host, char buf[LOOK_LIMIT + 1], struct overlay_look *ret)
{
	_cleanup_close_ int fd = open(host, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, LOOK_LIMIT);
	const char *s = buf;

	if (n <= 0)
		return false;
	buf[n] = '\0';
	*ret = (struct overlay_look){ .bytes = buf, .size = (size_t)n };
	ret->utf16 = n > 1 && (!memcmp(s, "\xff\xfe", 2) || !memcmp(s, "\xfe\xff", 2));
	ret->bom = n > 2 && !memcmp(s, "\xef\xbb\xbf", 3);
	s += ret->bom ? 3 : 0;
	ret->s = s;
	ret->text = !memchr(buf, '\0', (size_t)n);
	ret->script = starts_with(s, "#!");
	ret->crlf = ret->text && strstr(s, "\r\n");
	ret->elf = n > 20 && !memcmp(buf, "\177ELF", 4);
	/* e_machine of elf(5): EM_386, EM_X86_64 */
	ret->other_processor = ret->elf && (buf[18] == 3 || buf[18] == 62) && !buf[19];
	return true;
}

static bool is_unit(const char *path)
{
	return strstr(path, "/systemd/system/") &&
	       (overlay_is_unit_name(path) || (strstr(path, ".d/") && ends_with(path, ".conf")));
}

/* Programs that read a file line by line and take a CR for a part of the word before it. */
static bool minds_line_ends(const char *path)
{
	static const char *const places[] = {
		"/etc/sudoers.d/",	"/etc/ssh/",   "/etc/cron.",	   "/etc/crontab",  "/etc/sysctl.d/",
		"/etc/modules-load.d/", "/etc/udev/",  "/etc/environment", "/etc/default/", "/etc/profile",
		"/etc/NetworkManager/", "/etc/modules"
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (starts_with(path, places[i]))
			return true;
	return false;
}

/* What stands behind the signs of Exec...= in a unit of the same overlay. */
static bool unit_runs(const struct tree *users, const char *path)
{
	vec_foreach (n, &users->entries) {
		_cleanup_free_ char *text = NULL;
		struct err ignored = { 0 };
		size_t len;

		if (n->kind != ENTRY_FILE || !is_unit(n->path) ||
		    file_read(n->host_file, LOOK_LIMIT, &text, &len, &ignored) < 0)
			continue;
		for (const char *p = text; (p = strstr(p, "\nExec")); p++) {
			const char *word = p + strcspn(p + 1, "=\n") + 1;

			if (*word != '=')
				continue;
			word += 1 + strspn(word + 1, " \t@-:+!|");
			if (strncmp(word, path, strlen(path)) == 0 && strchr(" \t\r\n", word[strlen(path)]))
				return true;
		}
	}
	return false;
}

/* Encrypted, or left in two versions by git: what reads it would end at its first line. */
static void check_is_itself(const struct overlay_check *c, const char *host, const struct entry *n,
			    const struct overlay_look *look)
{
	bool git = false;
	const char *words = yaml_withheld(look->bytes, look->size, &git);

	if (!words && look->text && yaml_conflict_mark(look->bytes, look->size) < look->size)
		words = yaml_conflict_words;
	if (words && (git || look->script || is_unit(n->path) || minds_line_ends(n->path)))
		overlay_fault(c, "%s: %s", host, words);
}

/* Places whose programs are only run with an x bit. */
static bool is_run(const char *path, const struct tree *users)
{
	return streq(path, "/etc/rc.local") || strstr(path, "/bin/") || strstr(path, "/sbin/") ||
	       strstr(path, "/dispatcher.d/") ||
	       fnmatch("/etc/@(cron.@(hourly|daily|weekly|monthly)|update-motd.d)/*", path, FNM_EXTMATCH) == 0 ||
	       unit_runs(users, path);
}

static bool overlay_unit_is_wanted(const struct tree *users, const char *unit)
{
	vec_foreach (n, &users->entries) {
		const char *wanted = wants_unit(n->path);

		if (wanted && streq(wanted, unit))
			return true;
	}
	return false;
}

/* What WantedBy= in TEXT names first. */
static const char *unit_target(const char *text)
{
	const char *by = strstr(text, "\nWantedBy=");

	by = by ? by + strlen("\nWantedBy=") : "";
	return strcspn(by, " \t\n") ? arena_strndup(by, strcspn(by, " \t\n")) : "multi-user.target";
}

/* LOOK: NULL when there is nothing in it. */
static void overlay_check_content(const struct overlay_check *c, const char *host, const struct entry *n,
				  const struct tree *users, const struct overlay_look *look)
{
	const char *name = path_base(n->path);

	if (wants_unit(n->path)) {
		overlay_fault(c, "%s is a file, and systemd follows only links there: ln -sf ../%s %s", host, name,
			      host);
		return;
	}
	if (starts_with(n->path, "/var/spool/cron/crontabs/") && (n->mode != 0600 || !streq(name, "root"))) {
		overlay_fault(
			c,
			"%s is passed over by cron, which takes it from the user of that name alone, with the mode 600: put it into /etc/cron.d/, with the user before each command",
			host);
		return;
	}
	if (!look)
		return;
	if (look->utf16 && (is_unit(n->path) || minds_line_ends(n->path))) {
		overlay_fault(c, "%s is saved as UTF-16, which nothing on the card reads: save it as UTF-8", host);
	} else if (look->bom && (look->script || is_unit(n->path) || minds_line_ends(n->path))) {
		overlay_fault(c, "%s begins with a byte order mark: save it as UTF-8 without one", host);
	} else if (look->crlf && look->script) {
		overlay_fault(c, "%s has the line ends of Windows, so its #! names no program: sed -i 's/\\r$//' %s",
			      host, shell_word(host));
	} else if (look->crlf && (is_unit(n->path) || minds_line_ends(n->path))) {
		overlay_fault(c, "%s has the line ends of Windows: sed -i 's/\\r$//' %s", host, shell_word(host));
	} else if (look->other_processor) {
		overlay_fault(
			c,
			"%s is a program for the processor of a PC (x86), and the nodes are arm64: take the one for arm64, which downloads also call aarch64",
			host);
	} else if ((look->script || look->elf) && !(n->mode & 0111) && is_run(n->path, users)) {
		overlay_note(c, "%s is a %s without an x bit, so it cannot be run: chmod +x %s", host,
			     look->script ? "script" : "program", shell_word(host));
	} else if (is_unit(n->path) && strstr(look->s, "\n[Install]") && !strchr(name, '@') &&
		   !overlay_unit_is_wanted(users, name)) {
		overlay_note(
			c,
			"%s is enabled by no link: systemd's presets may do it at the first boot; to be sure, ln -s ../%s into %s.wants beside it",
			host, name, unit_target(look->s));
	}
}

/* ---- settings that the cluster needs otherwise ---- */

static void overlay_check_settings(const struct overlay_check *c, const char *host, const struct entry *n,
				   const struct node_ctx *x, const struct tree *own)
{
	_cleanup_free_ char *text = NULL;
	struct err e = { 0 };
	const char *why, *note = NULL;
	size_t len;

	if (file_read(host, LOOK_LIMIT, &text, &len, &e) < 0) {
		overlay_note(c, "%s, so nobody looked whether it fits the cluster", faults_reason(c->faults, &e));
		return;
	}
	why = overlay_settings_fault(n->path, text, x, own, c->faults, &note);
	if (why)
		overlay_fault(c, "%s %s", host, why);
	else if (note)
		overlay_note(c, "%s %s", host, note);
}

/* ---- folders ---- */

static bool node_takes(const struct node_ctx *x, const char *name)
{
	return streq(name, "common") || streq(name, role_names[x->node->role]) || streq(name, x->node->name);
}

/* Two names of the boot partition that a FAT takes for one. */
static void check_capitals(const struct overlay_check *c, const char *folder, const struct tree *users)
{
	vec_foreach (a, &users->entries)
		for (struct entry *b = users->entries.v; b < a; b++)
			if (entry_on_boot(a) && !strcasecmp(a->path, b->path))
				overlay_fault(c, "%s and %s are one file on the boot partition, which is a FAT",
					      overlay_host_path(folder, b), path_base(a->path));
}

/* FAT's specification (fatgen103, long names), and what Windows makes of the rest. */
static void check_fat_names(const struct overlay_check *c, const char *folder, const struct tree *users)
{
	vec_foreach (n, &users->entries) {
		const char *name = path_base(n->path), *bad = strpbrk(name, "\"*:<>?\\|");
		char last = name[strlen(name) - 1];

		if (!entry_on_boot(n))
			continue;
		if (bad)
			overlay_fault(
				c,
				"%s: no name of the boot partition, which is a FAT, may have a '%c'; give it another",
				overlay_host_path(folder, n), *bad);
		else if (last == '.' || last == ' ')
			overlay_fault(
				c,
				"%s: a name of the boot partition, which is a FAT, loses the %s at its end; give it another",
				overlay_host_path(folder, n), last == '.' ? "dot" : "blank");
	}
}

#define SERVER_FOLDER	"/var/lib/rancher/k3s/server/"
#define MANIFEST_FOLDER SERVER_FOLDER "manifests/"

/* Places that are read on nodes of one role alone. */
static const struct {
	const char *pattern;
	enum role role;
	const char *why;
} role_paths[] = {
	{ SERVER_FOLDER "*", ROLE_CONTROL_PLANE,
	  "that folder is K3s's on servers, and a worker has none; move it into overlays/control-plane" },
	{ "/etc/@(systemd/system/k3s.service.d/*|default/k3s)", ROLE_CONTROL_PLANE,
	  "a worker has k3s-agent.service, and no k3s.service; write k3s-agent in its place" },
	{ "/etc/@(systemd/system/k3s-agent.service.d/*|default/k3s-agent)", ROLE_WORKER,
	  "a server has k3s.service, and no k3s-agent.service; write k3s in its place" },
};

/* Why no node that takes the overlay NAME reads PATH. What lies in common/ is for nodes to come as well. */
static const char *role_unread(const struct overlay_check *c, const char *name, const char *path)
{
	bool takes[ROLE_COUNT] = { 0 };

	for (size_t i = 0; i < c->n_nodes; i++)
		takes[c->nodes[i].node->role] |= node_takes(&c->nodes[i], name);
	for (size_t i = 0; i < ARRAY_SIZE(role_paths) && !streq(name, "common"); i++)
		if (fnmatch(role_paths[i].pattern, path, FNM_EXTMATCH) == 0 && !takes[role_paths[i].role] &&
		    (takes[ROLE_CONTROL_PLANE] || takes[ROLE_WORKER]))
			return arena_printf("is read by nobody: %s", role_paths[i].why);
	return NULL;
}

/* What K3s calls a file of its manifests, in whatever folder there; NULL for other files. */
static const char *addon_name(const struct entry *n)
{
	return n->kind == ENTRY_FILE && starts_with(n->path, MANIFEST_FOLDER) ? k3s_addon(path_base(n->path)) : NULL;
}

static void check_addons(const struct overlay_check *c, const struct user_overlay *a, const struct user_overlay *b)
{
	vec_foreach (m, &a->tree.entries) {
		const char *name = addon_name(m);

		vec_foreach (n, &b->tree.entries) {
			const char *other = name && strcmp(m->path, n->path) < 0 ? addon_name(n) : NULL;

			if (other && streq(name, other))
				overlay_fault(
					c,
					"%s and %s are one to K3s, which calls a manifest by its name up to the first dot, %s: each would remove what the other made; rename one",
					overlay_host_path(a->folder, m), overlay_host_path(b->folder, n), name);
		}
	}
}

static void check_folder_of(struct overlay_check *c, const char *name)
{
	static char buf[LOOK_LIMIT + 1];
	const char *folder = path_join(c->dir, name);
	struct tree users = { 0 };
	struct err e = { 0 };

	if (tree_add_overlay(&users, folder, "", LAYER_NODE, &e) < 0)
		overlay_fault(c, "%s", faults_reason(c->faults, &e));
	*vec_push(&c->overlays) = (struct user_overlay){ name, folder, users };
	vec_foreach (path, &users.left_out)
		overlay_note(c, "%s is not copied: programs leave such files behind", *path);
	check_capitals(c, folder, &users);
	check_fat_names(c, folder, &users);
	vec_foreach (path, &users.folders)
		for (size_t i = 0; i < c->n_nodes; i++)
			if (node_takes(&c->nodes[i], name))
				check_folder_owned(c, path_join(folder, *path + 1), *path, &c->own[i]);
	vec_foreach (n, &users.entries) {
		const char *host = n->kind == ENTRY_FILE ? n->host_file : overlay_host_path(folder, n);
		size_t before = c->faults->errors;
		struct overlay_look look;
		bool looked = n->kind == ENTRY_FILE && overlay_look_at(host, buf, &look);
		const char *why;

		check_first_folder(c, folder, n);
		if (looked)
			check_is_itself(c, host, n, &look);
		for (size_t i = 0; i < c->n_nodes; i++) {
			if (!node_takes(&c->nodes[i], name))
				continue;
			check_owned(c, host, n, &c->own[i]);
			if (n->kind == ENTRY_FILE && c->faults->errors == before)
				overlay_check_settings(c, host, n, &c->nodes[i], &c->own[i]);
			if (n->kind == ENTRY_SYMLINK && c->faults->errors == before)
				overlay_check_link(c, host, n, &c->own[i], &users);
		}
		why = n->kind == ENTRY_FILE && c->faults->errors == before ? overlay_unread(n->path) : NULL;
		if (n->kind == ENTRY_FILE && !why)
			why = role_unread(c, name, n->path);
		if (why)
			overlay_fault(c, "%s %s", host, why);
		if (n->kind == ENTRY_FILE && c->faults->errors == before)
			overlay_check_content(c, host, n, &users, looked ? &look : NULL);
	}
}

static void check_file_against_folders(const struct overlay_check *c, const struct user_overlay *a,
				       const struct user_overlay *b)
{
	vec_foreach (n, &a->tree.entries) {
		const char *path = overlay_real_path(n->path);

		if (n->kind == ENTRY_DIR)
			continue;
		vec_foreach (dir, &b->tree.folders)
			if (streq(path, overlay_real_path(*dir)))
				overlay_fault(
					c,
					"%s is a file and %s a folder, and a card that takes both can have only one of them: rename or remove one",
					overlay_host_path(a->folder, n), path_join(b->folder, *dir + 1));
	}
}

/* A file of one overlay and a folder of another, at the same place of a node that takes both. */
static void check_overlays_agree(const struct overlay_check *c)
{
	vec_foreach (a, &c->overlays)
		check_addons(c, a, a);
	vec_foreach (a, &c->overlays)
		vec_foreach (b, &c->overlays)
			for (size_t i = 0; i < c->n_nodes && a != b; i++)
				if (node_takes(&c->nodes[i], a->name) && node_takes(&c->nodes[i], b->name)) {
					check_file_against_folders(c, a, b);
					check_addons(c, a, b);
					break;
				}
}

static bool takes_any(const struct overlay_check *c, const char *name)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (streq(name, role_names[i]))
			return true;
	for (size_t i = 0; i < c->n_nodes; i++)
		if (node_takes(&c->nodes[i], name))
			return true;
	return false;
}

static void fault_stray_folder(const struct overlay_check *c, const char *name)
{
	const char **known = arena_alloc((c->n_nodes + ROLE_COUNT + 1) * sizeof(*known)), *near;
	size_t n = 0;

	known[n++] = "common";
	for (size_t i = 0; i < ROLE_COUNT; i++)
		known[n++] = role_names[i];
	for (size_t i = 0; i < c->n_nodes; i++)
		known[n++] = c->nodes[i].node->name;
	near = schema_meant(&config_foreign_keys.words, name, known, n);
	overlay_fault(c, "%s is taken by no node: its folders are common, control-plane, worker and the nodes' names%s",
		      path_join(c->dir, name), did_you_mean("; ", near));
}

static void fault_unread(struct overlay_check *c, const char *verb, const char *path)
{
	struct err e = { 0 };

	err_errno(&e, -errno, "cannot %s %s", verb, path);
	overlay_fault(c, "%s", faults_reason(c->faults, &e));
}

/* Hidden files and a README are for the people who keep the folder. */
static void overlay_check_name(struct overlay_check *c, const char *name)
{
	const char *path = path_join(c->dir, name);
	struct stat st;

	if (*name == '.' || starts_with(name, "README"))
		return;
	if (stat(path, &st) < 0)
		fault_unread(c, "read", path);
	else if (!S_ISDIR(st.st_mode))
		overlay_fault(
			c,
			"%s is no folder, so no card gets it; put it into a folder of it: common, a role or a node's name",
			path);
	else if (!takes_any(c, name))
		fault_stray_folder(c, name);
	else
		check_folder_of(c, name);
}

int node_check_overlays(const char *dir, const struct node_ctx *nodes, size_t n, struct faults *f, struct err *e)
{
	struct overlay_check c = {
		.dir = dir, .nodes = nodes, .n_nodes = n, .own = arena_alloc((n + 1) * sizeof(*c.own)), .faults = f
	};
	struct dirent **names = NULL;
	int count;

	if (node_overlays_shipped(dir))
		return 0;
	for (size_t i = 0; i < n; i++) {
		int r = node_render_own(&nodes[i], &c.own[i], e);

		if (r < 0)
			return r;
	}
	count = scandir(dir, &names, NULL, alphasort);
	if (count < 0)
		fault_unread(&c, "list", dir);
	for (int i = 0; i < count; i++) {
		overlay_check_name(&c, arena_strdup(names[i]->d_name));
		free(names[i]);
	}
	free(names);
	check_overlays_agree(&c);
	return 0;
}
