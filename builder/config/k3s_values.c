/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of K3s's own keys that are of the right kind and that it does not take: it ends at every start, or goes on
 * without what was asked for. One row per key. Sources, of k3s-io/k3s: pkg/cli/server/server.go, pkg/cli/cmds,
 * pkg/agent/containerd/config_linux.go, pkg/etcd/snapshot.go (a schedule that cannot be read is passed over),
 * pkg/secretsencrypt/config.go; k8s.io/apimachinery pkg/util/net/port_range.go.
 */
#include "config/check.h"
#include "config/kinds.h"
#include "config/schedule.h"

/* NULL, or why TEXT is not taken, as words that go on behind the key. */
typedef const char *(*k3s_value_fn)(const struct config *c, const char *text);

/* "A|B|C" */
static const char *k3s_word_fault(const char *text, const char *words)
{
	const char *near, *all[8];
	char *save = NULL, *list = arena_strdup(words);
	size_t n = 0;

	for (char *one = strtok_r(list, "|", &save); one && n < ARRAY_SIZE(all); one = strtok_r(NULL, "|", &save)) {
		if (streq(one, text))
			return NULL;
		all[n++] = one;
	}
	near = nearest_word(text, all, n);
	list = arena_strdup(words);
	for (char *p = list; (p = strchr(p, '|')); p++)
		*p = ' ';
	return arena_printf("K3s takes one of: %s; with '%s' it does not start%s", list, text,
			    did_you_mean("; ", near));
}

static const char *encryption_provider(const struct config *c, const char *text)
{
	return k3s_word_fault(text, "aescbc|secretbox");
}

static const char *egress_mode(const struct config *c, const char *text)
{
	return k3s_word_fault(text, "agent|cluster|disabled");
}

static const char *bucket_lookup(const struct config *c, const char *text)
{
	return k3s_word_fault(text, "auto|dns|path");
}

/* The card's file system is ext4; what btrfs and zfs want is not on it. */
static const char *snapshotter(const struct config *c, const char *text)
{
	const struct text_list packages = config_packages(c, NULL);
	bool fuse = false;

	if (streq(text, "btrfs") || streq(text, "zfs"))
		return arena_printf(
			"%s needs a file system of its own below /var/lib/rancher, which no card has, and containerd does not start without; leave it out",
			text);
	vec_foreach (p, &packages)
		fuse |= streq(*p, "fuse-overlayfs");
	if (streq(text, "fuse-overlayfs") && !fuse)
		return "fuse-overlayfs is a program that no card has, and containerd does not start without; add it to os.packages, or leave this out";
	return k3s_word_fault(text, "overlayfs|native|fuse-overlayfs|stargz");
}

static const char *snapshot_schedule(const struct config *c, const char *text)
{
	static const char *const named[] = { "@yearly", "@annually", "@monthly", "@weekly",
					     "@daily",	"@midnight", "@hourly" };
	const char *why;
	uint64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (streq(named[i], text))
			return NULL;
	if (starts_with(text, "@every ") && value_duration(text + strlen("@every "), &ms) == 0)
		return NULL;
	why = schedule_fields_fault(text);
	return why ? arena_printf("K3s passes over a schedule that it cannot read, and makes no snapshot: %s", why)
		   : NULL;
}

static const char *absolute_path(const struct config *c, const char *text)
{
	return *text == '/'
		       ? NULL
		       : arena_printf("'%s' starts where K3s does, which is nowhere; give the whole path, from / on",
				      text);
}

/* A certificate for what is no name fits nobody who asks. */
static const char *certificate_name(const struct config *c, const char *text)
{
	const char *why = strchr(text, ':') && !strstr(text, "://") ? NULL
								    : kind_text_fault(&kind_host, NULL, text, NULL);

	return why && !starts_with(text, "*.")
		       ? arena_printf("'%s' is no name that a certificate could have: %s", text, why)
		       : NULL;
}

