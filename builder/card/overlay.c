/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of this machine as entries of a card: which modes they get, what is left out, what is refused. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

#include "base/file.h"
#include "base/json.h"
#include "card/card.h"

enum { MAX_DEPTH = 40, MAX_NAME = 255, MAX_LINK = 4095 };

struct overlay {
	struct tree *tree;
	const char *origin;
	enum entry_layer layer;
	bool private; /* in a folder that only its owner may enter */
};

static bool skipped(const char *name)
{
	return streq(name, ".") || streq(name, "..") || streq(name, ".gitkeep");
}

/* What programs leave behind in a folder that people edit: no part of what they want on a card. */
static bool left_behind(const char *name)
{
	static const char *const patterns[] = {
		"*~",	      "#*#",	  ".#*",  ".*.sw[a-p]", ".DS_Store",	  "._*",  "Thumbs.db", "desktop.ini",
		".directory", "__MACOSX", ".git", ".gitignore", ".gitattributes", ".svn", ".hg"
	};

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return false;
}

/* The manifest and the plan are JSON, which has no other text: such a name would be left out of them. */
static bool is_utf8(const char *text)
{
	_cleanup_json_ json_t *j = json_string(text);

	return j != NULL;
}

static bool clean_name(const char *name)
{
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return strlen(name) <= MAX_NAME && is_utf8(name);
}

/* One name of a folder that is being added. */
struct overlay_name {
	int dir; /* the folder, open */
	const char *name;
	const char *host, *path; /* on this machine, for messages, and on the card */
	struct stat st;
};

static int add_file(const struct overlay *o, const struct overlay_name *x, struct err *e)
{
	unsigned mode = x->st.st_mode & 0100 ? 0755 : 0644;
	_cleanup_close_ int fd = -1;
	char sha256[SHA256_HEX];
	struct entry *n;
	bool private;
	int r;

	if (x->st.st_mode & (S_ISUID | S_ISGID))
		return err_class(e, CLASS_CONFIG,
				 "%s is setuid or setgid: an overlay may not bring such files; chmod u-s,g-s it",
				 x->host);
	fd = openat(x->dir, x->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return file_cannot_open(x->host, e);
	r = sha256_fd(fd, x->host, sha256, e);
	if (r < 0)
		return r;
	/* What only its owner may read stays so on the card; a shipped file's bits come from the builder's umask. */
	private = o->layer == LAYER_NODE && (!(x->st.st_mode & 0077) || o->private || place_is_secret(x->path));
	if (private)
		mode &= 0700;
	n = tree_add_host_file(o->tree, x->path, mode, o->origin, x->host, (uint64_t)x->st.st_size, sha256);
	n->layer = o->layer;
	n->secret |= private;
	return 0;
}

static int add_link(const struct overlay *o, const struct overlay_name *x, struct err *e)
{
	char target[MAX_LINK + 1];
	ssize_t n = readlinkat(x->dir, x->name, target, sizeof(target));

	if (n < 0 || n > MAX_LINK)
		return err_errno(e, n < 0 ? -errno : -ENAMETOOLONG, "cannot read the link %s", x->host);
	target[n] = '\0';
	if (!is_utf8(target))
		return err_class(e, CLASS_CONFIG, "the link %s leads to a name that is no UTF-8", x->host);
	tree_add_symlink(o->tree, x->path, o->origin, target)->layer = o->layer;
	return 0;
}

/* A private one, or one that holds nothing: the others come with what is in them. Under umask 077 every folder is
 * private, /etc too: only what the card would not have without it is made so. */
static void add_own_folder(const struct overlay *o, const char *path, unsigned mode)
{
	struct entry *n;

	if (tree_find(o->tree, path))
		return;
	n = tree_add_dir(o->tree, path, mode, o->origin);
	n->layer = o->layer;
	n->if_missing = true;
}

static int overlay_add_folder(const struct overlay *o, int dir, const char *host, const char *path, unsigned depth,
			      struct err *e);

static const char *shown_name(const char *name)
{
	char *shown = arena_strdup(name);

	for (char *c = shown; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return shown;
}

static int overlay_add_name(const struct overlay *o, struct overlay_name *x, unsigned depth, struct err *e)
{
	struct overlay below = *o;
	_cleanup_close_ int fd = -1;

	if (!clean_name(x->name))
		return err_class(
			e, CLASS_CONFIG,
			"a name in %s holds a control character, is no UTF-8 or is too long (shown with '?' for these: %.100s); give the file another",
			path_dir(x->host), shown_name(x->name));
	if (fstatat(x->dir, x->name, &x->st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, -errno, "cannot read %s", x->host);
	if (S_ISREG(x->st.st_mode))
		return add_file(o, x, e);
	if (S_ISLNK(x->st.st_mode))
		return add_link(o, x, e);
	if (!S_ISDIR(x->st.st_mode))
		return err_class(e, CLASS_CONFIG,
				 "%s is a device, socket or pipe: an overlay holds files, folders and links only",
				 x->host);
	fd = openat(x->dir, x->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return file_cannot_open(x->host, e);
	*vec_push(&o->tree->folders) = x->path;
	if (o->layer == LAYER_NODE && !(x->st.st_mode & 0077)) {
		add_own_folder(o, x->path, 0700);
		below.private = true;
	}
	return overlay_add_folder(&below, fd, x->host, x->path, depth + 1, e);
}

static int overlay_add_folder(const struct overlay *o, int dir, const char *host, const char *path, unsigned depth,
			      struct err *e)
{
	struct dirent **names = NULL;
	int n, r = 0;
	bool empty = depth > 0 && o->layer == LAYER_NODE;

	if (depth > MAX_DEPTH)
		return err_class(e, CLASS_CONFIG, "%s is nested deeper than %d folders", host, MAX_DEPTH);
	n = scandirat(dir, ".", &names, NULL, NULL);
	if (n < 0)
		return err_errno(e, -errno, "cannot list %s", host);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		struct overlay_name x = {
			.dir = dir, .name = name, .host = path_join(host, name), .path = path_join(path, name)
		};

		if (r == 0 && left_behind(name))
			*vec_push(&o->tree->left_out) = x.host;
		else if (r == 0 && !skipped(name)) {
			r = overlay_add_name(o, &x, depth, e);
			empty = false;
		}
		free(names[i]);
	}
	free(names);
	if (r == 0 && empty)
		add_own_folder(o, path, 0755);
	return r;
}

int tree_add_overlay(struct tree *t, const char *dir, const char *origin, enum entry_layer layer, struct err *e)
{
	const struct overlay o = { .tree = t, .origin = arena_strdup(origin), .layer = layer };
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT && file_is_missing(dir) ? 0 : file_cannot_open(dir, e);
	return overlay_add_folder(&o, fd, dir, "/", 0, e);
}
