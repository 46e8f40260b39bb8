/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that reads what comes from outside, for libFuzzer. One program; FUZZ_TARGET names the row of the table.
 * `make fuzz` builds it with the sanitizers and runs each row in turn. What holds for all input is asserted here; the
 * rest (no crash, no leak, no hang, bounded memory) libFuzzer and the sanitizers see by themselves.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "archive/archive.h"
#include "backup/backup.h"
#include "base/file.h"
#include "base/log.h"
#include "card/records.h"
#include "companion/internal.h"
#include "config/config.h"
#include "crypto/sign.h"
#include "disk/disk.h"
#include "fs/fs.h"
#include "live/internal.h"
#include "lock/pin.h"
#include "oci/artefact.h"
#include "oci/oci.h"
#include "remote/told.h"
#include "schema/schema.h"
#include "schema/source.h"
#include "secrets/internal.h"
#include "status/report.h"
#include "update/upstream.h"
#include "yaml/yaml.h"

static struct err e;

/* The input as a file of LENGTH bytes (0: its own), and a path that leads to it. */
static int file_of(const uint8_t *data, size_t n, uint64_t length, const char **path)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || pwrite_all(fd, data, n, 0) < 0 || (length && ftruncate(fd, (off_t)length) < 0))
		abort();
	*path = arena_printf("/proc/self/fd/%d", fd);
	return fd;
}

/* May quotes around it come and go? Not around what a reader could take for a number, a boolean or nothing. */
static bool is_only_text(const char *s)
{
	static const char *const words[] = { "true", "false", "null", "yes",  "no",    "on",	"off",
					     "y",    "n",     "~",    ".inf", "-.inf", "+.inf", ".nan" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	s += *s == '+' || *s == '-';
	s += *s == '.';
	return !*s || !strchr("0123456789", *s) || s[strspn(s, "0123456789abcdefABCDEFxXoO_:.+-tTzZ ")];
}

static bool means_the_same(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type == YAML_SCALAR && (schema_is_null(a) || schema_is_null(b)))
		return schema_is_null(a) && schema_is_null(b);
	if (a->type == YAML_SCALAR)
		return a->n == b->n && memcmp(a->text, b->text, a->n) == 0 &&
		       (a->plain == b->plain || is_only_text(a->text));
	for (size_t i = 0; i < a->count; i++)
		if (!means_the_same(a->items[i], b->items[i]) ||
		    (a->type == YAML_MAP && !streq(a->keys[i]->text, b->keys[i]->text)))
			return false;
	return true;
}

/* What was read is written so that it is read as the same again. */
static void fuzz_yaml(const uint8_t *data, size_t n)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct yaml_node *doc, *again;

	if (yaml_parse("input", (const char *)data, n, &doc, &e) < 0)
		return;
	yaml_emit(doc, NULL, &text);
	if (yaml_parse("emitted", text.s, text.n, &again, &e) < 0 || !means_the_same(doc, again))
		abort();
}

static void fuzz_config(const uint8_t *data, size_t n)
{
	static const struct cluster_versions versions = { "v1.36.4+k3s1", "1.20.0", "v1.6.1", "v1.21.1" };
	struct faults faults = { 0 };
	struct config *c;
	const char *path;
	_cleanup_close_ _unused_ int fd = file_of(data, n, 0, &path);

	if (config_load(path, &c, &faults, &e) == 0 && !faults.errors)
		config_check(c, &versions, &faults);
	faults_verdict(&faults, path, &e);
}

static void fuzz_lock(const uint8_t *data, size_t n)
{
	struct lock *l;
	const char *path;
	_cleanup_close_ _unused_ int fd = file_of(data, n, 0, &path);

	lock_load_file(path, &l, &e);
}

static void fuzz_secrets(const uint8_t *data, size_t n)
{
	struct secrets *s;

	secrets_parse("input", (const char *)data, n, &s, &e);
}

