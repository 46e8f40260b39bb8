/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a user's overlays that bring settings: drop-ins beside pibuild's own, which go over them or past them in
 * silence. One row per place; a row's function tells what would become of this node, or NULL.
 */
#include "node/overlay_settings.h"

#include <ctype.h>
#include <fnmatch.h>

#include "base/file.h"
#include "config/k3s_keys.h"
#include "config/kubelet.h"
#include "config/manifest.h"
#include "config/names.h"
#include "config/owned.h"
#include "config/registries.h"
#include "config/sysctl.h"
#include "node/overlay_lines.h"
#include "node/overlay_login.h"

/* ---- K3s ---- */

/* The flags that a list ("kubelet-arg+") of a drop-in hands on. */
static const char *handed_flags(struct settings_file *f, const char *key, const struct yaml_node *list)
{
	const char *name = arena_strndup(key, strcspn(key, "+")), *note, *why = NULL;
	const char *k3s = versions_in_force(&f->x->set).k3s;

	for (size_t i = 0; ends_with(name, "-arg") && list->type == YAML_SEQ && !why && i < list->count; i++) {
		why = k3s_arg_fault(f->x->config, k3s, name, str_or(list->items[i]->text, ""), f->faults, &note);
		f->note = note ? arena_printf("says in %s: %s", key, note) : f->note;
	}
	return why;
}

static const char *k3s_drop_in(struct settings_file *f)
{
	const char *command = f->x->node->role == ROLE_WORKER ? "agent" : "server";
	struct yaml_node *doc;
	struct err e = { 0 };

	if (!ends_with(f->name, ".yaml"))
		return "is read by nobody: K3s takes files there whose names end in .yaml; rename it";
	if (yaml_parse(f->name, f->text, strlen(f->text), &doc, &e) < 0)
		return arena_printf("is no YAML that K3s can read (%s)", e.msg);
	if (doc->type != YAML_MAP)
		return "is no map of keys, so that K3s does not start; write KEY: VALUE";
	for (size_t i = 0; i < doc->count; i++) {
		const char *key = doc->keys[i]->text, *why = k3s_drop_in_fault(key, doc->items[i], command, f->faults);

		why = why ? why : handed_flags(f, key, doc->items[i]);
		if (why)
			return arena_printf("sets %s: %s", key, why);
	}
	return NULL;
}

const char *k3s_addon(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && (streq(end, ".yaml") || streq(end, ".yml") || streq(end, ".json"))
		       ? arena_strndup(name, strcspn(name, "."))
		       : NULL;
}

