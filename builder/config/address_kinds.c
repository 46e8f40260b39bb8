/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of addresses, networks and the numbers that go with them. Who wrote one as it is written elsewhere, with a mask
 * or cut short, is told how it is written here.
 */
#include <arpa/inet.h>

#include "config/internal.h"
#include "config/values.h"

static bool is_ipv6(const char *text)
{
	const char *colon = strchr(text, ':');

	/* "fe80::1%eth0" */
	return colon && strchr(colon + 1, ':') && strspn(text, "0123456789abcdefABCDEF:./-") == strcspn(text, "%");
}

/* TEXT without blanks, and without the zeros that stand before its numbers. */
static const char *plain_address(const char *text)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (const char *p = text; *p; p++) {
		bool first = p == text || !strchr("0123456789", p[-1]);

		if (*p != ' ' && !(first && *p == '0' && p[1] && strchr("0123456789", p[1])))
			strbuf_add(&b, p, 1);
		else if (first && *p == '0')
			while (p[1] == '0' && p[2] && strchr("0123456789", p[2]))
				p++;
	}
	return arena_strdup(str_or(b.s, ""));
}

const char *kind_address_fault(const char *text, const char *words)
{
	const char *plain = plain_address(text);
	struct cidr net;
	uint32_t addr;
	unsigned big = 0;

	if (!streq(plain, text) && (value_ipv4(plain, &addr) == 0 || value_cidr(plain, &net) == 0))
		return arena_printf("no blanks in it, and no zeros before its numbers; write %s", plain);

	if (strchr(text, ',') && strchr(text, ':'))
		return arena_printf("IPv4 alone is given here, and network.ipv6 has what is IPv6; %s", words);
	if (is_ipv6(text))
		return arena_printf("this is IPv6: IPv4 is given here, and network.ipv6 adds IPv6; %s", words);
	for (const char *p = text; *p && strspn(text, "0123456789./-") == strlen(text); p += strspn(p, "0123456789")) {
		p += strcspn(p, "0123456789");
		big = MAX(big, (unsigned)MIN(strtoul(p, NULL, 10), 1000ul));
	}
	if (big > 255)
		return arena_printf("no number of an IPv4 address is above 255; %s", words);
	return words;
}

/* "255.255.255.0": 24; 0 when it is no mask. */
static unsigned mask_prefix(const char *text)
{
	uint32_t mask;

	if (value_ipv4(text, &mask) < 0 || !mask || (~mask & (~mask + 1)))
		return 0;
	return 32 - (unsigned)__builtin_ctz(mask);
}

