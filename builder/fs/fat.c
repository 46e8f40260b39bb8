/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAT through mtools, addressed inside the image as IMG@@OFFSET. Content goes in by stdin and out by stdout, so nothing
 * is staged on disk. proc.c sets TZ=UTC and SOURCE_DATE_EPOCH: FAT stores local time.
 */
#include <errno.h>

#include "base/proc.h"
#include "fs/fs.h"

enum { SHORT_NAME = 13 }; /* "NAME     EXT " of a listing */

static const char *drive(const struct fat *f)
{
	return arena_printf(PROC_FILE "@@%llu", (unsigned long long)f->offset);
}

static const char *fat_path(const char *path)
{
	return arena_printf("::%s%s", path[0] == '/' ? "" : "/", path);
}

static int run(const struct fat *f, const char *const *argv, const void *input, size_t n, struct strbuf *output,
	       struct err *e)
{
	bool writes = streq(argv[0], "mcopy") || streq(argv[0], "mmd") || streq(argv[0], "mdeltree");
	const struct proc p = {
		.argv = argv,
		.input = input,
		.input_n = n,
		.file = f->image,
		.file_read_only = !writes,
		.epoch = f->epoch,
		.output = output,
	};

	return proc_run(&p, e);
}

int fat_probe(const struct fat *f, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct err why = { 0 };
	int r = run(f, (const char *[]){ "minfo", "-i", drive(f), "::", NULL }, NULL, 0, &out, &why);

	if (r < 0 && why.class == CLASS_HOST) {
		*e = why;
		return r;
	}
	if (r < 0 || !strstr(str_or(out.s, ""), "disk type=\"FAT"))
		return err_set(e, -EINVAL,
			       "partition 1 of %s holds no FAT file system that mtools can read: is it a Raspberry "
			       "Pi image?",
			       f->image);
	return 0;
}

int fat_read(const struct fat *f, const char *path, struct strbuf *out, struct err *e)
{
	int r = run(f, (const char *[]){ "mtype", "-i", drive(f), fat_path(path), NULL }, NULL, 0, out, e);

	if (r < 0 && strstr(e->msg, "not found"))
		return err_set(e, -ENOENT, "no %s on the boot partition", path);
	return r;
}

/* Folders above PATH, made where they are missing. */
static int make_parents(const struct fat *f, const char *path, struct err *e)
{
	_cleanup_strbuf_ struct strbuf ignored = { 0 };
	const char *slash = strchr(path + 1, '/');
	struct err why = { 0 };

	for (; slash; slash = strchr(slash + 1, '/')) {
		const char *dir = arena_strndup(path, (size_t)(slash - path));

		if (run(f, (const char *[]){ "mdir", "-b", "-i", drive(f), fat_path(dir), NULL }, NULL, 0, &ignored,
			&why) == 0)
			continue;
		if (run(f, (const char *[]){ "mmd", "-i", drive(f), fat_path(dir), NULL }, NULL, 0, NULL, e) < 0)
			return err_wrap(e, "boot partition: %s", dir);
	}
	return 0;
}

int fat_write(const struct fat *f, const char *path, const void *data, size_t n, struct err *e)
{
	int r = make_parents(f, path, e);

	if (r == 0)
		r = run(f, (const char *[]){ "mcopy", "-o", "-i", drive(f), "-", fat_path(path), NULL }, data, n, NULL,
			e);
	return r < 0 ? err_wrap(e, "boot partition: %s", path) : 0;
}

int fat_remove(const struct fat *f, const char *path, struct err *e)
{
	int r = run(f, (const char *[]){ "mdeltree", "-i", drive(f), fat_path(path), NULL }, NULL, 0, NULL, e);

	return r < 0 && !strstr(e->msg, "not found") ? err_wrap(e, "boot partition: %s", path) : 0;
}

struct listing {
	VEC(struct fat_entry) v;
	const char *dir; /* "" or "overlays" */
};

/* "KERNEL~1 IMG        29 2026-09-15   0:00  kernel_2712.img"; without a long name the short one is spelled as it is.
 */
static void parse_entry(struct listing *l, const char *line)
{
	char size[24], date[16], time[16], base[9], ext[4];
	int end = 0;
	const char *name;
	bool dir;

	if (strlen(line) < SHORT_NAME || sscanf(line + SHORT_NAME - 1, " %23s %15s %15s%n", size, date, time, &end) < 3)
		return;
	dir = streq(size, "<DIR>");
	if (!dir && !(size[0] >= '0' && size[0] <= '9'))
		return;
	name = line + SHORT_NAME - 1 + end;
	name += strspn(name, " ");
	if (!*name) {
		snprintf(base, sizeof(base), "%.8s", line);
		snprintf(ext, sizeof(ext), "%.3s", line + 9);
		base[strcspn(base, " ")] = ext[strcspn(ext, " ")] = '\0';
		name = arena_printf("%s%s%s", base, *ext ? "." : "", ext);
	}
	if (streq(name, ".") || streq(name, ".."))
		return;
	*vec_push(&l->v) = (struct fat_entry){
		.path = arena_printf("%s%s%s", l->dir, *l->dir ? "/" : "", name),
		.size = dir ? 0 : strtoull(size, NULL, 10),
		.dir = dir,
	};
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct fat_entry *)a)->path, ((const struct fat_entry *)b)->path);
}

int fat_list(const struct fat *f, struct fat_entry **ret, size_t *ret_n, struct err *e)
{
	static const char header[] = "Directory for ::/";
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct listing l = { .dir = "" };
	char *save = NULL;
	int r = run(f, (const char *[]){ "mdir", "-/", "-a", "-i", drive(f), "::", NULL }, NULL, 0, &out, e);

	if (r < 0)
		return err_wrap(e, "boot partition");
	for (char *line = strtok_r(out.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (starts_with(line, header))
			l.dir = arena_strdup(line + strlen(header));
		else if (line[0] != ' ')
			parse_entry(&l, line);
	}
	if (l.v.n)
		qsort(l.v.v, l.v.n, sizeof(*l.v.v), by_path);
	*ret = l.v.v;
	*ret_n = l.v.n;
	return 0;
}

/* The last line of a listing: "        49 528 832 bytes free". */
int fat_free(const struct fat *f, uint64_t *ret_bytes, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	const char *end, *p;
	uint64_t n = 0;
	int r = run(f, (const char *[]){ "mdir", "-a", "-i", drive(f), "::", NULL }, NULL, 0, &out, e);

	if (r < 0)
		return err_wrap(e, "boot partition");
	end = strstr(str_or(out.s, ""), " bytes free");
	if (!end)
		return err_set(e, -EIO, "boot partition: mdir does not tell the free space");
	for (p = end; p > out.s && p[-1] != '\n'; p--)
		;
	for (; p < end; p++)
		if (*p >= '0' && *p <= '9')
			n = n * 10 + (uint64_t)(*p - '0');
	*ret_bytes = n;
	return 0;
}
