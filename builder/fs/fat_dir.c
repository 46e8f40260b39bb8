/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of a FAT. A slot has 32 bytes: 0 name in 8 and 3 capital letters, 11 attributes, 12 which of the two parts of
 * the name is in small letters, 14 made, 18 read, 22 changed (time, date), 20 and 26 first cluster, 28 size. A long
 * name stands in the slots before it, last part first: 0 its number, 1 5, 14 6 and 28 2 letters of UTF-16, 11
 * attributes, 13 checksum of the short name.
 */
#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "fs/fat_internal.h"

enum {
	ATTR_VOLUME = 0x08,
	ATTR_DIR = 0x10,
	ATTR_ARCHIVE = 0x20,
	ATTR_LONG = 0x0f,
	SMALL_BASE = 0x08,
	SMALL_EXT = 0x10,
	SLOT_END = 0x00,
	SLOT_FREE = 0xe5,
	LONG_LAST = 0x40,
	LONG_LETTERS = 13,
	LONG_MAX = 255,
	SHORT = 11,
};

/* ---- reading ---- */

static bool is_dot(const unsigned char *slot)
{
	return memcmp(slot, ".          ", SHORT) == 0 || memcmp(slot, "..         ", SHORT) == 0;
}

static unsigned char checksum(const unsigned char *name)
{
	unsigned sum = 0;

	for (int i = 0; i < SHORT; i++)
		sum = (((sum & 1) << 7 | sum >> 1) + name[i]) & 0xff;
	return (unsigned char)sum;
}

static char *add_part(char *to, const unsigned char *from, int n, bool small)
{
	while (n && from[n - 1] == ' ')
		n--;
	for (int i = 0; i < n; i++)
		/* Letters beyond ASCII are those of a code page that nobody tells. */
		*to++ = from[i] > '~' || from[i] < ' ' ? '_' : (char)(small ? tolower(from[i]) : from[i]);
	return to;
}

static void short_name(const unsigned char *slot, char *name)
{
	char *end = add_part(name, slot, 8, slot[12] & SMALL_BASE), *dot = end;

	*end++ = '.';
	end = add_part(end, slot + 8, 3, slot[12] & SMALL_EXT);
	*(end == dot + 1 ? dot : end) = '\0';
}

/* Where the letters of a slot of a long name stand. */
static const unsigned char *letter_at(const unsigned char *slot, int i)
{
	return slot + (i < 5 ? 1 + 2 * i : i < 11 ? 14 + 2 * (i - 5) : 28 + 2 * (i - 11));
}