static const char *manifest(struct settings_file *f)
{
	static const char *const k3ss_own[] = { "ccm",		"coredns",  "local-storage", "metrics-server",
						"rolebindings", "runtimes", "traefik" };
	const char *addon = k3s_addon(f->name), *why;
	char *text = arena_strdup(f->text), *line;

	while ((line = next_setting(&text)) && streq(line, "---"))
		;
	if (!line || !addon)
		return NULL; /* switched off by comments, or nothing that K3s reads */
	if (f->x->node->role == ROLE_WORKER)
		return NULL; /* common/ brings it to workers too, where nobody looks */
	for (size_t i = 0; i < ARRAY_SIZE(k3ss_own); i++)
		if (streq(addon, k3ss_own[i]))
			return arena_printf(
				"has the name of a file that K3s writes or removes there itself at each start; give it another, such as my-%s",
				f->name);
	if (!*addon || strspn(addon, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(addon) || *addon == '-')
		return "is applied by nobody: K3s calls it by its name up to the first dot, which may have lower-case letters, digits and '-' alone; rename it";
	why = manifest_fault(f->name, NULL, f->text, strlen(f->text));
	return why ? why : manifest_pools_fault(f->x->config, f->name, f->text, strlen(f->text));
}

static const char *registries(struct settings_file *f)
{
	return registries_file_fault(f->name, f->text);
}

static const char *kubelet(struct settings_file *f)
{
	const struct cluster_versions versions = versions_in_force(&f->x->set);

	return kubelet_drop_in_fault(f->x->config, &versions, f->name, f->text);
}

/* A variable in K3s's environment; NO_PROXY stands in the same file, or pibuild writes it. */
static const char *k3s_variable(const char *name, bool has_no_proxy)
{
	static const char *const proxies[] = { "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY" };

	if (starts_with(name, "INSTALL_K3S_"))
		return arena_printf(
			"sets %s, which K3s's install script reads, and none runs here; set k3s in cluster.yaml", name);
	if (starts_with(name, "K3S_"))
		return arena_printf(
			"sets %s, which K3s takes for the flag of that name beside those that pibuild gives it; its flags are keys of k3s.server and k3s.agent in cluster.yaml",
			name);
	for (size_t i = 0; !has_no_proxy && i < ARRAY_SIZE(proxies); i++)
		if (strcasecmp(name, proxies[i]) == 0)
			return arena_printf(
				"sets %s without NO_PROXY, so that nodes would ask each other through the proxy; set network.proxy in cluster.yaml, which does both",
				name);
	return NULL;
}

static bool has_no_proxy(const struct settings_file *f)
{
	return f->x->config->network.proxy.http.text || f->x->config->network.proxy.http.secret.kind ||
	       strcasestr(f->text, "NO_PROXY=");
}

/* What K3s's unit reads before what pibuild writes for it. */
static const char *k3s_environment(struct settings_file *f)
{
	bool none = has_no_proxy(f);
	const char *line, *why = NULL;

	while (!why && (line = next_setting(&f->text)))
		why = k3s_variable(arena_strndup(line, strcspn(line, "= \t")), none);
	return why;
}

/* ---- the network ---- */

static const char *nm_settings(struct settings_file *f)
{
	static const struct {
		const char *key, *why;
	} keys[] = {
		{ "dns",
		  "who writes /etc/resolv.conf, and with another one than NetworkManager the node may know no name server" },
		{ "rc-manager", "who writes /etc/resolv.conf, and with another one the node may know no name server" },
		{ "plugins", "where connections come from, and the node's own is a keyfile" },
		{ "unmanaged-devices",
		  "which interfaces NetworkManager leaves alone, and Cilium's have to be among them" },
		{ "managed", "whether NetworkManager takes care of an interface" },
	};
	const char *line, *value;

	if (!ends_with(f->name, ".conf"))
		return NULL;
	while ((line = next_setting(&f->text)))
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if ((value = setting_value(line, keys[i].key)) && !streq(value, "default"))
				return arena_printf("sets %s, which decides %s; remove that line", keys[i].key,
						    keys[i].why);
	return NULL;
}

/* Frames of a VLAN reach its interface past Cilium's programs at the port below it when it has an address, which makes
 * it one of Cilium's, or when vlanBypass says so (cilium pkg/datapath/linux/config, vlanFilterMacros()). */
static void note_dropped_vlan(struct settings_file *f)
{
	const struct yaml_node *bypass = yaml_find(f->x->config->cilium.values, "bpf.vlanBypass");
	char *text = arena_strdup(f->text), *line;
	const char *value, *parent = NULL, *id = NULL;
	bool ipv4 = false, bare = false;

	while ((line = next_setting(&text))) {
		if (*line == '[')
			ipv4 = streq(line, "[ipv4]");
		if ((value = setting_value(line, "parent")))
			parent = value;
		if ((value = setting_value(line, "id")) && !value[strspn(value, "0123456789")])
			id = value;
		if (ipv4 && (value = setting_value(line, "method")))
			bare = streq(value, "disabled");
	}
	if (bare && id && !bypass &&
	    streq(str_or(parent, ""), board_lan_interface(f->x->board, f->x->config, f->x->node)))
		f->note = arena_printf(
			"makes a VLAN without an address on %s, where Cilium drops its frames: give it one, or write bpf: {vlanBypass: [%s]} into cilium.valuesFile",
			parent, id);
}

/* A second way out of the node: both have the metric of their kind of port, and the one that comes up first wins. */
static void note_second_route(struct settings_file *f, const char *pattern)
{
	char *text = arena_strdup(f->text), *line;
	bool ipv4 = false, route = false;
	const char *value;

	while ((line = next_setting(&text))) {
		if (*line == '[')
			ipv4 = streq(line, "[ipv4]");
		if (!ipv4)
			continue;
		if ((value = setting_value(line, "method")))
			route |= streq(value, "auto");
		if ((value = setting_value(line, "address1")))
			route |= strchr(value, ',') != NULL;
		route |= setting_value(line, "gateway") != NULL;
		if (((value = setting_value(line, "never-default")) && streq(value, "true")) ||
		    setting_value(line, "route-metric"))
			return;
	}
	if (route)
		f->note = arena_printf(
			"gives the node a second default route, over %s, and which of the two is taken is a matter of luck; write never-default=true below [ipv4], or a route-metric= above 100",
			str_or(pattern, "its interface"));
}

/* NetworkManager takes one of two connections of an interface, and which one is a matter of luck; one that names no
 * interface fits that of the node's address too. */
static const char *connection(struct settings_file *f)
{
	const char *lan = board_lan_interface(f->x->board, f->x->config, f->x->node),
		   *type = interface_is_wifi(lan) ? "wifi" : "ethernet", *line, *value, *pattern = NULL;
	char *text = arena_strdup(f->text);
	bool fits = false, bound = false;

	while ((line = next_setting(&text))) {
		if ((value = setting_value(line, "type")))
			fits |= streq(value, type) || streq(value, arena_printf("802-3-%s", type));
		bound |= setting_value(line, "mac-address") != NULL;
		if ((value = setting_value(line, "interface-name")))
			pattern = value;
		if ((value = setting_value(line, "autoconnect")) && streq(value, "false"))
			return NULL;
	}
	if (pattern && streq(pattern, lan))
		return arena_printf(
			"is a second connection of %s, which carries the address of %s by cluster.yaml: only one of them would be used; set network in cluster.yaml, or autoconnect=false in that file",
			lan, f->x->node->name);
	note_second_route(f, pattern);
	note_dropped_vlan(f);
	if (!fits || bound || f->x->config->network.vlan)
		return NULL;
	if (pattern && fnmatch(arena_strndup(pattern, strcspn(pattern, ";")), lan, 0) != 0)
		return NULL;
	f->note = NULL;
	return arena_printf(
		"fits %s too, which carries the address of %s by cluster.yaml, and only one connection of an interface is used; say interface-name= of the one that is meant, or autoconnect=false",
		lan, f->x->node->name);
}

static const char *interface_link(struct settings_file *f)
{
	const char *lan = config_interface(f->x->config, f->x->node), *line, *value;
	bool fits = false;

	while ((line = next_setting(&f->text))) {
		if ((value = setting_value(line, "OriginalName")))
			fits |= fnmatch(value, lan, 0) == 0;
		if ((value = setting_value(line, "Name")) && fits && !streq(value, lan))
			return arena_printf(
				"renames %s, by which %s has its address, to %s; remove Name=, or match another interface",
				lan, f->x->node->name, value);
	}
	return NULL;
}

static const char *kernel_modules(struct settings_file *f)
{
	const char *line;

	while ((line = next_setting(&f->text))) {
		char *save = NULL, *words = arena_strdup(line), *verb = strtok_r(words, " \t", &save),
		     *module = strtok_r(NULL, " \t", &save);

		if (module && streq(module, "ipv6") && streq(verb, "options") && !strstr(line, "disable=1"))
			continue;
		if (module && streq(module, "ipv6"))
			return "switches IPv6 off where nothing here knows of it, and Hubble's UI, which listens on it, ends; write boot.cmdline: [ipv6.disable=1] in cluster.yaml";
		if (!module || (!streq(verb, "blacklist") && !streq(verb, "install")))
			continue;
		if (owned_module(module))
			return arena_printf("%s; remove that line", owned_module(module));
	}
	return NULL;
}

static char *own_text(const struct entry *n)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	size_t len;

	if (n->source == SOURCE_HOST_FILE && file_read(n->host_file, MIB, &text, &len, &ignored) == 0)
		return arena_strdup(text);
	return arena_strdup(n->source == SOURCE_BYTES ? n->bytes : "");
}

