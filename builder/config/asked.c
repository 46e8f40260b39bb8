/* SPDX-License-Identifier: Apache-2.0 */
#include "config/asked.h"

#include "config/values.h"

/* "https://NAME:PASSWORD@HOST:PORT/PATH", "USER@HOST:/PATH", "HOST:PORT": HOST. */
static const char *host_of(const char *text)
{
	const char *start = strstr(text, "://"), *at;
	size_t n;

	start = start ? start + strlen("://") : text;
	n = strcspn(start, "/");
	at = memchr(start, '@', n);
	if (at)
		n -= (size_t)(at + 1 - start), start = at + 1;
	return arena_strndup(start, MIN(n, strcspn(start, ":")));
}

static void ask(struct asked_list *all, const char *key, const char *text, enum asker by)
{
	if (text && *text)
		*vec_push(&all->v) = (struct asked){ .key = key, .host = host_of(text), .by = by };
}

static const char *dns01_text(const struct config *c, const char *key)
{
	vec_foreach (v, &c->cert_manager.dns01)
		if (streq(v->key, key))
			return v->text;
	return NULL;
}

/* What /etc/hosts of every node has for NAME: nodes with an address, and network.hosts. 0 = nothing. */
static uint32_t known_address(const struct config *c, const char *name)
{
	vec_foreach (n, &c->nodes)
		if (n->name && n->address.set && streq(n->name, name))
			return n->address.addr;
	return config_host_address(c, name);
}

struct asked_list config_asked(const struct config *c)
{
	struct asked_list all = { 0 };

	for (size_t i = 0; i < c->network.ntp.n; i++)
		ask(&all, arena_printf("network.ntp[%zu]", i), c->network.ntp.v[i], ASKED_FOR_TIME);
	ask(&all, "network.proxy.http", c->network.proxy.http.text, ASKED_AS_PROXY);
	ask(&all, "network.proxy.https", c->network.proxy.https.text, ASKED_AS_PROXY);
	vec_foreach (m, &c->registries.mirrors)
		for (size_t i = 0; i < m->to.n; i++)
			ask(&all,
			    arena_printf("registries.mirrors[%zu].to[%zu]", (size_t)(m - c->registries.mirrors.v), i),
			    m->to.v[i], ASKED_FOR_IMAGES);
	ask(&all, "backup.to.s3.endpoint", c->backup.s3.endpoint, ASKED_FOR_BACKUPS);
	ask(&all, "backup.to.nfs", c->backup.nfs, ASKED_FOR_BACKUPS);
	ask(&all, "backup.to.ssh.to", c->backup.ssh.to, ASKED_FOR_BACKUPS);
	ask(&all, "gitops.flux.url", c->flux.url, ASKED_BY_PODS);
	ask(&all, "certManager.dns01.nameserver", dns01_text(c, "nameserver"), ASKED_BY_PODS);
	ask(&all, "certManager.dns01.host", dns01_text(c, "host"), ASKED_BY_PODS);
	vec_foreach (a, &all.v)
		if (value_ipv4(a->host, &a->addr) < 0 && a->by != ASKED_BY_PODS)
			a->addr = known_address(c, a->host);
	return all;
}
