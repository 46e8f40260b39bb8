/* SPDX-License-Identifier: Apache-2.0 */
/* The node of a manifest built again, in memory, and held against what stands beside the manifest. */
#include <errno.h>
#include <fcntl.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "build/build.h"
#include "companion/bmap.h"

enum { MOST_RANGES = 100 };

/* ---- the manifest as a lock ---- */

static int manifest_load(const char *path, json_t **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	json_error_t why;
	size_t n;
	int r = file_read(path, MANIFEST_LIMIT, &text, &n, e);

	if (r < 0)
		return r;
	*ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return err_class(e, CLASS_VERIFY, "%s:%d:%d: %s", path, why.line, why.column, why.text);
	if (streq(json_get_text(*ret, "kind"), "Manifest") && *json_get_text(*ret, "node"))
		return 0;
	json_decref(*ret);
	return err_class(e, CLASS_VERIFY,
			 "%s is no manifest of an image: it lies beside the image as NODE.manifest.json", path);
}

static const char *kept(const json_t *object, const char *key)
{
	const char *s = json_get_text(object, key);

	return *s ? clean_copy(s) : NULL;
}

/* A base by path has no URL and is the config's business. */
static void take_pin(struct lock *l, const json_t *pin)
{
	const struct lock_entry x = { .name = kept(pin, "name"),
				      .version = kept(pin, "version"),
				      .url = kept(pin, "url"),
				      .sha256 = kept(pin, "sha256") };

	if (x.name && x.version && x.url && x.sha256 && sha256_valid(x.sha256))
		*vec_push(&l->entries) = x;
}

static void take_image(struct lock *l, const json_t *image)
{
	const struct lock_image x = { .name = kept(image, "name"),
				      .tag = kept(image, "tag"),
				      .sha256 = kept(image, "sha256") };

	if (x.name && x.tag && x.sha256 && sha256_valid(x.sha256))
		*vec_push(&l->images) = x;
}

int reproduce_lock(const char *manifest, const struct lock **ret, const char **ret_node, struct err *e)
{
	struct lock *l = arena_new(struct lock);
	json_t *j = NULL, *one;
	size_t i;
	int r = manifest_load(manifest, &j, e);

	if (r < 0)
		return r;
	l->path = manifest;
	l->built = true;
	l->time = json_integer_value(json_object_get(j, "time"));
	take_pin(l, json_object_get(j, "base"));
	for (i = 0; (one = json_array_get(json_object_get(j, "artifacts"), i)); i++)
		take_pin(l, one);
	for (i = 0; (one = json_array_get(json_object_get(j, "images"), i)); i++)
		take_image(l, one);
	*ret_node = kept(j, "node");
	*ret = l;
	json_decref(j);
	if (l->time < 1)
		return err_class(e, CLASS_VERIFY, "%s states no time", manifest);
	return 0;
}

/* ---- file lists ---- */

static const char *record_line(const struct record *x)
{
	return arena_printf("%s %04o %u:%u, %llu bytes%s%.12s, %s", entry_kind_names[x->kind], x->mode, x->uid, x->gid,
			    (unsigned long long)x->size, *x->sha256 ? ", sha256 " : "", x->sha256, x->origin);
}

static int reproduce_files(const json_t *old, const json_t *new, struct findings *f, struct err *e)
{
	struct records a = { 0 }, b = { 0 };
	size_t i = 0, j = 0;
	int r = records_parse(json_object_get(old, "files"), &a, e);

	if (r == 0)
		r = records_parse(json_object_get(new, "files"), &b, e);
	records_merge(&a);
	records_merge(&b);
	while (r == 0 && (i < a.v.n || j < b.v.n)) {
		const struct record *x = i < a.v.n ? &a.v.v[i] : NULL, *y = j < b.v.n ? &b.v.v[j] : NULL;
		int c = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);

		if (c < 0)
			finding_add(f, "files", x->path, "it was on the image and is no longer");
		else if (c > 0)
			finding_add(f, "files", y->path, "it was not on the image and is now");
		else if (!record_same(x, y))
			finding_add(f, "files", x->path, "it was %s, and is %s", record_line(x), record_line(y));
		i += c <= 0;
		j += c >= 0;
	}
	return r;
}

static int compare_manifests(const char *path, const char *text, struct findings *f, struct err *e)
{
	_cleanup_json_ json_t *new = json_loads(text, 0, NULL);
	json_t *old = NULL, *value;
	const char *key;
	int r = manifest_load(path, &old, e);

	if (r < 0)
		return r;
	r = reproduce_files(old, new, f, e);
	json_object_foreach (old, key, value) {
		if (!streq(key, "files") && !json_equal(value, json_object_get(new, key)))
			finding_add(f, "manifest", key, "it is not what the manifest states");
	}
	json_decref(old);
	return r;
}

/* ---- bytes ---- */

