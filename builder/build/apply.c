/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a tree, written into an open root filesystem and FAT. Artifacts are hashed while they are copied. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "build/internal.h"
#include "oci/image_archive.h"

enum { EDIT_LIMIT = 1024 * 1024 };

struct prepared_artifact {
	const struct entry *entry;
	int fd;
	struct member *member;	       /* INSTALL_MEMBER */
	struct image_archive *archive; /* SOURCE_IMAGES */
	uint64_t size;
};

struct prepared {
	VEC(struct prepared_artifact) v;
	VEC(struct fill *) fills;
};

void prepared_free(struct prepared *p)
{
	vec_foreach (a, &p->v) {
		member_closep(&a->member);
		image_archive_closep(&a->archive);
		closep(&a->fd);
	}
}

static int prepare(const struct entry *n, const struct cache *c, struct prepared_artifact *a, struct err *e)
{
	const struct artifact *artifact = n->pin.artifact;
	struct stat st;
	int r;

	*a = (struct prepared_artifact){ .entry = n, .fd = -1 };
	if (n->source == SOURCE_IMAGES) {
		r = image_archive_open(c, n->images, &a->archive, e);
		if (r < 0)
			return r;
		a->size = image_archive_size(a->archive);
		return 0;
	}
	r = cache_object(c, &n->pin, &a->fd, e);
	if (r < 0)
		return r;
	if (fstat(a->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s from the cache", n->pin.name);
	a->size = (uint64_t)st.st_size;
	if (artifact->install.as != INSTALL_MEMBER)
		return 0;
	r = member_open(a->fd, n->pin.name, artifact->install.member, &a->member, e);
	if (r < 0)
		return r;
	a->size = member_size(a->member);
	return 0;
}

int prepare_artifacts(const struct tree *t, const struct cache *c, struct prepared **ret, struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *p = arena_new(struct prepared);
	int r;

	vec_foreach (n, &t->entries) {
		if (!entry_from_cache(n))
			continue;
		r = prepare(n, c, vec_push(&p->v), e);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&p);
	return 0;
}

static struct prepared_artifact *find_prepared(const struct prepared *p, const struct entry *n)
{
	vec_foreach (a, &p->v)
		if (streq(a->entry->path, n->path))
			return a;
	return NULL;
}

uint64_t prepared_cost(const struct tree *t, const struct prepared *p, enum entry_layer layer, uint64_t block_size)
{
	/* An unpacked chart is text that compresses about eightfold, in many small files. */
	enum { UNPACK_FACTOR = 16 };
	uint64_t cost = 0;

	vec_foreach (n, &t->entries) {
		const struct prepared_artifact *a = p ? find_prepared(p, n) : NULL;
		uint64_t size = a ? a->size : n->size;

		if (n->layer == layer && n->kind != ENTRY_REMOVE && !entry_on_boot(n))
			cost += ext4_cost(n->kind == ENTRY_UNPACK ? size * UNPACK_FACTOR : size, block_size);
	}
	return cost;
}

/* ---- sources ---- */

struct open_file {
	int fd;
	const char *name;
};

static ssize_t from_file(void *arg, void *buf, size_t n, struct err *e)
{
	const struct open_file *f = arg;
	ssize_t r;

	do
		r = read(f->fd, buf, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? err_errno(e, -errno, "cannot read %s", f->name) : r;
}

static ssize_t from_member(void *member, void *buf, size_t n, struct err *e)
{
	return member_read(member, buf, n, e);
}

static ssize_t from_images(void *archive, void *buf, size_t n, struct err *e)
{
	return image_archive_read(archive, buf, n, e);
}

static int check_digest(const struct card_writer *w, const struct pin *pin, const char *actual, struct err *e)
{
	if (streq(actual, pin->sha256))
		return 0;
	cache_evict(w->cache, pin);
	return err_class(
		e, CLASS_VERIFY,
		"%s %s in the cache is damaged (sha256 %s, expected %s): it was thrown away; run the same command again to download it anew",
		pin->name, pin->version, actual, pin->sha256);
}

/* ---- one function per kind of entry ---- */

static struct record *record(const struct card_writer *w, const struct entry *n)
{
	struct record *r = vec_push(&w->records->v);

	*r = (struct record){
		.path = n->path,
		.kind = n->kind,
		.origin = n->origin,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.size = n->size,
	};
	return r;
}

static struct fs_meta entry_meta(const struct entry *n)
{
	return (struct fs_meta){ .mode = n->mode, .uid = n->uid, .gid = n->gid };
}

static int write_bytes(const struct card_writer *w, const struct entry *n, const void *data, size_t size, struct err *e)
{
	struct fs_meta m = entry_meta(n);
	struct fs_bytes state;
	struct fs_source src = fs_source_bytes(&state, data, size);

	task_add(w->task, size);
	if (entry_on_boot(n))
		return fat_write(w->image->boot, path_in_boot(n->path), data, size, e);
	return ext4_write(w->image->root, n->path, &m, &src, e);
}

/* A file for the FAT is read whole: boot files are small. */
static int write_boot_stream(const struct card_writer *w, const struct entry *n, const struct fs_source *src,
			     struct err *e)
{
	_cleanup_free_ char *buf = NULL;
	int r;

	if (src->size > BOOT_FILE_LIMIT)
		return err_set(e, -E2BIG, "larger than the %d MiB a boot file may have", (int)(BOOT_FILE_LIMIT / MIB));
	buf = xmalloc(src->size);
	r = fs_source_take(src, buf, src->size, e);
	return r < 0 ? r : fat_write(w->image->boot, path_in_boot(n->path), buf, src->size, e);
}

/* FROM onto the card as N; SHA256 gets what it was. */
static int write_hashed(const struct card_writer *w, const struct entry *n, const struct fs_source *from,
			char sha256[SHA256_HEX], struct err *e)
{
	struct hashed h;
	const struct fs_source src = hashed_source(&h, from, w->task);
	struct fs_meta m = entry_meta(n);
	int r;

	r = entry_on_boot(n) ? write_boot_stream(w, n, &src, e) : ext4_write(w->image->root, n->path, &m, &src, e);
	sha256_final(&h.sum, sha256);
	return r;
}

static int write_host_file(const struct card_writer *w, const struct entry *n, struct err *e)
{
	_cleanup_close_ int fd = open(n->host_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct open_file file = { fd, n->host_file };
	const struct fs_source src = { n->size, from_file, &file };
	char sha256[SHA256_HEX];
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", n->host_file);
	r = write_hashed(w, n, &src, sha256, e);
	if (r == 0 && !streq(sha256, n->sha256))
		return err_set(e, -ESTALE, "%s changed while it was read: run the command again", n->host_file);
	return r;
}

static struct fs_source artifact_source(const struct entry *n, struct prepared_artifact *a)
{
	struct open_file *file;

	if (a->archive)
		return (struct fs_source){ a->size, from_images, a->archive };
	if (a->member)
		return (struct fs_source){ a->size, from_member, a->member };
	file = arena_new(struct open_file);
	*file = (struct open_file){ a->fd, n->pin.name };
	return (struct fs_source){ a->size, from_file, file };
}

/* SHA256 is of what was written. */
static int judge_artifact(const struct card_writer *w, const struct entry *n, const struct prepared_artifact *a,
			  const char *sha256, struct err *e)
{
	char whole[SHA256_HEX] = "";
	int r;

	/* The archive checks its blobs itself; its own digest is for the manifest. */
	if (a->archive)
		return 0;
	if (!a->member)
		return check_digest(w, &n->pin, sha256, e);
	r = member_digest(a->member, whole, e);
	return r < 0 ? r : check_digest(w, &n->pin, whole, e);
}

/* What judge_artifact() is asked once it is there. */
struct later {
	struct fill fill;
	const struct card_writer *w;
	const struct entry *n;
	const struct prepared_artifact *a;
};

static int judge_later(const struct fill *x, struct err *e)
{
	const struct later *l = x->arg;

	return judge_artifact(l->w, l->n, l->a, x->sha256, e);
}

/* Gets its blocks here, in its turn, and its bytes when all others are there. */
static int apply_artifact_later(const struct card_writer *w, const struct entry *n, struct prepared_artifact *a,
				struct err *e)
{
	struct later *l = arena_new(struct later);
	const struct fs_source blocks = fs_source_later(&l->fill.room, a->size);
	struct fs_meta m = entry_meta(n);

	*l = (struct later){ .w = w, .n = n, .a = a };
	l->fill = (struct fill){ .path = n->path,
				 .record = w->records->v.n - 1,
				 .from = artifact_source(n, a),
				 .ahead = a->member || a->archive,
				 .judge = judge_later,
				 .arg = l };
	*vec_push(&w->prepared->fills) = &l->fill;
	return ext4_write(w->image->root, n->path, &m, &blocks, e);
}

static int apply_artifact(const struct card_writer *w, const struct entry *n, struct prepared_artifact *a,
			  char sha256[SHA256_HEX], struct err *e)
{
	const struct fs_source src = artifact_source(n, a);
	int r = write_hashed(w, n, &src, sha256, e);

	return r < 0 ? r : judge_artifact(w, n, a, sha256, e);
}

static int apply_file(const struct card_writer *w, const struct entry *n, struct err *e)
{
	struct prepared_artifact *a = entry_from_cache(n) ? find_prepared(w->prepared, n) : NULL;
	struct record *rec = record(w, n);

	if (!n->secret)
		memcpy(rec->sha256, n->sha256, SHA256_HEX);
	if (n->source == SOURCE_BYTES)
		return write_bytes(w, n, n->bytes, n->size, e);
	if (n->source == SOURCE_HOST_FILE)
		return write_host_file(w, n, e);
	rec->size = a->size;
	if (!entry_on_boot(n))
		return apply_artifact_later(w, n, a, e);
	return apply_artifact(w, n, a, rec->sha256, e);
}

struct unpack {
	const struct card_writer *w;
	const struct entry *n;
};

static int unpack_one(void *arg, const struct unpack_entry *u, struct member *m, struct err *e)
{
	const struct unpack *x = arg;
	const struct fs_source src = { u->size, from_member, m };
	struct entry one = *x->n;
	struct fs_meta meta;
	struct record *rec;

	one.path = path_join(x->n->path, u->path);
	one.kind = u->dir ? ENTRY_DIR : u->symlink ? ENTRY_SYMLINK : ENTRY_FILE;
	one.mode = u->dir || u->mode & 0111 ? 0755 : 0644;
	one.uid = one.gid = 0;
	one.size = u->size;
	meta = entry_meta(&one);
	rec = record(x->w, &one);
	if (u->dir)
		return ext4_mkdir(x->w->image->root, one.path, &meta, e);
	if (!u->symlink)
		return write_hashed(x->w, &one, &src, rec->sha256, e);
	rec->note = arena_strdup(u->symlink);
	return ext4_symlink(x->w->image->root, one.path, u->symlink, &meta, e);
}

static int apply_unpack(const struct card_writer *w, const struct entry *n, struct err *e)
{
	struct prepared_artifact *a = find_prepared(w->prepared, n);
	struct fs_meta m = { .mode = 0755 };
	struct unpack x = { w, n };
	char archive[SHA256_HEX] = "";
	int r = ext4_mkdir(w->image->root, n->path, &m, e);

	if (r < 0)
		return r;
	r = unpack_walk(a->fd, n->pin.name, n->pin.artifact->install.member, unpack_one, &x, archive, e);
	return r < 0 ? r : check_digest(w, &n->pin, archive, e);
}

/* The base's content of an edited path, or its stand-in; *OLD stays NULL when there is neither. */
static int read_old(const struct card_writer *w, const struct entry *n, struct strbuf *buf, const char **old,
		    struct err *e)
{
	struct err missing = { 0 };
	int r;

	if (entry_on_boot(n)) {
		r = fat_read(w->image->boot, path_in_boot(n->path), EDIT_LIMIT, buf, &missing);
	} else if (ext4_exists(w->image->root, n->path)) {
		r = ext4_read(w->image->root, n->path, EDIT_LIMIT, buf, &missing);
	} else {
		r = n->edit_from ? ext4_read(w->image->root, n->edit_from, EDIT_LIMIT, buf, &missing) : -ENOENT;
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		*e = missing;
		return r;
	}
	strbuf_add(buf, "", 0);
	*old = buf->s;
	return 0;
}

/* What is there keeps its owner and mode. */
static bool keep_meta(const struct card_writer *w, struct entry *n, unsigned type)
{
	struct err missing = { 0 };
	struct fs_stat st;

	if (entry_on_boot(n) || ext4_stat(w->image->root, n->path, &st, &missing) < 0 ||
	    (type && (st.mode & S_IFMT) != type))
		return false;
	n->mode = st.mode & 07777;
	n->uid = st.uid;
	n->gid = st.gid;
	return true;
}

static int apply_edit(const struct card_writer *w, const struct entry *n, struct err *e)
{
	_cleanup_strbuf_ struct strbuf old = { 0 }, new = { 0 };
	struct entry effective = *n;
	const char *text = NULL;
	struct record *rec;
	int r = read_old(w, n, &old, &text, e);

	if (r == 0)
		r = n->edit(n->edit_arg, text, old.n, &new, e);
	if (r != 0)
		return MIN(r, 0); /* > 0: nothing to change */
	strbuf_add(&new, "", 0);
	keep_meta(w, &effective, 0);
	rec = record(w, &effective);
	rec->size = new.n;
	rec->note = n->edit_what;
	if (!n->secret)
		sha256_bytes(new.s, new.n, rec->sha256);
	return write_bytes(w, &effective, new.s, new.n, e);
}

static int apply_dir(const struct card_writer *w, const struct entry *n, struct err *e)
{
	struct entry effective = *n;
	bool kept = n->if_missing && keep_meta(w, &effective, S_IFDIR);
	struct fs_meta m = entry_meta(n);

	record(w, &effective);
	return kept ? 0 : ext4_mkdir(w->image->root, n->path, &m, e);
}

static int apply_remove(const struct card_writer *w, const struct entry *n, struct err *e)
{
	if (entry_on_boot(n))
		return fat_remove(w->image->boot, path_in_boot(n->path), e);
	if (!ext4_exists(w->image->root, n->path))
		return 0;
	record(w, n);
	return ext4_remove(w->image->root, n->path, e);
}

static int apply_entry(const struct card_writer *w, const struct entry *n, struct err *e)
{
	struct fs_meta m = entry_meta(n);

	switch (n->kind) {
	case ENTRY_DIR:
		return apply_dir(w, n, e);
	case ENTRY_SYMLINK:
		record(w, n)->note = n->bytes;
		return ext4_symlink(w->image->root, n->path, n->bytes, &m, e);
	case ENTRY_FILE:
		return apply_file(w, n, e);
	case ENTRY_UNPACK:
		return apply_unpack(w, n, e);
	case ENTRY_EDIT:
		return apply_edit(w, n, e);
	case ENTRY_REMOVE:
		return apply_remove(w, n, e);
	case ENTRY_KIND_COUNT:
		break;
	}
	return 0;
}

static int write_fills(const struct card_writer *w, const struct prepared *p, struct err *e)
{
	int r = fills_write(w->fill, p->fills.v, p->fills.n, w->task, e);

	vec_foreach (x, &p->fills)
		memcpy(w->records->v.v[(*x)->record].sha256, (*x)->sha256, SHA256_HEX);
	return r;
}

int apply_layer(const struct card_writer *w, const struct tree *t, enum entry_layer layer, struct err *e)
{
	int r;

	vec_foreach (n, &t->entries) {
		if (n->layer != layer)
			continue;
		r = sig_check(e);
		if (r == 0)
			r = apply_entry(w, n, e);
		if (r < 0)
			return e->class == CLASS_VERIFY || r == -EINTR ? r : err_wrap(e, "%s", n->path);
	}
	r = w->prepared ? write_fills(w, w->prepared, e) : 0;
	records_merge(w->records);
	return r;
}
