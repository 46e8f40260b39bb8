/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkManager connections of a node. One connection carries the address: Ethernet, a VLAN on it, or Wi-Fi on a
 * board whose interface is wireless. Keyfile format: nm-settings-keyfile(5).
 */
#include "board/announce.h"
#include "node/encode.h"
#include "node/node.h"

static const char origin[] = "generated: network";

struct link {
	const char *name; /* interface that carries the address */
	const char *type; /* ethernet, vlan, wifi */
};

static struct link address_link(const struct node_ctx *x)
{
	const char *name = board_lan_interface(x->board, x->config, x->node);

	return (struct link){ name, node_uses_wifi(x) ? "wifi" : x->config->network.vlan ? "vlan" : "ethernet" };
}

bool node_uses_wifi(const struct node_ctx *x)
{
	return interface_is_wifi(board_lan_interface(x->board, x->config, x->node));
}

static void keyfile_start(struct strbuf *b, const struct node_ctx *x, struct link l)
{
	const char *parts[] = { x->config->cluster.name, x->node->name, l.name };
	char uuid[UUID_TEXT];

	strbuf_addf(b, "[connection]\nid=pibuild-%s\nuuid=%s\ntype=%s\ninterface-name=%s\nautoconnect-retries=0\n",
		    l.name, derive_uuid(uuid, parts, ARRAY_SIZE(parts)), l.type, l.name);
}

/* Name servers are those of cluster.yaml and no others; without any there, those of DHCP. Never those that a router
 * announces over IPv6: pods have IPv4 alone, and a link-local one makes K3s give them a server of its own choice
 * (isValidResolvConf, k3s pkg/agent/config). */
static void keyfile_ip(struct strbuf *b, const struct node_ctx *x)
{
	const struct config *c = x->config;
	char ip[IPV4_TEXT];

	strbuf_adds(b, "\n[ipv4]\n");
	if (x->node->address.set) {
		strbuf_addf(b, "method=manual\naddress1=%s/%u", ipv4_text(x->node->address.addr, ip),
			    x->node->address.prefix);
		if (c->network.gateway)
			strbuf_addf(b, ",%s", ipv4_text(c->network.gateway, ip));
		strbuf_adds(b, "\n");
	} else {
		strbuf_adds(b, "method=auto\n");
	}
	if (c->network.nameservers.n) {
		strbuf_adds(b, "dns=");
		vec_foreach (dns, &c->network.nameservers)
			strbuf_addf(b, "%s;", ipv4_text(*dns, ip));
		strbuf_adds(b, "\nignore-auto-dns=true\n");
	}
	if (c->network.search_domains.n) {
		strbuf_adds(b, "dns-search=");
		vec_foreach (domain, &c->network.search_domains)
			strbuf_addf(b, "%s;", *domain);
		strbuf_adds(b, "\n");
	}
	strbuf_adds(b, "may-fail=false\n\n[ipv6]\nmethod=auto\naddr-gen-mode=eui64\nignore-auto-dns=true\n");
	/* Beside those that a router's advertisements give it, if there are any: NetworkManager reads them itself, so
	 * they count although Kubernetes has the kernel forward. */
	if (c->network.ipv6.enabled && x->node->address.set)
		strbuf_addf(b, "address1=%s/%u\n", config_address6(c, x->node), c->network.ipv6.subnet.prefix);
}

/* Of a VLAN's own interface and of the one below it alike: the frame with the tag is longer by four bytes, which
 * drivers and switches allow for. */
static void keyfile_ethernet(struct strbuf *b, const struct config *c)
{
	if (c->network.mtu)
		strbuf_addf(b, "\n[ethernet]\nmtu=%u\n", c->network.mtu);
}

static void add_keyfile(struct tree *t, const char *link, const struct strbuf *b)
{
	tree_add_text(t, arena_printf("/etc/NetworkManager/system-connections/pibuild-%s.nmconnection", link), 0600,
		      origin, b->s);
}

static int add_wifi(const struct node_ctx *x, struct strbuf *b, struct err *e)
{
	const struct config *c = x->config;
	const char *passphrase;
	size_t n;
	int r = secret_resolve(&c->network.wifi.passphrase, x->secret_use, &passphrase, &n, e);

	if (r < 0)
		return err_wrap(e, "network.wifi.passphrase");
	/* powersave 2 is off: an access point drops what is for a station that sleeps, questions for its addresses too.
	 */
	strbuf_adds(b, "\n[wifi]\nmode=infrastructure\npowersave=2\n");
	if (c->network.mtu)
		strbuf_addf(b, "mtu=%u\n", c->network.mtu);
	if (c->network.wifi.hidden)
		strbuf_adds(b, "hidden=true\n");
	strbuf_adds(b, "ssid=");
	encode_ssid(b, c->network.wifi.ssid);
	strbuf_adds(b, "\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=");
	encode_keyfile(b, passphrase, n);
	strbuf_adds(b, "\n");
	return 0;
}

