/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may log in to a node whose only door is sshd with a key: a file of sshd_config.d at which sshd does not start, or
 * of sudoers.d that takes sudo away, is told before anybody stands in front of it.
 */
#include "node/overlay_login.h"

#include <fnmatch.h>

#include "config/names.h"
#include "config/values.h"

/* ---- sshd ---- */

/* What stands behind the word KEY of sshd_config(5), or NULL. */
static char *sshd_value(char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncasecmp(line, key, n) != 0 || !line[n] || !strchr(" \t=", line[n]))
		return NULL;
	return line + n + strspn(line + n, " \t=");
}

/* PATTERNS as USER or USER@HOST, with '*' and '?'. */
static bool names_user(char *patterns, const char *user)
{
	text_foreach (p, patterns, " \t")
		if (fnmatch(arena_strndup(p, strcspn(p, "@")), user, 0) == 0)
			return true;
	return false;
}

/* pibuild's own file, 00-pibuild.conf, is read first, and the first that says something counts (sshd_config(5)). */
static void note_sshd_line(struct settings_file *f, char *line)
{
	static const char *const said[] = { "PasswordAuthentication", "KbdInteractiveAuthentication",
					    "PermitRootLogin" };
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(said); i++)
		if ((value = sshd_value(line, said[i])) && strcasecmp(value, "no") != 0)
			f->note = arena_printf(
				"sets %s, which 00-pibuild.conf said before it: sshd goes by the first, and keys alone let somebody in; remove that line",
				said[i]);
}

static const struct name *sshd_keyword(const char *word, const struct name *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(all[i].name, word) == 0)
			return &all[i];
	return NULL;
}

#define SSHD_ENDS "sshd does not start, and nobody can log in"

/* openssh servconf.c: a keyword that it does not know, or one without its value, ends it, behind Match too. */
static const char *sshd_line_fault(const char *line, const struct name *all, size_t n)
{
	const char *word = arena_strndup(line, strcspn(line, " \t=\"")), *near, *value;
	const struct name *known = sshd_keyword(word, all, n);

	if (!known) {
		near = names_nearest(NAMES_SSHD_KEYWORDS, word);
		return arena_printf("says %s, which is no keyword of sshd_config: " SSHD_ENDS "%s", word,
				    near ? did_you_mean("; ", near) : "; remove that line");
	}
	line += strlen(word);
	line += strspn(line, " \t=\"");
	value = arena_strndup(line, strcspn(line, " \t\""));
	if (!*value)
		return arena_printf("says %s and no value: " SSHD_ENDS "; write one, or remove that line", word);
	if (streq(str_or(known->instead, ""), "yes-no") && strcasecmp(value, "yes") != 0 &&
	    strcasecmp(value, "no") != 0)
		return arena_printf("says %s %s, which takes yes or no: " SSHD_ENDS "; write one of these", word,
				    value);
	return NULL;
}

static const char *sshd_lines_fault(const struct settings_file *f)
{
	char *text = arena_strdup(f->text), *line;
	const struct name *all = NULL;
	const char *why = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (names_all(NAMES_SSHD_KEYWORDS, &all, &n, &e) < 0)
		return faults_reason(f->faults, &e);
	while (!why && (line = next_setting(&text)))
		why = sshd_line_fault(line, all, n);
	return why;
}

/* One of the lists is keys alone; passwords are off (00-pibuild.conf). */
static bool keys_are_enough(char *lists)
{
	text_foreach (list, lists, " \t\"") {
		bool enough = true;

		text_foreach (method, list, ",")
			enough &= starts_with(method, "publickey") || streq(method, "any");
		if (enough)
			return true;
	}
	return false;
}

static bool names_home_keys(const char *files, const char *user)
{
	const char *const homes[] = { " .ssh/authorized_keys ", " %h/.ssh/authorized_keys ",
				      " /home/%u/.ssh/authorized_keys ",
				      arena_printf(" /home/%s/.ssh/authorized_keys ", user) };
	const char *padded = arena_printf(" %s ", files);

	for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
		if (strstr(padded, homes[i]))
			return true;
	return false;
}

static bool names_group(const struct settings_file *f, char *patterns)
{
	text_foreach (p, patterns, " \t")
		if (node_user_is_in(f->x->config, p))
			return true;
	return false;
}

