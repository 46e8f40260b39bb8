/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sig.h"
#include "companion/companion.h"
#include "inspect/verify_internal.h"

enum { SMALL_FILE = 1024 * 1024 };

static void looked(struct verify_ctx *x, size_t n, const char *things)
{
	x->line->looked = n;
	x->line->things = things;
}

/* ---- what lies beside the image ---- */

static int check_companions(struct verify_ctx *x, struct err *e)
{
	const char *image = x->options->image;
	struct stat st;

	looked(x, 0, "companions");
	for (size_t i = 0; i < COMPANION_COUNT; i++) {
		const char *path = companion_path(image, (enum companion)i);

		if (stat(path, &st) == 0)
			x->line->looked++;
		else if (errno != ENOENT)
			return err_errno(e, -errno, "cannot look at %s", path);
	}
	if (!x->line->looked && !x->options->key) {
		x->line->skipped = "it lies alone";
		return 0;
	}
	return companions_verify(image, x->options->key, &x->report->findings, e);
}

/* ---- partitions and file systems ---- */

static int check_partitions(struct verify_ctx *x, struct err *e)
{
	struct disk_image *c = &x->image;

	if (image_open(x->options->image, 0, c, e) < 0)
		return found_failure(x, "partition table", e);
	x->has |= HAS_TABLE;
	looked(x, c->disk.n, "partitions");
	if (!c->disk.id)
		found(x, "partition table", "the disk has no id, so nothing can be found by its PARTUUID");
	if (image_root_part(c)->start < image_boot_part(c)->start + image_boot_part(c)->size)
		found(x, "partition table", "the boot partition reaches into the root partition");
	return 0;
}

static int check_root(struct verify_ctx *x, struct err *e)
{
	const struct fs_place at = image_place(&x->image, image_root_part(&x->image), 1);
	int r = 0;

	looked(x, at.length / MIB, "MiB");
	if (ext4_check(&at, e) < 0)
		r = found_failure(x, "partition 2", e);
	if (r < 0)
		return r;
	if (image_open_fs(&x->image, IMAGE_ROOT, 1, e) < 0)
		return found_failure(x, "partition 2", e);
	x->has |= HAS_ROOT;
	return 0;
}

static int verify_boot(struct verify_ctx *x, struct err *e)
{
	const struct fs_place at = image_place(&x->image, image_boot_part(&x->image), 1);
	int r = 0;

	looked(x, at.length / MIB, "MiB");
	if (fat_check(&at, e) < 0)
		r = found_failure(x, "partition 1", e);
	if (r < 0)
		return r;
	if (image_open_fs(&x->image, IMAGE_BOOT, 1, e) < 0)
		return found_failure(x, "partition 1", e);
	x->has |= HAS_BOOT;
	return 0;
}

static int check_listing(struct verify_ctx *x, struct err *e)
{
	if (files_list(&x->image, x->options->base ? BOOT_DIGESTS : 0, &x->files, e) < 0)
		return found_failure(x, "folders", e);
	x->has |= HAS_FILES;
	looked(x, x->files.v.n, "paths");
	return 0;
}

/* ---- a card finds its own partitions ---- */

static void check_partuuids(struct verify_ctx *x, const char *path, const char *text)
{
	static const char key[] = "PARTUUID=";

	for (const char *s = text; (s = strstr(s, key)); s += strlen(key)) {
		const char *id = s + strlen(key);
		size_t n = strspn(id, "0123456789abcdefABCDEF-");
		bool own = false;

		for (unsigned i = 0; i < x->image.disk.n; i++) {
			_cleanup_free_ char *want = xasprintf("%08x-%02u", x->image.disk.id,
							      x->image.disk.parts[i].number);

			own |= n == strlen(want) && !strncasecmp(id, want, n);
		}
		x->line->looked++;
		if (!own)
			found(x, path,
			      "names the partition %.*s%.*s, which this image does not have (its disk id is %08x)",
			      (int)strlen(key), key, (int)n, id, x->image.disk.id);
	}
}

