/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of release archives through libarchive: tar, plain or compressed. Whatever could leave the target is refused
 * by name, and so is what a release has no use for: hard links, devices, sparse files, names beyond ASCII.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <search.h>

#include "archive/internal.h"

enum { MAX_ENTRIES = 10000, MAX_PATH = 1024, MAX_NAME = 255, NAMES_SHOWN = 5 };
static const uint64_t max_unpacked = 1 * GIB; /* of all entries, also of those passed over */

struct member {
	struct input in;
	struct reader reader;
	uint64_t size, left; /* of the current file */
	uint64_t total;	     /* of all entries so far */
	unsigned entries;
};

static bool member_is_plain(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

/* "./a/b/" -> "a/b"; NULL when the name is absolute, climbs, is too long, or holds odd characters. */
static const char *clean_path(const char *name)
{
	_cleanup_free_ char *copy = NULL;
	_cleanup_strbuf_ struct strbuf out = { 0 };

	if (!name || name[0] == '/' || strlen(name) > MAX_PATH || !member_is_plain(name))
		return NULL;
	copy = xstrdup(name);
	text_foreach (part, copy, "/") {
		if (streq(part, "."))
			continue;
		if (streq(part, "..") || strlen(part) > MAX_NAME)
			return NULL;
		strbuf_addf(&out, "%s%s", out.n ? "/" : "", part);
	}
	return arena_strdup(str_or(out.s, ""));
}

static int member_start(int fd, const char *name, struct member *m, struct err *e)
{
	input_init(&m->in, fd, arena_strdup(name));
	reader_init(&m->reader, &m->in);
	archive_read_support_filter_xz(m->reader.a);
	archive_read_support_filter_zstd(m->reader.a);
	archive_read_support_format_tar(m->reader.a);
	return reader_open(&m->reader, e);
}

/* Passing over an entry unpacks it too, so every size counts. */
static int judge_size(struct member *m, struct archive_entry *entry, const char *path, struct err *e)
{
	int64_t size = archive_entry_size(entry);

	if (++m->entries > MAX_ENTRIES)
		return err_set(e, -EBADMSG, "%s is refused: more than %d entries", m->in.name, MAX_ENTRIES);
	if (!archive_entry_size_is_set(entry))
		size = 0;
	if (size < 0 || (uint64_t)size > max_unpacked - m->total)
		return err_set(e, -EBADMSG, "%s is refused: with %s it unpacks to more than 1 GiB", m->in.name, path);
	m->total += (uint64_t)size;
	m->size = m->left = (uint64_t)size;
	return 1;
}

/* The next entry, 0 at the end, or negative. Its cleaned path goes to RET_PATH. */
static int next_entry(struct member *m, struct archive_entry **entry, const char **ret_path, struct err *e)
{
	int r = archive_read_next_header(m->reader.a, entry);

	if (r == ARCHIVE_EOF)
		return 0;
	/* WARN is a name that is no text in this locale: still usable or refused below. */
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return reader_error(&m->reader, e);
	*ret_path = clean_path(archive_entry_pathname(*entry));
	if (!*ret_path)
		return err_set(
			e, -EBADMSG,
			"%s is refused: it holds a name that is absolute, too long, climbs with '..' or has odd characters",
			m->in.name);
	return judge_size(m, *entry, *ret_path, e);
}

static int judge_member(struct member *m, struct archive_entry *entry, const char *path, struct err *e)
{
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
		return err_set(e, -EBADMSG, "%s is refused: %s in it is no regular file", m->in.name, path);
	if (!archive_entry_size_is_set(entry) || archive_entry_sparse_count(entry) > 0)
		return err_set(e, -EBADMSG, "%s is refused: %s in it has no plain size", m->in.name, path);
	return 0;
}

static int find_member(struct member *m, const char *wanted, struct err *e)
{
	_cleanup_strbuf_ struct strbuf seen = { 0 };
	struct archive_entry *entry;
	const char *path;
	int r, n = 0;

	while ((r = next_entry(m, &entry, &path, e)) > 0) {
		if (streq(path, wanted))
			return judge_member(m, entry, path, e);
		if (n++ < NAMES_SHOWN)
			strbuf_item(&seen, ", ", path);
	}
	if (r < 0)
		return r;
	return err_set(e, -ENOENT, "%s holds no %s; it has %s%s", m->in.name, wanted, str_or(seen.s, "nothing"),
		       n > NAMES_SHOWN ? ", ..." : "");
}

int member_open(int fd, const char *archive_name, const char *member, struct member **ret, struct err *e)
{
	struct member *m = xcalloc(1, sizeof(*m));
	int r = member_start(fd, archive_name, m, e);

	if (r == 0)
		r = find_member(m, member, e);
	if (r < 0)
		member_close(m);
	else
		*ret = m;
	return r;
}

uint64_t member_size(const struct member *m)
{
	return m->size;
}

ssize_t member_read(struct member *m, void *buf, size_t n, struct err *e)
{
	la_ssize_t r;

	if (!m->left)
		return 0;
	r = archive_read_data(m->reader.a, buf, MIN(n, m->left));
	if (r < 0)
		return reader_error(&m->reader, e);
	if (r == 0)
		return err_set(e, -EBADMSG, "%s is truncated", m->in.name);
	m->left -= (uint64_t)r;
	return r;
}

int member_digest(struct member *m, char sha256[SHA256_HEX], struct err *e)
{
	return input_finish(&m->in, sha256, e);
}

void member_close(struct member *m)
{
	reader_done(&m->reader);
	input_done(&m->in);
	free(m);
}

/* ---- a whole sub-tree ---- */

/* A path of the sub-tree that was met. */
struct member_place {
	const char *path;
	bool dir;
};

struct member_walk {
	struct member *m;
	const char *below;
	unpack_fn fn;
	void *arg;
	void *places; /* tsearch(3) tree of struct member_place, on the arena */
};

/* PATH relative to the sub-tree, or NULL when it is not in it. */
static const char *relative(const struct member_walk *w, const char *path)
{
	size_t n = strlen(w->below);

	if (n == 0)
		return path;
	if (strncmp(path, w->below, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path[n] ? path + n + 1 : "";
}

/* Up first, then down: ".." after a name could climb from where another link leads. What remains starts in a real
 * folder, so counting is enough. */
static bool link_stays(const char *path, const char *target)
{
	_cleanup_free_ char *copy = xstrdup(target);
	bool down = false;
	int depth = 0;

	if (!*target || target[0] == '/' || strlen(target) > MAX_PATH || !member_is_plain(target))
		return false;
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	text_foreach (part, copy, "/") {
		if (streq(part, "..") && (down || --depth < 0))
			return false;
		down |= !streq(part, "..") && !streq(part, ".");
	}
	return true;
}

static int place_by_path(const void *a, const void *b)
{
	return strcmp(((const struct member_place *)a)->path, ((const struct member_place *)b)->path);
}

/* False when it is there already, unless both are folders. */
static bool take_place(struct member_walk *w, const char *path, bool dir)
{
	struct member_place *p = arena_new(struct member_place), **there;

	*p = (struct member_place){ path, dir };
	there = tsearch(p, &w->places, place_by_path);
	return there && (*there == p || ((*there)->dir && dir));
}

/* Each part of the path before the last must be a folder, never a link of the archive; nothing may come twice. */
static int judge_place(struct member_walk *w, const char *path, bool dir, struct err *e)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		if (!take_place(w, arena_strndup(path, (size_t)(slash - path)), true))
			return err_set(e, -EBADMSG, "%s is refused: %s lies behind a file or link of its own",
				       w->m->in.name, path);
	if (!take_place(w, path, dir))
		return err_set(e, -EBADMSG, "%s is refused: %s is in it twice", w->m->in.name, path);
	return 0;
}

static int walk_entry(struct member_walk *w, struct archive_entry *entry, const char *path, struct err *e)
{
	struct unpack_entry u = { .path = path, .mode = archive_entry_perm(entry) & 0777 };
	unsigned type = archive_entry_hardlink(entry) ? 0 : archive_entry_filetype(entry);
	int r = judge_place(w, path, type == AE_IFDIR, e);

	if (r < 0)
		return r;
	switch (type) {
	case AE_IFDIR:
		u.dir = true;
		return w->fn(w->arg, &u, w->m, e);
	case AE_IFLNK:
		u.symlink = archive_entry_symlink(entry);
		if (!u.symlink || !link_stays(path, u.symlink))
			return err_set(e, -EBADMSG, "%s is refused: the link %s leads out of it", w->m->in.name, path);
		return w->fn(w->arg, &u, w->m, e);
	case AE_IFREG:
		r = judge_member(w->m, entry, path, e);
		u.size = w->m->size;
		return r < 0 ? r : w->fn(w->arg, &u, w->m, e);
	default:
		return err_set(e, -EBADMSG, "%s is refused: %s is a hard link, device or special file", w->m->in.name,
			       path);
	}
}

static int walk_all(struct member_walk *w, struct err *e)
{
	struct archive_entry *entry;
	const char *path, *inside;
	bool found = false;
	int r;

	while ((r = next_entry(w->m, &entry, &path, e)) > 0) {
		inside = relative(w, path);
		if (!inside || !*inside)
			continue;
		found = true;
		r = walk_entry(w, entry, inside, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && !found)
		return err_set(e, -ENOENT, "%s holds nothing below %s/", w->m->in.name, w->below);
	return r;
}

/* The arena's. */
static void leave(void *place)
{
}

int unpack_walk(int fd, const char *archive_name, const char *below, unpack_fn fn, void *arg, char sha256[SHA256_HEX],
		struct err *e)
{
	struct member *m = xcalloc(1, sizeof(*m));
	struct member_walk w = { .m = m, .below = below, .fn = fn, .arg = arg };
	int r = member_start(fd, archive_name, m, e);

	if (r == 0)
		r = walk_all(&w, e);
	if (r == 0)
		r = member_digest(m, sha256, e);
	tdestroy(w.places, leave);
	member_close(m);
	return r;
}
