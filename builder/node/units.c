/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which units run, in one table. With machine-id `uninitialized` PID 1 applies presets to every unit at first boot and
 * Debian's default is to enable, so what must stay off needs a preset line too; links make the rest true from the
 * first boot on, presets or not. The steps of first boot have a table of their own (node/first_boot.c).
 */
#include "node/node.h"

static const char origin[] = "generated: units";

enum { ON_SERVER = 1 << ROLE_CONTROL_PLANE, ON_WORKER = 1 << ROLE_WORKER, ON_ALL = ON_SERVER | ON_WORKER };

struct unit_row {
	const char *name;
	unsigned roles;
	const char *wanted_by; /* NULL = disabled */
	const char *file;      /* what the link points to */
};

static const char vendor[] = "/usr/lib/systemd/system/", local[] = "/etc/systemd/system/";

static const struct unit_row units[] = {
	{ "NetworkManager.service", ON_ALL, "multi-user.target", vendor },
	{ "NetworkManager-wait-online.service", ON_ALL, "network-online.target", vendor },
	{ "ssh.service", ON_ALL, "multi-user.target", vendor },
	{ "systemd-timesyncd.service", ON_ALL, "sysinit.target", vendor },
	{ "getty@tty1.service", ON_ALL, "getty.target", vendor },
	{ "pibuild-grow-root.service", ON_ALL, "sysinit.target", local },
	{ "pibuild-ssh-keys.service", ON_ALL, "multi-user.target", local },
	{ "pibuild-report.service", ON_ALL, "multi-user.target", local },
	{ "pibuild-apply.service", ON_ALL, "multi-user.target", local },
	{ "pibuild-last-boot.service", ON_ALL, "multi-user.target", local },
	{ "pibuild-renew.timer", ON_ALL, "timers.target", local },
	{ "pibuild-network-watchdog.timer", ON_ALL, "timers.target", local },
	{ "pibuild-nodes-late.timer", ON_SERVER, "timers.target", local },
	{ "pibuild-apps-late.timer", ON_SERVER, "timers.target", local },
	{ "k3s.service", ON_SERVER, "multi-user.target", local },
	{ "k3s-agent.service", ON_WORKER, "multi-user.target", local },
	/* Two managers of one interface, and a wait for the one that has nothing to do. */
	{ "systemd-networkd.service", ON_ALL, NULL, NULL },
	{ "systemd-networkd.socket", ON_ALL, NULL, NULL },
	{ "systemd-networkd-wait-online.service", ON_ALL, NULL, NULL },
};

/* Of those above, what cluster.yaml decides. */
static bool unit_is_on(const struct node_ctx *x, const struct unit_row *u)
{
	if (streq(u->name, "pibuild-network-watchdog.timer"))
		return x->config->os.network_watchdog == NETWORK_WATCHDOG_AUTO;
	return u->wanted_by != NULL;
}

/* These ask questions on the console or undo what is on the card; masked, because presets and links of the base
 * bring them back. */
static const char *const masked[] = { "userconfig.service", "systemd-firstboot.service" };

static void link_unit(struct tree *t, const char *target, const char *name, const char *folder)
{
	const char *at = strchr(name, '@');

	/* "getty@tty1.service" is an instance of "getty@.service". */
	tree_add_symlink(t, arena_printf("/etc/systemd/system/%s.wants/%s", target, name), origin,
			 at ? arena_printf("%s%.*s@%s", folder, (int)(at - name), name, strrchr(name, '.'))
			    : arena_printf("%s%s", folder, name));
}

static void enable_steps(const struct node_ctx *x, struct tree *t, struct strbuf *preset)
{
	const char *unit;

	for (size_t i = 0; node_step_unit(x, i, &unit); i++) {
		if (!unit)
			continue;
		strbuf_addf(preset, "enable %s\n", unit);
		link_unit(t, "multi-user.target", unit, local);
	}
}

int node_add_units(const struct node_ctx *x, struct tree *t, struct err *e)
{
	_cleanup_strbuf_ struct strbuf preset = { 0 };

	strbuf_adds(&preset, "# Read before the distribution's own: what runs on this card, and what must not.\n");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const struct unit_row *u = &units[i];
		bool on = unit_is_on(x, u);

		if (!(u->roles & 1u << x->node->role))
			continue;
		strbuf_addf(&preset, "%s %s\n", on ? "enable" : "disable", u->name);
		if (on)
			link_unit(t, u->wanted_by, u->name, u->file);
	}
	enable_steps(x, t, &preset);
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++) {
		strbuf_addf(&preset, "disable %s\n", masked[i]);
		tree_add_symlink(t, arena_printf("/etc/systemd/system/%s", masked[i]), origin, "/dev/null");
		tree_add_remove(t, arena_printf("/etc/systemd/system/multi-user.target.wants/%s", masked[i]), origin);
	}
	if (tree_find(t, "/etc/locale.gen"))
		link_unit(t, "multi-user.target", "pibuild-locale.service", local);
	if (tree_find(t, arena_printf("%s%s", local, BACKUP_TIMER))) {
		strbuf_addf(&preset, "enable %s\n", BACKUP_TIMER);
		link_unit(t, "timers.target", BACKUP_TIMER, local);
	}
	if (node_has_data_disk(x)) {
		strbuf_adds(&preset, "enable " TRIM_TIMER "\n");
		link_unit(t, "timers.target", TRIM_TIMER, local);
	}
	tree_add_text(t, "/etc/systemd/system-preset/00-pibuild.preset", 0644, origin, preset.s);
	return 0;
}
