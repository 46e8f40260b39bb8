/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot partition, by mtools ("-i FILE@@OFFSET"). What mtools gets wrong is caught here: it writes INTO a folder
 * that has the name of the file, prints all files of a folder as one, calls a file cut off by a full disk a success,
 * and takes * ? [ ] \ of a name for a pattern.
 */
#include "fs/fs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/proc.h"

static int run(const struct fat *f, const char *const *args, const struct proc *how, struct err *e)
{
	_cleanup_free_ char *drive = xasprintf(PROC_FILE "@@%llu", (unsigned long long)f->offset);
	const char *argv[8] = { args[0], "-i", drive };
	struct proc p = *how;

	for (size_t i = 1; args[i]; i++)
		argv[i + 2] = args[i];
	p.argv = argv;
	p.file = f->image;
	p.epoch = MAX(f->epoch, 1);
	return proc_run(&p, e);
}
#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct proc reading = { .file_read_only = true };

/* FAT's own rules, plus what mtools takes for a pattern; letters beyond ASCII depend on code pages. */
static int check_name(const char *path, struct err *e)
{
	for (const char *s = path; *s; s++)
		if (*s < ' ' || *s > '~' || strchr("*?[]\\:\"<>|", *s))
			return err_set(e, -EINVAL,
				       "boot partition: the name %s has a character that FAT or mtools cannot take",
				       path);
	if (!*path || path[0] == '/' || strstr(path, "//") || ends_with(path, "/") || ends_with(path, ".") ||
	    ends_with(path, " ") || strstr(path, "./") || strstr(path, " /"))
		return err_set(e, -EINVAL, "boot partition: \"%s\" is not a path of a file from the FAT's root", path);
	return 0;
}

enum kind { MISSING, IS_FILE, IS_DIR };

/* `mdir -b` prints a file's own path and nothing else; of a folder what is in it. */
static int kind_of(const struct fat *f, const char *path, enum kind *ret, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path), *self = xasprintf("::/%s\n", path);
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct proc how = reading;
	int r = check_name(path, e);

	if (r < 0)
		return r;
	how.output = &out;
	r = run(f, ARGS("mdir", "-a", "-b", at), &how, e);
	if (r == -EIO && ends_with(e->msg, "not found")) {
		*ret = MISSING;
		*e = (struct err){ 0 };
		return 0;
	}
	*ret = out.s && strcasecmp(out.s, self) == 0 ? IS_FILE : IS_DIR;
	return r;
}

/* mtools takes some random sectors for a FAT. */
static bool has_signature(const struct fat *f)
{
	_cleanup_close_ int fd = open(f->image, O_RDONLY | O_CLOEXEC);
	unsigned char sector[512];

	return fd >= 0 && pread_all(fd, sector, sizeof(sector), f->offset) == 0 && sector[510] == 0x55 &&
	       sector[511] == 0xaa && (sector[0] == 0xeb || sector[0] == 0xe9);
}

int fat_probe(const struct fat *f, struct err *e)
{
	uint64_t ignored;
	int r;

	if (!has_signature(f))
		return err_set(e, -EINVAL, "%s: there is no FAT filesystem at byte %llu", f->image,
			       (unsigned long long)f->offset);
	r = fat_free(f, &ignored, e);
	if (r < 0 && e->class == CLASS_FAILED && r != -EINTR)
		return err_wrap(e, "%s: the FAT at byte %llu cannot be read", f->image, (unsigned long long)f->offset);
	return r;
}

static int need_file(const struct fat *f, const char *path, struct err *e)
{
	enum kind kind;
	int r = kind_of(f, path, &kind, e);

	if (r == 0 && kind == MISSING)
		r = err_set(e, -ENOENT, "boot partition: there is no %s", path);
	if (r == 0 && kind == IS_DIR)
		r = err_set(e, -EISDIR, "boot partition: %s is a folder", path);
	return r;
}

