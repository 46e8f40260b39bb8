/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What brings a node back that hangs, and what tells afterwards: systemd's watchdog, the journal, swap. The programs
 * that look after the network and K3s's certificates lie in overlays/; which of them run stands in node/units.c.
 */
#include "node/node.h"

static const char origin[] = "generated: healing";

/*
 * The watchdog of BCM2835 to BCM2712 counts 16 seconds at most, and the kernel serves it for longer times that systemd
 * asks for: what hangs is the kernel, and it resets in 16 seconds, or PID 1, and it does in the time below. Kernels
 * before 2026-06 set it to the remainder of the time by 16 and serve it every 8 seconds (raspberrypi/linux pull 7432):
 * 20 seconds, say, are four, and the Pi restarts for ever (systemd issue 21949). 60 and 300 leave 12. Shorter than a
 * minute, a slow card resets a Pi that is only busy (nix-community/srvos pull 523). Raspberry Pi OS trixie has a minute
 * itself, in 40-rpi-enable-watchdog.conf (RPi-Distro/raspberrypi-sys-mods usr/lib/systemd/system.conf.d; once 70-),
 * which a later name overrides.
 */
static void add_watchdog(const struct node_ctx *x, struct tree *t)
{
	static const char path[] = "/etc/systemd/system.conf.d/90-pibuild.conf";

	if (!x->board->watchdog)
		return;
	if (x->config->os.watchdog)
		tree_add_text(
			t, path, 0644, origin,
			"# A hung kernel is reset in 16 seconds, a hung PID 1 in a minute. Other times: those whose\n"
			"# remainder by 16 is 9 or more, or older kernels of Raspberry Pis reset without end.\n"
			"[Manager]\nRuntimeWatchdogSec=60\nRebootWatchdogSec=300\n");
	else
		tree_add_text(t, path, 0644, origin,
			      "# os.watchdog: false\n[Manager]\nRuntimeWatchdogSec=off\nRebootWatchdogSec=off\n");
}

/* Raspberry Pi OS keeps the journal in memory by its 40-rpi-volatile-storage.conf (raspberrypi-sys-mods issue 110);
 * what raspi-config writes there when it is asked to, 80-raspi-config-journal-storage.conf, goes over this one. */
static void add_journal(const struct node_ctx *x, struct tree *t)
{
	bool persistent = x->config->os.journal.storage == JOURNAL_PERSISTENT;
	unsigned long long mib = x->config->os.journal.max / MIB;

	tree_add_text(
		t, "/etc/systemd/journald.conf.d/50-pibuild.conf", 0644, origin,
		persistent ? arena_printf("[Journal]\nStorage=persistent\nSystemMaxUse=%lluM\nRuntimeMaxUse=%lluM\n"
					  "# What is no emergency reaches the card in one go.\nSyncIntervalSec=5min\n",
					  mib, MIN(mib, 16ull))
			   : arena_printf("[Journal]\nStorage=volatile\nRuntimeMaxUse=%lluM\n", mib));
	/* systemd-tmpfiles gives it its group, which has another number on every base, and so its mode. */
	if (persistent)
		tree_add_dir(t, "/var/log/journal", 0755, origin)->if_missing = true;
}

/*
 * K3s starts its kubelet with fail-swap-on=false (pkg/daemons/agent/agent_linux.go), and pods do not swap unless a
 * kubelet is told (NodeSwap: NoSwap), so what swaps is the rest of the node. Raspberry Pi OS trixie has rpi-swap
 * (swap.conf(5)), whose own choice, zram+file, writes 2 GB to the card; bookworm has dphys-swapfile, a file; Debian has
 * none.
 */
static void add_swap(const struct node_ctx *x, struct tree *t)
{
	const char *base = x->config->os.base;
	bool off = x->config->os.swap == SWAP_OFF;

	if (streq(base, "debian"))
		return;
	if (!streq(base, "raspios-bookworm"))
		tree_add_text(t, "/etc/rpi/swap.conf.d/50-pibuild.conf", 0644, origin,
			      off ? "[Main]\nMechanism=none\n" : "[Main]\nMechanism=zram\n");
	if (off && !streq(base, "raspios"))
		tree_add_symlink(t, "/etc/systemd/system/dphys-swapfile.service", origin, "/dev/null");
}

int node_add_healing(const struct node_ctx *x, struct tree *t, struct err *e)
{
	add_watchdog(x, t);
	add_journal(x, t);
	add_swap(x, t);
	return 0;
}