static void note_set_again(struct settings_file *f, const char *file, char *later)
{
	char *line;

	while ((line = next_setting(&later))) {
		const char *key = arena_strndup(line, strcspn(line, " \t=")), *value = setting_value(line, key), *mine;
		char *text = arena_strdup(f->text), *l;

		while (value && (l = next_setting(&text)))
			if ((mine = setting_value(l, key)) && !streq(mine, value))
				f->note = arena_printf(
					"sets %s to %s, which does nothing: %s is read after it and says %s; put it into a file there whose name comes later, 99-mine.conf say",
					key, mine, file, value);
	}
}

/* Of files of one folder that set the same, the last name counts, and all of them go over the file that the folder is
 * called after: systemd-system.conf(5), sysctl.d(5). */
static void note_passed_over(struct settings_file *f)
{
	bool dropin = ends_with(path_dir(f->path), ".d");
	const char *folder = dropin ? path_dir(f->path) : arena_printf("%s.d", f->path);

	vec_foreach (n, &f->own->entries)
		if (streq(path_dir(n->path), folder) && (!dropin || strcmp(f->name, path_base(n->path)) < 0))
			note_set_again(f, n->path, own_text(n));
}

static const char *system_settings(struct settings_file *f)
{
	note_passed_over(f);
	return NULL;
}