static char *add_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else { /* halves of a pair too: a name to show, not one to write */
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* The parts between BEGIN and the entry at AT make one name that belongs to it. */
static bool long_name(const unsigned char *slots, size_t begin, size_t at, char *name)
{
	size_t n = (at - begin) / FAT_SLOT;
	unsigned char sum = checksum(slots + at);

	if (n == 0 || n > (LONG_MAX + LONG_LETTERS - 1) / LONG_LETTERS || slots[begin] != (LONG_LAST | n))
		return false;
	for (size_t i = 0; i < n; i++) {
		const unsigned char *slot = slots + at - (i + 1) * FAT_SLOT;

		if ((slot[0] & ~LONG_LAST) != (int)i + 1 || slot[13] != sum)
			return false;
		for (int k = 0; k < LONG_LETTERS && i * LONG_LETTERS + (size_t)k < LONG_MAX; k++) {
			unsigned c = le16_at(letter_at(slot, k));

			if (c == 0) {
				*name = '\0';
				return i + 1 == n && (i || k);
			}
			if (c < ' ' || c == '/')
				c = '_';
			name = add_utf8(name, c);
		}
	}
	*name = '\0';
	return true;
}

bool fat_dir_next(const struct fat *f, const struct fat_dir *d, size_t *at, struct fat_file *ret)
{
	size_t begin = *at;

	for (; *at < d->n && d->slots[*at] != SLOT_END; *at += FAT_SLOT) {
		const unsigned char *slot = d->slots + *at;

		if (slot[0] != SLOT_FREE && (slot[11] & 0x3f) == ATTR_LONG) {
			if (slot[0] & LONG_LAST)
				begin = *at;
			continue;
		}
		if (slot[0] != SLOT_FREE && !(slot[11] & ATTR_VOLUME) && !is_dot(slot)) {
			*ret = (struct fat_file){ .begin = begin, .at = *at, .dir = slot[11] & ATTR_DIR };
			ret->first = le16_at(slot + 26) | (f->width == 4 ? le16_at(slot + 20) << 16 : 0);
			ret->size = ret->dir ? 0 : le32_at(slot + 28);
			if (!long_name(d->slots, begin, *at, ret->name)) {
				ret->begin = *at;
				short_name(slot, ret->name);
			}
			*at += FAT_SLOT;
			return true;
		}
		begin = *at + FAT_SLOT;
	}
	return false;
}

static bool has_short(const struct fat_dir *d, const unsigned char *name)
{
	for (size_t at = 0; at < d->n && d->slots[at] != SLOT_END; at += FAT_SLOT)
		if ((d->slots[at + 11] & 0x3f) != ATTR_LONG && memcmp(d->slots + at, name, SHORT) == 0)
			return true;
	return false;
}

bool fat_dir_find(const struct fat *f, const struct fat_dir *d, const char *name, struct fat_file *ret)
{
	char other[SHORT + 2];

	for (size_t at = 0; fat_dir_next(f, d, &at, ret);) {
		short_name(d->slots + ret->at, other);
		if (strcasecmp(ret->name, name) == 0 || strcasecmp(other, name) == 0)
			return true;
	}
	return false;
}

/* ---- folders as they lie on the image ---- */

struct dir_io {
	struct fat *f;
	unsigned char *p;
	bool write;
};

static int move_run(void *arg, uint64_t at, size_t n, struct err *e)
{
	struct dir_io *io = arg;
	int r = io->write ? fat_put(io->f, io->p, n, at, e) : fat_get(io->f, io->p, n, at, e);

	io->p += n;
	return r;
}

static int dir_size(const struct fat *f, uint32_t first, size_t *ret, struct err *e)
{
	int r = 0;

	*ret = 0;
	while (first && r == 0) {
		if (first < FAT_FIRST_CLUSTER || first >= f->end)
			return fat_damaged(e, "a folder lies outside of it");
		*ret += f->cluster;
		if (*ret > FAT_DIR_LIMIT)
			return fat_damaged(e, "a folder has no end");
		r = fat_next(f, first, &first, e);
	}
	return r;
}

int fat_dir_read(const struct fat *f, uint32_t first, struct fat_dir *ret, struct err *e)
{
	size_t n;
	int r = dir_size(f, first, &n, e);

	if (r < 0)
		return r;
	*ret = (struct fat_dir){ first, xmalloc(n + 1), n };
	r = fat_chain_runs(f, first, n, move_run, &(struct dir_io){ unconst(f), ret->slots, false }, e);
	if (r < 0)
		fat_dir_done(ret);
	return r;
}

int fat_dir_root(const struct fat *f, struct fat_dir *ret, struct err *e)
{
	int r;

	if (!f->root_at)
		return fat_dir_read(f, f->root_cluster, ret, e);
	*ret = (struct fat_dir){ 0, xmalloc(f->root_size), f->root_size };
	r = fat_get(f, ret->slots, ret->n, f->root_at, e);
	if (r < 0)
		fat_dir_done(ret);
	return r;
}

static int dir_write(struct fat *f, const struct fat_dir *d, struct err *e)
{
	if (!d->first)
		return fat_put(f, d->slots, d->n, f->root_at, e);
	return fat_chain_runs(f, d->first, d->n, move_run, &(struct dir_io){ f, d->slots, true }, e);
}

static int dir_grow(struct fat *f, struct fat_dir *d, struct err *e)
{
	uint32_t last = d->first, next = last, ignored;
	int r = 0;

	if (!d->first || d->n + f->cluster > FAT_DIR_LIMIT)
		return err_set(e, -ENOSPC, "boot partition: a folder of it is full");
	while (next && r == 0) {
		last = next;
		r = fat_next(f, last, &next, e);
	}
	if (r < 0)
		return r;
	r = fat_chain_add(f, last, 1, &ignored, e);
	if (r < 0)
		return r;
	d->slots = xrealloc(d->slots, d->n + f->cluster);
	memset(d->slots + d->n, 0, f->cluster);
	d->n += f->cluster;
	return 0;
}

/* ---- writing ---- */

static void set_content(const struct fat *f, unsigned char *slot, uint32_t first, uint32_t size)
{
	enum { FIRST_TIME = 315532800, LAST_TIME = 4354819198 }; /* 1980 to 2107 */
	time_t now = (time_t)MIN(MAX(f->epoch, (int64_t)FIRST_TIME), (int64_t)LAST_TIME);
	struct tm tm;

	gmtime_r(&now, &tm);
	put_le16(slot + 22, (unsigned)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2));
	put_le16(slot + 24, (unsigned)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday));
	put_le16(slot + 18, le16_at(slot + 24));
	if (f->width == 4)
		put_le16(slot + 20, first >> 16);
	put_le16(slot + 26, first & 0xffff);
	put_le32(slot + 28, size);
}