int fat_read(const struct fat *f, const char *path, struct strbuf *out, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path);
	struct proc how = reading;
	int r = need_file(f, path, e);

	if (r < 0)
		return r;
	strbuf_add(out, "", 0);
	how.output = out;
	return run(f, ARGS("mtype", at), &how, e);
}

int fat_extract(const struct fat *f, const char *path, const char *to, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path);
	int r = need_file(f, path, e);

	return r < 0 ? r : run(f, ARGS("mcopy", "-n", at, to), &reading, e);
}

static int make_parents(const struct fat *f, const char *path, struct err *e)
{
	_cleanup_free_ char *p = xstrdup(path);
	int r = 0;

	for (char *slash = strchr(p, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
		enum kind kind;

		*slash = '\0';
		r = kind_of(f, p, &kind, e);
		if (r == 0 && kind == IS_FILE)
			r = err_set(e, -ENOTDIR, "boot partition: %s is a file, not a folder", p);
		if (r == 0 && kind == MISSING) {
			_cleanup_free_ char *at = xasprintf("::%s", p);

			r = run(f, ARGS("mmd", at), &(struct proc){ 0 }, e);
		}
		*slash = '/';
	}
	return r;
}

static int check_room(const struct fat *f, const char *path, size_t n, struct err *e)
{
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
	uint64_t have;
	int r = fat_free(f, &have, e);

	if (r == 0 && have < n)
		r = err_set(e, -ENOSPC, "boot partition: %s needs %s, only %s are free", path, size_text(n, a),
			    size_text(have, b));
	return r;
}

static int read_back(const struct fat *f, const char *path, const void *data, size_t n, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path);
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct proc how = reading;
	int r;

	strbuf_add(&b, "", 0);
	how.output = &b;
	how.output_limit = n + 1; /* a kernel is bigger than what is read at other times */
	r = run(f, ARGS("mtype", at), &how, e);
	if (r == 0 && (b.n != n || memcmp(b.s, data, n) != 0))
		r = err_set(e, -ENOSPC, "boot partition: %s did not arrive whole; the partition may be full", path);
	return r;
}

int fat_write(const struct fat *f, const char *path, const void *data, size_t n, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path);
	enum kind kind = MISSING;
	int r = make_parents(f, path, e);

	if (r == 0)
		r = kind_of(f, path, &kind, e);
	if (r == 0 && kind == IS_DIR)
		r = err_set(e, -EISDIR, "boot partition: %s is a folder", path);
	if (r == 0 && kind == IS_FILE)
		r = fat_remove(f, path, e);
	if (r == 0)
		r = check_room(f, path, n, e);
	if (r == 0)
		r = run(f, ARGS("mcopy", "-", at), &(struct proc){ .input = data ? data : "", .input_n = n }, e);
	return r < 0 ? r : read_back(f, path, data, n, e);
}

int fat_remove(const struct fat *f, const char *path, struct err *e)
{
	_cleanup_free_ char *at = xasprintf("::%s", path);
	enum kind kind;
	int r = kind_of(f, path, &kind, e);

	if (r < 0 || kind == MISSING)
		return r;
	return run(f, ARGS("mdeltree", at), &(struct proc){ 0 }, e);
}

