/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of names, versions and sizes: pattern and words, and what a pattern cannot say. */
#include "config/internal.h"
#include "config/kinds.h"
#include "config/names.h"
#include "config/values.h"

/* ---- names ---- */

#define HOST_WORDS "give a name such as api.home.example.com or an IPv4 address, without https:// and without a port"
#define LABEL	   "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
#define ANY_CASE   "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

static bool listed(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(text, list[i]))
			return true;
	return false;
}

static const char *check_node_name(const char *text)
{
	/* Folders and images of roles carry these names beside those of nodes. */
	static const char *const taken[] = { "common", "control-plane", "worker", "localhost" };

	return listed(text, taken, ARRAY_SIZE(taken)) ? "this name is taken by pibuild or the system; choose another"
						      : NULL;
}

static const char *check_user(const char *text)
{
	static const char *const accounts[] = {
		"root",	    "daemon",
		"bin",	    "sys",
		"sync",	    "games",
		"man",	    "lp",
		"mail",	    "news",
		"uucp",	    "proxy",
		"www-data", "backup",
		"list",	    "irc",
		"_apt",	    "nobody",
		"sshd",	    "avahi",
		"dnsmasq",  "messagebus",
		"polkitd",  "rtkit",
		"usbmux",   "rpi-first-boot-wizard",
		"statd",    "_rpc",
		"tss",	    "uuidd",
		"tcpdump",  "colord",
	};
	/* A user's own group has the user's name. */
	static const char *const groups[] = {
		"adm",	 "tty",	    "disk",  "dialout", "fax",	  "voice",   "cdrom",	"floppy",   "tape",
		"sudo",	 "audio",   "dip",   "src",	"shadow", "utmp",    "video",	"sasl",	    "users",
		"staff", "plugdev", "input", "render",	"netdev", "nogroup", "crontab", "operator", "kvm",
		"spi",	 "i2c",	    "gpio",  "_ssh",	"sgx",	  "clock",   "lpadmin", "kmem",
	};

	if (listed(text, accounts, ARRAY_SIZE(accounts)) || starts_with(text, "systemd-"))
		return "this is an account of the system; choose a name of your own, such as pi";
	if (listed(text, groups, ARRAY_SIZE(groups)))
		return "this is a group of the system, and a user's own group has the user's name; choose another";
	return NULL;
}

static const char *kinds_check_domain(const char *text)
{
	return strlen(text) > 253 ? "a domain has at most 253 characters" : NULL;
}

static const char *foreign_letters(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return "DNS writes letters other than a to z in a form of its own, which begins with xn--; write that";
	return NULL;
}

/* Why TEXT has not this FORM, or NULL. */
static const char *domain_form_fault(const struct kind *form, const char *text)
{
	const char *why = kind_text_fault(form, NULL, text, NULL);

	if (why)
		return str_or(foreign_letters(text), why);
	return kinds_check_domain(text);
}