static void set_new(const struct fat *f, unsigned char *slot, bool dir, uint32_t first, uint32_t size)
{
	slot[11] = dir ? ATTR_DIR : ATTR_ARCHIVE;
	set_content(f, slot, first, size);
	put_le16(slot + 14, le16_at(slot + 22));
	put_le16(slot + 16, le16_at(slot + 24));
}

/* One part of a name as a short one has it, blanks behind. False when that lost something. */
static bool fat_shorten(const char *from, size_t n, unsigned char *to, size_t room, bool *small)
{
	size_t have = 0, capitals = 0, smalls = 0;
	bool exact = true;

	memset(to, ' ', room);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c == ' ' || c == '.') {
			exact = false;
			continue;
		}
		if (!isalnum(c) && !strchr("$%'-_@~`!(){}^#&", c)) {
			exact = false;
			c = '_';
		}
		capitals += isupper(c) != 0;
		smalls += islower(c) != 0;
		if (have < room)
			to[have++] = (unsigned char)toupper(c);
		else
			exact = false;
	}
	*small = smalls > 0;
	return exact && !(capitals && smalls);
}

/* Puts "~1" and up behind the base until nobody else in the folder is called so. */
static int fat_make_unique(const struct fat_dir *d, unsigned char *name, struct err *e)
{
	size_t base = 0;

	while (base < 8 && name[base] != ' ')
		base++;
	for (unsigned i = 1; i < 1000000; i++) {
		char tail[9];
		size_t n = (size_t)snprintf(tail, sizeof(tail), "~%u", i);
		size_t at = MIN(base, 8 - n);

		memset(name + at, ' ', 8 - at);
		memcpy(name + at, tail, n);
		if (!has_short(d, name))
			return 0;
	}
	return err_set(e, -ENOSPC, "boot partition: a folder of it has too many names that are alike");
}

/* Fills SLOT's name. Returns the slots that a long name takes before it, or an error. */
static int name_slot(const struct fat_dir *d, const char *name, unsigned char *slot, struct err *e)
{
	const char *dot = strrchr(name, '.');
	size_t base = dot && dot > name ? (size_t)(dot - name) : strlen(name);
	bool small_base, small_ext, exact;
	int r;

	exact = fat_shorten(name, base, slot, 8, &small_base);
	exact &= fat_shorten(name + base + (name[base] == '.'), strlen(name + base) - (name[base] == '.'), slot + 8, 3,
			     &small_ext);
	if (exact && slot[0] != ' ' && !has_short(d, slot)) {
		slot[12] = (unsigned char)((small_base ? SMALL_BASE : 0) | (small_ext ? SMALL_EXT : 0));
		return 0;
	}
	if (slot[0] == ' ')
		slot[0] = '_';
	r = fat_make_unique(d, slot, e);
	return r < 0 ? r : (int)((strlen(name) + LONG_LETTERS - 1) / LONG_LETTERS);
}

