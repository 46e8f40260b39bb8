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

/* Amazon's own names say where they are, and refuse what was signed for elsewhere (AuthorizationHeaderMalformed). */
static void check_s3_region(const struct check *x, const char *host)
{
	static const char domain[] = ".amazonaws.com";
	const struct config *c = x->config;
	const char *region = starts_with(host, "s3.") && ends_with(host, domain) ? host + strlen("s3.") : NULL;
	size_t n = region ? strlen(region) : 0;

	if (n <= strlen(domain) - 1)
		return; /* s3.amazonaws.com, of us-east-1 */
	region = arena_strndup(region, n - strlen(domain));
	if (!strchr(region, '.') && !streq(region, str_or(c->backup.s3.region, "")))
		fault_key(
			x->faults, c,
			yaml_find(c->doc, "backup.to.s3.region") ? "backup.to.s3.region" : "backup.to.s3.endpoint",
			"backup.to.s3.region: %s%s is not that of %s, which refuses what is signed for another; set region: %s",
			str_or(c->backup.s3.region, ""),
			yaml_find(c->doc, "backup.to.s3.region") ? "" : " (the default)", host, region);
}

static void check_s3(const struct check *x, const char *host)
{
	const struct config *c = x->config;
	const char *bucket = str_or(c->backup.s3.bucket, "");

	if (*bucket && starts_with(host, arena_printf("%s.", bucket)) && strchr(host + strlen(bucket) + 1, '.'))
		fault_key(
			x->faults, c, "backup.to.s3.endpoint",
			"backup.to.s3.endpoint: %s is the address of the bucket, and it would be looked for in itself; write https://%s",
			host, host + strlen(bucket) + 1);
	else
		check_s3_region(x, host);
}

void check_backup(const struct check *x)
{
	const struct config *c = x->config;
	const char *key, *host = backup_host(c, &key), *is = NULL;
	uint32_t addr;

	if (!host)
		return;
	if (config_backup_place(c) == BACKUP_S3)
		check_s3(x, host);
	vec_foreach (n, &c->nodes)
		if (n->name && (streq(n->name, host) ||
				(n->address.set && value_ipv4(host, &addr) == 0 && addr == n->address.addr)))
			is = arena_printf("the node %s", n->name);
	vec_foreach (p, &c->lb.pools)
		if (value_ipv4(host, &addr) == 0 && range_has(p->range, addr))
			is = "a service of this cluster";
	if (is)
		note_key(x->faults, c, key,
			 "%s: %s is %s: when the cluster is lost, so are its backups; a machine beside it keeps them",
			 key, host, is);
}
