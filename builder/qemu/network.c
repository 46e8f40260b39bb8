/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's LAN as QEMU's user network plays it. The node's subnet becomes QEMU's, the gateway answers as name server
 * (the one address besides the host's that QEMU answers for), and the host takes an address nobody else has: as a rule
 * the last one, where no node, pool or router is.
 */
#include <sys/stat.h>

#include "config/values.h"
#include "qemu/internal.h"

static const char connections[] = "/etc/NetworkManager/system-connections";

enum { KEYFILE_LIMIT = 64 * 1024, SSH = 22, API = 6443, NARROWEST = 29 };

/* What is used of a keyfile: nm-settings-keyfile(5). */
struct keyfile {
	const char *type, *interface, *method, *address, *gateway;
};

static const struct {
	const char *section, *key;
	size_t offset;
} keys[] = {
	{ "connection", "type", offsetof(struct keyfile, type) },
	{ "connection", "interface-name", offsetof(struct keyfile, interface) },
	{ "ipv4", "method", offsetof(struct keyfile, method) },
	{ "ipv4", "address1", offsetof(struct keyfile, address) },
	{ "ipv4", "gateway", offsetof(struct keyfile, gateway) },
};

static void keyfile_line(struct keyfile *k, const char *section, char *line)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (streq(keys[i].section, section) && streq(keys[i].key, line))
			*(const char **)((char *)k + keys[i].offset) = clean_copy(value);
}

static struct keyfile keyfile_parse(char *text)
{
	struct keyfile k = { 0 };
	const char *section = "";

	text_foreach (line, text, "\r\n") {
		size_t n = strlen(line);

		if (line[0] == '[' && line[n - 1] == ']') {
			line[n - 1] = '\0';
			section = line + 1;
		} else {
			keyfile_line(&k, section, line);
		}
	}
	return k;
}

/* "192.168.1.11/24,192.168.1.1"; the gateway may stand in a key of its own. */
static void take_address(const struct keyfile *k, struct network *n)
{
	_cleanup_free_ char *address = xstrdup(k->address);
	char *gateway = strchr(address, ',');

	if (gateway)
		*gateway++ = '\0';
	if (value_cidr(address, &n->node) < 0)
		return;
	n->node.set = true;
	if (value_ipv4(gateway ? gateway : str_or(k->gateway, ""), &n->gateway) < 0)
		n->gateway = 0;
}

static int add_connection(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	struct text_list *list = arg;

	if (S_ISREG(st->mode) && ends_with(path, ".nmconnection"))
		*vec_push(list) = arena_strdup(path);
	return 0;
}

/* The first connection with an address wins; one that is only the link below a VLAN has none at all. */
int network_read(struct ext4 *root, struct network *ret, struct err *e)
{
	struct text_list list = { 0 };
	int r = ext4_exists(root, connections) ? ext4_walk(root, connections, add_connection, &list, e) : 0;

	for (size_t i = 0; r == 0 && i < list.n && !ret->node.set; i++) {
		_cleanup_strbuf_ struct strbuf text = { 0 };
		struct keyfile k;

		r = ext4_read(root, list.v[i], KEYFILE_LIMIT, &text, e);
		if (r < 0)
			return r;
		k = keyfile_parse(text.s);
		if (!k.method || streq(k.method, "disabled"))
			continue;
		ret->type = str_or(k.type, "ethernet");
		ret->interface = str_or(k.interface, "eth0");
		if (streq(k.method, "manual") && k.address)
			take_address(&k, ret);
	}
	return r;
}

static uint32_t free_address(const struct network *n, uint32_t taken)
{
	uint32_t a = cidr_last(n->net) - 1;

	while (a == n->node.addr || a == n->gateway || a == taken)
		a--;
	return a;
}

void network_derive(struct network *n)
{
	if (!n->node.set)
		return;
	n->net = n->node;
	n->net.prefix = MIN(n->node.prefix, NARROWEST); /* room for four */
	n->dns = n->gateway;
	if (!n->gateway || !cidr_has(n->net, n->gateway) || n->gateway == n->node.addr)
		n->dns = free_address(n, 0);
	n->host = free_address(n, n->dns);
}

static bool is_others(uint32_t address, const struct machine *const *others)
{
	for (; others && *others; others++)
		if ((*others)->network.node.set && (*others)->network.node.addr == address)
			return true;
	return false;
}

void network_avoid(struct network *n, const struct machine *const *others)
{
	while (n->net.prefix && is_others(n->host, others))
		n->host--;
}

/* Ports of this machine that lead to SSH and the API of M. */
static void add_forwards(struct strbuf *out, const struct machine *m)
{
	char node[IPV4_TEXT] = "";

	if (m->network.node.set)
		ipv4_text(m->network.node.addr, node);
	strbuf_addf(out, ",hostfwd=tcp:127.0.0.1:%u-%s:%d,hostfwd=tcp:127.0.0.1:%u-%s:%d", m->ssh_port, node, SSH,
		    m->api_port, node, API);
}

const char *network_option(const struct machine *m, const char *id, bool open, const struct machine *const *others)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	const struct network *n = &m->network;
	char dns[IPV4_TEXT], host[IPV4_TEXT];

	strbuf_addf(&b, "user,id=%s", id);
	if (n->node.set)
		strbuf_addf(&b, ",net=%s,host=%s,dns=%s", cidr_text(n->net), ipv4_text(n->host, host),
			    ipv4_text(n->dns, dns));
	strbuf_adds(&b, open ? "" : ",restrict=on");
	add_forwards(&b, m);
	for (; others && *others; others++)
		if ((*others)->network.node.set)
			add_forwards(&b, *others);
	return arena_strdup(b.s);
}

const char *network_doubt(const struct network *n)
{
	if (!n->type)
		return "it has no NetworkManager connection of its own";
	if (streq(n->type, "vlan"))
		return arena_printf("it is on the VLAN %s, and QEMU's user network has no VLANs", n->interface);
	if (streq(n->type, "wifi"))
		return arena_printf("it is on Wi-Fi (%s), which QEMU does not have", n->interface);
	return NULL;
}
