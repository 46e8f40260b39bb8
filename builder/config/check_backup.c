/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a backup would outlive what it is a backup of. */
#include "config/check.h"

/* "https://HOST:PORT", "HOST:/PATH", "USER@HOST:/PATH": HOST. */
static const char *backup_host(const struct config *c, const char **ret_key)
{
	const char *text = NULL, *at;

	switch (config_backup_place(c)) {
	case BACKUP_S3:
		*ret_key = "backup.to.s3.endpoint";
		text = c->backup.s3.endpoint + strlen("https://");
		break;
	case BACKUP_NFS:
		*ret_key = "backup.to.nfs";
		text = c->backup.nfs;
		break;
	case BACKUP_SSH:
		*ret_key = "backup.to.ssh.to";
		text = c->backup.ssh.to;
		break;
	default:
		return NULL;
	}
	at = strchr(text, '@');
	text = at ? at + 1 : text;
	return arena_strndup(text, strcspn(text, ":"));
}

void check_backup(const struct check *x)
{
	const struct config *c = x->config;
	const char *key, *host = backup_host(c, &key), *is = NULL;
	uint32_t addr;

	if (!host)
		return;
	vec_foreach (n, &c->nodes)
		if (n->name && (streq(n->name, host) ||
				(n->address.set && value_ipv4(host, &addr) == 0 && addr == n->address.addr)))
			is = arena_printf("the node %s", n->name);
	vec_foreach (p, &c->lb.pools)
		if (value_ipv4(host, &addr) == 0 && p->range.set && addr >= p->range.first && addr <= p->range.last)
			is = "a service of this cluster";
	if (is)
		note_key(x->faults, c, key,
			 "%s: %s is %s: when the cluster is lost, so are its backups; a machine beside it keeps them",
			 key, host, is);
}