static void fuzz_report(const uint8_t *data, size_t n)
{
	struct report r = { 0 };

	if (report_parse((const char *)data, n, "input", &r, &e) == 0) {
		report_verdict(&r, &e);
		report_done(&r);
	}
}

/* A digest file, a name and a schedule: what is taken for one is one. */
static void fuzz_backup(const uint8_t *data, size_t n)
{
	const char *text = arena_strndup((const char *)data, n);
	struct backup b = { 0 };
	struct schedule s;

	if (backup_about_parse(text, "input", &b, &e) == 0 &&
	    (!sha256_valid(b.sha256) || !backup_name_parse(b.is.name, &b.is)))
		abort();
	backup_name_parse(text, &b.is);
	if (!schedule_parse(text, &s) && (!*schedule_calendar(&s) || !schedule_longest_gap(&s)))
		abort();
}

/* The first byte says which form the rest has. */
static void fuzz_releases(const uint8_t *data, size_t n)
{
	struct release_source from = { .url = "https://files.invalid/list", .name = "stable" };
	struct artifact base = { .name = "raspios", .url = "https://files.invalid/{version}/{version}.img.xz" };
	struct releases found = { 0 };

	if (!n)
		return;
	from.form = data[0] % CHANNEL_FORM_COUNT;
	if (from.form == CHANNEL_HELM_INDEX)
		from.name = "chart";
	channel_read(&from, &base, from.form == CHANNEL_RASPIOS_LIST ? "2026-09-15" : "v1.2.3",
		     &(struct document){ from.url, (const char *)data + 1, n - 1 }, &found, &e);
}

static void fuzz_checksums(const uint8_t *data, size_t n)
{
	struct upstream found;

	if (n)
		upstream_find(data[0] % CHECKSUM_FORM_COUNT,
			      &(struct document){ "https://files.invalid/sums", (const char *)data + 1, n - 1 },
			      "thing", "v1.2.3", &found, &e);
}

static void fuzz_oci(const uint8_t *data, size_t n)
{
	struct oci_image image = { 0 };

	oci_parse_index("input", (const char *)data, n, &image, &e);
	oci_parse_manifest("input", (const char *)data, n, &image, &e);
}

/* What a registry sends for images of `push`, and says refers to them: no name that comes out leads anywhere. */
static void fuzz_artefact(const uint8_t *data, size_t n)
{
	struct artefact_files files = { 0 };
	struct artefact_referrers list = { 0 };

	if (artefact_parse("input", ARTEFACT_IMAGES, (const char *)data, n, NULL, &files, &e) == 0)
		vec_foreach (f, &files.v)
			if (strchr(f->name, '/') || !artefact_media_type(f->name))
				abort();
	if (artefact_parse_referrers("input", (const char *)data, n, &list, &e) == 0 &&
	    list.v.n > ARTEFACT_MAX_SIGNATURES)
		abort();
}

/* Where a repository or a registry says that a chart is. */
static void fuzz_charts(const uint8_t *data, size_t n)
{
	const struct document d = { "https://files.invalid/index.yaml", (const char *)data, n };
	struct chart_place place = { 0 };

	if (chart_place_index(&d, "https://files.invalid", "chart", "1.2.3", &place, &e) == 0 && !place.url)
		abort();
	place = (struct chart_place){ 0 };
	if (chart_place_oci(&d, "files.invalid/chart", &place, &e) == 0 && !place.sha256)
		abort();
}

/* What a node says over SSH. */
static void fuzz_told(const uint8_t *data, size_t n)
{
	struct told t = { .report = "", .k3s = "", .os = "", .kernel = "", .manifest = "" };
	struct report r = { 0 };

	strbuf_add(&t.heard, data, n);
	told_read(&t);
	if (report_parse(t.report, strlen(t.report), "input", &r, &e) == 0) {
		report_verdict(&r, &e);
		report_done(&r);
	}
	told_done(&t);
}

