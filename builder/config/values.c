/* SPDX-License-Identifier: Apache-2.0 */
#include "config/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>

/* Decimal without sign, blanks or leading zeros, at most MAX; *S moves behind it. */
static bool values_take_number(const char **s, unsigned long max, unsigned *ret)
{
	unsigned long v = 0;
	const char *p = *s;

	if (!isdigit((unsigned char)*p) || (p[0] == '0' && isdigit((unsigned char)p[1])))
		return false;
	for (; isdigit((unsigned char)*p); p++) {
		v = v * 10 + (unsigned long)(*p - '0');
		if (v > max)
			return false;
	}
	*s = p;
	*ret = (unsigned)v;
	return true;
}

static bool take_ipv4(const char **s, uint32_t *ret)
{
	uint32_t addr = 0;
	unsigned part;

	for (int i = 0; i < 4; i++) {
		if (i && *(*s)++ != '.')
			return false;
		if (!values_take_number(s, 255, &part))
			return false;
		addr = addr << 8 | part;
	}
	*ret = addr;
	return true;
}

int value_ipv4(const char *s, uint32_t *ret)
{
	uint32_t addr;

	if (!take_ipv4(&s, &addr) || *s)
		return -EINVAL;
	*ret = addr;
	return 0;
}

/* None of them means anything to systemd's EnvironmentFile=, to a shell or to YAML's double quotes. */
#define PROXY_USER "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~%!*+,;=:-"
#define PROXY_HOST "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"

static const char port_words[] = "a port is a number from 1 to 65535";

const char *value_port_fault(const char *text)
{
	const char *scheme = strstr(text, "://"), *host = scheme ? scheme + strlen("://") : text, *colon;
	unsigned port = 0;

	colon = memchr(host, ':', strcspn(host, "/"));
	if (!colon)
		return NULL;
	colon++;
	return values_take_number(&colon, 65535, &port) && port ? NULL : port_words;
}

const char *value_proxy_fault(const char *text, bool with_user)
{
	static const char words[] = "give the address of a proxy such as http://proxy.home.example.com:3128";
	const char *host = starts_with(text, "http://")	   ? text + strlen("http://")
			   : starts_with(text, "https://") ? text + strlen("https://")
							   : NULL;
	const char *at = host ? strrchr(host, '@') : NULL;
	unsigned port = 1;
	size_t n;

	if (!host)
		return words;
	if (at && !with_user)
		return "a password must not be written here, where git and backups keep it; put the whole address into a secret: {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}";
	if (at && (at == host || host + strspn(host, PROXY_USER) != at))
		return "its name and password may hold letters, digits and . _ ~ ! * + , ; = - alone; write others as %XX, their hexadecimal code";
	host = at ? at + 1 : host;
	n = strspn(host, PROXY_HOST);
	if (!n || n > 253 || *host == '-' || *host == '.')
		return words;
	host += n;
	if (*host == ':') {
		host++;
		if (!values_take_number(&host, 65535, &port) || !port)
			return port_words;
	}
	host += *host == '/';
	return *host ? words : NULL;
}

int value_cidr(const char *s, struct cidr *ret)
{
	unsigned prefix;
	uint32_t addr;

	if (!take_ipv4(&s, &addr) || *s++ != '/' || !values_take_number(&s, 32, &prefix) || *s)
		return -EINVAL;
	*ret = (struct cidr){ .addr = addr, .prefix = (uint8_t)prefix, .set = true };
	return 0;
}

int value_cidr6(const char *s, struct cidr6 *ret)
{
	const char *slash = strchr(s, '/'), *size = slash ? slash + 1 : "";
	struct cidr6 c = { .set = true };
	unsigned prefix;

	if (!slash || slash - s >= IPV6_TEXT || !values_take_number(&size, 128, &prefix) || *size ||
	    inet_pton(AF_INET6, arena_strndup(s, (size_t)(slash - s)), c.addr) != 1)
		return -EINVAL;
	for (unsigned bit = prefix; bit < 128; bit++)
		if (c.addr[bit / 8] & 0x80 >> bit % 8)
			return -EINVAL;
	c.prefix = (uint8_t)prefix;
	*ret = c;
	return 0;
}

int value_range(const char *s, struct ip_range *ret)
{
	uint32_t first, last;

	if (!take_ipv4(&s, &first) || *s++ != '-' || !take_ipv4(&s, &last) || *s || first > last)
		return -EINVAL;
	*ret = (struct ip_range){ .first = first, .last = last, .set = true };
	return 0;
}

int value_unsigned(const char *s, unsigned *ret)
{
	unsigned v;

	if (!values_take_number(&s, UINT32_MAX, &v) || *s)
		return -EINVAL;
	*ret = v;
	return 0;
}

int value_memory(const char *s, uint64_t *ret)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = { { "MiB", MIB }, { "MB", MIB }, { "GiB", GIB }, { "GB", GIB } };
	unsigned v;

	if (!values_take_number(&s, 1 << 20, &v) || !v)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (streq(s, units[i].unit)) {
			*ret = v * units[i].bytes;
			return 0;
		}
	}
	return -EINVAL;
}