/* What one line outside of Match does to the user, whatever the others say. */
static const char *sshd_shuts_out(const struct settings_file *f, char *line)
{
	const char *user = f->x->config->access.user;
	char *value;

	if ((value = sshd_value(line, "PubkeyAuthentication")) && strcasecmp(value, "no") == 0)
		return "switches off PubkeyAuthentication, so that nobody can log in; remove that line";
	if ((value = sshd_value(line, "DenyUsers")) && names_user(value, user))
		return arena_printf("denies %s the login, whom access.user names; remove that line", user);
	if ((value = sshd_value(line, "DenyGroups")) && names_group(f, value))
		return arena_printf("denies a group of %s the login, whom access.user names; remove that line", user);
	if ((value = sshd_value(line, "AuthenticationMethods")) && !keys_are_enough(value))
		return "sets AuthenticationMethods to more than a key, and keys are all that sshd takes, by 00-pibuild.conf: nobody can log in; remove that line";
	if ((value = sshd_value(line, "AuthorizedKeysFile")) && !names_home_keys(value, user))
		return "sets AuthorizedKeysFile to other places than .ssh/authorized_keys, where the keys of access.sshKeys are: nobody can log in; add that to the line";
	return NULL;
}

/* Up to the first Match, behind which lines count for some only. */
const char *overlay_sshd_fault(struct settings_file *f)
{
	const char *user = f->x->config->access.user, *port = NULL, *listen = NULL, *why = sshd_lines_fault(f);
	bool users = false, user_in = false, groups = false, group_in = false, usual = false, own = false;
	uint32_t address;
	char *line, *value;

	while (!why && (line = next_setting(&f->text)) && !sshd_value(line, "Match")) {
		why = sshd_shuts_out(f, arena_strdup(line));
		note_sshd_line(f, line);
		if ((value = sshd_value(line, "Port"))) {
			port = value;
			usual |= streq(value, "22");
		}
		if ((value = sshd_value(line, "ListenAddress"))) {
			listen = value;
			own |= value_ipv4(value, &address) < 0 || !address || !f->x->node->address.set ||
			       address == f->x->node->address.addr;
		}
		if ((value = sshd_value(line, "AllowUsers"))) {
			users = true;
			user_in |= names_user(value, user);
		}
		if ((value = sshd_value(line, "AllowGroups"))) {
			groups = true;
			group_in |= names_group(f, value);
		}
	}
	if (why)
		return why;
	if (port && !usual)
		f->note = arena_printf(
			"moves sshd to port %s, and pibuild's status, apply and ssh ask at 22: add the line Port 22, or write Host, the nodes' addresses and Port %s into your ~/.ssh/config",
			port, port);
	if (groups && !group_in)
		f->note = arena_printf(
			"lets only members of other groups than those of %s log in, whom access.user names, unless a file of /etc/sysusers.d/ puts %s into one (m %s GROUP); add sudo to AllowGroups",
			user, user, user);
	if (listen && !own)
		return arena_printf(
			"lets sshd listen at %s alone, which is not the address of %s, so that it does not start there; remove that line, or put the file into the overlay of the node that has it",
			listen, f->x->node->name);
	return users && !user_in
		       ? arena_printf("lets only others than %s log in, whom access.user names; add %s to AllowUsers",
				      user, user)
		       : NULL;
}

/* ---- sudo ---- */

static bool sudo_is_for(const struct config *c, char *list)
{
	text_foreach (who, list, ",")
		if (streq(who, "ALL") || streq(who, c->access.user) || (*who == '%' && node_user_is_in(c, who + 1)))
			return true;
	return false;
}

/* Of several lines that fit the last one counts (sudoers(5)); whoever has no password has nothing to type. */
const char *overlay_sudo_fault(struct settings_file *f)
{
	const struct config *c = f->x->config;
	const char *asks = NULL;
	char *line;

	if (c->access.password_hash || strcmp(f->name, "010-pibuild") < 0)
		return NULL;
	while ((line = next_setting(&f->text))) {
		const char *command = strrchr(line, ' ');

		if (!command || !strchr(line, '=') ||
		    !(ends_with(line, "=ALL") || streq(command, " ALL") || ends_with(line, ")ALL") ||
		      ends_with(line, ":ALL")))
			continue;
		if (sudo_is_for(c, arena_strndup(line, strcspn(line, " \t="))))
			asks = strstr(line, "NOPASSWD:") ? NULL : line;
	}
	return asks ? arena_printf(
			      "makes sudo ask %s for a password, which has none ('%s'): it goes over 010-pibuild, as the last line that fits counts; write NOPASSWD: before the last ALL",
			      c->access.user, asks)
		    : NULL;
}
