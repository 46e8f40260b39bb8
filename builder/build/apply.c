/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a tree, written into an open root filesystem and FAT. Artifacts are hashed while they are copied. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sig.h"
#include "build/build.h"
#include "oci/image_archive.h"

enum { EDIT_LIMIT = 1024 * 1024, BOOT_FILE_LIMIT = 64 * 1024 * 1024 };

struct prepared_artifact {
	const struct entry *entry;
	int fd;
	struct member *member;	       /* INSTALL_MEMBER */
	struct image_archive *archive; /* SOURCE_IMAGES */
	uint64_t size;
};

struct prepared {
	VEC(struct prepared_artifact) v;
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
	r = cache_object(c, &n->pin, &a->fd, e);
	if (r < 0)
		return r;
	if (fstat(a->fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s from the cache", n->pin.name);
	a->size = (uint64_t)st.st_size;
	if (artifact->install.as != INSTALL_MEMBER)
		return 0;
	r = member_open(a->fd, n->pin.name, artifact->install.member, &a->member, e);
	if (r == 0)
		a->size = member_size(a->member);
	return r;
}

static int prepare_images(const struct entry *n, const struct cache *c, struct prepared_artifact *a, struct err *e)
{
	int r;

	*a = (struct prepared_artifact){ .entry = n, .fd = -1 };
	r = image_archive_open(c, n->images, &a->archive, e);
	if (r == 0)
		a->size = image_archive_size(a->archive);
	return r;
}

int prepare_artifacts(const struct tree *t, const struct cache *c, struct prepared **ret, struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *p = arena_new(struct prepared);
	int r;

	vec_foreach (n, &t->entries) {
		if (!entry_from_cache(n))
			continue;
		r = (n->source == SOURCE_IMAGES ? prepare_images : prepare)(n, c, vec_push(&p->v), e);
		if (r < 0)
			return r;
	}
	*ret = p;
	p = NULL;
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

/* ---- sources: bytes of a host file or artifact, hashed on their way ---- */

struct hashed_fd {
	int fd;
	const char *name;
	struct sha256 hash;
	struct task *task;
};

static ssize_t read_hashed(void *arg, void *buf, size_t n, struct err *e)
{
	struct hashed_fd *h = arg;
	ssize_t r;

	if (sig_check(e) < 0)
		return -EINTR;
	do
		r = read(h->fd, buf, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_errno(e, -errno, "cannot read %s", h->name);
	sha256_update(&h->hash, buf, (size_t)r);
	task_add(h->task, (uint64_t)r);
	return r;
}

struct hashed_member {
	struct member *m;
	struct sha256 hash;
	struct task *task;
};

static ssize_t read_member(void *arg, void *buf, size_t n, struct err *e)
{
	struct hashed_member *h = arg;
	ssize_t r = sig_check(e) < 0 ? -EINTR : member_read(h->m, buf, n, e);

	if (r > 0) {
		sha256_update(&h->hash, buf, (size_t)r);
		task_add(h->task, (uint64_t)r);
	}
	return r;
}

static int check_digest(const struct card_writer *t, const struct pin *pin, const char *actual, struct err *e)
{
	if (streq(actual, pin->sha256))
		return 0;
	cache_evict(t->cache, pin);
	return err_class(
		e, CLASS_VERIFY,
		"%s %s in the cache is damaged (sha256 %s, expected %s): it was thrown away; run the same command "
		"again to download it anew",
		pin->name, pin->version, actual, pin->sha256);
}

/* ---- one function per kind of entry ---- */

static struct record *record(struct records *records, const struct entry *n, const char *path)
{
	struct record *r = vec_push(&records->v);

	*r = (struct record){
		.path = path,
		.kind = entry_kind_names[n->kind],
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

static int write_bytes(const struct card_writer *t, const struct entry *n, const void *data, size_t size, struct err *e)
{
	struct fs_meta m = entry_meta(n);
	struct fs_bytes state;
	struct fs_source src = fs_source_bytes(&state, data, size);

	task_add(t->task, size);
	if (entry_on_boot(n))
		return fat_write(t->image->boot, path_in_boot(n->path), data, size, e);
	return ext4_write(t->image->root, n->path, &m, &src, e);
}

/* A file for the FAT is read whole: boot files are small. */
static int write_boot_stream(const struct card_writer *t, const struct entry *n, const struct fs_source *src,
			     struct err *e)
{
	_cleanup_free_ char *buf = NULL;
	uint64_t done = 0;

	if (src->size > BOOT_FILE_LIMIT)
		return err_set(e, -EFBIG, "larger than the 64 MiB a boot file may have");
	buf = xmalloc(src->size);
	while (done < src->size) {
		ssize_t r = src->read(src->arg, buf + done, src->size - done, e);

		if (r <= 0)
			return r < 0 ? (int)r : err_set(e, -EIO, "the source became shorter");
		done += (uint64_t)r;
	}
	return fat_write(t->image->boot, path_in_boot(n->path), buf, src->size, e);
}

static int write_stream(const struct card_writer *t, const struct entry *n, const struct fs_source *src, struct err *e)
{
	struct fs_meta m = entry_meta(n);

	if (entry_on_boot(n))
		return write_boot_stream(t, n, src, e);
	return ext4_write(t->image->root, n->path, &m, src, e);
}

static int write_host_file(const struct card_writer *t, const struct entry *n, struct err *e)
{
	_cleanup_close_ int fd = open(n->host_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(sha256_done) struct sha256 nothing = { 0 };
	struct hashed_fd h = { fd, n->host_file, nothing, t->task };
	struct fs_source src = { n->size, read_hashed, &h };
	char sha256[SHA256_HEX];
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", n->host_file);
	sha256_init(&h.hash);
	r = write_stream(t, n, &src, e);
	sha256_final(&h.hash, sha256);
	if (r == 0 && !streq(sha256, n->sha256))
		return err_set(e, -ESTALE, "%s changed while it was read: run the command again", n->host_file);
	return r;
}

static int write_artifact_file(const struct card_writer *t, const struct entry *n, struct prepared_artifact *a,
			       char sha256[SHA256_HEX], struct err *e)
{
	struct hashed_fd h = { .fd = a->fd, .name = n->pin.name, .task = t->task };
	struct fs_source src = { a->size, read_hashed, &h };
	int r;

	sha256_init(&h.hash);
	r = write_stream(t, n, &src, e);
	sha256_final(&h.hash, sha256);
	return r < 0 ? r : check_digest(t, &n->pin, sha256, e);
}

static int write_artifact_member(const struct card_writer *t, const struct entry *n, struct prepared_artifact *a,
				 char sha256[SHA256_HEX], struct err *e)
{
	struct hashed_member h = { .m = a->member, .task = t->task };
	struct fs_source src = { a->size, read_member, &h };
	char archive[SHA256_HEX] = "";
	int r;

	sha256_init(&h.hash);
	r = write_stream(t, n, &src, e);
	sha256_final(&h.hash, sha256);
	if (r == 0)
		r = member_digest(a->member, archive, e);
	return r < 0 ? r : check_digest(t, &n->pin, archive, e);
}

struct hashed_archive {
	struct image_archive *a;
	struct sha256 hash;
	struct task *task;
};

static ssize_t read_archive(void *arg, void *buf, size_t n, struct err *e)
{
	struct hashed_archive *h = arg;
	ssize_t r = image_archive_read(h->a, buf, n, e);

	if (r > 0) {
		sha256_update(&h->hash, buf, (size_t)r);
		task_add(h->task, (uint64_t)r);
	}
	return r;
}

/* The archive checks its blobs itself; its own digest is for the manifest. */
static int write_images(const struct card_writer *t, const struct entry *n, struct prepared_artifact *a,
			char sha256[SHA256_HEX], struct err *e)
{
	struct hashed_archive h = { .a = a->archive, .task = t->task };
	struct fs_source src = { a->size, read_archive, &h };
	int r;

	sha256_init(&h.hash);
	r = write_stream(t, n, &src, e);
	sha256_final(&h.hash, sha256);
	return r;
}

static int apply_file(const struct card_writer *t, const struct entry *n, struct prepared *p, struct records *records,
		      struct err *e)
{
	struct prepared_artifact *a = entry_from_cache(n) ? find_prepared(p, n) : NULL;
	struct record *rec = record(records, n, n->path);
	int r;

	if (!n->secret)
		memcpy(rec->sha256, n->sha256, SHA256_HEX);
	if (n->source == SOURCE_BYTES)
		return write_bytes(t, n, n->bytes, n->size, e);
	if (n->source == SOURCE_HOST_FILE)
		return write_host_file(t, n, e);
	rec->size = a->size;
	if (a->archive)
		return write_images(t, n, a, rec->sha256, e);
	r = a->member ? write_artifact_member(t, n, a, rec->sha256, e) : write_artifact_file(t, n, a, rec->sha256, e);
	return r;
}

struct unpack {
	const struct card_writer *t;
	const struct entry *n;
	struct records *records;
};

static int unpack_one(void *arg, const struct unpack_entry *u, struct member *m, struct err *e)
{
	struct unpack *x = arg;
	const char *path = path_join(x->n->path, u->path);
	struct hashed_member h = { .m = m, .task = x->t->task };
	struct fs_source src = { u->size, read_member, &h };
	struct fs_meta meta = { .mode = u->dir ? 0755 : u->mode & 0111 ? 0755 : 0644 };
	struct record *rec = record(x->records, x->n, path);
	int r;

	rec->mode = meta.mode;
	rec->size = u->size;
	rec->kind = entry_kind_names[u->dir ? ENTRY_DIR : u->symlink ? ENTRY_SYMLINK : ENTRY_FILE];
	if (u->dir)
		return ext4_mkdir(x->t->image->root, path, &meta, e);
	if (u->symlink) {
		rec->note = arena_strdup(u->symlink);
		return ext4_symlink(x->t->image->root, path, u->symlink, &meta, e);
	}
	sha256_init(&h.hash);
	r = ext4_write(x->t->image->root, path, &meta, &src, e);
	sha256_final(&h.hash, rec->sha256);
	return r;
}

static int apply_unpack(const struct card_writer *t, const struct entry *n, struct prepared *p, struct records *records,
			struct err *e)
{
	struct prepared_artifact *a = find_prepared(p, n);
	struct fs_meta m = { .mode = 0755 };
	struct unpack x = { t, n, records };
	char archive[SHA256_HEX] = "";
	int r = ext4_mkdir(t->image->root, n->path, &m, e);

	if (r == 0)
		r = unpack_walk(a->fd, n->pin.name, n->pin.artifact->install.member, unpack_one, &x, archive, e);
	return r < 0 ? r : check_digest(t, &n->pin, archive, e);
}

/* The base's content of an edited path, or its stand-in; *OLD stays NULL when there is neither. */
static int read_old(const struct card_writer *t, const struct entry *n, struct strbuf *buf, const char **old,
		    struct err *e)
{
	struct err missing = { 0 };
	int r;

	if (entry_on_boot(n)) {
		r = fat_read(t->image->boot, path_in_boot(n->path), EDIT_LIMIT, buf, &missing);
	} else if (ext4_exists(t->image->root, n->path)) {
		r = ext4_read(t->image->root, n->path, EDIT_LIMIT, buf, &missing);
	} else {
		r = n->edit_from ? ext4_read(t->image->root, n->edit_from, EDIT_LIMIT, buf, &missing) : -ENOENT;
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

static int apply_edit(const struct card_writer *t, const struct entry *n, struct records *records, struct err *e)
{
	_cleanup_strbuf_ struct strbuf old = { 0 }, new = { 0 };
	struct entry effective = *n;
	const char *text = NULL;
	struct fs_stat st;
	struct err missing = { 0 };
	struct record *rec;
	int r = read_old(t, n, &old, &text, e);

	if (r == 0)
		r = n->edit(n->edit_arg, text, old.n, &new, e);
	if (r != 0)
		return MIN(r, 0); /* > 0: nothing to change */
	strbuf_add(&new, "", 0);
	if (!entry_on_boot(n) && ext4_stat(t->image->root, n->path, &st, &missing) == 0) {
		effective.mode = st.mode & 07777;
		effective.uid = st.uid;
		effective.gid = st.gid;
	}
	rec = record(records, &effective, n->path);
	rec->size = new.n;
	rec->note = n->edit_what;
	if (!n->secret)
		sha256_bytes(new.s, new.n, rec->sha256);
	return write_bytes(t, &effective, new.s, new.n, e);
}

static int apply_dir(const struct card_writer *t, const struct entry *n, struct records *records, struct err *e)
{
	struct entry effective = *n;
	struct fs_meta m = entry_meta(n);
	struct err missing = { 0 };
	struct fs_stat st;
	bool kept = n->if_missing && ext4_stat(t->image->root, n->path, &st, &missing) == 0 && S_ISDIR(st.mode);

	if (kept) {
		effective.mode = st.mode & 07777;
		effective.uid = st.uid;
		effective.gid = st.gid;
	}
	record(records, &effective, n->path);
	return kept ? 0 : ext4_mkdir(t->image->root, n->path, &m, e);
}

static int apply_remove(const struct card_writer *t, const struct entry *n, struct records *records, struct err *e)
{
	if (entry_on_boot(n))
		return fat_remove(t->image->boot, path_in_boot(n->path), e);
	if (!ext4_exists(t->image->root, n->path))
		return 0;
	record(records, n, n->path);
	return ext4_remove(t->image->root, n->path, e);
}

static int apply_entry(const struct card_writer *t, const struct entry *n, struct prepared *p, struct records *records,
		       struct err *e)
{
	struct fs_meta m = entry_meta(n);

	switch (n->kind) {
	case ENTRY_DIR:
		return apply_dir(t, n, records, e);
	case ENTRY_SYMLINK:
		record(records, n, n->path)->note = n->bytes;
		return ext4_symlink(t->image->root, n->path, n->bytes, &m, e);
	case ENTRY_FILE:
		return apply_file(t, n, p, records, e);
	case ENTRY_UNPACK:
		return apply_unpack(t, n, p, records, e);
	case ENTRY_EDIT:
		return apply_edit(t, n, records, e);
	case ENTRY_REMOVE:
		return apply_remove(t, n, records, e);
	case ENTRY_KIND_COUNT:
		break;
	}
	return 0;
}

int apply_layer(const struct card_writer *t, const struct tree *tree, enum entry_layer layer, struct prepared *p,
		struct records *records, struct err *e)
{
	int r;

	vec_foreach (n, &tree->entries) {
		if (n->layer != layer)
			continue;
		r = sig_check(e);
		if (r == 0)
			r = apply_entry(t, n, p, records, e);
		if (r < 0)
			return e->class == CLASS_VERIFY || r == -EINTR ? r : err_wrap(e, "%s", n->path);
	}
	return 0;
}