struct compare {
	struct cow *again;
	const char *image;
	struct findings *f;
	char *buf;	     /* WRITER_BUFFER bytes */
	uint64_t start, end; /* the differing range that is open */
	uint64_t at;
	size_t ranges;
};

static void reproduce_end_range(struct compare *c)
{
	if (c->start == c->end)
		return;
	if (c->ranges++ < MOST_RANGES)
		finding_add(c->f, "bytes", c->image, "bytes %llu to %llu differ", (unsigned long long)c->start,
			    (unsigned long long)c->end - 1);
	c->start = c->end = 0;
}

static void see_difference(struct compare *c, uint64_t start, uint64_t end)
{
	if (c->end != start)
		reproduce_end_range(c);
	if (c->start == c->end)
		c->start = start;
	c->end = end;
}

static int compare_see(void *arg, const void *buf, size_t n, uint64_t offset)
{
	struct compare *c = arg;
	const char *p = buf;
	size_t inside = (size_t)(offset < cow_size(c->again) ? MIN(cow_size(c->again) - offset, (uint64_t)n) : 0);
	struct err interrupted;
	int r = cow_read(c->again, c->buf, inside, offset);

	if (r < 0)
		return r;
	for (size_t i = 0; i < inside; i += COW_BLOCK) {
		size_t part = MIN(inside - i, (size_t)COW_BLOCK);

		if (memcmp(p + i, c->buf + i, part) != 0)
			see_difference(c, offset + i, offset + i + part);
	}
	c->at = offset + n;
	return sig_check(&interrupted);
}

static int compare_image(struct compare *c, int fd, struct err *e)
{
	struct decode d = { .in = fd, .name = c->image, .write = compare_see, .write_arg = c };
	struct task *t = task_begin("compare", path_base(c->image), 0);
	int r = decode_image(&d, e);

	task_end(t, r < 0 ? "failed" : NULL);
	if (r < 0)
		return r;
	reproduce_end_range(c);
	if (c->ranges > MOST_RANGES)
		finding_add(c->f, "bytes", c->image, "%zu more ranges differ", c->ranges - MOST_RANGES);
	if (d.size != cow_size(c->again))
		finding_add(c->f, "bytes", c->image, "it has %llu bytes, now it would have %llu",
			    (unsigned long long)d.size, (unsigned long long)cow_size(c->again));
	return 0;
}

static int compare_map(struct cow *again, const char *path, struct findings *f, struct err *e)
{
	_cleanup_free_ char *text = NULL, *buf = xmalloc(MIB);
	struct bmap map = { 0 };
	struct bmap_check check = { .map = &map, .where = path, .findings = f };
	size_t n;
	int r = file_read(path, BMAP_LIMIT, &text, &n, e);

	if (r == 0)
		r = bmap_read(text, n, &map, e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	for (uint64_t at = 0; at < cow_size(again) && r == 0; at += n) {
		n = (size_t)MIN(cow_size(again) - at, MIB);
		r = cow_read(again, buf, n, at);
		if (r < 0)
			return err_errno(e, r, "cannot read the image built again");
		bmap_check_feed(&check, buf, n);
		r = sig_check(e);
	}
	bmap_check_end(&check);
	return r;
}

/* The image when it is there, in whatever form, else its map. */
static int compare_bytes(struct cow *again, const char *stem, const char **ret_what, struct findings *f, struct err *e)
{
	const char *map = arena_printf("%s.bmap", stem);

	for (size_t i = 0; i <= CODEC_COUNT; i++) {
		const char *image = arena_printf("%s.img%s", stem, i ? codecs[i - 1].suffix : "");
		_cleanup_close_ int fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		_cleanup_free_ char *buf = NULL;

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return file_cannot_open(image, e);
		buf = xmalloc(WRITER_BUFFER);
		*ret_what = arena_printf("the file list and every byte of %s", image);
		return compare_image(&(struct compare){ .again = again, .image = image, .f = f, .buf = buf }, fd, e);
	}
	if (!file_is_missing(map)) {
		*ret_what = arena_printf("the file list and every range of %s", map);
		return compare_map(again, map, f, e);
	}
	*ret_what = "the file list alone: neither image nor block map lies beside the manifest";
	return 0;
}

int reproduce_compare(const struct build *b, const char *manifest, const char **ret_what, struct findings *f,
		      struct err *e)
{
	const struct node_plan *n = b->plan->nodes.v[0];
	const char *stem = manifest;
	struct built again;
	int r = build_node(b, n, NULL, &again, e);

	if (r < 0 && !err_interrupted(e))
		err_wrap(e, "%s", n->name);
	if (ends_with(stem, MANIFEST_SUFFIX))
		stem = arena_strndup(stem, strlen(stem) - strlen(MANIFEST_SUFFIX));
	if (r == 0)
		r = compare_manifests(manifest, again.manifest, f, e);
	if (r == 0)
		r = compare_bytes(again.image.cow, stem, ret_what, f, e);
	image_close(&again.image);
	return r;
}