/* "/dev/mmcblk0p2", "LABEL=RASPIROOT": no base that pibuild knows, but one of the user's own may boot by it. */
static bool root_device_fits(const char *value, unsigned number)
{
	size_t n = strlen(value);

	if (starts_with(value, "LABEL=") || starts_with(value, "UUID="))
		return true;
	return starts_with(value, "/dev/") && n && value[n - 1] == (char)('0' + number % 10);
}

/* The kernel waits for ever for a root file system that is not there, and shows it to nobody without a screen. */
static void check_root_word(struct verify_ctx *x, const char *path, const char *text)
{
	const struct partition *root = image_root_part(&x->image);
	const char *want = arena_printf("PARTUUID=%08x-%02u", x->image.disk.id, root->number), *value = NULL;
	char *line = arena_strndup(text, strcspn(text, "\r\n"));

	text_foreach (word, line, " ")
		if (starts_with(word, "root="))
			value = word + strlen("root="); /* of several the kernel takes the last */
	x->line->looked++;
	if (!value)
		found(x, path,
		      "has no root=%s in its first line, so the kernel would wait for a root file system for ever",
		      want);
	else if (strcasecmp(value, want) != 0 && !root_device_fits(value, root->number))
		found(x, path, "has root=%s, which is not the root partition of this image (%s)", clean_copy(value),
		      want);
}