const char *node_pod_resolv_conf(const struct config *c)
{
	return c->network.nameservers.n ? "/etc/pibuild/resolv.conf" : "/var/lib/pibuild/resolv.conf";
}

/* What pods ask, whatever else comes to write into /etc/resolv.conf. */
static void add_pod_resolv_conf(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char ip[IPV4_TEXT];

	if (!c->network.nameservers.n) {
		tree_add_symlink(t, "/etc/NetworkManager/dispatcher.d/50-pibuild-pod-dns", origin,
				 "/usr/lib/pibuild/pod-dns");
		return;
	}
	/* The kubelet complains about each beyond three, and leaves it out. */
	for (size_t i = 0; i < c->network.nameservers.n && i < 3; i++)
		strbuf_addf(&b, "nameserver %s\n", ipv4_text(c->network.nameservers.v[i], ip));
	tree_add_dir(t, "/etc/pibuild", 0755, origin);
	tree_add_text(t, node_pod_resolv_conf(c), 0644, origin, b.s);
}

/* FLAG of the interface that this node answers on, by udev: it holds for one that the driver makes again, too. */
static void add_link_flag(struct tree *t, const char *name, const char *why, const char *interface, const char *flag)
{
	tree_add_dir(t, "/etc/udev/rules.d", 0755, origin);
	tree_add_text(
		t, arena_printf("/etc/udev/rules.d/70-pibuild-%s.rules", name), 0644, origin,
		arena_printf(
			"# This node answers %s of services.\n"
			"ACTION==\"add\", SUBSYSTEM==\"net\", KERNEL==\"%s\", RUN+=\"/bin/ip link set dev %s %s on\"\n",
			why, interface, interface, flag));
}

static void add_link_flags(const struct node_ctx *x, struct tree *t)
{
	struct announcers a = board_announcers(x->config, x->boards);
	const char *interface = announcers_interface(&a, x->node);

	if (!interface)
		return;
	/* In promiscuous mode brcmfmac takes ARP back from the firmware, which knows the node's own address only
	 * (_brcmf_set_multicast_list of drivers/net/wireless/broadcom/brcm80211/brcmfmac/core.c; raspberrypi/linux
	 * issue 2677). */
	if (interface_is_wifi(interface))
		add_link_flag(t, "promiscuous", "ARP for the addresses", interface, "promisc");
	/* Questions for an IPv6 address go to a multicast group that is made of it, and Cilium does not join those of
	 * services (cilium issue 44311): an adapter that sorts them out would hear none. */
	if (x->config->network.ipv6.enabled && x->config->lb.pools.n)
		add_link_flag(t, "multicast", "for the IPv6 addresses", interface, "allmulticast");
}

int node_add_network(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;
	struct link l = address_link(x);
	_cleanup_strbuf_ struct strbuf b = { 0 }, parent = { 0 };
	int r = 0;

	keyfile_start(&b, x, l);
	if (streq(l.type, "vlan")) {
		struct link below = { config_interface(c, x->node), "ethernet" };

		keyfile_ethernet(&b, c);
		strbuf_addf(&b, "\n[vlan]\nparent=%s\nid=%u\nflags=1\n", below.name, c->network.vlan);
		keyfile_start(&parent, x, below);
		keyfile_ethernet(&parent, c);
		strbuf_adds(&parent, "\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n");
		add_keyfile(t, below.name, &parent);
	} else if (streq(l.type, "wifi")) {
		r = add_wifi(x, &b, e);
	} else {
		keyfile_ethernet(&b, c);
	}
	if (r < 0)
		return r;
	keyfile_ip(&b, x);
	add_keyfile(t, l.name, &b);
	add_pod_resolv_conf(x, t);
	add_link_flags(x, t);
	if (streq(l.type, "wifi")) {
		tree_find(t, "/etc/NetworkManager/system-connections/pibuild-wlan0.nmconnection")->secret = true;
		/* Raspberry Pi OS keeps the radio off until someone asks for it. */
		tree_add_text(t, "/var/lib/NetworkManager/NetworkManager.state", 0600, origin,
			      "[main]\nNetworkingEnabled=true\nWirelessEnabled=true\nWWANEnabled=true\n");
	}
	return 0;
}