/* The first line, as of sysctl.d(5), that sets what os.sysctl must not. */
static const char *kernel_settings(struct settings_file *f)
{
	const char *line;

	note_passed_over(f);
	while ((line = next_setting(&f->text))) {
		const char *key = line + (*line == '-'), *value = strchr(key, '='), *why, *note;

		key = arena_strndup(key, strcspn(key, " \t="));
		value = value ? value + 1 + strspn(value + 1, " \t") : "";
		why = *key ? sysctl_fault(key, value, &note) : NULL;
		if (why)
			return arena_printf("sets %s: %s; remove that line", key, why);
		if (!strchr(line, '=') && *line != '-' && !f->note)
			f->note = arena_printf("has a line without '=', which systemd-sysctl passes over: '%s'", line);
		if (*key && note)
			f->note = arena_printf("sets %s = %s: %s", key, value, note);
	}
	return NULL;
}

/* ---- cron ---- */

/* crontab(5): "minute hour day month weekday user command", or "@daily user command"; "NAME = value" is no such line.
 */
static const char *cron_table(struct settings_file *f)
{
	size_t n = strlen(f->text);
	bool cut = n && f->text[n - 1] != '\n';
	char *line;

	while ((line = next_setting(&f->text))) {
		char *save = NULL, *words = arena_strdup(line), *word = strtok_r(words, " \t", &save);
		size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

		if (name && line[name + strspn(line + name, " \t")] == '=')
			continue;
		for (size_t i = *word == '@' ? 1 : 5; word && i; i--)
			word = strtok_r(NULL, " \t", &save);
		if (!word || strchr(word, '/'))
			return arena_printf(
				"has a line without a user, which cron passes over: '%s'; before the command stands who runs it, root say",
				line);
	}
	/* crontab(5): "each entry in a crontab ends in a newline character" */
	return cut ? "does not end with a newline, and cron passes over all of it; put one behind its last line" : NULL;
}

/* ---- udev ---- */

/* What LINE of udev(7) assigns to NAME, or NULL. */
static const char *udev_name(const char *line)
{
	for (const char *p = line; (p = strstr(p, "NAME")); p += strlen("NAME")) {
		const char *value = p + strlen("NAME") + (p[strlen("NAME")] == ':');

		if ((p == line || strchr(" \t,", p[-1])) && starts_with(value, "=\""))
			return arena_strndup(value + 2, strcspn(value + 2, "\""));
	}
	return NULL;
}

/* A rule is for the node's interface when nothing in it says which one is meant, or its name does. */
static const char *udev_rules(struct settings_file *f)
{
	static const char *const others[] = { "ATTR{address}", "ATTRS{", "DEVPATH", "ENV{ID_", "DRIVERS", "KERNELS" };
	const char *lan = config_interface(f->x->config, f->x->node), *line, *name, *kernel;

	while ((line = next_setting(&f->text))) {
		bool other = false;

		name = udev_name(line);
		if (!strstr(line, "SUBSYSTEM==\"net\"") || !name)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(others); i++)
			other |= strstr(line, others[i]) != NULL;
		kernel = strstr(line, "KERNEL==\"");
		if (kernel) {
			kernel += strlen("KERNEL==\"");
			other = fnmatch(arena_strndup(kernel, strcspn(kernel, "\"")), lan, 0) != 0;
		}
		if (!other && !streq(name, lan))
			return arena_printf(
				"renames %s, by which %s has its address, to %s; remove the rule, or let it match another interface",
				lan, f->x->node->name, name);
	}
	return NULL;
}

