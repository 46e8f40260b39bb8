/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders whose readers take some names and pass over others without a word: sysctl.d(5), modules-load.d(5),
 * modprobe.d(5), tmpfiles.d(5), sysusers.d(5), udev(7), systemd.unit(5), systemd.preset(5), NetworkManager.conf(5),
 * sudoers(5); /etc/profile of Debian's base-files; cron(8) and run-parts(8) of Debian.
 */
#include "node/overlay_unread.h"

#include <fnmatch.h>

#include "base/file.h"

#define CRON_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static const struct {
	const char *pattern;
	const char *end; /* of the names that are read; "" = those without a dot, NULL = those of CRON_NAME */
	const char *reader;
} folders[] = {
	{ "/etc/sysctl.d/*", ".conf", "systemd-sysctl" },
	{ "/etc/modules-load.d/*", ".conf", "systemd-modules-load" },
	{ "/etc/modprobe.d/*", ".conf", "modprobe" },
	{ "/etc/tmpfiles.d/*", ".conf", "systemd-tmpfiles" },
	{ "/etc/sysusers.d/*", ".conf", "systemd-sysusers" },
	{ "/etc/udev/rules.d/*", ".rules", "udev" },
	{ "/etc/NetworkManager/conf.d/*", ".conf", "NetworkManager" },
	{ "/etc/profile.d/*", ".sh", "a shell" },
	{ "/etc/systemd/system-preset/*", ".preset", "systemd" },
	{ "/etc/systemd/*.conf.d/*", ".conf", "systemd" },
	{ "/etc/systemd/system/*.d/*", ".conf", "systemd" },
	{ "/etc/ssh/sshd_config.d/*", ".conf", "sshd" },
	{ "/etc/sudoers.d/*", "", "sudo" },
	{ "/etc/cron.d/*", NULL, "cron" },
	{ "/etc/cron.@(hourly|daily|weekly|monthly)/*", NULL, "run-parts" },
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
		if (!folders[i].end || !*folders[i].end)
			return name[folders[i].end ? strcspn(name, ".~") : strspn(name, CRON_NAME)]
				       ? arena_printf(
						 "is read by nobody: %s passes over files there with a dot in their names; rename it",
						 folders[i].reader)
				       : NULL;
		return ends_with(name, folders[i].end)
			       ? NULL
			       : arena_printf(
					 "is read by nobody: %s takes files there whose names end in %s; rename it",
					 folders[i].reader, folders[i].end);
	}
	return NULL;
}