/* Why TEXT has not the form of a name or an IPv4 address, or NULL. */
static const char *host_form_fault(const char *text)
{
	static const struct kind form = {
		.pattern = "^" LABEL "([.]" LABEL ")*$",
		.words = HOST_WORDS,
	};
	const char *why = kind_text_fault(&form, NULL, text, NULL);
	char *meant = arena_strdup(text), *p;

	if (!why)
		return NULL;
	for (p = meant; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
	if (p > meant && p[-1] == '.')
		p[-1] = '\0';
	if (!kind_text_fault(&form, NULL, meant, NULL))
		return arena_printf("names are in lower case here, without a dot at the end; write %s", meant);
	return str_or(foreign_letters(text), kind_address_fault(text, why));
}

static const char *check_host(const char *text)
{
	const char *form = host_form_fault(text);
	uint32_t addr;

	if (form)
		return form;
	if (strspn(text, "0123456789.") == strlen(text) && value_ipv4(text, &addr) < 0)
		return "an IPv4 address has four numbers of 0 to 255";
	return kinds_check_domain(text);
}

/* In /etc/hosts. */
static const char *check_host_name(const char *text)
{
	if (strspn(text, "0123456789.") == strlen(text))
		return "a name stands before the ':', and its address behind it";
	if (streq(text, "localhost") || ends_with(text, ".localhost") || starts_with(text, "ip6-"))
		return "the system has an address for this name itself";
	return kinds_check_domain(text);
}

static const char *kinds_check_interface(const char *text)
{
	static const char *const taken[] = { "lo", "all", "default" };

	return listed(text, taken, ARRAY_SIZE(taken)) ? "this is no network interface of a LAN" : NULL;
}

static const char *check_ssid(const char *text)
{
	if (!*text || strlen(text) > 32)
		return "the name of a Wi-Fi network has 1 to 32 bytes";
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return "the name of a Wi-Fi network cannot hold control characters";
	return NULL;
}

/* Once the example of the reference page. */
static const char *check_crypt(const char *text)
{
	return starts_with(text, "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/")
		       ? "this is the hash of the word 'password', from an example; make your own with: openssl passwd -6"
		       : NULL;
}

static const char *check_board(const char *text)
{
	return strlen(text) > 64 ? "give a board name such as rpi5" : NULL;
}

const struct kind kind_cluster_name = {
	.name = "cluster name",
	.pattern = "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
	.words = "use 1 to 32 lower-case letters, digits and '-', with a letter or digit at both ends (Cilium's rule)",
};
const struct kind kind_node_name = {
	.name = "host name",
	.pattern = "^" LABEL "$",
	.words = "use 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends, no dots",
	.editor_pattern = "^(?!(common|control-plane|worker|localhost)$)" LABEL "$",
	.check = check_node_name,
};
/* Of a namespace, of a pool: a label of RFC 1123. */
const struct kind kind_object_label = {
	.name = "name",
	.pattern = "^" LABEL "$",
	.words = "use 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends, no dots",
};
/* Of most objects of Kubernetes: a subdomain of RFC 1123. */
const struct kind kind_object_name = {
	.name = "name",
	.pattern = "^" LABEL "([.]" LABEL ")*$",
	.words = "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
	.check = kinds_check_domain,
};
const struct kind kind_host = {
	.name = "host name or address",
	.words = HOST_WORDS,
	.editor_pattern = "^((?![0-9.]+$)" LABEL "([.]" LABEL ")*|" OCTET "([.]" OCTET "){3})$",
	.check = check_host,
};
const struct kind kind_host_name = {
	.name = "host name",
	.pattern = "^" LABEL "([.]" LABEL ")*$",
	.words = "give a name such as nas.home.example.com, in lower case, without a dot at the end",
	.editor_pattern = "^(?![0-9.]+$)" LABEL "([.]" LABEL ")*$",
	.check = check_host_name,
};

#define SEARCH_DOMAIN	    "^" LABEL "([.]" LABEL ")*$"
#define SEARCH_DOMAIN_WORDS "give a domain such as home.example.com or lan, in lower case, without a dot at either end"
static const char *check_search_domain(const char *text)
{
	static const struct kind form = { .pattern = SEARCH_DOMAIN, .words = SEARCH_DOMAIN_WORDS };

	return domain_form_fault(&form, text);
}

const struct kind kind_search_domain = {
	.name = "domain",
	.words = SEARCH_DOMAIN_WORDS,
	.editor_pattern = SEARCH_DOMAIN,
	.check = check_search_domain,
};

#define DOMAIN "^(" LABEL "[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])$"
#define DOMAIN_WORDS                                                                                                   \
	"give a domain such as home.example.com, in lower case, without '*.' before it and without a dot at the end"
static const char *check_domain(const char *text)
{
	static const struct kind form = { .pattern = DOMAIN, .words = DOMAIN_WORDS };

	return domain_form_fault(&form, text);
}

const struct kind kind_domain = {
	.name = "domain",
	.words = DOMAIN_WORDS,
	.editor_pattern = DOMAIN,
	.check = check_domain,
};
const struct kind kind_user = {
	.name = "user name",
	.pattern = "^[a-z_][a-z0-9_-]{0,31}$",
	.words = "use up to 32 lower-case letters, digits, '_' and '-', starting with a letter",
	.editor_pattern = "^(?!(root|daemon|bin|sys|sudo|adm|users|nobody|systemd-.*)$)[a-z_][a-z0-9_-]{0,31}$",
	.check = check_user,
};

static const char *check_package(const char *text)
{
	if (ends_with(text, "-dkms") || ends_with(text, "-source"))
		return "it is compiled where it is installed, for which a card has neither compiler nor headers; kernel modules come with the base";
	return NULL;
}

/* Debian Policy 5.6.1 */
const struct kind kind_package = {
	.name = "Debian package",
	.pattern = "^[a-z0-9][a-z0-9+.-]{1,62}$",
	.words = "give a package of Debian by its name alone: lower-case letters, digits, '+', '-' and '.'",
	.check = check_package,
};

static const char *check_data_device(const char *text)
{
	static const char by_id[] = "/dev/disk/by-id/";
	const char *part = strstr(text, "-part");

	if (part && part[5] && strspn(part + 5, "0123456789") == strlen(part + 5))
		return "this is a partition, and a data disk is taken whole; leave out the end";
	if (starts_with(text, by_id))
		return arena_printf("the folder is known; write by-id/%s", text + strlen(by_id));
	if (starts_with(text, "/dev/nvme"))
		return "write nvme, for the one disk at NVMe";
	if (starts_with(text, "/dev/"))
		return "such a name may be another disk's at the next start; write usb, or by-id/NAME with a name that ls /dev/disk/by-id shows on the node";
	return NULL;
}

/* Names of /dev/disk/by-id hold what udev leaves in them (systemd src/shared/udev-util.c, udev_replace_chars). */
const struct kind kind_data_device = {
	.name = "disk",
	.pattern = "^(nvme|usb|(/dev/disk/)?by-id/[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,199}|/dev/[a-z0-9]{1,20})$",
	.editor_pattern = "^(nvme|usb|by-id/[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,199})$",
	.words = "give nvme, usb, or by-id/NAME with a name that ls /dev/disk/by-id shows on the node",
	.check = check_data_device,
};
const struct kind kind_timezone = {
	.name = "time zone",
	.pattern = "^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}$",
	.words = "give a zone of the tz database, such as Europe/Berlin or UTC",
};
#define LOCALE	     "^(C|[a-z]{2,3}(_[A-Z]{2})?)[.]UTF-8$"
#define LOCALE_WORDS "give a UTF-8 locale such as C.UTF-8 or de_DE.UTF-8"
static const char *check_locale(const char *text)
{
	static const struct kind form = { .pattern = LOCALE, .words = LOCALE_WORDS };
	const char *why = kind_text_fault(&form, NULL, text, NULL), *meant;

	if (!why)
		return NULL;
	/* "de_DE", "de_DE.utf8", "de_DE@euro" */
	meant = arena_printf("%.*s.UTF-8", (int)strcspn(text, ".@"), text);
	return kind_text_fault(&form, NULL, meant, NULL)
		       ? why
		       : arena_printf("locales are those of UTF-8 here; write %s", meant);
}
const struct kind kind_locale = {
	.name = "locale",
	.words = LOCALE_WORDS,
	.editor_pattern = LOCALE,
	.check = check_locale,
};
const struct kind kind_keyboard = {
	.name = "keyboard layout",
	.pattern = "^[a-z][A-Za-z0-9_-]{1,31}$",
	.words = "give an XKB layout such as us, gb or de",
};
const struct kind kind_interface = {
	.name = "network interface",
	.pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$",
	.words = "give one interface name such as eth0: at most 15 letters, digits, '.', '_' and '-'",
	.check = kinds_check_interface,
};
const struct kind kind_ssid = {
	.name = "Wi-Fi network name",
	.check = check_ssid,
};
#define COUNTRY	      "^[A-Z]{2}$"
#define COUNTRY_WORDS "give the two capital letters of the country, such as DE, GB or US"
static const char *check_country(const char *text)
{
	static const struct kind form = { .pattern = COUNTRY, .words = COUNTRY_WORDS };
	const char *why = kind_text_fault(&form, NULL, text, NULL);
	char *meant = arena_strdup(text);

	for (char *p = meant; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	if (!why || kind_text_fault(&form, NULL, meant, NULL))
		return why;
	return arena_printf("its letters are capitals; write %s", streq(meant, "UK") ? "GB" : meant);
}
const struct kind kind_country = {
	.name = "country code",
	.words = COUNTRY_WORDS,
	.editor_pattern = COUNTRY,
	.check = check_country,
};
const struct kind kind_email = {
	.name = "e-mail address",
	.pattern = "^[A-Za-z0-9._%+-]{1,64}@(" ANY_CASE "[.])+[A-Za-z]{2,63}$",
	.words = "give an address such as me@my-domain.org",
};
const struct kind kind_url_prefix = {
	.name = "https URL ending in /",
	.pattern = "^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/([A-Za-z0-9._~%!$&'()*+,;=:/-]*/)?$",
	.words = "give an https:// address that ends in '/', without user name, '?' or '#'",
	.check = value_port_fault,
};
/* Others have no password that fits them (libxcrypt lib/crypt-sha512.c, crypt-bcrypt.c, crypt-yescrypt.c). */
#define ROUNDS "(rounds=[1-9][0-9]{3,8}[$])?"
const struct kind kind_crypt = {
	.name = "password hash",
	.pattern =
		"^[$](6[$]" ROUNDS "[./A-Za-z0-9]{1,16}[$][./A-Za-z0-9]{86}|5[$]" ROUNDS
		"[./A-Za-z0-9]{1,16}[$][./A-Za-z0-9]{43}|g?y[$]j[./A-Za-z0-9]{2,8}[$][./A-Za-z0-9]{1,86}[$][./A-Za-z0-9]{43}|2[aby][$](0[4-9]|[12][0-9]|3[01])[$][./A-Za-z0-9]{53})$",
	.words = "this is no password hash; make one with: openssl passwd -6   (and put it in single quotes)",
	.check = check_crypt,
	.secret = true,
};
const struct kind kind_board = {
	.name = "board",
	.words = "give a board name such as rpi5",
	.check = check_board, /* names are looked up with the boards */
	.there_is = board_names,
};

/* As Go's net/http takes it in NO_PROXY (golang.org/x/net/http/httpproxy); a comma would make two of it. */
static const char *check_no_proxy(const char *text)
{
	const char *end = text + strcspn(text, ":");
	struct cidr net;
	uint32_t addr;

	if (value_port_fault(text))
		return value_port_fault(text);
	text = arena_strndup(text, (size_t)(end - text));
	if (strchr(text, '/') ? value_cidr(text, &net) == 0
			      : strspn(text, "0123456789.") < strlen(text) || value_ipv4(text, &addr) == 0)
		return NULL;
	return "this is neither address nor network, so nothing would be left out by it; give one such as 192.168.1.5 or 192.168.0.0/16";
}

const struct kind kind_no_proxy = {
	.name = "name, domain or network",
	.pattern = "^([*]?[.])?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(/[0-9]{1,2})?(:[0-9]{1,5})?$",
	.words = "give a name, a domain such as .example.com, an address or a network such as 192.168.0.0/16",
	.check = check_no_proxy,
};

/* ---- versions ---- */

#define SEMVER "[0-9]+[.][0-9]+[.][0-9]+"
#define PRE    "(-[0-9A-Za-z.-]+)?"
const struct kind kind_version_k3s = {
	.name = "version",
	.pattern = "^v" SEMVER "(-rc[0-9]+)?[+]k3s[0-9]+$",
	.words = "give one exact K3s release such as v1.36.4+k3s1; a moving name would make builds differ",
};
const struct kind kind_version_plain = {
	.name = "version",
	.pattern = "^" SEMVER PRE "$",
	.words = "give one exact version such as 1.20.0, without v; a moving name would make builds differ",
};
const struct kind kind_version_v = {
	.name = "version",
	.pattern = "^v" SEMVER PRE "$",
	.words = "give one exact version such as v1.21.1; a moving name would make builds differ",
};
const struct kind kind_version_date = {
	.name = "date",
	.pattern =
		"^20[0-9]{2}-(02-(0[1-9]|1[0-9]|2[0-9])|(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30))$",
	.words = "give the date of one release such as 2026-09-15; a moving name would make builds differ",
};
const struct kind kind_version_suite = {
	.name = "release",
	.pattern = "^[a-z]+(-20[0-9]{6}T[0-9]{6}Z)?$",
	.words = "give a Debian release such as trixie, or one at a time such as trixie-20261001T000000Z",
};

/* One pin per key that is there. */
static void versions_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	VEC(struct version_pin) *pins = dst;
	size_t count = 0, i;
	struct field *rows;
	const char **texts;

	if (schema_is_null(n))
		return;
	while (f->sub[count].key)
		count++;
	/* Each row fills its own of texts[]. */
	rows = arena_alloc((count + 1) * sizeof(*rows));
	memcpy(rows, f->sub, count * sizeof(*rows));
	for (i = 0; i < count; i++)
		rows[i].offset = i * sizeof(*texts);
	texts = arena_alloc((count + 1) * sizeof(*texts));
	schema_read(l, rows, n, path, texts);
	for (i = 0; i < count; i++)
		if (texts[i])
			*vec_push(pins) = (struct version_pin){ f->sub[i].key, texts[i] };
}

const struct kind kind_versions = { .name = "map", .node = versions_node };

/* ---- sizes ---- */

static const char *parse_memory(const struct reading *l, const char *text, void *dst)
{
	return value_memory(text, dst) < 0 ? "give a size such as 512MiB or 4GiB" : NULL;
}

/* Below, journald could not rotate; above, a worn card is looked for elsewhere. */
static const char *parse_journal_size(const struct reading *l, const char *text, void *dst)
{
	uint64_t v;

	if (value_memory(text, &v) < 0 || v < 8 * MIB || v > 4 * GIB)
		return "give a size from 8MiB to 4GiB, such as 64MiB";
	*(uint64_t *)dst = v;
	return NULL;
}

const struct kind kind_memory = {
	.name = "size",
	.words = "give a size such as 512MiB or 4GiB",
	.editor_pattern = "^[1-9][0-9]{0,6}[MG]i?B$",
	.parse = parse_memory,
};
const struct kind kind_journal_size = {
	.name = "8MiB to 4GiB",
	.words = "give a size from 8MiB to 4GiB, such as 64MiB",
	.editor_pattern = "^([89]|[1-9][0-9]{1,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-6])Mi?B$|^[1-4]Gi?B$",
	.parse = parse_journal_size,
};

/* ---- sysctl.d(5) ---- */

static const char *check_sysctl_key(const char *text)
{
	if (strstr(text, "..") || strstr(text, "./") || strstr(text, "/.") || strstr(text, "//"))
		return "a part of it is empty";
	return NULL;
}

/* Numbers, which YAML has without quotes, are texts to the kernel. */
static void sysctl_value_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_pack("[s, s]", "integer", "string"));
	json_object_set_new(out, "pattern", json_string(f->kind->pattern));
	json_object_set_new(out, "patternErrorMessage", json_string(f->kind->words));
}