/* What the program that `apply` changes a node by tells of it. */
static void fuzz_live(const uint8_t *data, size_t n)
{
	struct record wanted[] = { { .path = "/etc/hosts", .mode = 0644 }, { .path = "/etc/x", .mode = 0600 } };
	struct wanted w = { .records.v = { wanted, ARRAY_SIZE(wanted), ARRAY_SIZE(wanted) } };
	struct live l = { 0 };

	if (live_parse("cp-1", &w, arena_strndup((const char *)data, n), &l, &e) == 0)
		vec_foreach (f, &l.files)
			if (f->path[0] != '/' || (*f->sha256 && !sha256_valid(f->sha256)) ||
			    (f > l.files.v && strcmp(f[-1].path, f->path) > 0))
				abort();
	live_done(&l);
}

/* The manifest of a card, whose paths become those that are looked at. */
static void fuzz_records(const uint8_t *data, size_t n)
{
	_cleanup_json_ json_t *j = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, NULL);
	struct records records = { 0 };

	if (records_parse(json_object_get(j, "files"), &records, &e) < 0)
		return;
	records_merge(&records);
	vec_foreach (x, &records.v)
		if (x->path[0] != '/' || (*x->sha256 && !sha256_valid(x->sha256)))
			abort();
}

/* What dpkg noted in an image. */
static void fuzz_packages(const uint8_t *data, size_t n)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct packages found = { 0 };

	strbuf_add(&text, data, n);
	packages_parse(&text, &found);
	vec_foreach (p, &found.v)
		if (!p->name || !p->version || !p->arch || (p > found.v.v && strcmp(p[-1].name, p->name) > 0))
			abort();
}

/* A block map that came with an image: no range leads out of it. */
static void fuzz_bmap(const uint8_t *data, size_t n)
{
	struct bmap map = { 0 };

	if (bmap_read(arena_strndup((const char *)data, n), n, &map, &e) < 0)
		return;
	vec_foreach (r, &map.v)
		if (r->start >= r->end || r->end > map.size || !sha256_valid(r->sha256) ||
		    (r > map.v.v && r[-1].end > r->start))
			abort();
}

/* A key that somebody gave. */
static void fuzz_key(const uint8_t *data, size_t n)
{
	struct sign_key *key = NULL;
	const char *path;
	_cleanup_close_ _unused_ int fd = file_of(data, n, 0, &path);

	if (sign_pub_open(path, &key, &e) == 0) {
		if (sign_valid(key, "text", 4, data, MIN(n, (size_t)SIGNATURE_SIZE)))
			abort();
		sign_key_free(key);
	}
}

static int swallow(void *arg, const void *data, size_t n, uint64_t offset)
{
	return 0;
}

static void fuzz_image(const uint8_t *data, size_t n)
{
	const char *path;
	_cleanup_close_ int fd = file_of(data, n, 0, &path);
	struct decode d = { .in = fd, .name = "input", .write = swallow, .max_size = 16 * MIB, .memory = 64 * MIB };

	decode_image(&d, &e);
}

static int read_member(void *arg, const struct unpack_entry *u, struct member *m, struct err *err)
{
	char buf[65536];
	ssize_t got = 1;

	/* Promised by the header. */
	if (u->path[0] == '/' || strstr(u->path, "../"))
		abort();
	while (!u->dir && !u->symlink && got > 0)
		got = member_read(m, buf, sizeof(buf), err);
	return got < 0 ? (int)got : 0;
}

static void fuzz_archive(const uint8_t *data, size_t n)
{
	char sha256[SHA256_HEX];
	const char *path;
	_cleanup_close_ int fd = file_of(data, n, 0, &path);

	unpack_walk(fd, "input", "a", read_member, NULL, sha256, &e);
}

static void see_path(void *arg, const char *path)
{
	(*(size_t *)arg)++;
}

static void fuzz_initramfs(const uint8_t *data, size_t n)
{
	size_t seen = 0;
	const char *path;
	_cleanup_close_ int fd = file_of(data, n, 0, &path);

	initramfs_walk(fd, "input", see_path, &seen, &e);
}

