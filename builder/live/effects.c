/* SPDX-License-Identifier: Apache-2.0 */
/* What a file costs that changes on a node that runs: one row for each kind of file, the first that fits counts. */
#include <fnmatch.h>

#include "base/file.h"
#include "live/live.h"

/* Stands for the last part of the path. */
static const char itself[] = "";

static const struct effect_row {
	const char *pattern; /* of fnmatch(3); '*' takes slashes too */
	enum effect_kind kind;
	const char *name, *why;
} rows[] = {
	/* What a running system changes. */
	{ BOOT_DIR "/" REPORT_NAME ".*", EFFECT_KEEP, NULL, NULL },
	{ "/etc/pibuild/birth", EFFECT_KEEP, NULL, NULL },
	{ "/var/lib/systemd/timesync/clock", EFFECT_KEEP, NULL, NULL },
	{ "/var/log/journal", EFFECT_KEEP, NULL, NULL }, /* systemd-tmpfiles gives it its group */
	{ "/etc/fstab", EFFECT_KEEP, NULL, NULL },
	{ "/etc/default/raspi-firmware", EFFECT_KEEP, NULL, NULL },
	{ "/home/*/.bash*", EFFECT_KEEP, NULL, NULL },
	{ "/home/*/.profile", EFFECT_KEEP, NULL, NULL },
	/* What only a card can bring. */
	{ "/etc/passwd", EFFECT_CANNOT, NULL, "access.user is made with the card: flash a new one" },
	{ "/etc/group", EFFECT_CANNOT, NULL, "access.user is made with the card: flash a new one" },
	{ "/etc/shadow", EFFECT_CANNOT, NULL,
	  "access.passwordHash is set when the card is made; on the node: sudo passwd" },
	{ "/etc/gshadow", EFFECT_CANNOT, NULL, "access.user is made with the card: flash a new one" },
	{ "/etc/sub[ug]id", EFFECT_CANNOT, NULL, "access.user is made with the card: flash a new one" },
	{ "/etc/rancher/node/password", EFFECT_CANNOT, NULL, "the cluster knows the node by it: flash a new card" },
	{ "/var/lib/rancher/k3s/server/tls/*", EFFECT_CANNOT, NULL, "the cluster is made of its CAs: flash all cards" },
	{ "/etc/pibuild/data", EFFECT_CANNOT, NULL, "a data disk comes with a card: flash a new one" },
	{ "/var/lib/pibuild/restore*", EFFECT_NONE, NULL, NULL },
	/* The boot partition. */
	{ BOOT_DIR "/*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/pibuild/eeprom", EFFECT_REBOOT, NULL, NULL },
	/* K3s. The kubelet takes static pods up by itself. */
	{ "/usr/local/bin/k3s", EFFECT_K3S, NULL, NULL },
	{ "/usr/local/bin/*", EFFECT_NONE, NULL, NULL },
	{ "/etc/rancher/k3s/*", EFFECT_K3S, NULL, NULL },
	{ "/etc/systemd/system/k3s*", EFFECT_K3S, NULL, NULL },
	{ "/var/lib/rancher/k3s/agent/pod-manifests/*", EFFECT_NONE, NULL, NULL },
	{ "/var/lib/rancher/k3s/agent/*/*", EFFECT_K3S, NULL, NULL },
	{ "/etc/modules-load.d/*", EFFECT_RESTART, "systemd-modules-load.service", NULL },
	/* Steps of first boot; one that this node does not take follows from nothing. */
	{ "/etc/pibuild/cilium-values.yaml", EFFECT_STEP, "cni", NULL },
	{ "/usr/share/pibuild/charts/cilium*", EFFECT_STEP, "cni", NULL },
	{ "/etc/pibuild/manifests/gateway-api.yaml", EFFECT_STEP, "gateway-crds", NULL },
	{ "/etc/pibuild/manifests/pools.yaml", EFFECT_STEP, "loadbalancer", NULL },
	{ "/etc/pibuild/manifests/l2-policy.yaml", EFFECT_STEP, "loadbalancer", NULL },
	{ "/etc/pibuild/manifests/bgp.yaml", EFFECT_STEP, "loadbalancer", NULL },
	{ "/etc/pibuild/secrets/bgp.yaml", EFFECT_STEP, "loadbalancer", NULL },
	{ "/etc/pibuild/cert-manager-values.yaml", EFFECT_STEP, "cert-manager", NULL },
	{ "/usr/share/pibuild/charts/cert-manager*", EFFECT_STEP, "cert-manager", NULL },
	{ "/etc/pibuild/manifests/gateway.yaml", EFFECT_STEP, "gateway", NULL },
	{ "/etc/pibuild/manifests/issuers.yaml", EFFECT_STEP, "issuers", NULL },
	{ "/etc/pibuild/manifests/certificates.yaml", EFFECT_STEP, "issuers", NULL },
	{ "/etc/pibuild/secrets/issuer*", EFFECT_STEP, "issuers", NULL },
	{ "/etc/pibuild/secrets/dns01*", EFFECT_STEP, "issuers", NULL },
	{ "/etc/pibuild/apps*", EFFECT_STEP, "apps", NULL },
	{ "/usr/share/pibuild/apps/*", EFFECT_STEP, "apps", NULL },
	{ "/etc/pibuild/secrets/app-*", EFFECT_STEP, "apps", NULL },
	{ "/etc/pibuild/nodes", EFFECT_STEP, "nodes", NULL },
	{ "/etc/pibuild/packages", EFFECT_STEP, "packages", NULL },
	{ "/usr/share/pibuild/packages/*", EFFECT_NONE, NULL, NULL },
	{ "/usr/lib/pibuild/steps/*.sh", EFFECT_STEP, itself, NULL },
	/* Programs that read a file once. */
	{ "/etc/pibuild/node", EFFECT_RESTART, "pibuild-report.service", NULL },
	{ "/etc/pibuild/steps", EFFECT_RESTART, "pibuild-report.service", NULL },
	{ "/usr/lib/pibuild/report*", EFFECT_RESTART, "pibuild-report.service", NULL },
	{ "/usr/lib/pibuild/lib.sh", EFFECT_RESTART, "pibuild-report.service", NULL },
	{ "/etc/systemd/system/pibuild-report.service", EFFECT_RESTART, "pibuild-report.service", NULL },
	{ "/etc/systemd/journald.conf.d/*", EFFECT_RESTART, "systemd-journald.service", NULL },
	{ "/etc/systemd/timesyncd.conf.d/*", EFFECT_RESTART, "systemd-timesyncd.service", NULL },
	{ "/etc/systemd/logind.conf.d/*", EFFECT_REBOOT, NULL, NULL }, /* its restart would end sessions */
	{ "/etc/systemd/system.conf.d/*", EFFECT_RELOAD, NULL, NULL },
	{ "/etc/ssh/sshd_config.d/*", EFFECT_RESTART, "ssh.service", NULL },
	{ "/etc/sysctl.d/*", EFFECT_SYSCTL, NULL, NULL },
	{ "/etc/locale.gen", EFFECT_LOCALE, NULL, NULL },
	/* Units. */
	{ "/etc/systemd/system/*.wants/*", EFFECT_START, itself, NULL },
	{ "/etc/systemd/system/*.timer", EFFECT_RESTART, itself, NULL },
	{ "/etc/systemd/system/*", EFFECT_RELOAD, NULL, NULL },
	{ "/etc/systemd/system-preset/*", EFFECT_NONE, NULL, NULL },
	/* What is read when the machine starts. */
	{ "/etc/NetworkManager/dispatcher.d/*", EFFECT_NONE, NULL, NULL },
	{ "/etc/NetworkManager/*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/udev/*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/hostname", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/rpi/*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/cloud/*", EFFECT_NONE, NULL, NULL },
	{ "/etc/default/keyboard", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/default/raspi-*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/iscsi/*", EFFECT_REBOOT, NULL, NULL },
	{ "/etc/multipath/*", EFFECT_REBOOT, NULL, NULL },
	/* What is read whenever it is needed. */
	{ "/etc/hosts", EFFECT_NONE, NULL, NULL },
	{ "/etc/timezone", EFFECT_NONE, NULL, NULL },
	{ "/etc/localtime", EFFECT_NONE, NULL, NULL },
	{ "/etc/locale.conf", EFFECT_NONE, NULL, NULL },
	{ "/etc/default/locale", EFFECT_NONE, NULL, NULL },
	{ "/etc/sudoers.d/*", EFFECT_NONE, NULL, NULL },
	{ "/home/*", EFFECT_NONE, NULL, NULL },
	{ "/etc/rancher*", EFFECT_NONE, NULL, NULL },
	{ "/var/lib/rancher*", EFFECT_NONE, NULL, NULL },
	{ "/etc/pibuild*", EFFECT_NONE, NULL, NULL },
	{ "/usr/lib/pibuild*", EFFECT_NONE, NULL, NULL },
	{ "/usr/share/pibuild*", EFFECT_NONE, NULL, NULL },
	{ "/var/lib/pibuild*", EFFECT_NONE, NULL, NULL },
	{ "/etc/systemd*", EFFECT_NONE, NULL, NULL },
};

static const struct effect_row *row_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (fnmatch(rows[i].pattern, path, 0) == 0)
			return &rows[i];
	return NULL;
}