/* The names, exact, one per line: "::/overlays/" for a folder. */
static void add_names(char *lines, struct fat_entry **ret, size_t *ret_n)
{
	VEC(struct fat_entry) list = { 0 };
	char *save = NULL;

	for (char *s = strtok_r(lines, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		struct fat_entry *x;
		size_t n = strlen(s);

		if (!starts_with(s, "::/") || n < 4)
			continue;
		x = vec_push(&list);
		x->dir = s[n - 1] == '/';
		x->path = arena_strndup(s + 3, n - 3 - x->dir);
	}
	*ret = list.v;
	*ret_n = list.n;
}

/* "NAME     EXT" in 12 columns, then the size or "<DIR>"; false for headings, sums, "." and "..". */
static bool size_of_line(const char *s, bool *dir, uint64_t *size)
{
	enum { NAME_COLUMNS = 12 };
	char *end;

	if (strlen(s) <= NAME_COLUMNS || s[0] == ' ' || s[NAME_COLUMNS] != ' ' || starts_with(s, "Directory for ") ||
	    starts_with(s, ".  ") || starts_with(s, ".. "))
		return false;
	s += NAME_COLUMNS + strspn(s + NAME_COLUMNS, " ");
	*dir = starts_with(s, "<DIR>");
	if (*dir)
		return true;
	*size = strtoull(s, &end, 10);
	return end > s && *end == ' ';
}

/* The same entries in the same order, with sizes. */
static int add_sizes(char *lines, struct fat_entry *list, size_t n, struct err *e)
{
	char *save = NULL;
	size_t i = 0;

	for (char *s = strtok_r(lines, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		uint64_t size = 0;
		bool dir;

		if (!size_of_line(s, &dir, &size))
			continue;
		if (i == n || dir != list[i].dir)
			return err_set(e, -EBADMSG, "boot partition: cannot make sense of mdir's line \"%s\"", s);
		list[i++].size = size;
	}
	return i == n ? 0 : err_set(e, -EBADMSG, "boot partition: mdir tells no size of %s", list[i].path);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct fat_entry *)a)->path, ((const struct fat_entry *)b)->path);
}

int fat_list(const struct fat *f, struct fat_entry **ret, size_t *ret_n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf names = { 0 }, sizes = { 0 };
	struct fat_entry *list;
	struct proc how = reading;
	size_t n;
	int r;

	strbuf_adds(&names, ""); /* text, be it empty: mtools 4.0.48 says nothing at all of an empty root */
	strbuf_adds(&sizes, "");
	how.output = &names;
	r = run(f, ARGS("mdir", "-/", "-a", "-b", "::"), &how, e);
	if (r == -EIO && ends_with(e->msg, "not found")) { /* nothing at all, says "-/" of an empty root */
		*e = (struct err){ 0 };
		*ret_n = 0;
		*ret = NULL;
		return 0;
	}
	how.output = &sizes;
	if (r == 0)
		r = run(f, ARGS("mdir", "-/", "-a", "::"), &how, e);
	if (r < 0)
		return r;
	add_names(names.s, &list, &n);
	r = add_sizes(sizes.s, list, n, e);
	if (r < 0)
		return r;
	if (n)
		qsort(list, n, sizeof(*list), by_path);
	*ret = list;
	*ret_n = n;
	return 0;
}

int fat_extract_all(const struct fat *f, const struct fat_entry *list, size_t n, const char *dir, struct err *e)
{
	int r = 0;

	/* A name such as "../x" would lead out of DIR. */
	for (size_t i = 0; i < n && r == 0; i++)
		r = check_name(list[i].path, e);
	if (r == 0 && n)
		r = run(f, ARGS("mcopy", "-s", "-n", "::*", dir), &reading, e);
	return r;
}

/* mdir's last line, digits in groups: "   41 279 488 bytes free". */
int fat_free(const struct fat *f, uint64_t *ret_bytes, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct proc how = reading;
	uint64_t bytes = 0;
	char *end, *s;
	int r;

	how.output = &out;
	r = run(f, ARGS("mdir", "::"), &how, e);
	if (r < 0)
		return r;
	end = out.s ? strstr(out.s, " bytes free") : NULL;
	if (!end)
		return err_set(e, -EBADMSG, "boot partition: mdir does not tell the free space");
	for (s = end; s > out.s && s[-1] != '\n'; s--)
		;
	for (; s < end; s++)
		if (isdigit((unsigned char)*s))
			bytes = bytes * 10 + (uint64_t)(*s - '0');
	*ret_bytes = bytes;
	return 0;
}
