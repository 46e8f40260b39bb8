/* SPDX-License-Identifier: Apache-2.0 */
#include "config/owned.h"

#include <fnmatch.h>

#include "base/util.h"

struct owned {
	const char *pattern; /* fnmatch(3), "*" takes dots and slashes too; first match wins */
	const char *why;
};

static const char *owned_row(const struct owned *rows, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (fnmatch(rows[i].pattern, text, FNM_EXTMATCH) == 0)
			return rows[i].why;
	return NULL;
}

/* ---- config.txt ---- */

/* Sources: raspberrypi/documentation: documentation/asciidoc/computers/config_txt (boot, conditional, what_is, gpio);
 * program_* write the chip's OTP. */
static const char fuses[] = "it burns a fuse of the chip, which stays for ever",
		  kernels[] = "the base's kernel for the board is the one that Cilium and Envoy run on",
		  initramfs[] = "the base's initramfs grows the root file system and belongs to its kernel",
		  elsewhere[] = "the firmware would not find the base's files any more";
static const struct owned owned_config_lines[] = {
	{ "[[]*", "lines go below [all] of this card alone; what one node needs goes into nodes[].boot" },
	{ "include*", "all of config.txt stands in one file; give its lines here" },
	{ "kernel_watchdog_*", "set os.watchdog" },
	{ "kernel*=*", kernels },
	{ "arm_64bit=*", "K3s and the base are arm64" },
	{ "initramfs *", initramfs },
	{ "@(initramfs|auto_initramfs|ramfsfile|ramfsaddr|ramfs*)=*", initramfs },
	{ "@(os_prefix|overlay_prefix|device_tree|device_tree_address|boot_partition)=*", elsewhere },
	{ "@(start_file|fixup_file|start_x|start_debug|armstub)=*", "the firmware of the base belongs together" },
	{ "cmdline=*", "the root file system and K3s's memory cgroup stand in cmdline.txt; set boot.cmdline" },
	{ "program_*", fuses },
	{ "dtoverlay=disable-wifi*", "set boot.wifi: false" },
	{ "dtoverlay=disable-bt*", "set boot.bluetooth: false" },
};

const char *owned_config_line(const char *line)
{
	return owned_row(owned_config_lines, ARRAY_SIZE(owned_config_lines), line);
}

/* ---- modules of the kernel ---- */

const char *owned_module(const char *module)
{
	static const char *const needed[] = { "vxlan",	    "udp_tunnel",   "ip6_udp_tunnel", "veth",
					      "overlay",    "br_netfilter", "nf_conntrack",   "nf_tables",
					      "nft_compat", "x_tables",	    "xt_socket",      "xt_TPROXY",
					      "xt_CT",	    "xt_mark",	    "ip_set",	      "cls_bpf",
					      "sch_ingress" };

	char *name = arena_strdup(module);

	/* To modprobe(8) both are one name. */
	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : *p;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (streq(name, needed[i]))
			return arena_printf("keeps the module %s away, without which K3s or Cilium do not work",
					    needed[i]);
	return NULL;
}

/* ---- cmdline.txt ---- */

/* Sources: Documentation/admin-guide/kernel-parameters.txt of Linux; kernel-command-line(7), systemd.unit=. */
static const char root_of_card[] = "the card finds, grows and checks its root file system by it",
		  needs_cgroup[] = "K3s needs the memory cgroup, of version 2",
		  starts_else[] = "K3s would not be started",
		  names_interfaces[] = "interfaces are called eth0 and wlan0 here; set nodes[].interface";
static const struct owned owned_cmdline_words[] = {
	{ "@(root|rootfstype|rootflags|rootdelay|rootwait|ro|rw|resize|nfsroot)", root_of_card },
	{ "@(init|rdinit|initrd|noinitrd)", "systemd has to be the first program" },
	{ "cgroup_*", needs_cgroup },
	{ "systemd.@(unified_cgroup_hierarchy|legacy_systemd_cgroup_controller)", needs_cgroup },
	{ "systemd.@(unit|mask|wants)", starts_else },
	{ "@(rescue|emergency|single|s|S|[1-6]|systemd.run)", starts_else },
	{ "systemd.machine_id", "every card makes an id of its own at its first boot" },
	{ "@(systemd.hostname|hostname)", "nodes[].name is the host name" },
	{ "@(net.ifnames|biosdevname|ifname)", names_interfaces },
	{ "@(ip|bootdev|nameserver)", "set network in cluster.yaml" },
	{ "cfg80211.ieee80211_regdom", "set network.wifi.country" },
	{ "@(watchdog_disarm|nowatchdog|systemd.watchdog_*|bcm2835_wdt.*)", "set os.watchdog" },
	/* raspi-config's read-only system */
	{ "@(overlayroot|boot)", "K3s's state would be forgotten at every restart" },
	{ "@(ds|cloud_init)", "cloud-init is off on the card" },
	{ "pibuild.*", "these words are pibuild's own" },
};

/* The kernel takes '-' for '_' in names (parameq() of kernel/params.c). */
const char *owned_cmdline_word(const char *word)
{
	char *name = arena_strndup(word, strcspn(word, "="));

	for (char *p = name; *p; p++)
		*p = *p == '-' && p != name ? '_' : *p;
	if (starts_with(word, "--"))
		return "what follows it is for systemd, not for the kernel";
	if (streq(name, "cgroup_enable") || streq(word, "cgroup_memory=1"))
		return "every card has what K3s needs of cgroups already; leave it out";
	if ((streq(name, "module_blacklist") || streq(name, "modprobe.blacklist")) && strchr(word, '=')) {
		char *save = NULL, *all = arena_strdup(strchr(word, '=') + 1);

		for (char *one = strtok_r(all, ",", &save); one; one = strtok_r(NULL, ",", &save))
			if (owned_module(one))
				return arena_printf("it %s", owned_module(one));
	}
	return owned_row(owned_cmdline_words, ARRAY_SIZE(owned_cmdline_words), name);
}