/* "cni" of ".../steps/cni.sh", "x.timer" of ".../x.timer" */
static const char *name_of(const char *path)
{
	const char *base = path_base(path);

	return ends_with(base, ".sh") ? arena_strndup(base, strlen(base) - strlen(".sh")) : base;
}

struct effect effect_of(const char *path, bool gone)
{
	const struct effect_row *row = row_of(path);
	struct effect x = { 0 };

	if (!row)
		return x;
	x = (struct effect){ row->kind, row->name == itself ? name_of(path) : row->name, row->why };
	if (gone && x.kind == EFFECT_START)
		x.kind = EFFECT_STOP;
	/* A unit that is gone cannot be started, nor a step taken. */
	if (gone && row->name == itself && x.kind != EFFECT_STOP)
		x.kind = x.kind == EFFECT_STEP ? EFFECT_NONE : EFFECT_STOP;
	return x;
}

bool effect_unknown(const char *path)
{
	return !row_of(path);
}

bool effect_needs_reload(const char *path)
{
	return starts_with(path, "/etc/systemd/system/") || starts_with(path, "/etc/systemd/system.conf.d/");
}

static const struct {
	const char *text, *word; /* both with NAME behind them where there is one */
} kinds[EFFECT_KIND_COUNT] = {
	[EFFECT_NONE] = { "nothing", NULL },
	[EFFECT_KEEP] = { "nothing", NULL },
	[EFFECT_CANNOT] = { "cannot", NULL },
	[EFFECT_RELOAD] = { "reload of systemd", "reload" },
	[EFFECT_STOP] = { "stop of ", "stop " },
	[EFFECT_SYSCTL] = { "settings of the kernel", "sysctl" },
	[EFFECT_LOCALE] = { "the locale is made", "locale" },
	[EFFECT_RESTART] = { "restart of ", "restart " },
	[EFFECT_START] = { "start of ", "start " },
	[EFFECT_K3S] = { "restart of K3s", "k3s" },
	[EFFECT_STEP] = { "the step ", "step " },
	[EFFECT_REBOOT] = { "reboot", "reboot" },
};

const char *effect_text(struct effect x)
{
	return arena_printf("%s%s%s%s", kinds[x.kind].text, str_or(x.name, ""), x.why ? ": " : "", str_or(x.why, ""));
}

const char *effect_word(struct effect x)
{
	return kinds[x.kind].word ? arena_printf("%s%s", kinds[x.kind].word, str_or(x.name, "")) : NULL;
}
