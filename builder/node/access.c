/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may log in: one user with uid 1000, keys, sudo. The account files of the base are edited; whoever had uid 1000
 * there (Raspberry Pi OS: pi) makes room, and the new user inherits its groups.
 */
#include <fnmatch.h>

#include "node/node.h"

static const char origin[] = "generated: access";

enum { USER_ID = 1000 };

/* Groups the user joins where the base has them (Raspberry Pi OS's own list for pi). */
static const char *const wanted_groups[] = { "adm",    "dialout", "cdrom", "sudo",  "audio",
					     "video",  "plugdev", "games", "users", "input",
					     "render", "netdev",  "gpio",  "i2c",   "spi" };

struct line {
	const char *s;
	size_t n; /* without the newline */
};

/* The next line of the text at *P; false at its end. */
static bool access_next_line(const char **p, const char *end, struct line *ret)
{
	const char *nl;

	if (!*p || *p >= end)
		return false;
	nl = memchr(*p, '\n', (size_t)(end - *p));
	ret->s = *p;
	ret->n = (size_t)((nl ? nl : end) - *p);
	*p = nl ? nl + 1 : end;
	return true;
}

/* Field I of a colon separated line. */
static struct line account_field(struct line l, unsigned i)
{
	const char *p = l.s, *end = l.s + l.n, *colon;

	for (; i && p; i--) {
		colon = memchr(p, ':', (size_t)(end - p));
		p = colon ? colon + 1 : NULL;
	}
	if (!p)
		return (struct line){ "", 0 };
	colon = memchr(p, ':', (size_t)(end - p));
	return (struct line){ p, (size_t)((colon ? colon : end) - p) };
}

static bool access_line_is(struct line l, const char *s)
{
	return l.n == strlen(s) && !memcmp(l.s, s, l.n);
}

/* Which account files an edit handles, and what a user's line looks like there. */
struct account_file {
	const char *path;
	unsigned mode;
	unsigned id_field; /* field that holds 1000 in passwd and group; 0 = by name only */
	bool group;	   /* lines hold members in their last field */
	bool secret;
};
static const struct account_file account_files[] = {
	{ "/etc/passwd", 0644, 2, false, false }, { "/etc/shadow", 0640, 0, false, true },
	{ "/etc/group", 0644, 2, true, false },	  { "/etc/gshadow", 0640, 0, true, true },
	{ "/etc/subuid", 0644, 0, false, false }, { "/etc/subgid", 0644, 0, false, false },
};

struct account_edit {
	const struct account_file *file;
	const char *user, *line;
};

static bool wanted_group(struct line name)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted_groups); i++)
		if (access_line_is(name, wanted_groups[i]))
			return true;
	return false;
}

bool node_user_is_in(const struct config *c, const char *pattern)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted_groups); i++)
		if (fnmatch(pattern, wanted_groups[i], 0) == 0)
			return true;
	return fnmatch(pattern, c->access.user, 0) == 0;
}

/* "sudo:x:27:pi" -> "sudo:x:27:USER": members stay but for pi, whose place the user takes. */
static void copy_group(struct strbuf *out, struct line l, const char *user)
{
	struct line members = account_field(l, 3), name = account_field(l, 0);
	const char *p = members.s, *end = members.s + members.n, *sep = "";
	bool join = wanted_group(name);

	strbuf_add(out, l.s, l.n - members.n);
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		struct line one = { p, (size_t)((comma ? comma : end) - p) };

		p = comma ? comma + 1 : end;
		if (access_line_is(one, "pi") || access_line_is(one, user)) {
			join = true;
			continue;
		}
		strbuf_adds(out, sep);
		strbuf_add(out, one.s, one.n);
		sep = ",";
	}
	if (join)
		strbuf_addf(out, "%s%s", sep, user);
	strbuf_adds(out, "\n");
}

/* A name of the system's own would be taken from whom it belongs to; people's ids are those of login.defs(5). */
static bool is_system_account(const struct account_edit *a, struct line l)
{
	struct line text = account_field(l, a->file->id_field);
	unsigned long id = strtoul(arena_strndup(text.s, text.n), NULL, 10);

	return a->file->id_field && access_line_is(account_field(l, 0), a->user) && (id < 1000 || id >= 60000);
}

static int edit_account(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct account_edit *a = arg;
	const char *p = old, *end = old ? old + n : NULL;
	struct line l;

	while (access_next_line(&p, end, &l)) {
		struct line name = account_field(l, 0);
		bool system = is_system_account(a, l);
		bool replaced = access_line_is(name, a->user) || access_line_is(name, "pi") ||
				(a->file->id_field && access_line_is(account_field(l, a->file->id_field), "1000"));

		if (system)
			return err_class(e, CLASS_CONFIG,
					 "access.user: '%s' is %s of the base's own (id %.*s); choose another name",
					 a->user, a->file->group ? "a group" : "an account",
					 (int)account_field(l, a->file->id_field).n,
					 account_field(l, a->file->id_field).s);
		if (replaced || l.n == 0)
			continue;
		if (a->file->group) {
			copy_group(out, l, a->user);
		} else {
			strbuf_add(out, l.s, l.n);
			strbuf_adds(out, "\n");
		}
	}
	strbuf_adds(out, a->line);
	return 0;
}

