/* SPDX-License-Identifier: Apache-2.0 */
/* What a path means on a card, whoever put it there: one rule for what is built and for what is verified. */
#include <fnmatch.h>

#include "card/card.h"

bool place_is_secret(const char *path)
{
	static const char *const places[] = { "/etc/pibuild/secrets/", "/etc/rancher/",
					      "/var/lib/rancher/k3s/server/tls/",
					      "/etc/NetworkManager/system-connections/", "/var/lib/pibuild/restore/" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (starts_with(path, places[i]))
			return true;
	return false;
}

const char *const place_private_dirs[] = {
	"/etc/pibuild/secrets",
	"/etc/rancher/node",
	"/var/lib/pibuild/restore",
	"/var/lib/rancher/k3s/server",
	"/var/lib/rancher/k3s/server/tls",
	"/var/lib/rancher/k3s/server/tls/etcd",
	NULL,
};

const struct report_file report_files[REPORT_FILE_COUNT] = {
	{ REPORT_COPY, 32 * KIB, true },
	{ REPORT_JSON, 32 * KIB, true },
	{ REPORT_NAME ".txt", 16 * KIB, false },
};

const char *place_one_machine(const char *path)
{
	static const struct {
		const char *pattern, *what;
	} rows[] = {
		{ "/etc/ssh/ssh_host_*", "is a host key: every card made from this image would have it" },
		{ "/var/lib/systemd/random-seed",
		  "is random data of one machine: every card made from this image would start with it" },
		{ "/var/lib/systemd/credential.secret",
		  "is random data of one machine: every card made from this image would start with it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (fnmatch(rows[i].pattern, path, 0) == 0)
			return rows[i].what;
	return NULL;
}