/* Part I, from 0, of a long name; behind its end one zero, then ones. */
static void long_slot(unsigned char *slot, const char *name, int i, int parts, unsigned char sum)
{
	size_t n = strlen(name);

	memset(slot, 0, FAT_SLOT);
	slot[0] = (unsigned char)((i + 1 == parts ? LONG_LAST : 0) | (i + 1));
	slot[11] = ATTR_LONG;
	slot[13] = sum;
	for (int k = 0; k < LONG_LETTERS; k++) {
		size_t at = (size_t)(i * LONG_LETTERS + k);

		put_le16(unconst(letter_at(slot, k)), at < n ? (unsigned char)name[at] : at == n ? 0 : 0xffff);
	}
}

/* COUNT slots side by side that nobody uses; the folder grows for them. */
static int find_room(struct fat *f, struct fat_dir *d, size_t count, size_t *ret, struct err *e)
{
	size_t run = 0;
	bool end = false;

	for (size_t at = 0;; at += FAT_SLOT) {
		if (at == d->n) {
			int r = dir_grow(f, d, e);

			if (r < 0)
				return r;
		}
		end |= d->slots[at] == SLOT_END;
		if (end) /* what stands behind the end means nothing */
			memset(d->slots + at, 0, FAT_SLOT);
		run = end || d->slots[at] == SLOT_FREE ? run + 1 : 0;
		if (run == count) {
			*ret = at + FAT_SLOT - count * FAT_SLOT;
			/* The slot after the last one in use has to say that it is the end. */
			if (end && at + FAT_SLOT < d->n)
				d->slots[at + FAT_SLOT] = SLOT_END;
			return 0;
		}
	}
}

int fat_dir_add(struct fat *f, struct fat_dir *d, const char *name, bool dir, uint32_t first, uint32_t size,
		struct err *e)
{
	unsigned char slot[FAT_SLOT] = { 0 };
	int parts = name_slot(d, name, slot, e), r;
	size_t at = 0;

	if (parts < 0)
		return parts;
	r = find_room(f, d, (size_t)parts + 1, &at, e);
	if (r < 0)
		return r;
	set_new(f, slot, dir, first, size);
	for (int i = parts; i > 0; i--, at += FAT_SLOT)
		long_slot(d->slots + at, name, i - 1, parts, checksum(slot));
	memcpy(d->slots + at, slot, FAT_SLOT);
	return dir_write(f, d, e);
}

int fat_dir_set(struct fat *f, struct fat_dir *d, const struct fat_file *x, uint32_t first, uint32_t size,
		struct err *e)
{
	set_content(f, d->slots + x->at, first, size);
	return dir_write(f, d, e);
}

int fat_dir_drop(struct fat *f, struct fat_dir *d, const struct fat_file *x, struct err *e)
{
	for (size_t at = x->begin; at <= x->at; at += FAT_SLOT) {
		memset(d->slots + at, 0, FAT_SLOT);
		d->slots[at] = SLOT_FREE;
	}
	return dir_write(f, d, e);
}

int fat_dir_make(struct fat *f, const struct fat_dir *parent, uint32_t *ret_first, struct err *e)
{
	struct fat_dir d = { .n = f->cluster };
	bool in_root = !parent->first || parent->first == f->root_cluster;
	int r = fat_chain_add(f, 0, 1, &d.first, e);

	if (r < 0)
		return r;
	d.slots = xcalloc(1, d.n);
	memcpy(d.slots, ".          ", SHORT);
	set_new(f, d.slots, true, d.first, 0);
	memcpy(d.slots + FAT_SLOT, "..         ", SHORT);
	set_new(f, d.slots + FAT_SLOT, true, in_root ? 0 : parent->first, 0);
	r = dir_write(f, &d, e);
	fat_dir_done(&d);
	*ret_first = d.first;
	return r;
}
