/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders whose readers take some names and pass over others without a word: sysctl.d(5), modules-load.d(5),
 * modprobe.d(5), tmpfiles.d(5), sysusers.d(5), udev(7), systemd.unit(5), systemd.preset(5), NetworkManager.conf(5),
 * sudoers(5), sources.list(5), polkit(8); limits.d of pam_limits(8); /etc/profile of Debian's base-files; cron(8) and
 * run-parts(8) of Debian.
 */
#include "node/overlay_unread.h"

#include <fnmatch.h>

#include "base/file.h"

static bool passed_by_sudo(const char *name)
{
	return strchr(name, '.') != NULL;
}

static const char not_crons[] = "with anything but letters, digits, '_' and '-' in their names, a dot say";
static bool passed_by_cron(const char *name)
{
	return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")];
}

static bool has_end(const char *name, const char *const *ends, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

/* k3s-io/k3s pkg/agent/containerd/containerd.go, pkg/deploy/controller.go. */
static bool passed_by_images(const char *name)
{
	static const char *const ends[] = { ".tar", ".tar.lz4", ".tar.bz2", ".tbz", ".tar.gz",
					    ".tgz", ".tar.zst", ".tzst",    ".txt", ".cache.json" };

	return !has_end(name, ends, ARRAY_SIZE(ends));
}

static bool passed_by_manifests(const char *name)
{
	static const char *const ends[] = { ".yaml", ".yml", ".json", ".skip" };

	return !has_end(name, ends, ARRAY_SIZE(ends));
}

static bool passed_by_apt(const char *name)
{
	return !ends_with(name, ".list") && !ends_with(name, ".sources");
}

/* systemd.unit(5) */
bool overlay_is_unit_name(const char *name)
{
	static const char *const ends[] = { ".service", ".socket",    ".target", ".timer", ".path",
					    ".mount",	".automount", ".swap",	 ".slice", ".device" };

	return has_end(name, ends, ARRAY_SIZE(ends));
}

/* A folder of such a name has drop-ins, or links. */
static bool passed_by_systemd(const char *name)
{
	return !overlay_is_unit_name(name);
}

#define ENDS_IN(pattern, end, reader)                                                                                  \
	{                                                                                                              \
		pattern, end, reader, NULL, NULL                                                                       \
	}
static const struct {
	const char *pattern;
	const char *end; /* of the names that are read; NULL = PASSED tells of the others */
	const char *reader;
	bool (*passed)(const char *name);
	const char *names; /* that it passes over */
} folders[] = {
	ENDS_IN("/etc/sysctl.d/*", ".conf", "systemd-sysctl"),
	ENDS_IN("/etc/modules-load.d/*", ".conf", "systemd-modules-load"),
	ENDS_IN("/etc/modprobe.d/*", ".conf", "modprobe"),
	ENDS_IN("/etc/tmpfiles.d/*", ".conf", "systemd-tmpfiles"),
	ENDS_IN("/etc/sysusers.d/*", ".conf", "systemd-sysusers"),
	ENDS_IN("/etc/udev/rules.d/*", ".rules", "udev"),
	ENDS_IN("/etc/NetworkManager/conf.d/*", ".conf", "NetworkManager"),
	ENDS_IN("/etc/profile.d/*", ".sh", "a shell"),
	ENDS_IN("/etc/systemd/system-preset/*", ".preset", "systemd"),
	ENDS_IN("/etc/systemd/*.conf.d/*", ".conf", "systemd"),
	ENDS_IN("/etc/systemd/system/*.d/*", ".conf", "systemd"),
	ENDS_IN("/etc/ssh/sshd_config.d/*", ".conf", "sshd"),
	ENDS_IN("/etc/rpi/swap.conf.d/*", ".conf", "rpi-swap"),
	ENDS_IN("/etc/security/limits.d/*", ".conf", "pam_limits"),
	ENDS_IN("/etc/polkit-1/rules.d/*", ".rules", "polkit"),
	ENDS_IN("/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/*", ".conf", "the kubelet"),
	ENDS_IN("/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/*", ".toml", "containerd"),
	{ "/etc/apt/sources.list.d/*", NULL, "apt", passed_by_apt, "that end in neither .list nor .sources" },
	{ "/var/lib/rancher/k3s/agent/images/*", NULL, "K3s", passed_by_images,
	  "that end in nothing of .tar, .tar.gz, .tar.zst, .tar.bz2, .tar.lz4 and .txt" },
	{ "/var/lib/rancher/k3s/server/manifests/*", NULL, "K3s", passed_by_manifests,
	  "that end in nothing of .yaml, .yml and .json" },
	{ "/etc/systemd/system/*", NULL, "systemd", passed_by_systemd,
	  "that end in no kind of unit, such as .service, .timer and .mount" },
	{ "/etc/sudoers.d/*", NULL, "sudo", passed_by_sudo, "with a dot in their names" },
	{ "/etc/cron.d/*", NULL, "cron", passed_by_cron, not_crons },
	{ "/etc/cron.@(hourly|daily|weekly|monthly)/*", NULL, "run-parts", passed_by_cron, not_crons },
};

/* For the people who keep the folder, or switched off by them. */
static bool is_kept_aside(const char *name)
{
	static const char *const ends[] = { ".bak", ".disabled", ".dist", ".example", ".off", ".old", ".sample" };

	if (*name == '.' || starts_with(name, "README"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

const char *overlay_unread(const char *path)
{
	const char *name = path_base(path);

	if (is_kept_aside(name))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (fnmatch(folders[i].pattern, path, FNM_PATHNAME | FNM_EXTMATCH) != 0)
			continue;
		if (folders[i].passed)
			return folders[i].passed(name)
				       ? arena_printf("is read by nobody: %s passes over files there %s; rename it",
						      folders[i].reader, folders[i].names)
				       : NULL;
		return ends_with(name, folders[i].end)
			       ? NULL
			       : arena_printf(
					 "is read by nobody: %s takes files there whose names end in %s; rename it",
					 folders[i].reader, folders[i].end);
	}
	return NULL;
}