int value_duration(const char *s, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	double total = 0;

	if (!*s)
		return -EINVAL;
	while (*s) {
		char *end;
		double v = strtod(s, &end);
		size_t i;

		if (!isdigit((unsigned char)*s) || end == s || v > 1e9)
			return -EINVAL;
		for (i = 0; i < ARRAY_SIZE(units) && !starts_with(end, units[i].unit); i++)
			;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		total += v * units[i].ms;
		s = end + strlen(units[i].unit);
	}
	*ret_ms = (uint64_t)total;
	return 0;
}

int value_quantity(const char *s, double *ret)
{
	static const struct {
		const char *suffix;
		double times;
	} suffixes[] = { { "", 1 },	   { "n", 1e-9 },    { "u", 1e-6 },    { "m", 1e-3 },
			 { "k", 1e3 },	   { "M", 1e6 },     { "G", 1e9 },     { "T", 1e12 },
			 { "P", 1e15 },	   { "E", 1e18 },    { "Ki", 0x1p10 }, { "Mi", 0x1p20 },
			 { "Gi", 0x1p30 }, { "Ti", 0x1p40 }, { "Pi", 0x1p50 }, { "Ei", 0x1p60 } };
	const char *digits = s + (*s == '-' || *s == '+');
	size_t n = strspn(digits, "0123456789."), e;
	char *end;
	double v = strtod(arena_strndup(s, (size_t)(digits - s) + n), &end);

	if (!n || *end || !strpbrk(arena_strndup(digits, n), "0123456789"))
		return -EINVAL;
	digits += n;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (streq(suffixes[i].suffix, digits)) {
			*ret = v * suffixes[i].times;
			return 0;
		}
	}
	if (*digits != 'e' && *digits != 'E')
		return -EINVAL;
	e = 1 + (digits[1] == '-' || digits[1] == '+');
	if (!digits[e] || digits[e + strspn(digits + e, "0123456789")])
		return -EINVAL;
	*ret = strtod(s, NULL);
	return 0;
}

int value_semver(const char *s, struct semver *ret)
{
	struct semver v = { 0 };

	s += *s == 'v';
	if (!values_take_number(&s, 100000, &v.major) || *s++ != '.' || !values_take_number(&s, 100000, &v.minor))
		return -EINVAL;
	if (*s == '.') {
		s++;
		if (!values_take_number(&s, 100000, &v.patch))
			return -EINVAL;
	}
	if (*s && *s != '-' && *s != '+')
		return -EINVAL;
	*ret = v;
	return 0;
}

/* UTF-16 without a mark is known by the NUL that is half of every letter of English. */
static bool is_utf16(const char *s, size_t n)
{
	if (n >= 2 && (!memcmp(s, "\xff\xfe", 2) || !memcmp(s, "\xfe\xff", 2)))
		return true;
	return n >= 4 && n % 2 == 0 && ((s[0] && !s[1] && s[2] && !s[3]) || (!s[0] && s[1] && !s[2] && s[3]));
}

const char *value_encoding_fault(const char *s, size_t n, const char *path)
{
	const char *word = path ? shell_word(path) : "";

	if (is_utf16(s, n))
		return arena_printf("is text in UTF-16, as Windows PowerShell writes it; save it as UTF-8%s%s%s%s",
				    path ? ": t=$(iconv -f UTF-16 -t UTF-8 " : "", word,
				    path ? ") && printf '%s\\n' \"$t\" >" : "", word);
	if (n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3))
		return arena_printf("starts with a byte order mark, as editors on Windows write it; remove it%s%s",
				    path ? ": sed -i '1s/^\\xef\\xbb\\xbf//' " : "", word);
	return yaml_is_text(s, n) ? NULL : "is no text (UTF-8 without NUL); save it as such";
}

char *ipv4_text(uint32_t addr, char buf[IPV4_TEXT])
{
	snprintf(buf, IPV4_TEXT, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
	return buf;
}

char *ipv6_text(const uint8_t addr[16], char buf[IPV6_TEXT])
{
	inet_ntop(AF_INET6, addr, buf, IPV6_TEXT);
	return buf;
}

char *cidr6_text(const struct cidr6 *c)
{
	char buf[IPV6_TEXT];

	return arena_printf("%s/%u", ipv6_text(c->addr, buf), c->prefix);
}

char *cidr_text(struct cidr c)
{
	char buf[IPV4_TEXT];

	return arena_printf("%s/%u", ipv4_text(cidr_first(c), buf), c.prefix);
}

bool cidrs6_overlap(const struct cidr6 *a, const struct cidr6 *b)
{
	unsigned bits = MIN(a->prefix, b->prefix);

	for (unsigned bit = 0; bit < bits; bit++)
		if ((a->addr[bit / 8] ^ b->addr[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}