static void fuzz_table(const uint8_t *data, size_t n)
{
	_cleanup_(cow_closep) struct cow *image = NULL;
	struct disk d;
	const char *path;
	int fd = file_of(data, n, 64 * MIB, &path);

	if (cow_open(fd, path, &image, &e) < 0 || disk_read_base(image, &d, &e) < 0)
		return;
	for (unsigned i = 0; i < d.n; i++)
		if (d.parts[i].start + d.parts[i].size > d.size)
			abort();
}

static int digest_file(void *arg, const char *path, const struct fs_stat *st, struct err *err)
{
	char sha256[65];

	/* A sparse file of terabytes takes for ever, and nobody's fault it is. */
	if (S_ISREG(st->mode) && st->size < MIB)
		ext4_digest(arg, path, sha256, err);
	return 0;
}

static int see_range(void *arg, uint64_t start, uint64_t end)
{
	if (start >= end || end > *(uint64_t *)arg)
		abort();
	return 0;
}

static void fuzz_ext4(const uint8_t *data, size_t n)
{
	uint64_t length = MIB;
	_cleanup_(cow_closep) struct cow *image = NULL;
	struct ext4 *fs;
	const char *path;
	int fd = file_of(data, n, length, &path);

	if (cow_open(fd, path, &image, &e) < 0 ||
	    ext4_open(&(struct fs_place){ image, 0, length, 0 }, EXT4_READ, &fs, &e) < 0)
		return;
	ext4_walk(fs, "/", digest_file, fs, &e);
	ext4_free_ranges(fs, see_range, &length, &e);
	ext4_abort(fs);
}

static void fuzz_fat(const uint8_t *data, size_t n)
{
	uint64_t length = 4 * MIB;
	struct fat_entry *list;
	struct cow *image;
	struct fat *f;
	const char *path;
	size_t entries;
	int fd = file_of(data, n, length, &path);

	if (cow_open(fd, path, &image, &e) < 0)
		return;
	if (fat_open(&(struct fs_place){ image, 0, length, 0 }, FAT_WRITE, &f, &e) == 0) {
		char sha256[65];

		fat_free_ranges(f, see_range, &length);
		if (fat_list(f, &list, &entries, &e) == 0)
			for (size_t i = 0; i < entries; i++)
				fat_digest(f, list[i].path, sha256, &e);
		fat_write(f, "overlays/a new file.dtbo", data, MIN(n, (size_t)5000), &e);
		fat_remove(f, "overlays", &e);
		fat_close(f, &e);
	}
	cow_close(image);
}

static const struct {
	const char *name;
	void (*run)(const uint8_t *data, size_t n);
} targets[] = {
	{ "yaml", fuzz_yaml },		 { "config", fuzz_config },   { "lock", fuzz_lock },
	{ "secrets", fuzz_secrets },	 { "report", fuzz_report },   { "releases", fuzz_releases },
	{ "checksums", fuzz_checksums }, { "oci", fuzz_oci },	      { "artefact", fuzz_artefact },
	{ "image", fuzz_image },	 { "archive", fuzz_archive }, { "initramfs", fuzz_initramfs },
	{ "table", fuzz_table },	 { "ext4", fuzz_ext4 },	      { "fat", fuzz_fat },
	{ "backup", fuzz_backup },	 { "charts", fuzz_charts },   { "told", fuzz_told },
	{ "records", fuzz_records },	 { "live", fuzz_live },	      { "packages", fuzz_packages },
	{ "bmap", fuzz_bmap },		 { "key", fuzz_key },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*run)(const uint8_t *data, size_t n);

	for (size_t i = 0; !run && i < ARRAY_SIZE(targets); i++)
		if (streq(targets[i].name, str_or(getenv("FUZZ_TARGET"), "")))
			run = targets[i].run;
	if (!run) {
		fputs("FUZZ_TARGET is one of:", stderr);
		for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
			fprintf(stderr, " %s", targets[i].name);
		fputc('\n', stderr);
		exit(2);
	}
	e = (struct err){ 0 };
	run(data, n);
	source_forget();
	arena_done();
	return 0;
}