static const char *unusable(uint32_t first, uint32_t last)
{
	static const struct {
		uint32_t first, last;
		const char *words;
	} reserved[] = {
		{ 0x00000000, 0x00ffffff, "addresses of 0.0.0.0/8 cannot be used" },
		{ 0x7f000000, 0x7fffffff, "127.0.0.0/8 is the machine itself" },
		{ 0xa9fe0000, 0xa9feffff, "169.254.0.0/16 is for machines without an address" },
		{ 0xe0000000, 0xffffffff, "addresses from 224.0.0.0 on are multicast or reserved" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (first <= reserved[i].last && last >= reserved[i].first)
			return reserved[i].words;
	return NULL;
}

/* A network or address that lacks its /size, or has a mask for it. */
static const char *prefix_fault(const char *text, const char *words)
{
	const char *slash = strchr(text, '/');
	uint32_t addr;

	if (value_ipv4(text, &addr) == 0)
		return arena_printf("the size of the network is missing; write %s/24 when that is your network's",
				    text);
	if (slash && mask_prefix(slash + 1))
		return arena_printf("the size is a number of bits here, not a mask; write %.*s/%u", (int)(slash - text),
				    text, mask_prefix(slash + 1));
	return kind_address_fault(text, words);
}

static const char *range_fault(const char *text)
{
	static const char words[] =
		"give a range such as 192.168.1.65-192.168.1.127, without blanks, the lower address first";
	_cleanup_strbuf_ struct strbuf bare = { 0 };
	char first[IPV4_TEXT], last[IPV4_TEXT];
	const char *dash, *dot;
	struct ip_range r;
	struct cidr net;
	uint32_t a, b;

	for (const char *p = text; *p; p++) {
		/* What word processors make of '-', U+2010 to U+2015. */
		bool is_dash = (unsigned char)p[0] == 0xe2 && (unsigned char)p[1] == 0x80 &&
			       (unsigned char)p[2] >= 0x90 && (unsigned char)p[2] <= 0x95;

		if (is_dash)
			strbuf_adds(&bare, "-"), p += 2;
		else if (*p != ' ')
			strbuf_add(&bare, p, 1);
	}
	if (value_range(str_or(bare.s, ""), &r) == 0)
		return strchr(text, '-') ? arena_printf("no blanks in it; write %s", bare.s)
					 : arena_printf("the dash is another character; write %s", bare.s);
	if (value_ipv4(text, &a) == 0)
		return arena_printf("a range has a first and a last address; one alone is written %s-%s", text, text);
	if (value_cidr(text, &net) == 0 && net.prefix == 32)
		return arena_printf("a range has a first and a last address; one alone is written %s-%s",
				    ipv4_text(net.addr, first), ipv4_text(net.addr, last));
	if (value_cidr(text, &net) == 0 && net.prefix <= 30)
		return arena_printf("this is a network, and a range has a first and a last address; write %s-%s",
				    ipv4_text(cidr_first(net) + 1, first), ipv4_text(cidr_last(net) - 1, last));
	dash = strchr(text, '-');
	dot = dash ? memrchr(text, '.', (size_t)(dash - text)) : NULL;
	if (!dot)
		return kind_address_fault(text, words);
	if (value_ipv4(arena_strndup(text, (size_t)(dash - text)), &a) == 0 && value_ipv4(dash + 1, &b) == 0 && a > b)
		return arena_printf("the lower address comes first; write %s-%s", ipv4_text(b, first),
				    ipv4_text(a, last));
	text = arena_printf("%.*s-%.*s%s", (int)(dash - text), text, (int)(dot + 1 - text), text, dash + 1);
	if (value_range(text, &r) == 0)
		return arena_printf("the second address is cut short; write %s", text);
	return kind_address_fault(text, words);
}

static const char *parse_ip(const struct reading *l, const char *text, void *dst)
{
	struct cidr net;
	uint32_t addr;

	if (value_cidr(text, &net) == 0)
		return arena_printf("the size of the network does not go here; write %.*s", (int)strcspn(text, "/"),
				    text);
	if (value_ipv4(text, &addr) < 0)
		return kind_address_fault(text, "give an IPv4 address such as 192.168.1.1");
	if (unusable(addr, addr))
		return unusable(addr, addr);
	*(uint32_t *)dst = addr;
	return NULL;
}

static const char *parse_network(const struct reading *l, const char *text, void *dst)
{
	struct cidr c;

	if (value_cidr(text, &c) < 0)
		return prefix_fault(text, "give an IPv4 network such as 192.168.1.0/24");
	if (c.addr != cidr_first(c))
		return arena_printf("the network is %s; an address of a single machine does not go here", cidr_text(c));
	if (c.prefix < 8 || c.prefix > 30)
		return "a network of this size makes no sense here; use /8 to /30";
	if (unusable(cidr_first(c), cidr_last(c)))
		return unusable(cidr_first(c), cidr_last(c));
	*(struct cidr *)dst = c;
	return NULL;
}

/* Who may ask: a network of any size, or one machine. */
static const char *parse_source(const struct reading *l, const char *text, void *dst)
{
	struct cidr c = { .prefix = 32, .set = true };

	if (strchr(text, '/') ? value_cidr(text, &c) < 0 : value_ipv4(text, &c.addr) < 0)
		return prefix_fault(text, "give an IPv4 network or address such as 192.168.1.0/24 or 192.168.2.7");
	if (c.addr != cidr_first(c))
		return arena_printf("the network is %s, and a single machine is written without a size", cidr_text(c));
	*(struct cidr *)dst = c;
	return NULL;
}

static const char *parse_address(const struct reading *l, const char *text, void *dst)
{
	struct cidr c;

	if (strcasecmp(text, "dhcp") == 0 || strcasecmp(text, "auto") == 0)
		return "a node takes DHCP when it has no address: remove the key";
	if (value_cidr(text, &c) < 0)
		return prefix_fault(text, "give an address with the size of its network, such as 192.168.1.11/24");
	if (c.prefix < 8 || c.prefix > 30)
		return "a network of this size makes no sense here; use /8 to /30";
	if (unusable(c.addr, c.addr))
		return unusable(c.addr, c.addr);
	if (c.addr == cidr_first(c) || c.addr == cidr_last(c))
		return arena_printf("this is the %s address of %s, not one of a machine",
				    c.addr == cidr_first(c) ? "network" : "broadcast", cidr_text(c));
	*(struct cidr *)dst = c;
	return NULL;
}

static const char *parse_range(const struct reading *l, const char *text, void *dst)
{
	struct ip_range r;

	if (value_range(text, &r) < 0)
		return range_fault(text);
	if (unusable(r.first, r.last))
		return unusable(r.first, r.last);
	*(struct ip_range *)dst = r;
	return NULL;
}

/* What parse_*() take but for what needs arithmetic, such as bits of a host in a network. */
#define USABLE "(?!0[.]|127[.]|169[.]254[.]|22[4-9][.]|2[3-5][0-9][.])"
#define IPV4   USABLE OCTET "([.]" OCTET "){3}"
#define SIZE   "/([89]|[12][0-9]|30)"

const struct kind kind_network = {
	.name = "IPv4 network",
	.words = "give an IPv4 network such as 192.168.1.0/24, of /8 to /30",
	.editor_pattern = "^" IPV4 SIZE "$",
	.parse = parse_network,
};
const struct kind kind_source = {
	.name = "IPv4 network or address",
	.words = "give an IPv4 network or address such as 192.168.1.0/24 or 192.168.2.7",
	.editor_pattern = "^" OCTET "([.]" OCTET "){3}(/([0-9]|[12][0-9]|3[0-2]))?$",
	.parse = parse_source,
};
const struct kind kind_address = {
	.name = "IPv4 address with /size",
	.words = "give an address with the size of its network, such as 192.168.1.11/24",
	.editor_pattern = "^" IPV4 SIZE "$",
	.parse = parse_address,
};
const struct kind kind_ip = {
	.name = "IPv4 address",
	.words = "give an IPv4 address such as 192.168.1.1",
	.editor_pattern = "^" IPV4 "$",
	.parse = parse_ip,
};
const struct kind kind_range = {
	.name = "IPv4 range",
	.words = "give a range such as 192.168.1.65-192.168.1.127, without blanks, the lower address first",
	.editor_pattern = "^" IPV4 "-" IPV4 "$",
	.parse = parse_range,
};

/* ---- numbers ---- */

static const char *parse_vlan(const struct reading *l, const char *text, void *dst)
{
	unsigned v;

	if (value_unsigned(text, &v) < 0 || v < 1 || v > 4094)
		return "a VLAN id is a number from 1 to 4094";
	*(unsigned *)dst = v;
	return NULL;
}

static const char *parse_asn(const struct reading *l, const char *text, void *dst)
{
	unsigned v;

	if (value_unsigned(text, &v) < 0 || v < 1 || v == UINT32_MAX)
		return "the number of an autonomous system is one from 1 to 4294967294, private ones are 64512 to 65534";
	*(uint32_t *)dst = v;
	return NULL;
}

static void bounds_schema(json_t *out, unsigned least, unsigned most)
{
	json_object_set_new(out, "type", json_string("integer"));
	json_object_set_new(out, "minimum", json_integer(least));
	json_object_set_new(out, "maximum", json_integer(most));
}

static void vlan_schema(const struct field *f, json_t *out)
{
	bounds_schema(out, 1, 4094);
}

static void asn_schema(const struct field *f, json_t *out)
{
	bounds_schema(out, 1, UINT32_MAX - 1);
}

/* Below 1280 there is no IPv6 (RFC 8200, 5); above 9216 no switch goes. */
enum { MTU_LEAST = 1280, MTU_MOST = 9216 };

static const char *parse_mtu(const struct reading *l, const char *text, void *dst)
{
	unsigned v;

	if (value_unsigned(text, &v) < 0 || v < MTU_LEAST || v > MTU_MOST)
		return "the size of the largest packet is a number from 1280 to 9216; Ethernet's own is 1500";
	*(unsigned *)dst = v;
	return NULL;
}

static void mtu_schema(const struct field *f, json_t *out)
{
	bounds_schema(out, MTU_LEAST, MTU_MOST);
}

const struct kind kind_asn = { .name = "number", .parse = parse_asn, .schema = asn_schema };
const struct kind kind_vlan = { .name = "1 to 4094", .parse = parse_vlan, .schema = vlan_schema, .number = true };
const struct kind kind_mtu = { .name = "1280 to 9216", .parse = parse_mtu, .schema = mtu_schema, .number = true };

/* ---- IPv6 ---- */

/* Of machines and pods on a LAN: unique local (RFC 4193) or global. */
static bool is_unicast6(const struct cidr6 *c)
{
	return c->addr[0] == 0xfd || (c->addr[0] & 0xe0) == 0x20;
}

/* "fd00::1/64": "fd00::/64"; NULL when there is nothing beyond its size. */
static char *network6_of(const char *text)
{
	const char *slash = strchr(text, '/');
	struct cidr6 c = { .set = true };
	unsigned prefix;

	if (!slash || value_unsigned(slash + 1, &prefix) < 0 || prefix > 128 ||
	    inet_pton(AF_INET6, arena_strndup(text, (size_t)(slash - text)), c.addr) != 1)
		return NULL;
	for (unsigned bit = prefix; bit < 128; bit++)
		c.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	c.prefix = (uint8_t)prefix;
	return cidr6_text(&c);
}

static const char *parse_network6(const char *text, void *dst, unsigned least, unsigned most, const char *words)
{
	struct cidr6 c;

	if (value_cidr6(text, &c) < 0 && network6_of(text))
		return arena_printf("the network is %s; an address of a single machine does not go here",
				    network6_of(text));
	if (value_cidr6(text, &c) < 0)
		return strchr(text, '.')
			       ? arena_printf("IPv6 is given here, and IPv4 is in network.subnet and cluster; %s",
					      words)
			       : words;
	if (!is_unicast6(&c))
		return arena_printf("this is no network for machines: they begin with fd (private) or with 2 or 3; %s",
				    words);
	if (c.prefix < least || c.prefix > most)
		return words;
	*(struct cidr6 *)dst = c;
	return NULL;
}

static const char subnet6_words[] = "give an IPv6 network of /64, such as fd12:3456:789a::/64";
static const char *parse_subnet6(const struct reading *l, const char *text, void *dst)
{
	return parse_network6(text, dst, 64, 64, subnet6_words);
}

/* Each node takes a /64, and neither Kubernetes nor Cilium looks after more than 16 bits of them (kubernetes
 * pkg/controller/nodeipam/ipam/cidrset/cidr_set.go, clusterSubnetMaxDiff). */
static const char pods6_words[] = "give an IPv6 network of /48 to /63, such as fd12:3456:789a:4200::/56";
static const char *parse_pods6(const struct reading *l, const char *text, void *dst)
{
	return parse_network6(text, dst, 48, 63, pods6_words);
}

/* 20 bits of services at most (kubernetes cmd/kube-apiserver/app/options/validation.go). */
static const char services6_words[] = "give an IPv6 network of /108 to /120, such as fd12:3456:789a:4300::/112";
static const char *parse_services6(const struct reading *l, const char *text, void *dst)
{
	return parse_network6(text, dst, 108, 120, services6_words);
}

#define IPV6 "([fF][dD]|[23])[0-9a-fA-F]{1,3}(:[0-9a-fA-F]{0,4}){2,7}"
const struct kind kind_subnet6 = {
	.name = "IPv6 network of /64",
	.words = subnet6_words,
	.editor_pattern = "^" IPV6 "/64$",
	.parse = parse_subnet6,
};
const struct kind kind_pods6 = {
	.name = "IPv6 network of /48 to /63",
	.words = pods6_words,
	.editor_pattern = "^" IPV6 "/(4[89]|5[0-9]|6[0-3])$",
	.parse = parse_pods6,
};
const struct kind kind_services6 = {
	.name = "IPv6 network of /108 to /120",
	.words = services6_words,
	.editor_pattern = "^" IPV6 "/1(0[89]|1[0-9]|20)$",
	.parse = parse_services6,
};