/* ---- who starts, who may log in ---- */

static const char *k3s_unit(struct settings_file *f)
{
	bool none = has_no_proxy(f);
	const char *line, *value, *why = NULL;

	while (!why && (line = next_setting(&f->text))) {
		if (setting_value(line, "ExecStart"))
			return "sets ExecStart, so that K3s starts without what pibuild starts it with; its flags are keys of k3s.server and k3s.agent in cluster.yaml";
		value = setting_value(line, "Environment");
		if (value) {
			char *save = NULL, *words = arena_strdup(value);

			for (char *w = strtok_r(words, " \t\"'", &save); w && !why; w = strtok_r(NULL, " \t\"'", &save))
				why = k3s_variable(arena_strndup(w, strcspn(w, "=")), none);
		}
	}
	return why;
}

static const char *unit_preset(struct settings_file *f)
{
	static const char *const needed[] = { "k3s.service", "k3s-agent.service",      "NetworkManager.service",
					      "ssh.service", "pibuild-report.service", "systemd-timesyncd.service" };
	const char *line;

	if (strcmp(f->name, "00-pibuild.preset") > 0)
		return NULL; /* of two that name a unit the first holds */
	while ((line = next_setting(&f->text))) {
		const char *unit = starts_with(line, "disable ") ? line + strlen("disable ") : NULL;

		for (size_t i = 0; unit && i < ARRAY_SIZE(needed); i++)
			if (fnmatch(unit + strspn(unit, " \t"), needed[i], 0) == 0)
				return arena_printf(
					"switches %s off at the first boot, before pibuild's own is read; remove '%s', or give the file a name that comes later",
					needed[i], line);
	}
	return NULL;
}

/* ---- units of systemd ---- */

/* What systemd makes of a path in the name of a unit: systemd.unit(5), "String escaping". */
static const char *unit_of_path(const char *path)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	path += strspn(path, "/");
	for (const char *p = path; *p; p++) {
		if (*p == '/' && (!p[1] || p[1] == '/'))
			continue;
		if (*p == '/')
			strbuf_adds(&b, "-");
		else if (isalnum((unsigned char)*p) || strchr(":_", *p) || (*p == '.' && p != path))
			strbuf_add(&b, p, 1);
		else
			strbuf_addf(&b, "\\x%02x", (unsigned char)*p);
	}
	return arena_strdup(str_or(b.s, "-"));
}

/* A disk that is mounted over a folder hides what the card brings in it. */
static const char *mount_hides(const struct settings_file *f, const char *where)
{
	const char *below = arena_printf("%s/", where);

	vec_foreach (n, &f->own->entries)
		if (n->kind != ENTRY_DIR && n->kind != ENTRY_REMOVE && starts_with(n->path, below))
			return arena_printf(
				"mounts a disk over %s, and what the card brings there would not be seen, %s say; %s",
				where, n->path,
				starts_with(where, "/var/lib") ? "set nodes[].data, which takes it along"
							       : "mount it somewhere else");
	return NULL;
}

static const char *mount_unit(struct settings_file *f)
{
	const char *end = strrchr(f->name, '.'), *line, *where, *unit;

	while ((line = next_setting(&f->text))) {
		where = setting_value(line, "Where");
		if (!where || strchr(where, '%'))
			continue;
		unit = arena_printf("%s%s", unit_of_path(where), end);
		if (!streq(unit, f->name))
			return arena_printf(
				"says Where=%s, and systemd takes a unit for that place under the name %s alone; rename it",
				where, unit);
		return mount_hides(f, where);
	}
	return NULL;
}

static bool is_weekdays(const char *word)
{
	static const char *const days[] = {
		"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
	};
	char *all = arena_strdup(word);

	text_foreach (one, all, ",.-") {
		bool day = false;

		for (size_t i = 0; i < ARRAY_SIZE(days); i++)
			day |= strcasecmp(one, days[i]) == 0 || (strlen(one) == 3 && strncasecmp(one, days[i], 3) == 0);
		if (!day)
			return false;
	}
	return *word;
}

