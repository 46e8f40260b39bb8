/* SPDX-License-Identifier: Apache-2.0 */
/* Who the machine is: name, hosts, zone, locale, keyboard, and a clock that never starts before the build. */
#include "node/node.h"

static const char origin[] = "generated: host";

/* Keeps the file as it is; written anew it carries the time of the build. */
static int touch(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	strbuf_add(out, old ? old : "", n);
	return 0;
}

/* Names of the cluster's static nodes resolve without a name server; so do those of network.hosts. */
static void add_hosts(const struct node_ctx *x, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char ip[IPV4_TEXT];

	strbuf_addf(&b,
		    "127.0.0.1\tlocalhost\n"
		    "127.0.1.1\t%s\n"
		    "::1\t\tlocalhost ip6-localhost ip6-loopback\n"
		    "ff02::1\t\tip6-allnodes\n"
		    "ff02::2\t\tip6-allrouters\n",
		    x->node->name);
	vec_foreach (n, &x->config->nodes)
		if (n->address.set && n != x->node)
			strbuf_addf(&b, "%s\t%s\n", ipv4_text(n->address.addr, ip), n->name);
	vec_foreach (host, &x->config->network.hosts)
		strbuf_addf(&b, "%s\t%s\n", ipv4_text(host->addr, ip), host->name);
	tree_add_text(t, "/etc/hosts", 0644, origin, b.s);
}

/* "XKBLAYOUT="de"" and the like; the rest of the base's file stays. */
static int set_keyboard(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	strbuf_addf(out,
		    "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"%s\"\nXKBVARIANT=\"\"\nXKBOPTIONS=\"\"\nBACKSPACE=\"guess\"\n",
		    (const char *)arg);
	return 0;
}

/* locale.gen lists what locale-gen(8) makes; pibuild-locale.service runs it where the locale is missing. */
static int add_locale_line(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const char *locale = arg, *dot = strchr(locale, '.');

	strbuf_add(out, old ? old : "", n);
	strbuf_addf(out, "%s%s %s\n", n && old[n - 1] != '\n' ? "\n" : "", locale, dot ? dot + 1 : "ISO-8859-1");
	return 0;
}

/* The lists of `check` are Debian 13's; the base itself has the last word. */
static void add_needs(const struct config *c, struct tree *t)
{
	const char *locale = c->access.locale, *bare = arena_strndup(locale, strcspn(locale, "."));

	if (!streq(c->access.timezone, "UTC"))
		tree_need(
			t, arena_printf("/usr/share/zoneinfo/%s", c->access.timezone), NULL,
			arena_printf(
				"access.timezone: the base has no time zone %s (no /usr/share/zoneinfo/%s); write one that it has, or UTC",
				c->access.timezone, c->access.timezone));
	if (!starts_with(locale, "C.")) {
		tree_need(
			t, "/usr/share/i18n/locales", NULL,
			arena_printf("access.locale: the base cannot make %s: it has no package locales; write C.UTF-8",
				     locale));
		tree_need(
			t, arena_printf("/usr/share/i18n/locales/%s", bare), NULL,
			arena_printf(
				"access.locale: the base has no locale %s (no /usr/share/i18n/locales/%s); write one that it has, or C.UTF-8",
				locale, bare));
	}
	tree_need(
		t, "/usr/share/X11/xkb/rules/base.lst", c->access.keyboard,
		arena_printf(
			"access.keyboard: the base has no XKB layout %s in /usr/share/X11/xkb/rules/base.lst; write one that it has, such as us",
			c->access.keyboard));
}

int node_add_host(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;

	tree_add_text(t, "/etc/hostname", 0644, origin, arena_printf("%s\n", x->node->name));
	add_hosts(x, t);

	tree_add_text(t, "/etc/timezone", 0644, origin, arena_printf("%s\n", c->access.timezone));
	tree_add_symlink(t, "/etc/localtime", origin, arena_printf("/usr/share/zoneinfo/%s", c->access.timezone));
	/* systemd's file, under Debian's old name too, as trixie links them. */
	tree_add_text(t, "/etc/locale.conf", 0644, origin, arena_printf("LANG=%s\n", c->access.locale));
	tree_add_symlink(t, "/etc/default/locale", origin, "../locale.conf");
	if (!starts_with(c->access.locale, "C.") && !streq(c->access.locale, "C"))
		tree_add_edit(t, "/etc/locale.gen", 0644, origin, add_locale_line, c->access.locale,
			      arena_printf("%s added", c->access.locale));
	tree_add_edit(t, "/etc/default/keyboard", 0644, origin, set_keyboard, c->access.keyboard,
		      arena_printf("layout %s", c->access.keyboard));

	add_needs(c, t);

	/* systemd-timesyncd starts the clock at this file's time; a Pi has none of its own. */
	tree_add_edit(t, "/var/lib/systemd/timesync/clock", 0644, origin, touch, NULL, "time of the build");
	tree_add_text(t, "/etc/pibuild/build-time", 0644, origin, arena_printf("%lld\n", (long long)x->epoch));
	return 0;
}