static const char *account_line(const struct account_file *f, const struct config *c)
{
	const char *user = c->access.user;

	if (streq(f->path, "/etc/passwd"))
		return arena_printf("%s:x:%d:%d::/home/%s:/bin/bash\n", user, USER_ID, USER_ID, user);
	if (streq(f->path, "/etc/shadow"))
		return arena_printf("%s:%s:20000:0:99999:7:::\n", user,
				    c->access.password_hash ? c->access.password_hash : "*");
	if (streq(f->path, "/etc/group"))
		return arena_printf("%s:x:%d:\n", user, USER_ID);
	if (streq(f->path, "/etc/gshadow"))
		return arena_printf("%s:!::\n", user);
	return arena_printf("%s:100000:65536\n", user);
}

/* The base's skeleton file, when it has one and the home does not. */
static int copy_skeleton(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	if (!old)
		return 1;
	strbuf_add(out, old, n);
	return 0;
}

static struct entry *owned(struct entry *n)
{
	n->uid = n->gid = USER_ID;
	return n;
}

/* A build has made sure that they are there. */
static void add_user_keys(const struct lock *lock, const char *user, struct strbuf *out)
{
	const struct lock_keys *known = lock_find_keys(lock, user);

	for (size_t i = 0; known && i < known->keys.n; i++)
		strbuf_addf(out, "%s\n", known->keys.v[i]);
}

static void add_home(const struct config *c, const struct lock *lock, struct tree *t)
{
	static const char *const skeleton[] = { ".bashrc", ".profile", ".bash_logout" };
	const char *home = arena_printf("/home/%s", c->access.user);
	_cleanup_strbuf_ struct strbuf keys = { 0 };
	struct entry *n;

	if (!streq(c->access.user, "pi"))
		tree_add_remove(t, "/home/pi", origin);
	owned(tree_add_dir(t, home, 0700, origin));
	for (size_t i = 0; i < ARRAY_SIZE(skeleton); i++) {
		n = owned(tree_add_edit(t, arena_printf("%s/%s", home, skeleton[i]), 0644, origin, copy_skeleton, NULL,
					"from /etc/skel"));
		n->edit_from = arena_printf("/etc/skel/%s", skeleton[i]);
	}
	vec_foreach (key, &c->access.ssh_keys)
		strbuf_addf(&keys, "%s\n", *key);
	vec_foreach (user, &c->access.github)
		add_user_keys(lock, *user, &keys);
	if (!keys.n)
		return;
	owned(tree_add_dir(t, arena_printf("%s/.ssh", home), 0700, origin));
	owned(tree_add_text(t, arena_printf("%s/.ssh/authorized_keys", home), 0600, origin, keys.s));
}

/* What an overlay brings into the user's home is the user's, with the folders that it needs. */
void node_own_home(const struct config *c, struct tree *t)
{
	const char *below = arena_printf("/home/%s/", c->access.user);

	vec_foreach (path, &t->folders)
		if (starts_with(*path, below) && !tree_find(t, *path))
			tree_add_dir(t, *path, 0755, "your overlays")->if_missing = true;
	vec_foreach (n, &t->entries)
		if (starts_with(n->path, below))
			owned(n);
}

int node_add_access(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < ARRAY_SIZE(account_files); i++) {
		const struct account_file *f = &account_files[i];
		struct account_edit *a = arena_new(struct account_edit);

		*a = (struct account_edit){ f, c->access.user, account_line(f, c) };
		tree_add_edit(t, f->path, f->mode, origin, edit_account, a, arena_printf("user %s", c->access.user))
			->secret = f->secret;
	}
	add_home(c, x->set.lock, t);

	/* First value wins in sshd: 00 comes before what cloud-init or an image builder left. */
	tree_add_text(t, "/etc/ssh/sshd_config.d/00-pibuild.conf", 0644, origin,
		      "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n");
	/* Without a password there is nothing sudo could ask for; with one nobody is there to type it for `apply`. */
	if (!c->access.password_hash)
		tree_add_text(t, "/etc/sudoers.d/010-pibuild", 0440, origin,
			      arena_printf("%s ALL=(ALL:ALL) NOPASSWD: ALL\n", c->access.user));
	else
		tree_add_text(t, "/etc/sudoers.d/011-pibuild-apply", 0440, origin,
			      arena_printf("%s ALL=(root) NOPASSWD: /usr/lib/pibuild/apply\n", c->access.user));
	return 0;
}