/* Old names without a city ("Japan") stand in the list; where it cannot be read nothing is refused. */
static bool is_zone(const char *word)
{
	const struct name *found;
	struct err e = { 0 };

	return strchr(word, '/') || names_find(NAMES_TIMEZONES, word, &found, &e) < 0 || found;
}

/* A word of systemd.time(7), "Calendar events": weekdays, date, time, zone, or one that stands for them. */
static bool is_calendar_word(const char *word)
{
	static const char *const short_for[] = { "minutely",	 "hourly",	  "daily",	"weekly",
						 "monthly",	 "yearly",	  "annually",	"quarterly",
						 "semiannually", "semi-annually", "biannually", "bi-annually" };

	for (size_t i = 0; i < ARRAY_SIZE(short_for); i++)
		if (strcasecmp(word, short_for[i]) == 0)
			return true;
	if (isalpha((unsigned char)*word))
		return is_weekdays(word) || is_zone(word);
	return *word == '@' || (strpbrk(word, ":-~") && word[strspn(word, "0123456789*/,.:-~")] == '\0');
}

static const char *timer_unit(struct settings_file *f)
{
	const char *line, *value;

	while ((line = next_setting(&f->text))) {
		char *words;

		value = setting_value(line, "OnCalendar");
		if (value && strchr(value, '%'))
			continue; /* a specifier: systemd puts something in its place */
		words = arena_strdup(str_or(value, ""));
		text_foreach (word, words, " \t")
			if (!is_calendar_word(word))
				return arena_printf(
					"says OnCalendar=%s, which systemd does not understand, so that the timer never runs; every night at three is *-*-* 03:00:00",
					value);
	}
	return NULL;
}

static const struct {
	const char *pattern;
	const char *(*fault)(struct settings_file *f);
} places[] = {
	{ "/etc/rancher/k3s/config.yaml.d/*", k3s_drop_in },
	{ "/var/lib/rancher/k3s/server/manifests/*", manifest },
	{ "/etc/default/k3s", k3s_environment },
	{ "/etc/default/k3s-agent", k3s_environment },
	{ "/etc/cron.d/*", cron_table },
	{ "/etc/crontab", cron_table },
	{ "/etc/NetworkManager/conf.d/*", nm_settings },
	{ "/etc/NetworkManager/system-connections/*", connection },
	{ "/etc/systemd/network/*.link", interface_link },
	{ "/etc/udev/rules.d/*.rules", udev_rules },
	{ "/etc/modprobe.d/*.conf", kernel_modules },
	{ "/@(etc|usr/lib|usr/local/lib)/sysctl.d/*", kernel_settings },
	{ "/etc/systemd/system-preset/*.preset", unit_preset },
	{ "/etc/systemd/system/*.@(mount|automount)", mount_unit },
	{ "/etc/systemd/system/*.timer", timer_unit },
	{ "/etc/systemd/system/k3s.service.d/*.conf", k3s_unit },
	{ "/etc/systemd/system/k3s-agent.service.d/*.conf", k3s_unit },
	{ "/etc/ssh/sshd_config.d/*.conf", overlay_sshd_fault },
	{ "/etc/sudoers.d/*", overlay_sudo_fault },
	{ "/etc/systemd/@(journald|system|logind).conf", system_settings },
	{ "/etc/@(systemd/@(journald|system|logind|timesyncd)|rpi/swap).conf.d/*.conf", system_settings },
	{ "/etc/rancher/k3s/registries.yaml", registries },
	{ "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/*.conf", kubelet },
};

const char *overlay_settings_fault(const char *path, const char *text, const struct node_ctx *x, const struct tree *own,
				   struct faults *faults, const char **ret_note)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct settings_file *f;

		const char *why;

		if (fnmatch(places[i].pattern, path, FNM_EXTMATCH) != 0)
			continue;
		f = arena_new(struct settings_file);
		*f = (struct settings_file){ path, path_base(path), arena_strdup(text), x, own, faults, NULL };
		why = places[i].fault(f);
		*ret_note = f->note;
		return why;
	}
	return NULL;
}
