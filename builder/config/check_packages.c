/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of Debian beside which K3s or Cilium do not work, as they are when Debian has installed them. */
#include "config/check.h"

enum risk_when { RISK_ALWAYS, RISK_DNS_OF_DHCP, RISK_ETCD, RISK_BOOKWORM };

static const struct package_risk {
	const char *package;
	bool breaks; /* else it does only when it is set up further, which is the owner's */
	enum risk_when when;
	const char *why;
} risks[] = {
/* Debian starts both at once, with a policy of their own. */
#define FIREWALL                                                                                                       \
	"it starts with the node and lets nothing but SSH in, so that nodes would not reach each other; Cilium's own firewall for nodes does not: hostFirewall.enabled in cilium.valuesFile"
	{ "firewalld", true, RISK_ALWAYS, FIREWALL },
	{ "ferm", true, RISK_ALWAYS, FIREWALL },
	{ "connman", true, RISK_ALWAYS,
	  "it takes the interfaces from NetworkManager, which gives the node its address" },
#define DHCPCD                                                                                                         \
	"it asks for an address on every interface, Cilium's too, beside NetworkManager, which gives the node its address"
	{ "dhcpcd", true, RISK_ALWAYS, DHCPCD },
	{ "dhcpcd5", true, RISK_ALWAYS, DHCPCD },
/* containerd takes the first file of /etc/cni/net.d, and pods begin before Cilium is there. */
#define CNI                                                                                                            \
	"it brings a network for pods (/etc/cni/net.d), in which CoreDNS would start before Cilium is there, and stay; K3s runs containers itself"
	{ "cri-o", true, RISK_ALWAYS, CNI },
	{ "podman", true, RISK_BOOKWORM, CNI },
	{ "etcd-server", true, RISK_ETCD, "it listens on TCP 2379, where K3s's own etcd would" },
	{ "systemd-resolved", true, RISK_DNS_OF_DHCP,
	  "it writes 127.0.0.53 as name server, which pods cannot ask, and no others are known; give network.nameservers" },
#define DOCKER                                                                                                         \
	"Docker lets the node forward nothing but its own packets and takes 172.17.0.0/16; K3s and Cilium come along with that, but pods see none of Docker's images: K3s has its own containerd"
	{ "docker.io", false, RISK_ALWAYS, DOCKER },
	{ "docker-ce", false, RISK_ALWAYS, DOCKER },
	{ "ufw", false, RISK_ALWAYS,
	  "it is off until `ufw enable`, which would stop pods and nodes from reaching each other: TCP 6443, 10250, 4240, 2379-2380 and UDP 8472 between nodes, and all of the pods' network" },
	{ "nftables", false, RISK_ALWAYS,
	  "its service is off; once enabled, it starts with `flush ruleset`, which takes away Cilium's and K3s's rules: remove that line first" },
#define PERSISTENT                                                                                                     \
	"it puts back at each start the rules of the moment they were saved, Cilium's and K3s's of then among them"
	{ "iptables-persistent", false, RISK_ALWAYS, PERSISTENT },
	{ "netfilter-persistent", false, RISK_ALWAYS, PERSISTENT },
};

static bool risk_applies(const struct config *c, const struct package_risk *risk)
{
	switch (risk->when) {
	case RISK_DNS_OF_DHCP:
		return !c->network.nameservers.n;
	case RISK_ETCD:
		return config_uses_etcd(c);
	case RISK_BOOKWORM:
		return streq(str_or(c->os.base, ""), "raspios-bookworm");
	default:
		return true;
	}
}

static void check_package_risks(const struct check *x, const char *key, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(risks); i++) {
		if (!streq(risks[i].package, name) || !risk_applies(x->config, &risks[i]))
			continue;
		if (risks[i].breaks)
			fault_key(x->faults, x->config, key, "%s: %s cannot be beside K3s: %s", key, name,
				  risks[i].why);
		else
			note_key(x->faults, x->config, key, "%s: %s: %s", key, name, risks[i].why);
	}
}

void check_packages(const struct check *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->os.packages.n; i++)
		check_package_risks(x, arena_printf("os.packages[%zu]", i), str_or(c->os.packages.v[i], ""));
	vec_foreach (n, &c->nodes)
		for (size_t i = 0; i < n->packages.n; i++)
			check_package_risks(x, arena_printf("nodes[%zu].packages[%zu]", (size_t)(n - c->nodes.v), i),
					    str_or(n->packages.v[i], ""));
}
