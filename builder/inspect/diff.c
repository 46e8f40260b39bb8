/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/diff.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/proc.h"
#include "yaml/yaml.h"

enum { TEXT_LIMIT = 256 * 1024 };

const char *const change_kind_names[CHANGE_KIND_COUNT] = { "added", "removed", "changed", "time" };

struct side {
	struct disk_image image;
	struct listing files;
	json_t *manifest; /* NULL: a base, or somebody else's */
	struct records records;
};

static void side_done(struct side *s)
{
	image_close(&s->image);
	json_decref(s->manifest);
}

static int side_open(const char *path, struct side *s, struct err *e)
{
	int r = image_open(path, IMAGE_ROOT | IMAGE_BOOT, &s->image, e); /* names it itself */

	if (r < 0)
		return r;
	r = files_manifest(&s->image, &s->manifest, &s->records, NULL, e);
	if (r == 0)
		r = files_list(&s->image, BOOT_DIGESTS, &s->files, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

/* The manifest says so, its place does, or none but root can read it. */
static bool is_secret(const struct side *s, const struct listed *x)
{
	const struct record *rec;

	if (!x || !S_ISREG(x->st.mode))
		return false;
	rec = records_find(&s->records, x->path);
	return (rec && record_is_secret(rec)) || place_is_secret(x->path) ||
	       (x->st.uid == 0 && !listing_is_public(&s->files, x));
}

/* ---- contents ---- */

/* The new text goes to diff as a file without a name, the old one through its stdin: no secret path, no leftovers. */
static int unified(const char *path, const struct strbuf *a, const struct strbuf *b, const char **ret, struct err *e)
{
	_cleanup_free_ char *from = xasprintf("--label=a%s", path), *to = xasprintf("--label=b%s", path);
	const char *const argv[] = { "diff", "-u", from, to, "-", PROC_FILE, NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	_cleanup_close_ int fd = -1;
	int r = memory_file(b->s, b->n, &fd, e);

	if (r < 0)
		return r;
	r = proc_run(&(struct proc){ .argv = argv,
				     .input = a->s,
				     .input_n = a->n,
				     .file = path,
				     .file_fd = fd,
				     .output = &out,
				     .ok_codes = 1 << 1 },
		     e);
	if (r < 0)
		return r;
	*ret = arena_strdup(str_or(out.s, ""));
	return 0;
}

static int diff_add_text(const struct listed *a, const struct listed *b, struct change *c, struct err *e)
{
	_cleanup_strbuf_ struct strbuf old = { 0 }, new = { 0 };
	int r;

	/* It lists the changes that stand in the lines around it. */
	if (c->a.size > TEXT_LIMIT || c->b.size > TEXT_LIMIT || streq(c->path, MANIFEST_PATH))
		return 0;
	r = image_read(a->image, c->path, TEXT_LIMIT, &old, e);
	if (r == 0)
		r = image_read(b->image, c->path, TEXT_LIMIT, &new, e);
	if (r < 0 || !yaml_is_text(old.s, old.n) || !yaml_is_text(new.s, new.n))
		return r;
	return unified(c->path, &old, &new, &c->text, e);
}

static int diff_add_content(const struct listed *a, const struct listed *b, struct change *c, struct err *e)
{
	int r = 0;

	memcpy(c->sha256_a, a->sha256, SHA256_HEX);
	memcpy(c->sha256_b, b->sha256, SHA256_HEX);
	if (!path_on_boot(c->path))
		r = image_digest(a->image, c->path, c->sha256_a, e);
	if (r == 0 && !path_on_boot(c->path))
		r = image_digest(b->image, c->path, c->sha256_b, e);
	return r < 0 ? r : diff_add_text(a, b, c, e);
}

static int read_target(const struct listed *x, const char **ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };
	int r = ext4_readlink(x->image->root, x->path, &b, e);

	if (r < 0)
		return r;
	*ret = clean_copy(b.s);
	return 0;
}

/* ---- files ---- */

static struct change *add_change(struct image_diff *d, enum change_kind kind, const char *path)
{
	struct change *c = vec_push(&d->changes);

	*c = (struct change){ .kind = kind, .path = path };
	d->counts[kind]++;
	return c;
}

/* Two images that are compared. */
struct comparison {
	struct image_diff *diff;
	const struct side *a, *b;
	unsigned flags;
};

static int one_sided(struct image_diff *d, enum change_kind kind, const struct side *s, const struct listed *x,
		     struct err *e)
{
	struct change *c = add_change(d, kind, x->path);

	c->secret = is_secret(s, x);
	*(kind == CHANGE_ADDED ? &c->b : &c->a) = x->st;
	if (!S_ISLNK(x->st.mode))
		return 0;
	return read_target(x, kind == CHANGE_ADDED ? &c->target_b : &c->target_a, e);
}

static int both_sided(const struct comparison *x, const struct listed *a, const struct listed *b, struct err *e)
{
	unsigned differs;
	struct change *c;
	int r = files_compare(a, b, &differs, e);

	if (r < 0 || !differs)
		return r;
	c = add_change(x->diff, differs == DIFFERS_TIME ? CHANGE_TIME : CHANGE_CHANGED, a->path);
	c->a = a->st;
	c->b = b->st;
	c->differs = differs;
	c->secret = is_secret(x->a, a) || is_secret(x->b, b);
	if (S_ISLNK(a->st.mode))
		r = read_target(a, &c->target_a, e);
	if (r == 0 && S_ISLNK(b->st.mode))
		r = read_target(b, &c->target_b, e);
	if (r == 0 && differs & DIFFERS_CONTENT && !c->secret && !(x->flags & DIFF_BRIEF))
		r = diff_add_content(a, b, c, e);
	return r;
}

static int compare_pair(void *arg, const struct listed *a, const struct listed *b, struct err *e)
{
	const struct comparison *x = arg;

	if (!b)
		return one_sided(x->diff, CHANGE_REMOVED, x->a, a, e);
	if (!a)
		return one_sided(x->diff, CHANGE_ADDED, x->b, b, e);
	return both_sided(x, a, b, e);
}

/* ---- layout ---- */

static void layout(struct image_diff *d, const char *what, const char *a, const char *b)
{
	if (!streq(a, b))
		*vec_push(&d->layout) = (struct layout_change){ what, a, b };
}

static const char *partition_text(const struct disk *d, unsigned i)
{
	if (i >= d->n)
		return "none";
	return arena_printf("start %llu size %llu type 0x%02x", (unsigned long long)d->parts[i].start,
			    (unsigned long long)d->parts[i].size, d->parts[i].type);
}

static void compare_layout(struct image_diff *d, const struct disk *a, const struct disk *b)
{
	layout(d, "size of the image", arena_printf("%llu", (unsigned long long)a->size),
	       arena_printf("%llu", (unsigned long long)b->size));
	layout(d, "disk id", arena_printf("%08x", a->id), arena_printf("%08x", b->id));
	for (unsigned i = 0; i < MAX(a->n, b->n); i++)
		layout(d, arena_printf("partition %u", i + 1), partition_text(a, i), partition_text(b, i));
}

/* ---- versions ---- */

static void diff_compare_pin(struct image_diff *d, const char *name, const char *key, const json_t *a, const json_t *b)
{
	const char *old = a ? json_clean(a, key) : NULL, *new = b ? json_clean(b, key) : NULL;

	if (a && b && streq(json_clean(a, "sha256"), json_clean(b, "sha256")) && streq(old, new))
		return;
	if (a && b && streq(old, new)) {
		old = arena_printf("%s (%.12s)", old, json_clean(a, "sha256"));
		new = arena_printf("%s (%.12s)", new, json_clean(b, "sha256"));
	}
	*vec_push(&d->versions) = (struct version_change){ name, old, new };
}

static void compare_pins(struct image_diff *d, const char *key, const json_t *a, const json_t *b)
{
	const json_t *one;
	size_t i;

	for (i = 0; (one = json_array_get(a, i)); i++)
		diff_compare_pin(d, json_clean(one, "name"), key, one, json_named(b, json_get_text(one, "name")));
	for (i = 0; (one = json_array_get(b, i)); i++)
		if (!json_named(a, json_get_text(one, "name")))
			diff_compare_pin(d, json_clean(one, "name"), key, NULL, one);
}

/* An image without a manifest says nothing of what is in it. */
static void compare_versions(struct image_diff *d, const json_t *a, const json_t *b)
{
	if (!a || !b)
		return;
	diff_compare_pin(d, "base", "version", json_object_get(a, "base"), json_object_get(b, "base"));
	compare_pins(d, "version", json_object_get(a, "artifacts"), json_object_get(b, "artifacts"));
	compare_pins(d, "tag", json_object_get(a, "images"), json_object_get(b, "images"));
}

int image_diff(struct image_diff *d, unsigned flags, struct err *e)
{
	_cleanup_(side_done) struct side a = { 0 }, b = { 0 };
	struct comparison x = { d, &a, &b, flags };
	int r = side_open(d->a, &a, e);

	if (r < 0)
		return r;
	r = side_open(d->b, &b, e);
	if (r < 0)
		return r;
	compare_layout(d, &a.image.disk, &b.image.disk);
	compare_versions(d, a.manifest, b.manifest);
	return listings_pair(&a.files, &b.files, compare_pair, &x, e);
}

bool image_diff_same(const struct image_diff *d)
{
	return d->a && d->b && !d->layout.n && !d->changes.n && !d->versions.n;
}