static int check_references(struct verify_ctx *x, struct err *e)
{
	static const char *const files[] = { BOOT_DIR "/cmdline.txt", "/etc/fstab" };

	looked(x, 0, "references");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_strbuf_ struct strbuf b = { 0 };
		int r = image_read(&x->image, files[i], SMALL_FILE, &b, e);

		if (r < 0)
			r = found_failure(x, files[i], e);
		else
			check_partuuids(x, files[i], b.s);
		if (r == 0 && i == 0)
			check_root_word(x, files[i], b.s);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the manifest ---- */

static int compare_release(struct verify_ctx *x, struct err *e)
{
	static const char path[] = "/etc/pibuild/release.json";
	static const char *const same[] = { "cluster", "node", "role", "board", "pibuild" };
	_cleanup_strbuf_ struct strbuf b = { 0 };
	_cleanup_json_ json_t *j = NULL;
	json_error_t problem;
	int r = ext4_read(x->image.root, path, SMALL_FILE, &b, e);

	if (r < 0)
		return found_failure(x, path, e);
	x->line->looked++;
	j = json_loadb(b.s, b.n, JSON_REJECT_DUPLICATES, &problem);
	if (!j) {
		found(x, path, "is no JSON: line %d: %s", problem.line, clean_text(problem.text));
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (!json_equal(json_object_get(j, same[i]), json_object_get(x->manifest, same[i])))
			found(x, path, "its %s is %s, that of the manifest %s", same[i], json_clean(j, same[i]),
			      json_clean(x->manifest, same[i]));
	return 0;
}

static int check_manifest(struct verify_ctx *x, struct err *e)
{
	int r = files_manifest(&x->image, &x->manifest, &x->records, &x->text, e);

	if (r < 0)
		return found_failure(x, MANIFEST_PATH, e);
	if (!x->manifest) {
		found(x, MANIFEST_PATH, "is not there: this is no image of pibuild's, or it was taken away");
		return 0;
	}
	x->has |= HAS_MANIFEST;
	looked(x, 1, "manifests");
	if (json_object_get(x->manifest, "node"))
		x->has |= HAS_NODE;
	return x->has & HAS_NODE ? compare_release(x, e) : 0;
}

static int check_files(struct verify_ctx *x, struct err *e)
{
	const char *why = NULL;
	int r = 0;

	looked(x, x->records.v.n, "files");
	vec_foreach (rec, &x->records.v) {
		enum record_state state = record_check(&x->image, rec, &why);

		if (state == RECORD_CHANGED || state == RECORD_MISSING)
			found(x, rec->path, "%s", why);
		r = sig_check(e);
		if (r < 0)
			break;
	}
	return r;
}

static int check_symlinks(struct verify_ctx *x, struct err *e)
{
	looked(x, 0, "links");
	vec_foreach (rec, &x->records.v) {
		x->line->looked += rec->kind == ENTRY_SYMLINK;
		if (look_dangles(x->image.root, rec))
			found(x, rec->path, "leads nowhere: there is no %s in the image", clean_copy(rec->note));
	}
	return 0;
}

static int verify_base(struct verify_ctx *x, struct err *e)
{
	struct text_list paths = { 0 };
	int r;

	if (!x->options->base) {
		x->line->skipped = "no --base IMAGE";
		return 0;
	}
	looked(x, x->files.v.n, "paths");
	r = files_undeclared(&x->files, &x->records, x->options->base, &paths, e);
	if (r < 0)
		return found_failure(x, x->options->base, e);
	vec_foreach (path, &paths)
		found(x, *path, "differs from the base, and the manifest does not speak of it");
	return 0;
}

/* ---- pins ---- */

static void verify_pin(struct verify_ctx *x, const json_t *pin)
{
	const char *name = json_clean(pin, "name"), *version = json_clean(pin, "version"),
		   *sha256 = json_clean(pin, "sha256");
	const struct lock_entry *entry = lock_find(x->options->lock, name, version);

	x->line->looked++;
	if (!entry)
		found(x, name, "%s is in the image, but not in %s", version, x->options->lock->path);
	else if (!streq(entry->sha256, sha256))
		found(x, name, "%s has sha256 %s in the image, %s in %s", version, sha256, entry->sha256,
		      x->options->lock->path);
}

static void check_image_pin(struct verify_ctx *x, const json_t *pin)
{
	const char *name = json_clean(pin, "name"), *tag = json_clean(pin, "tag"), *sha256 = json_clean(pin, "sha256");
	const struct lock_image *image = lock_find_image(x->options->lock, name, tag);

	x->line->looked++;
	if (!image)
		found(x, name, "%s is in the image, but not in %s", tag, x->options->lock->path);
	else if (!streq(image->sha256, sha256))
		found(x, name, "%s has the digest %s in the image, %s in %s", tag, sha256, image->sha256,
		      x->options->lock->path);
}

static int verify_lock(struct verify_ctx *x, struct err *e)
{
	const json_t *base = json_object_get(x->manifest, "base"), *one;
	const json_t *artifacts = json_object_get(x->manifest, "artifacts");
	const json_t *images = json_object_get(x->manifest, "images");
	size_t i;

	if (!x->options->lock) {
		x->line->skipped = "no --lock FILE";
		return 0;
	}
	looked(x, 0, "pins");
	/* A base by path or URL is pinned by cluster.yaml itself. */
	if (!streq(json_clean(base, "name"), "base"))
		verify_pin(x, base);
	for (i = 0; (one = json_array_get(artifacts, i)); i++)
		verify_pin(x, one);
	for (i = 0; (one = json_array_get(images, i)); i++)
		check_image_pin(x, one);
	return 0;
}

/* ---- nothing of a machine that has run ---- */

static void check_machine_id(struct verify_ctx *x)
{
	static const char path[] = "/etc/machine-id";
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct err missing = { 0 };

	if (ext4_read(x->image.root, path, SMALL_FILE, &b, &missing) < 0)
		return;
	b.s[strcspn(b.s, "\n")] = '\0';
	if (*b.s && !streq(b.s, "uninitialized"))
		found(x, path, "is set: every card made from this image would be the same machine");
}

static int check_fresh(struct verify_ctx *x, struct err *e)
{
	static const char stamps[] = "/var/lib/pibuild/";
	bool booted = false;

	looked(x, x->files.v.n, "paths");
	check_machine_id(x);
	vec_foreach (file, &x->files.v) {
		const char *wrong = place_one_machine(file->path);

		if (wrong)
			found(x, file->path, "%s", wrong);
		if (!booted && starts_with(file->path, stamps)) {
			found(x, file->path,
			      "is a stamp of first boot: this card has run, and verify is for images as they were built; `pibuild status` tells how a card is doing");
			booted = true;
		}
	}
	return 0;
}

/* ---- the table ---- */

/* Top down: what a check reads, those below it use. */
static const struct verify_check checks[] = {
	{ "companions", "what lies beside it speaks of every byte of it; with --key, signed", 0, check_companions },
	{ "partitions", "a FAT and a Linux partition, whole, apart, with a disk id", 0, check_partitions },
	{ "root-fs", "e2fsck finds no fault in the root file system", HAS_TABLE, check_root },
	{ "boot-fs", "fsck.fat finds no fault in the boot partition", HAS_TABLE, verify_boot },
	{ "listing", "every folder of both partitions can be read", HAS_ROOT | HAS_BOOT, check_listing },
	{ "references", "cmdline.txt and fstab name partitions of this image, and the kernel its root",
	  HAS_BOOT | HAS_ROOT, check_references },
	{ "manifest", "there is one on the card, and release.json agrees", HAS_ROOT, check_manifest },
	{ "files", "what pibuild put there is so still: kind, mode, owner, size, digest", HAS_BOOT | HAS_MANIFEST,
	  check_files },
	{ "links", "what pibuild's links lead to is there", HAS_MANIFEST, check_symlinks },
	{ "base", "nothing else differs from the base", HAS_FILES | HAS_MANIFEST, verify_base },
	{ "lock", "every pin is the lock's", HAS_MANIFEST, verify_lock },
	{ "units", "every unit of first boot is there and starts; K3s in one role", HAS_FILES | HAS_NODE, check_units },
	{ "modes", "no file of pibuild's is setuid or writable for all", HAS_FILES | HAS_MANIFEST, check_modes },
	{ "secret-files", "secrets are root's, 0600, in private folders", HAS_FILES | HAS_MANIFEST,
	  check_secret_files },
	{ "secret-values", "no secret on the boot partition, in the manifest, in units", HAS_FILES | HAS_MANIFEST,
	  check_secret_values },
	{ "fresh", "no host keys, machine id or random seed; it has never run", HAS_FILES, check_fresh },
};

static const char *lacking_for(unsigned needs, unsigned has)
{
	unsigned lacks = needs & ~has;

	if (lacks & HAS_TABLE)
		return "there is no partition table to go by";
	if (lacks & HAS_ROOT)
		return "the root file system cannot be read";
	if (lacks & HAS_BOOT)
		return "the boot partition cannot be read";
	if (lacks == HAS_NODE && has & HAS_MANIFEST)
		return "a generic image is no node yet";
	return lacks & HAS_FILES ? "the files cannot be listed" : "there is no manifest to go by";
}

static int verify_run_check(struct verify_ctx *x, const struct verify_check *c, struct err *e)
{
	const struct findings *all = &x->report->findings;
	struct verify_line *line = vec_push(&x->report->lines);
	size_t before = all->v.n;
	int r = 0;

	*line = (struct verify_line){ .name = c->name, .proves = c->proves, .things = "" };
	x->line = line;
	if ((c->needs & x->has) == c->needs)
		r = c->run(x, e);
	else
		line->skipped = lacking_for(c->needs, x->has);
	line->findings = all->v.n - before;
	return r < 0 ? r : sig_check(e);
}

static void verify_done(struct verify_ctx *x)
{
	image_close(&x->image);
	json_decref(x->manifest);
	strbuf_done(&x->text);
}

int image_verify(const struct verify_options *o, struct verify_report *ret, struct err *e)
{
	_cleanup_(verify_done) struct verify_ctx x = { .options = o, .report = ret };
	_cleanup_close_ int fd = open(o->image, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return file_cannot_open(o->image, e);
	for (size_t i = 0; i < ARRAY_SIZE(checks) && r == 0; i++)
		r = verify_run_check(&x, &checks[i], e);
	ret->image = o->image;
	if (!x.manifest)
		return r;
	ret->role = json_clean(x.manifest, "role");
	if (!(x.has & HAS_NODE))
		return r;
	ret->node = json_clean(x.manifest, "node");
	ret->cluster = json_clean(x.manifest, "cluster");
	return r;
}
