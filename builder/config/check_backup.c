/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a backup would outlive what it is a backup of. */
#include <fnmatch.h>

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

/*
 * Services whose names say where they are, and which refuse what was signed for elsewhere
 * (AuthorizationHeaderMalformed, SignatureDoesNotMatch). PATTERN, for fnmatch(3), has '*' where the region stands;
 * without one REGIONS are what there is, the first that of a hint. Sources: the services' own pages of endpoints;
 * developers.cloudflare.com/r2/api/s3/api for R2, to which us-east-1 is auto.
 */
static const struct s3_service {
	const char *pattern, *regions;
} s3_services[] = {
	{ "s3.amazonaws.com", "us-east-1" },
	{ "s3.*.amazonaws.com.cn", NULL },
	{ "s3.dualstack.*.amazonaws.com", NULL },
	{ "s3-fips.*.amazonaws.com", NULL },
	{ "s3.*.amazonaws.com", NULL },
	{ "s3-*.amazonaws.com", NULL },
	{ "s3.*.backblazeb2.com", NULL },
	{ "s3.wasabisys.com", "us-east-1" },
	{ "s3.*.wasabisys.com", NULL },
	{ "s3.*.scw.cloud", NULL },
	{ "*.r2.cloudflarestorage.com", "auto us-east-1 wnam enam weur eeur apac oc" },
};

/* What HOST has where PATTERN has its '*'; NULL = something with a dot, or nothing. */
static const char *region_in(const char *pattern, const char *host)
{
	size_t before = strcspn(pattern, "*"), after = strlen(pattern) - before - 1;
	const char *region = arena_strndup(host + before, strlen(host) - before - after);

	return *region && !strchr(region, '.') ? region : NULL;
}

/* The region that HOST wants when it does not take REGION, else NULL. */
static const char *region_wanted(const char *host, const char *region)
{
	for (size_t i = 0; i < ARRAY_SIZE(s3_services); i++) {
		const struct s3_service *s = &s3_services[i];
		char *save = NULL, *all;
		const char *wanted;

		if (fnmatch(s->pattern, host, 0) != 0)
			continue;
		all = arena_strdup(s->regions ? s->regions : str_or(region_in(s->pattern, host), region));
		wanted = strtok_r(all, " ", &save);
		for (const char *one = wanted; one; one = strtok_r(NULL, " ", &save))
			if (streq(one, region))
				return NULL;
		return wanted;
	}
	return NULL;
}

static void check_s3_region(const struct check *x, const char *host)
{
	const struct config *c = x->config;
	const char *region = str_or(c->backup.s3.region, ""), *wanted = region_wanted(host, region);
	bool given = yaml_find(c->doc, "backup.to.s3.region") != NULL;

	if (wanted && given && streq(host, "s3.amazonaws.com"))
		fault_key(
			x->faults, c, "backup.to.s3.endpoint",
			"backup.to.s3.endpoint: s3.amazonaws.com is that of us-east-1, and refuses what is signed for %s; write https://s3.%s.amazonaws.com",
			region, region);
	else if (wanted)
		fault_key(
			x->faults, c, given ? "backup.to.s3.region" : "backup.to.s3.endpoint",
			"backup.to.s3.region: %s%s is not that of %s, which refuses what is signed for another; set region: %s",
			region, given ? "" : " (the default)", host, wanted);
	/* garagehq.deuxfleurs.fr, "Configuring the S3 region": that of its s3_region alone, which all its guides call
	 * so. */
	else if (!given && (strcasestr(host, "garage") || ends_with(c->backup.s3.endpoint, ":3900")))
		note_key(
			x->faults, c, "backup.to.s3.endpoint",
			"backup.to.s3.region: if this is Garage, it refuses us-east-1, the default: set region to what its s3_region says, mostly garage");
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