static const char *registry_name(const struct config *c, const char *text)
{
	return strstr(text, "://") || ends_with(text, "/")
		       ? arena_printf(
				 "'%s' would stand before the name of every image, of which none has such a beginning; give HOST or HOST:PORT",
				 text)
		       : NULL;
}

/* Of the Services of a cluster the first address is the API's (kubernetes pkg/controlplane/instance.go). */
static const char *dns_address(const struct config *c, const char *text)
{
	struct cidr net = c->cluster.service_cidr;
	uint32_t ip;

	if (strchr(text, ':'))
		return NULL; /* of the other family */
	if (value_ipv4(text, &ip) < 0)
		return arena_printf(
			"'%s' is no address, and K3s does not start with it; give one of cluster.serviceCIDR", text);
	if (net.set && !cidr_has(net, ip))
		return arena_printf(
			"%s lies outside cluster.serviceCIDR %s, so no service could have it; take one inside", text,
			cidr_text(net));
	return net.set && ip <= cidr_first(net) + 1
		       ? arena_printf("%s is the API's, so CoreDNS would get none; leave it out for %s", text,
				      TEXT_OF(cidr_first(net) + 10))
		       : NULL;
}

/* Cilium serves what K3s gives out by itself (nodePort.range of its chart). */
static const char *node_port_range(const struct config *c, const char *text)
{
	const char *dash = strchr(text, '-');
	unsigned first, last;

	if (value_unsigned(dash ? arena_strndup(text, (size_t)(dash - text)) : text, &first) < 0 ||
	    value_unsigned(dash ? dash + 1 : text, &last) < 0 || last < first)
		return arena_printf(
			"'%s' is no range of ports, and K3s does not start with it; write FIRST-LAST, such as %d-%d",
			text, NODE_PORT_FIRST, NODE_PORT_LAST);
	if (first < NODE_PORT_FIRST || last > NODE_PORT_LAST)
		return arena_printf(
			"Cilium serves the ports %d to %d alone, so a Service with another one would answer nobody; take a part of these",
			NODE_PORT_FIRST, NODE_PORT_LAST);
	return NULL;
}

static const struct {
	const char *key;
	k3s_value_fn fault;
} k3s_values[] = {
	{ "cluster-dns", dns_address },
	{ "default-local-storage-path", absolute_path },
	{ "egress-selector-mode", egress_mode },
	{ "etcd-s3-bucket-lookup-type", bucket_lookup },
	{ "etcd-snapshot-dir", absolute_path },
	{ "etcd-snapshot-schedule-cron", snapshot_schedule },
	{ "secrets-encryption-provider", encryption_provider },
	{ "service-node-port-range", node_port_range },
	{ "snapshotter", snapshotter },
	{ "system-default-registry", registry_name },
	{ "tls-san", certificate_name },
};

static void check_k3s_value(const struct check *x, const char *at, k3s_value_fn fault, const struct yaml_node *n)
{
	const char *why = n->type == YAML_SCALAR && n->n ? fault(x->config, n->text) : NULL;

	if (why)
		fault_key(x->faults, x->config, at, "%s: %s", at, why);
	/* K3s takes a single value for a list of one, and the file may have it so. */
	for (size_t i = 0; n->type == YAML_SEQ && i < n->count; i++)
		check_k3s_value(x, n->count > 1 ? arena_printf("%s[%zu]", at, i) : at, fault, n->items[i]);
}

static void check_values_below(const struct check *x, const char *section, const struct k3s_settings *settings)
{
	vec_foreach (s, settings)
		for (size_t i = 0; i < ARRAY_SIZE(k3s_values); i++)
			if (streq(k3s_values[i].key, s->key))
				check_k3s_value(x, arena_printf("k3s.%s.%s", section, s->key), k3s_values[i].fault,
						s->value);
}

void check_k3s_values(const struct check *x)
{
	check_values_below(x, "server", &x->config->k3s.server);
	check_values_below(x, "agent", &x->config->k3s.agent);
}