const struct kind kind_sysctl_key = {
	.name = "kernel setting",
	.pattern = "^[a-z][a-z0-9_-]{0,63}([./][A-Za-z0-9_.:@-]{1,64}){1,8}$",
	.words = "give a name of sysctl such as vm.swappiness, with all or default in the place of '*'",
	.check = check_sysctl_key,
};
/* In YAML these are numbers; sysctl(8) writes them as they stand, and the kernel reads decimal and 0x (proc_get_long()
 * of kernel/sysctl.c). */
static const char *check_sysctl_value(const char *text)
{
	static const char digits[] = "0123456789";
	const char *rest = text + (*text == '-');
	size_t n = strspn(rest, digits);
	bool octal = starts_with(rest, "0o") && rest[2] && rest[2 + strspn(rest + 2, digits)] == '\0',
	     grouped = n && rest[n] == '_' && strspn(rest, "0123456789_") == strlen(rest),
	     power = n && (rest[n] == 'e' || rest[n] == 'E') && rest[n + 1] &&
		     rest[n + 1 + strspn(rest + n + 1, digits)] == '\0';

	if (streq(text, "true") || streq(text, "false"))
		return "the kernel reads no words; write 1 or 0";
	return octal || grouped || power ? "the kernel reads no such spelling of a number; write its digits" : NULL;
}

const struct kind kind_sysctl_value = {
	.name = "value",
	.pattern = "^[!-~]([ -~]{0,253}[!-~])?$",
	.words = "give one line of printable characters, without blanks around it",
	.check = check_sysctl_value,
	.schema = sysctl_value_schema,
};

/* ---- auto, true or false ---- */

static void tristate_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	enum tristate v = yaml_is_plain(n, "true") ? STATE_ON : yaml_is_plain(n, "false") ? STATE_OFF : STATE_AUTO;

	if (v == STATE_AUTO && !(n->type == YAML_SCALAR && streq(n->text, "auto")))
		schema_fault(l, n, path, "%s, or auto", kind_bool_words(n));
	else
		*(enum tristate *)dst = v;
}

static void tristate_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "enum", json_pack("[s, b, b]", "auto", 1, 0));
}

const struct kind kind_tristate = { .name = "auto, true or false", .node = tristate_node, .schema = tristate_schema };
